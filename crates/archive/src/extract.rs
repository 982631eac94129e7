//! Extracts an archive that anybody may have made. Nothing outside the folder is ever read, written or linked to.
//!
//! The argument is short: the folder is new or empty, every name is made of plain components, files are created and
//! never opened, and links come into being only at the end, after all of them were followed on paper. So while
//! bytes are written there is no link to follow.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use crate::{
    human, link,
    members::{self, Member},
};

/// What an archive may grow to.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Files, folders and links together, folders that are only implied by a path included.
    pub max_entries: u64,
    /// Bytes of all files together.
    pub max_bytes: u64,
    /// Logarithm of the memory that zstd may use.
    pub window_log_max: u32,
}

impl Default for Limits {
    /// Room for a large model; 128 MiB of memory.
    fn default() -> Self {
        Self { max_entries: 1_000_000, max_bytes: 64 << 30, window_log_max: 27 }
    }
}

/// What was extracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why an archive was not extracted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder already holds something.
    #[error("`{}` is not empty: extract into a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// A name that leads out of the folder.
    #[error("the archive is refused: `{0}` is not a path inside it (absolute, or with `..`)")]
    Outside(String),
    /// A link that leads out of the folder.
    #[error("the archive is refused: the link `{link}` leads out of it (to `{target}`)")]
    LinkOut {
        /// The link.
        link: String,
        /// Where it points.
        target: String,
    },
    /// A device, a pipe or something unknown.
    #[error("the archive is refused: `{name}` is {kind}, and only files, folders and links are extracted")]
    Kind {
        /// The entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A name that no disk takes.
    #[error("the archive is refused: the name `{0}..` is too long")]
    LongName(String),
    /// Two entries of one name.
    #[error("the archive is refused: it has `{0}` twice")]
    Twice(String),
    /// A name that not every system can write.
    #[error("the archive is refused: the name `{0}` is not UTF-8")]
    NotText(String),
    /// Another archive, or another content.
    #[error("the archive is refused: its {what} is {found}, and {expected} was expected")]
    Differs {
        /// What was compared.
        what: &'static str,
        /// As it should be.
        expected: String,
        /// As it is.
        found: String,
    },
    /// More entries than allowed.
    #[error("the archive is refused: it has more than {0} files, folders and links")]
    TooManyEntries(u64),
    /// More names than anyone needs.
    #[error("the archive is refused: its names are longer than {} together", human(*.0))]
    LongPaths(u64),
    /// More bytes than allowed.
    #[error("the archive is refused: it expands to more than {}", human(*.0))]
    TooLarge(u64),
    /// Not a tar.zst, or a damaged one.
    #[error("the archive cannot be read: {0}")]
    Damaged(#[source] io::Error),
    /// The disk refuses.
    #[error("cannot write `{}`: {cause}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Extracts the tar.zst in `reader` into `folder`, which must be missing or empty. Modes become 0755 or 0644. After an
/// error the folder holds a part of the archive: delete it.
pub fn extract(reader: impl Read, folder: &Path, limits: &Limits) -> Result<Extracted, Error> {
    let mut tree = Tree::new(folder, limits)?;
    members::read(reader, limits, |path, member, content| tree.add(path, member, content))?;
    tree.finish()
}

/// The folder as it grows.
pub(crate) struct Tree<'a> {
    root: &'a Path,
    limits: &'a Limits,
    entries: u64,
    folders: HashSet<PathBuf>,
    links: BTreeMap<PathBuf, PathBuf>,
    extracted: Extracted,
}

impl<'a> Tree<'a> {
    /// Makes the folder, or makes sure that it is empty.
    pub(crate) fn new(root: &'a Path, limits: &'a Limits) -> Result<Self, Error> {
        let failed = |cause| Error::Write { path: root.to_owned(), cause };
        fs::create_dir_all(root).map_err(failed)?;
        if fs::read_dir(root).map_err(failed)?.next().is_some() {
            return Err(Error::NotEmpty(root.to_owned()));
        }
        let extracted = Extracted::default();
        Ok(Self { root, limits, entries: 0, folders: HashSet::new(), links: BTreeMap::new(), extracted })
    }

    /// Makes what the archive brings. Links come at the end.
    pub(crate) fn add(
        &mut self,
        path: &Path,
        member: Member,
        content: &mut (impl Read + ?Sized),
    ) -> Result<(), Error> {
        match member {
            Member::InOrder => Ok(()),
            Member::Folder => self.folder(path),
            Member::File { size, executable } => self.file(path, size, executable, content),
            Member::HardLink(target) => self.hard_link(path, &target),
            Member::Link(target) => {
                self.count(1)?;
                match self.links.insert(path.to_owned(), target) {
                    Some(_) => Err(Error::Twice(path.display().to_string())),
                    None => Ok(()),
                }
            }
        }
    }

    /// Makes the links, if they all stay inside.
    pub(crate) fn finish(mut self) -> Result<Extracted, Error> {
        self.make_links()?;
        Ok(self.extracted)
    }

    /// Makes a folder and those above it; each counts.
    fn folder(&mut self, path: &Path) -> Result<(), Error> {
        let missing: Vec<&Path> = path
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty())
            .take_while(|path| !self.folders.contains(*path))
            .collect();
        for path in missing.into_iter().rev() {
            self.count(1)?;
            fs::create_dir(self.root.join(path)).map_err(|cause| self.failed(path, cause))?;
            self.folders.insert(path.to_owned());
        }
        Ok(())
    }

    fn parents(&mut self, path: &Path) -> Result<(), Error> {
        path.parent().map_or(Ok(()), |parent| self.folder(parent))
    }

    fn file(
        &mut self,
        path: &Path,
        size: u64,
        executable: bool,
        content: &mut (impl Read + ?Sized),
    ) -> Result<(), Error> {
        self.parents(path)?;
        self.count(1)?;
        let total = self.extracted.bytes.saturating_add(size);
        if total > self.limits.max_bytes {
            return Err(Error::TooLarge(self.limits.max_bytes));
        }
        let mode = if executable { 0o755 } else { 0o644 };
        let full = self.root.join(path);
        let mut file: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&full)
            .map_err(|cause| self.failed(path, cause))?;
        copy(content, &mut file, size, |cause| self.failed(path, cause))?;
        // Said again because the umask had its say when the file was made.
        file.set_permissions(Permissions::from_mode(mode)).map_err(|cause| self.failed(path, cause))?;
        self.extracted.files += 1;
        self.extracted.bytes = total;
        Ok(())
    }

    /// To a file that this archive has brought already; there are no links yet that could lead elsewhere.
    fn hard_link(&mut self, path: &Path, target: &Path) -> Result<(), Error> {
        self.parents(path)?;
        self.count(1)?;
        let original = self.root.join(target);
        if !fs::symlink_metadata(&original).is_ok_and(|found| found.is_file()) {
            return Err(Error::LinkOut {
                link: path.display().to_string(),
                target: target.display().to_string(),
            });
        }
        fs::hard_link(original, self.root.join(path)).map_err(|cause| self.failed(path, cause))?;
        self.extracted.files += 1;
        Ok(())
    }

    fn make_links(&mut self) -> Result<(), Error> {
        let links = std::mem::take(&mut self.links);
        if let Some((path, target)) = links.iter().find(|(path, _)| !link::stays_inside(&links, path)) {
            return Err(Error::LinkOut {
                link: path.display().to_string(),
                target: target.display().to_string(),
            });
        }
        // All folders first: a link whose name another link needs as a folder then collides instead of being followed.
        for path in links.keys() {
            self.parents(path)?;
        }
        for (path, target) in &links {
            symlink(target, self.root.join(path)).map_err(|cause| self.failed(path, cause))?;
        }
        Ok(())
    }

    fn count(&mut self, more: u64) -> Result<(), Error> {
        self.entries += more;
        if self.entries > self.limits.max_entries {
            return Err(Error::TooManyEntries(self.limits.max_entries));
        }
        Ok(())
    }

    fn failed(&self, path: &Path, cause: io::Error) -> Error {
        match cause.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                Error::Twice(path.display().to_string())
            }
            _ => Error::Write { path: self.root.join(path), cause },
        }
    }
}

/// Copies exactly `size` bytes; keeps apart whose fault a failure is.
fn copy(
    from: &mut (impl Read + ?Sized),
    to: &mut File,
    size: u64,
    failed: impl Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut buffer = vec![0; size.clamp(1, 64 << 10) as usize];
    let mut left = size;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = match from.read(&mut buffer[..most]) {
            Ok(0) => return Err(Error::Damaged(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Damaged(error)),
        };
        to.write_all(&buffer[..read]).map_err(&failed)?;
        left -= read as u64;
    }
    Ok(())
}
