//! Objects as files below one folder. Never follows a symbolic link below the root.
//!
//! Own code and not object_store's `LocalFileSystem` (0.14): that one can fsync, but it follows links out of its
//! root, stages beside the objects (leftovers are found only by walking all of them), cannot store a name that
//! ends in `#1`, and has to know the key before the first byte, so that a name by digest would cost a second rename.

use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, renameat},
    sys::stat::{Mode, SFlag, fstatat, mkdirat},
    unistd::{UnlinkatFlags, linkat, unlinkat},
};

use crate::{
    Error, Listed,
    key::{MULTIPART, STAGING},
    multipart,
    turns::Turns,
    write::unique_name,
};

/// A writer that has written nothing for this long is dead.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);

#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    root: OwnedFd,
    staging: OwnedFd,
    turns: Turns,
}

impl Folder {
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let fail = |source: io::Error| from_io(&path, format!("open {}", path.display()), source);
        let staging = path.join(STAGING);
        let uploads = path.join(MULTIPART);
        for folder in [&staging, &uploads] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
        }
        let root = OwnedFd::from(File::open(&path).map_err(fail)?);
        let staging_fd = open_folder_at(&root, STAGING).map_err(|errno| fail(errno.into()))?;
        remove_leftovers(&staging, SystemTime::now()).map_err(fail)?;
        multipart::remove_leftovers(&uploads, SystemTime::now()).map_err(fail)?;
        Ok(Self { path, root, staging: staging_fd, turns: Turns::default() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Makes a file that only the caller knows, for a write under way.
    pub(crate) fn create_staged(&self, name: &str) -> Result<File, Error> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file = openat(&self.staging, name, flags, Mode::from_bits_truncate(0o600));
        file.map(File::from).map_err(|errno| self.fail("create a file for", name, errno.into()))
    }

    pub(crate) fn remove_staged(&self, name: &str) {
        // A failure leaves a leftover, which the next open removes.
        let _ = unlinkat(&self.staging, name, UnlinkatFlags::NoRemoveDir);
    }

    /// Makes the staged file (already on disk) the object `key`.
    pub(crate) fn publish(&self, staged: &str, key: &str) -> Result<(), Error> {
        self.publish_from(&self.staging, staged, key)
    }

    /// The same for a file in another folder of the same file system.
    pub(crate) fn publish_from(&self, from: &OwnedFd, staged: &str, key: &str) -> Result<(), Error> {
        let (parents, name) = split(key);
        // A delete may remove a parent that has just become empty between the two steps: then make it again.
        for _ in 0..100 {
            let chain = match self.descend(&parents, true) {
                Err(Errno::ENOENT) => continue,
                chain => chain.map_err(|errno| self.fail_put(key, errno))?,
            };
            let parent = chain.last().unwrap_or(&self.root);
            match renameat(from, staged, parent, name) {
                Err(Errno::ENOENT) => continue,
                Err(errno) => return Err(self.fail_put(key, errno)),
                Ok(()) => {}
            }
            for folder in chain.iter().rev().chain([&self.root]) {
                sync(folder).map_err(|error| self.fail("store", key, error))?;
            }
            return Ok(());
        }
        Err(self.fail("store", key, Errno::ENOENT.into()))
    }

    pub(crate) fn open_object(&self, key: &str) -> Result<(File, u64), Error> {
        let (parents, name) = split(key);
        let open = || {
            let chain = self.descend(&parents, false)?;
            // O_NONBLOCK: what is no object (a pipe) must not hold the server.
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            openat(chain.last().unwrap_or(&self.root), name, flags, Mode::empty())
        };
        let file = match open() {
            Ok(fd) => File::from(fd),
            Err(errno) if is_absent(errno) => return Err(Error::NotFound(key.to_owned())),
            Err(errno) => return Err(self.fail("read", key, errno.into())),
        };
        let metadata = file.metadata().map_err(|error| self.fail("read", key, error))?;
        if metadata.is_file() { Ok((file, metadata.len())) } else { Err(Error::NotFound(key.to_owned())) }
    }

    pub(crate) fn delete(&self, key: &str) -> Result<u64, Error> {
        let (parents, name) = split(key);
        let fail = |errno: Errno| self.fail("delete", key, errno.into());
        let chain = match self.descend(&parents, false) {
            Ok(chain) => chain,
            Err(errno) if is_absent(errno) => return Ok(0),
            Err(errno) => return Err(fail(errno)),
        };
        let parent = chain.last().unwrap_or(&self.root);
        let stat = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(errno) if is_absent(errno) => return Ok(0),
            Err(errno) => return Err(fail(errno)),
        };
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind == SFlag::S_IFDIR {
            return Ok(0);
        }
        match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Ok(0),
            Err(errno) => return Err(fail(errno)),
        }
        sync(parent).map_err(|error| self.fail("delete", key, error))?;
        self.prune(&parents, &chain);
        Ok(if kind == SFlag::S_IFREG { stat.st_size.unsigned_abs() } else { 0 })
    }

    /// Removes the folders that have become empty, from the inmost on.
    fn prune(&self, parents: &[&str], chain: &[OwnedFd]) {
        for (depth, segment) in parents.iter().enumerate().rev() {
            let above = if depth == 0 { &self.root } else { &chain[depth - 1] };
            if unlinkat(above, *segment, UnlinkatFlags::RemoveDir).is_err() {
                break;
            }
        }
    }

    /// Gives the object another name, in place of what has it. When it is gone and the other one is there, it was done.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        match self.open_object(from) {
            Err(Error::NotFound(_)) if self.open_object(to).is_ok() => return Ok(()),
            other => other?,
        };
        let (parents, name) = split(from);
        let fail = |errno: Errno| self.fail("rename", from, errno.into());
        let chain = self.descend(&parents, false).map_err(fail)?;
        let parent = chain.last().unwrap_or(&self.root);
        self.publish_from(parent, name, to)?;
        sync(parent).map_err(|error| self.fail("rename", from, error))?;
        self.prune(&parents, &chain);
        Ok(())
    }

    /// Gives the bytes of the object a second name. Objects never change, so both may be one file.
    pub(crate) fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        let (mut source, _) = self.open_object(from)?;
        if from == to {
            return Ok(());
        }
        let staged = unique_name();
        let (parents, name) = split(from);
        let link = || {
            let chain = self.descend(&parents, false)?;
            linkat(chain.last().unwrap_or(&self.root), name, &self.staging, &*staged, AtFlags::empty())
        };
        let copied = match link() {
            Ok(()) => Ok(()),
            Err(errno) if is_absent(errno) => return Err(Error::NotFound(from.to_owned())),
            // Some file systems know no second names, and all know a limit.
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::EMLINK | Errno::EXDEV | Errno::EACCES) => {
                let mut file = self.create_staged(&staged)?;
                let written = io::copy(&mut source, &mut file).and_then(|_| file.sync_all());
                written.map_err(|error| self.fail("copy", from, error))
            }
            Err(errno) => return Err(self.fail("copy", from, errno.into())),
        };
        let published = copied.and_then(|()| self.publish(&staged, to));
        // What was renamed is gone; the same file under both names is not.
        self.remove_staged(&staged);
        published
    }

    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let segments: Vec<&str> = prefix.split('/').filter(|segment| !segment.is_empty()).collect();
        match self.descend(&segments, false) {
            Ok(_) => {}
            Err(errno) if is_absent(errno) => return Ok(Vec::new()),
            Err(errno) => return Err(self.fail("list", prefix, errno.into())),
        }
        let mut listed = Vec::new();
        let mut folders = vec![prefix.to_owned()];
        while let Some(folder) = folders.pop() {
            let fail = |error| self.fail("list", &folder, error);
            let entries = match fs::read_dir(self.path.join(&folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(fail)?,
            };
            for entry in entries {
                let entry = entry.map_err(fail)?;
                // Nothing of ours is named otherwise than in UTF-8.
                let Ok(name) = entry.file_name().into_string() else { continue };
                let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let kind = entry.file_type().map_err(fail)?;
                if kind.is_dir() && ![STAGING, MULTIPART].contains(&key.as_str()) {
                    folders.push(key);
                } else if kind.is_file() {
                    match entry.metadata() {
                        Ok(metadata) => {
                            let modified = metadata.modified().map_err(fail)?;
                            listed.push(Listed { key, size: metadata.len(), modified });
                        }
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(fail(error)),
                    }
                }
            }
        }
        listed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    /// Opens the folders of `segments`, one in the other, links refused; `make` makes those that are missing.
    fn descend(&self, segments: &[&str], make: bool) -> nix::Result<Vec<OwnedFd>> {
        let mut chain: Vec<OwnedFd> = Vec::with_capacity(segments.len());
        for segment in segments {
            let above = chain.last().unwrap_or(&self.root);
            let below = loop {
                match open_folder_at(above, segment) {
                    Err(Errno::ENOENT) if make => {}
                    other => break other?,
                }
                match mkdirat(above, *segment, Mode::from_bits_truncate(0o700)) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    // ENOENT: the folder above was removed as empty; the caller begins again.
                    Err(errno) => return Err(errno),
                }
            };
            chain.push(below);
        }
        Ok(chain)
    }

    fn fail_put(&self, key: &str, errno: Errno) -> Error {
        match errno {
            Errno::ENOTDIR | Errno::ELOOP => Error::InvalidKey {
                key: key.to_owned(),
                reason: "a part of it before a `/` is an object itself: choose another name".to_owned(),
            },
            Errno::EISDIR | Errno::ENOTEMPTY | Errno::EEXIST => Error::InvalidKey {
                key: key.to_owned(),
                reason: "there are objects below this name: choose another".to_owned(),
            },
            errno => self.fail("store", key, errno.into()),
        }
    }

    pub(crate) fn fail(&self, verb: &str, key: &str, source: io::Error) -> Error {
        from_io(&self.path, format!("{verb} the object `{key}` in {}", self.path.display()), source)
    }
}

fn from_io(folder: &Path, what: String, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace(folder.to_owned()),
        _ => Error::Io { what, source },
    }
}

fn split(key: &str) -> (Vec<&str>, &str) {
    let mut segments: Vec<&str> = key.split('/').collect();
    let name = segments.pop().unwrap_or_default();
    (segments, name)
}

fn open_folder_at(above: &OwnedFd, name: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(above, name, flags, Mode::empty())
}

/// Answers that mean "no such object": a missing name, a file where a folder would be, a link.
fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO)
}

fn sync(folder: &OwnedFd) -> io::Result<()> {
    nix::unistd::fsync(folder).map_err(io::Error::from)
}

fn remove_leftovers(staging: &Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(staging)? {
        let entry = entry?;
        let modified = match entry.metadata().and_then(|metadata| metadata.modified()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            modified => modified?,
        };
        if now.duration_since(modified).is_ok_and(|age| age > LEFTOVER_AGE) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_named_as_such() {
        for errno in [Errno::ENOSPC, Errno::EDQUOT] {
            let error = from_io(Path::new("data/objects"), "store".into(), errno.into());
            assert!(matches!(error, Error::NoSpace(_)), "{error}");
            assert!(error.to_string().contains("no space is left in data/objects"), "{error}");
        }
    }

    #[test]
    fn old_leftovers_go_and_young_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1-1");
        fs::write(&file, "half").unwrap();
        remove_leftovers(folder.path(), SystemTime::now()).unwrap();
        assert!(file.exists(), "somebody may be writing it");
        remove_leftovers(folder.path(), SystemTime::now() + LEFTOVER_AGE + Duration::from_mins(1)).unwrap();
        assert!(!file.exists());
    }
}
