//! Lists what a folder holds. Follows no link and opens no file; who packs says what is left out and in which order it goes.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::{human, link};

/// How many of the largest entries an error names.
const LARGEST: usize = 3;

/// One thing to pack.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Relative to the folder.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Folder,
    File(Stamp),
    Link(PathBuf),
}

/// What tells whether a file is still the one that was listed, and untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    pub(crate) executable: bool,
    /// Device and inode, to notice when another file takes its place.
    identity: (u64, u64),
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Stamp {
    /// Of a file that is not on this disk.
    pub(crate) fn elsewhere(bytes: u64, executable: bool) -> Self {
        Self { bytes, executable, identity: (0, 0), modified: (0, 0) }
    }

    pub(crate) fn of(found: &Metadata) -> Self {
        Self {
            bytes: found.len(),
            executable: found.mode() & 0o111 != 0,
            identity: (found.dev(), found.ino()),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}

/// Why a folder cannot be listed; who packs says what to do about it.
#[derive(Debug)]
pub(crate) enum Refused {
    Unreadable { path: PathBuf, cause: io::Error },
    LinkOut { link: PathBuf, target: PathBuf },
    Special { path: PathBuf, kind: &'static str },
    TooMany,
}

/// Everything in `folder` that is not `ignored` (path, whether it is a folder), in no order.
pub(crate) fn list(
    folder: &Path,
    max_entries: u64,
    ignored: impl Fn(&Path, bool) -> bool,
) -> Result<Vec<Entry>, Refused> {
    let mut entries = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(inside) = todo.pop() {
        let here = folder.join(&inside);
        let unreadable = |cause| Refused::Unreadable { path: here.clone(), cause };
        for child in fs::read_dir(&here).map_err(unreadable)? {
            let child = child.map_err(unreadable)?;
            let path = inside.join(child.file_name());
            let Some(kind) = kind(folder, &path, &ignored)? else { continue };
            if matches!(kind, Kind::Folder) {
                todo.push(path.clone());
            }
            entries.push(Entry { path, kind });
            if entries.len() as u64 > max_entries {
                return Err(Refused::TooMany);
            }
        }
    }
    check_links(folder, &entries)?;
    Ok(entries)
}

/// What there is at `path`; `None` when it is ignored.
fn kind(folder: &Path, path: &Path, ignored: &impl Fn(&Path, bool) -> bool) -> Result<Option<Kind>, Refused> {
    let full = folder.join(path);
    let unreadable = |cause| Refused::Unreadable { path: full.clone(), cause };
    let found = fs::symlink_metadata(&full).map_err(unreadable)?;
    let file_type = found.file_type();
    if ignored(path, file_type.is_dir()) {
        return Ok(None);
    }
    if file_type.is_dir() {
        return Ok(Some(Kind::Folder));
    }
    if file_type.is_symlink() {
        return Ok(Some(Kind::Link(fs::read_link(&full).map_err(unreadable)?)));
    }
    if file_type.is_file() {
        return Ok(Some(Kind::File(Stamp::of(&found))));
    }
    Err(Refused::Special { kind: special(&found), path: full })
}

/// What something is that is neither file nor folder nor link.
pub(crate) fn special(found: &Metadata) -> &'static str {
    if found.file_type().is_socket() {
        "a socket"
    } else if found.file_type().is_fifo() {
        "a named pipe"
    } else {
        "a device"
    }
}

fn check_links(folder: &Path, entries: &[Entry]) -> Result<(), Refused> {
    let links: BTreeMap<PathBuf, PathBuf> = entries
        .iter()
        .filter_map(|entry| match &entry.kind {
            Kind::Link(target) => Some((entry.path.clone(), target.clone())),
            _ => None,
        })
        .collect();
    match links.iter().find(|(path, _)| !link::stays_inside(&links, path)) {
        Some((path, target)) => Err(Refused::LinkOut { link: folder.join(path), target: target.clone() }),
        None => Ok(()),
    }
}

/// Paths and bytes of the files among `entries`.
pub(crate) fn files(entries: &[Entry]) -> impl Iterator<Item = (u64, &Path)> {
    entries.iter().filter_map(|entry| match entry.kind {
        Kind::File(stamp) => Some((stamp.bytes, entry.path.as_path())),
        _ => None,
    })
}

/// The largest files with their sizes, for who must decide what to leave out.
pub(crate) fn largest(entries: &[Entry]) -> String {
    let mut files: Vec<(u64, &Path)> = files(entries).collect();
    files.sort_by(|a, b| b.cmp(a));
    let largest: Vec<String> = files
        .iter()
        .take(LARGEST)
        .map(|(bytes, path)| format!("`{}` ({})", path.display(), human(*bytes)))
        .collect();
    largest.join(", ")
}
