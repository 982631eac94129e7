//! Lists what a folder holds, in the order in which it is packed. Follows no link and opens no file but `.runyardignore`.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::{
    human, link,
    pack::{Error, PackOptions},
};

/// The file whose lines, written as in a `.gitignore`, name what is not packed.
pub(crate) const IGNORE_FILE: &str = ".runyardignore";
/// Never part of a program; a line such as `!.venv` in the ignore file brings one back.
const ALWAYS_IGNORED: [&str; 4] = [".git", "__pycache__", ".venv", "*.pyc"];
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
    File {
        executable: bool,
        bytes: u64,
        /// Device and inode, to notice when another file takes its place.
        identity: (u64, u64),
    },
    Link(PathBuf),
}

/// Everything in `folder` that is not ignored, sorted by the bytes of the path.
pub(crate) fn list(folder: &Path, options: &PackOptions) -> Result<Vec<Entry>, Error> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Error::NotAFolder(folder.to_owned())),
        Err(cause) => return Err(Error::Unreadable { path: folder.to_owned(), cause }),
    }
    let ignored = ignored(folder)?;
    let mut entries = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(inside) = todo.pop() {
        let here = folder.join(&inside);
        let unreadable = |cause| Error::Unreadable { path: here.clone(), cause };
        for child in fs::read_dir(&here).map_err(unreadable)? {
            let child = child.map_err(unreadable)?;
            let path = inside.join(child.file_name());
            let Some(kind) = kind(folder, &path, &ignored)? else { continue };
            if matches!(kind, Kind::Folder) {
                todo.push(path.clone());
            }
            entries.push(Entry { path, kind });
            if entries.len() as u64 > options.max_entries {
                return Err(Error::TooManyEntries { folder: folder.to_owned(), limit: options.max_entries });
            }
        }
    }
    entries.sort_by(|a, b| a.path.as_os_str().as_bytes().cmp(b.path.as_os_str().as_bytes()));
    check_links(folder, &entries)?;
    check_size(folder, &entries, options)?;
    Ok(entries)
}

fn ignored(folder: &Path) -> Result<Gitignore, Error> {
    let file = folder.join(IGNORE_FILE);
    let wrong = |error: ignore::Error| Error::IgnoreFile { path: file.clone(), why: error.to_string() };
    let mut builder = GitignoreBuilder::new(folder);
    for line in ALWAYS_IGNORED {
        builder.add_line(None, line).map_err(wrong)?;
    }
    match fs::symlink_metadata(&file) {
        Ok(_) => builder.add(&file).map_or(Ok(()), |error| Err(wrong(error)))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::Unreadable { path: file, cause }),
    }
    builder.build().map_err(wrong)
}

/// What there is at `path`; `None` when it is ignored.
fn kind(folder: &Path, path: &Path, ignored: &Gitignore) -> Result<Option<Kind>, Error> {
    let full = folder.join(path);
    let unreadable = |cause| Error::Unreadable { path: full.clone(), cause };
    let found = fs::symlink_metadata(&full).map_err(unreadable)?;
    let file_type = found.file_type();
    if ignored.matched(path, file_type.is_dir()).is_ignore() {
        return Ok(None);
    }
    if file_type.is_dir() {
        return Ok(Some(Kind::Folder));
    }
    if file_type.is_symlink() {
        return Ok(Some(Kind::Link(fs::read_link(&full).map_err(unreadable)?)));
    }
    if file_type.is_file() {
        return Ok(Some(Kind::File {
            executable: found.mode() & 0o111 != 0,
            bytes: found.len(),
            identity: (found.dev(), found.ino()),
        }));
    }
    let kind = if file_type.is_socket() {
        "a socket"
    } else if file_type.is_fifo() {
        "a named pipe"
    } else {
        "a device"
    };
    Err(Error::Special { path: full, kind })
}

fn check_links(folder: &Path, entries: &[Entry]) -> Result<(), Error> {
    let links: BTreeMap<PathBuf, PathBuf> = entries
        .iter()
        .filter_map(|entry| match &entry.kind {
            Kind::Link(target) => Some((entry.path.clone(), target.clone())),
            _ => None,
        })
        .collect();
    match links.iter().find(|(path, _)| !link::stays_inside(&links, path)) {
        Some((path, target)) => Err(Error::LinkOut { link: folder.join(path), target: target.clone() }),
        None => Ok(()),
    }
}

fn check_size(folder: &Path, entries: &[Entry], options: &PackOptions) -> Result<(), Error> {
    let mut files: Vec<(u64, &Path)> = entries
        .iter()
        .filter_map(|entry| match entry.kind {
            Kind::File { bytes, .. } => Some((bytes, entry.path.as_path())),
            _ => None,
        })
        .collect();
    let bytes = files.iter().map(|(bytes, _)| bytes).sum::<u64>();
    if bytes <= options.max_bytes {
        return Ok(());
    }
    files.sort_by(|a, b| b.cmp(a));
    let largest: Vec<String> = files
        .iter()
        .take(LARGEST)
        .map(|(bytes, path)| format!("`{}` ({})", path.display(), human(*bytes)))
        .collect();
    Err(Error::TooLarge {
        folder: folder.to_owned(),
        bytes,
        limit: options.max_bytes,
        largest: largest.join(", "),
    })
}
