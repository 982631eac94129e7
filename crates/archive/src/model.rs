//! Models as archives: a folder of any size as one tar.zst that is made, sent and read in one pass, and the digest that says
//! what is in it. Never keeps a file or an archive in memory or in a temporary copy; never follows what leads out of it.

mod content;
mod files;
mod frame;
mod layout;
mod pack;
mod paper;
mod read;
mod streams;
mod summary;
mod survey;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

pub use files::digest;
pub use pack::pack;
pub use read::{extract_model, inspect};
pub use streams::{StreamFile, pack_streams};
pub use summary::{Entry, Kind, Summary};
pub use survey::{ModelLimits, Survey, survey};

use crate::human;

/// Which digest is made of a part, or of a piece of a file: the one that its receiver checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256: the faster one, where the processor knows it.
    Sha256,
    /// MD5: what every S3 knows.
    Md5,
}

/// How an archive is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartOptions {
    /// Bytes of each part; only the last one is smaller. Three parts are in memory at a time.
    pub part_size: u64,
    /// Which digest of each part is made.
    pub checksum: Checksum,
}

/// A part of an archive.
#[derive(Debug, Clone)]
pub struct Part {
    /// From 1.
    pub number: i64,
    /// The bytes.
    pub bytes: Bytes,
    /// Their digest, in hex.
    pub checksum: String,
}

/// An archive and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// What is in it.
    pub summary: Summary,
    /// Hex SHA-256 of the archive.
    pub archive_sha256: String,
    /// Bytes of the archive.
    pub archive_size: u64,
}

/// Everything there is to know about an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What is in it.
    pub summary: Summary,
    /// Hex MD5 of the contents of all files, links to files included, in the order of their paths, as Arkindex has it. Absent
    /// when that needs a scratch folder and none was given.
    pub content_md5: Option<String>,
    /// Hex SHA-256 of the archive.
    pub archive_sha256: String,
    /// Hex MD5 of the archive.
    pub archive_md5: String,
    /// Bytes of the archive.
    pub archive_size: u64,
}

/// What an archive is expected to be; what is absent is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Hex SHA-256 of the archive.
    pub archive_sha256: Option<String>,
    /// Hex digest of the tree.
    pub tree_digest: Option<String>,
}

/// Why files are not packed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing of that name.
    #[error("`{}` does not exist: name the folder or file that holds the model", .0.display())]
    Missing(PathBuf),
    /// No permission, or a disk that fails.
    #[error("cannot read `{}`: {cause}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// There is no file in it.
    #[error("`{}` holds no file, and what is empty is no model: has it been saved there?", .0.display())]
    Empty(PathBuf),
    /// A link that would lead elsewhere on another machine.
    #[error(
        "the link `{}` leads out of the model (to `{}`): replace it by what it points to",
        link.display(), target.display()
    )]
    LinkOut {
        /// The link.
        link: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// A socket, pipe or device.
    #[error("`{}` is {kind} and cannot be part of a model: remove it", path.display())]
    Special {
        /// The thing.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A name that not every system can write.
    #[error("the name of `{}` is not UTF-8: rename it", .0.display())]
    NotText(PathBuf),
    /// Over the limit of bytes.
    #[error(
        "`{}` holds {}, and a model holds at most {}; the largest files are {largest}",
        path.display(), human(*bytes), human(*limit)
    )]
    TooLarge {
        /// The folder or file.
        path: PathBuf,
        /// What it holds.
        bytes: u64,
        /// What it may hold.
        limit: u64,
        /// The largest files with their sizes.
        largest: String,
    },
    /// Over the limit of entries.
    #[error("`{}` holds more than {limit} files and folders, and a model holds no more", path.display())]
    TooManyEntries {
        /// The folder.
        path: PathBuf,
        /// How many it may hold.
        limit: u64,
    },
    /// Somebody writes to it.
    #[error("`{}` changed while it was read: publish again when nothing writes to it", .0.display())]
    Changed(PathBuf),
    /// A file that is no file of a model.
    #[error("`{path}` cannot be packed: {why}")]
    Refused {
        /// Its path.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The parts are not taken.
    #[error("cannot send the archive: {0}")]
    Sink(#[source] io::Error),
    /// zstd refuses, which it never should.
    #[error("cannot compress the archive: {0}")]
    Compress(#[source] io::Error),
}

impl Error {
    fn unreadable(path: &Path, cause: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), cause }
    }
}
