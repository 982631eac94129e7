//! Packs a folder: the same content gives the same bytes, whatever the order, times and owners on the disk.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    human,
    walk::{self, Entry, IGNORE_FILE, Kind},
};

/// Beyond this level zstd costs far more time than it saves.
const LEVEL: i32 = 3;

/// What may be packed.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Bytes of all files together, before compression.
    pub max_bytes: u64,
    /// Files, folders and links together.
    pub max_entries: u64,
}

impl Default for PackOptions {
    /// Enough for any program; data belongs elsewhere.
    fn default() -> Self {
        Self { max_bytes: 512 << 20, max_entries: 100_000 }
    }
}

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Hex SHA-256 of the archive.
    pub digest: String,
    /// Bytes of the archive.
    pub bytes: u64,
    /// Regular files in it.
    pub files: u64,
}

/// Why a folder cannot be packed.
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
    /// A file was named where a folder is needed.
    #[error("`{}` is not a folder: name the folder that holds the program", .0.display())]
    NotAFolder(PathBuf),
    /// A line of the ignore file is no pattern.
    #[error("`{}` cannot be used: {why}", path.display())]
    IgnoreFile {
        /// The ignore file.
        path: PathBuf,
        /// Which line, and what is wrong.
        why: String,
    },
    /// A link that would lead elsewhere on another machine.
    #[error(
        "the link `{}` leads out of the folder (to `{}`): replace it by what it points to, or list it in {IGNORE_FILE}",
        link.display(), target.display()
    )]
    LinkOut {
        /// The link.
        link: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// A socket, pipe or device.
    #[error("`{}` is {kind} and cannot be packed: remove it, or list it in {IGNORE_FILE}", path.display())]
    Special {
        /// The thing.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Over the limit of bytes.
    #[error(
        "`{}` holds {}, and at most {} can be packed; the largest files are {largest}: list what the program does not need in {IGNORE_FILE}",
        folder.display(), human(*bytes), human(*limit)
    )]
    TooLarge {
        /// The folder.
        folder: PathBuf,
        /// What it holds.
        bytes: u64,
        /// What it may hold.
        limit: u64,
        /// The largest files with their sizes.
        largest: String,
    },
    /// Over the limit of entries.
    #[error(
        "`{}` holds more than {limit} files and folders: list what the program does not need in {IGNORE_FILE}",
        folder.display()
    )]
    TooManyEntries {
        /// The folder.
        folder: PathBuf,
        /// How many it may hold.
        limit: u64,
    },
    /// Somebody writes to the folder.
    #[error("`{}` changed while it was packed: pack again when nothing writes to it", .0.display())]
    Changed(PathBuf),
    /// The archive cannot be written.
    #[error("cannot write the archive: {0}")]
    Write(#[source] io::Error),
}

/// Writes `folder` to `writer` as tar.zst: entries sorted by the bytes of their path, no times, no owners, modes 0755
/// and 0644, links as links. After an error, what was written is no archive.
pub fn pack(folder: &Path, writer: impl Write, options: &PackOptions) -> Result<Packed, Error> {
    let entries = walk::list(folder, options)?;
    let out = Hashed { inner: writer, digest: Sha256::new(), bytes: 0 };
    let mut zstd = zstd::Encoder::new(out, LEVEL).map_err(Error::Write)?;
    zstd.include_checksum(true).map_err(Error::Write)?;
    let mut tar = tar::Builder::new(zstd);
    let mut files = 0;
    for entry in &entries {
        append(&mut tar, folder, entry)?;
        files += u64::from(matches!(entry.kind, Kind::File { .. }));
    }
    let zstd = tar.into_inner().map_err(Error::Write)?;
    let mut out = zstd.finish().map_err(Error::Write)?;
    out.flush().map_err(Error::Write)?;
    Ok(Packed { digest: hex(&out.digest.finalize()), bytes: out.bytes, files })
}

fn append(tar: &mut tar::Builder<impl Write>, folder: &Path, entry: &Entry) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match &entry.kind {
        Kind::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            tar.append_data(&mut header, &entry.path, io::empty()).map_err(Error::Write)
        }
        Kind::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, &entry.path, target).map_err(Error::Write)
        }
        Kind::File { executable, bytes, identity } => {
            let path = folder.join(&entry.path);
            let unreadable = |cause| Error::Unreadable { path: path.clone(), cause };
            let file = File::open(&path).map_err(unreadable)?;
            let found = file.metadata().map_err(unreadable)?;
            if (found.dev(), found.ino()) != *identity || found.len() != *bytes {
                return Err(Error::Changed(path));
            }
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            header.set_size(*bytes);
            let mut exact = Exact { file, left: *bytes, failure: None };
            let written = tar.append_data(&mut header, &entry.path, &mut exact);
            match (exact.failure, written) {
                (Some(Failure::Changed), _) => Err(Error::Changed(path)),
                (Some(Failure::Read(cause)), _) => Err(Error::Unreadable { path, cause }),
                (None, written) => written.map_err(Error::Write),
            }
        }
    }
}

/// Reads exactly the bytes that the header promises; remembers whose fault a failure was.
struct Exact {
    file: File,
    left: u64,
    failure: Option<Failure>,
}

enum Failure {
    Changed,
    Read(io::Error),
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.file.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.failure = Some(Failure::Read(error));
                return Err(io::Error::other("the file cannot be read"));
            }
        };
        // The end must come when, and only when, all promised bytes were read.
        if read as u64 > self.left || (read == 0 && self.left > 0 && !buffer.is_empty()) {
            self.failure = Some(Failure::Changed);
            return Err(io::Error::other("the file changed"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Passes bytes on, and knows their digest and number.
struct Hashed<W> {
    inner: W,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.digest.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
