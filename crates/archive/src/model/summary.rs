//! What is in a model, and the digest that identifies it. Knows nothing of archives or disks.

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
