//! Packs a folder: the same content gives the same bytes, whatever the order, times and owners on the disk.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sha2::{Digest, Sha256};

use crate::{
    header, hex, human,
    walk::{self, Entry, Kind, Refused, Stamp},
};

/// The file whose lines, written as in a `.gitignore`, name what is not packed.
const IGNORE_FILE: &str = ".runyardignore";
/// Never part of a program; a line such as `!.venv` in the ignore file brings one back.
const ALWAYS_IGNORED: [&str; 4] = [".git", "__pycache__", ".venv", "*.pyc"];

/// Beyond this level zstd costs far more time than it saves.
const LEVEL: i32 = 3;

/// What may be packed.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Bytes of all files together, before compression.
    pub max_bytes: u64,
    /// Files, folders and links together.
    pub max_entries: u64,
    /// Everything, whatever an ignore file says: for data, where nothing may be missing.
    pub everything: bool,
}

impl Default for PackOptions {
    /// Enough for any program; data belongs elsewhere.
    fn default() -> Self {
        Self { max_bytes: 512 << 20, max_entries: 100_000, everything: false }
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
    let entries = list(folder, options)?;
    let out = Hashed { inner: writer, digest: Sha256::new(), bytes: 0 };
    let mut zstd = zstd::Encoder::new(out, LEVEL).map_err(Error::Write)?;
    zstd.include_checksum(true).map_err(Error::Write)?;
    for entry in &entries {
        append(&mut zstd, folder, entry)?;
    }
    zeros(&mut zstd, header::END)?;
    let mut out = zstd.finish().map_err(Error::Write)?;
    out.flush().map_err(Error::Write)?;
    let files = walk::files(&entries).count() as u64;
    Ok(Packed { digest: hex(&out.digest.finalize()), bytes: out.bytes, files })
}

/// Everything in `folder` that is not ignored, sorted by the bytes of the path.
fn list(folder: &Path, options: &PackOptions) -> Result<Vec<Entry>, Error> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Error::NotAFolder(folder.to_owned())),
        Err(cause) => return Err(Error::Unreadable { path: folder.to_owned(), cause }),
    }
    let ignored = if options.everything { Gitignore::empty() } else { ignored(folder)? };
    let ignored = |path: &Path, is_folder: bool| ignored.matched(path, is_folder).is_ignore();
    let mut entries = walk::list(folder, options.max_entries, ignored).map_err(|why| match why {
        Refused::Unreadable { path, cause } => Error::Unreadable { path, cause },
        Refused::LinkOut { link, target } => Error::LinkOut { link, target },
        Refused::Special { path, kind } => Error::Special { path, kind },
        Refused::TooMany => Error::TooManyEntries { folder: folder.to_owned(), limit: options.max_entries },
    })?;
    entries.sort_by(|a, b| a.path.as_os_str().as_bytes().cmp(b.path.as_os_str().as_bytes()));
    let bytes = walk::files(&entries).map(|(bytes, _)| bytes).sum::<u64>();
    if bytes > options.max_bytes {
        let (folder, limit) = (folder.to_owned(), options.max_bytes);
        return Err(Error::TooLarge { folder, bytes, limit, largest: walk::largest(&entries) });
    }
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::Unreadable { path: file, cause }),
    }
    builder.build().map_err(wrong)
}

fn append(tar: &mut impl Write, folder: &Path, entry: &Entry) -> Result<(), Error> {
    let blocks = header::blocks(&entry.path, &entry.kind);
    let Kind::File(stamp) = entry.kind else { return tar.write_all(&blocks).map_err(Error::Write) };
    let path = folder.join(&entry.path);
    let unreadable = |cause| Error::Unreadable { path: path.clone(), cause };
    let file = File::open(&path).map_err(unreadable)?;
    if Stamp::of(&file.metadata().map_err(unreadable)?) != stamp {
        return Err(Error::Changed(path));
    }
    tar.write_all(&blocks).map_err(Error::Write)?;
    let mut exact = Exact { file, left: stamp.bytes, failure: None };
    let copied = io::copy(&mut exact, tar);
    match (exact.failure, copied) {
        (Some(Failure::Changed), _) => Err(Error::Changed(path)),
        (Some(Failure::Read(cause)), _) => Err(Error::Unreadable { path, cause }),
        (None, copied) => copied.map_err(Error::Write).and_then(|_| zeros(tar, header::padding(stamp.bytes))),
    }
}

fn zeros(tar: &mut impl Write, bytes: u64) -> Result<(), Error> {
    io::copy(&mut io::repeat(0).take(bytes), tar).map(drop).map_err(Error::Write)
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
