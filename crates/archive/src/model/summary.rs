//! What is in a model, and the digest that identifies it. Knows nothing of archives or disks.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

use crate::hex;

/// The first line of what the tree digest is made of: other rules would be another format.
const FORMAT: &str = "runyard-tree 1\n";

/// What there is in a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Hex SHA-256 over the kinds, paths, sizes and contents of all entries.
    pub tree_digest: String,
    /// Bytes of all files.
    pub size: u64,
    /// How many files.
    pub files: u64,
    /// Depth first, names by their bytes: each folder before what is in it.
    pub entries: Vec<Entry>,
}

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root, with `/`.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes; 0 for what is no file.
    pub size: u64,
    /// Hex SHA-256 of the bytes; of what a link points to, for a link; empty for a folder.
    pub sha256: String,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

impl Kind {
    /// As it is written: `file`, `executable`, `folder` or `link`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Executable => "executable",
            Self::Folder => "folder",
            Self::Link => "link",
        }
    }
}

impl Summary {
    /// Of entries in any order.
    ///
    /// The tree digest is the SHA-256 of the line `runyard-tree 1` and a line for each entry, in the order of the entries:
    /// kind, size, SHA-256 (`-` for a folder), bytes of the path in decimal, and the path, with a space between them. The path's
    /// length makes the list unambiguous whatever is in a name. Folders that a path implies are entries like all others.
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable_by(|a, b| depth_first(&a.path, &b.path));
        let mut digest = Sha256::new_with_prefix(FORMAT);
        let (mut size, mut files) = (0, 0);
        for entry in &entries {
            let (kind, sha256) =
                (entry.kind.as_str(), if entry.sha256.is_empty() { "-" } else { &entry.sha256 });
            let line = format!("{kind} {} {sha256} {} {}\n", entry.size, entry.path.len(), entry.path);
            digest.update(line);
            size += entry.size;
            files += u64::from(matches!(entry.kind, Kind::File | Kind::Executable));
        }
        Self { tree_digest: hex(&digest.finalize()), size, files, entries }
    }
}

/// The order of a walk that takes names by their bytes: what is in `a` comes before `a.txt`, as Python's paths have it.
pub(super) fn depth_first(a: &str, b: &str) -> Ordering {
    // No name holds a zero, so it can stand for the end of a name.
    let key = |byte: u8| if byte == b'/' { 0 } else { byte };
    a.bytes().map(key).cmp(b.bytes().map(key))
}
