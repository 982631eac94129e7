//! Looks at what is to be published: everything there is, hidden files too, or a single file. Reads no content.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{Error, summary::depth_first};
use crate::{
    Limits,
    walk::{self, Entry, Kind, Refused, Stamp},
};

/// What a model may hold.
#[derive(Debug, Clone)]
pub struct ModelLimits {
    /// Bytes of all files together.
    pub max_bytes: u64,
    /// Files, folders and links together.
    pub max_entries: u64,
}

impl Default for ModelLimits {
    fn default() -> Self {
        Self { max_bytes: 1 << 40, max_entries: 1_000_000 }
    }
}

impl ModelLimits {
    /// The same limits for who reads an archive.
    pub fn reading(&self) -> Limits {
        Limits { max_bytes: self.max_bytes, max_entries: self.max_entries, ..Limits::default() }
    }
}

/// What a folder, or a single file, holds, as it was when it was looked at.
#[derive(Debug)]
pub struct Survey {
    /// Bytes of all files.
    pub size: u64,
    /// How many files.
    pub files: u64,
    /// Where the paths start.
    pub(super) root: PathBuf,
    /// Depth first; every path is UTF-8.
    pub(super) entries: Vec<Entry>,
}

/// Looks at everything in a folder, hidden files too, or at a single file. Links stay links, and must lead somewhere inside.
pub fn survey(path: &Path, limits: &ModelLimits) -> Result<Survey, Error> {
    let found = fs::metadata(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => Error::Missing(path.to_owned()),
        _ => Error::unreadable(path, cause),
    })?;
    let (root, mut entries) = if found.is_dir() {
        (path.to_owned(), folder(path, limits)?)
    } else if let (true, Some(name)) = (found.is_file(), path.file_name()) {
        let root = path.parent().map(Path::to_owned).unwrap_or_default();
        (root, vec![Entry { path: name.into(), kind: Kind::File(Stamp::of(&found)) }])
    } else {
        return Err(Error::Special { path: path.to_owned(), kind: walk::special(&found) });
    };
    if let Some(entry) = entries.iter().find(|entry| entry.path.to_str().is_none()) {
        return Err(Error::NotText(root.join(&entry.path)));
    }
    entries.sort_unstable_by(|a, b| depth_first(text(a), text(b)));
    let (files, size) = walk::files(&entries).fold((0, 0_u64), |(n, sum), (size, _)| (n + 1, sum + size));
    if files == 0 {
        return Err(Error::Empty(path.to_owned()));
    }
    if size > limits.max_bytes {
        let (path, largest) = (path.to_owned(), walk::largest(&entries));
        return Err(Error::TooLarge { path, bytes: size, limit: limits.max_bytes, largest });
    }
    for (_, file) in walk::files(&entries) {
        // Better said now than after a gigabyte was sent.
        let full = root.join(file);
        File::open(&full).map_err(|cause| Error::unreadable(&full, cause))?;
    }
    Ok(Survey { size, files, root, entries })
}

fn folder(path: &Path, limits: &ModelLimits) -> Result<Vec<Entry>, Error> {
    walk::list(path, limits.max_entries, |_, _| false).map_err(|why| match why {
        Refused::Unreadable { path, cause } => Error::Unreadable { path, cause },
        Refused::LinkOut { link, target } => Error::LinkOut { link, target },
        Refused::Special { path, kind } => Error::Special { path, kind },
        Refused::TooMany => Error::TooManyEntries { path: path.to_owned(), limit: limits.max_entries },
    })
}

/// The path, which was found to be UTF-8.
pub(super) fn text(entry: &Entry) -> &str {
    entry.path.to_str().unwrap_or_default()
}
