//! Models as archives: a folder of any size as one tar.zst that is made, sent and read in one pass, and the digest that says
//! what is in it. Never keeps a file or an archive in memory or in a temporary copy; never follows what leads out of it.

mod summary;

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;

pub use summary::{Entry, Kind, Summary};

use crate::{Limits, extract};

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
    root: PathBuf,
}

/// Which digest of each part is made.
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
    /// Bytes of each part; only the last one is smaller.
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

/// A file to pack that is read from somewhere else than a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFile {
    /// Relative, with `/`. Folders are implied.
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// Bytes, exactly.
    pub size: u64,
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
    /// Missing, or no permission.
    #[error("cannot read `{}`: {cause}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Looks at everything in a folder, hidden files too, or at a single file.
pub fn survey(path: &Path, limits: &ModelLimits) -> Result<Survey, Error> {
    let _ = (path, limits);
    Err(unfinished())
}

/// Hashes all files, in parallel: what `pack` would say of them.
pub fn digest(survey: &Survey) -> Result<Summary, Error> {
    let _ = &survey.root;
    Err(unfinished())
}

/// Packs what was surveyed and gives the parts to `sink`, in order. Each file is read once.
pub fn pack(
    survey: &Survey,
    options: PartOptions,
    sink: impl FnMut(Part) -> io::Result<()> + Send,
) -> Result<Packed, Error> {
    let _ = (survey, options, sink);
    Err(unfinished())
}

/// The same archive from files that `open` brings one after the other, in any order of `files`.
pub fn pack_streams<R: Read + Send>(
    files: &[StreamFile],
    open: impl FnMut(&StreamFile) -> io::Result<R> + Send,
    options: PartOptions,
    sink: impl FnMut(Part) -> io::Result<()> + Send,
) -> Result<Packed, Error> {
    let _ = (files, open, options, sink);
    Err(unfinished())
}

/// Reads a tar.zst of anybody once, and extracts nothing. `scratch` is a folder for a temporary file without a name: needed to
/// know the content MD5 of an archive that is not in the order that `pack` makes, or has links to files.
pub fn inspect(
    reader: impl Read + Send,
    limits: &Limits,
    scratch: Option<&Path>,
) -> Result<Inspected, extract::Error> {
    let _ = (reader, limits, scratch);
    Err(extract::Error::Damaged(io::ErrorKind::Unsupported.into()))
}

/// Extracts into `folder`, which must be missing or empty, and holds what came against `expected`: the folder is there when all
/// of it is right, and not before.
pub fn extract_model(
    reader: impl Read + Send,
    folder: &Path,
    limits: &Limits,
    expected: &Expected,
) -> Result<Packed, extract::Error> {
    let _ = (reader, folder, limits, expected);
    Err(extract::Error::Damaged(io::ErrorKind::Unsupported.into()))
}

fn unfinished() -> Error {
    Error::Unreadable { path: PathBuf::new(), cause: io::ErrorKind::Unsupported.into() }
}
