//! The job's folder: where things are, how they are written so that a crash leaves either all of a file or nothing,
//! and the lock that says that a runner lives. Knows no process and no server.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};
use runyard_domain::{
    job::{JobSpec, folder},
    secret,
};
use serde::{Serialize, de::DeserializeOwned};

/// What went wrong with a file of the job's folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} `{}`: {cause}", path.display())]
pub(crate) struct Error {
    verb: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// The folder of one job.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
    ml: PathBuf,
}

/// The runner's lock: as long as it is held, the runner is alive. The kernel gives it back when the runner dies.
#[derive(Debug)]
pub(crate) struct Claim {
    _file: File,
}

impl Folder {
    /// The folder at `root`, which need not exist yet.
    pub(crate) fn new(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(failed("find", root))?;
        let ml = root.join(folder::ML);
        Ok(Self { root, ml })
    }

    /// The same, with the program's folders at another place, where they are mounted too.
    pub(crate) fn with_ml(self, ml: PathBuf) -> Self {
        Self { ml, ..self }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `$RUNYARD_ML`.
    pub(crate) fn ml(&self) -> PathBuf {
        self.ml.clone()
    }

    /// Where the program starts.
    pub(crate) fn usercode(&self) -> PathBuf {
        self.ml().join("usercode")
    }

    /// `$RUNYARD_CONFIG`.
    pub(crate) fn config(&self) -> PathBuf {
        self.ml().join("input/config/hyperparameters.json")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Takes the lock and writes the pid into it; `None` when another runner holds it.
    pub(crate) fn claim(&self) -> Result<Option<Claim>, Error> {
        let path = self.path(folder::LOCK);
        let file = lock(&path)?;
        let Some(mut file) = file else { return Ok(None) };
        // Without a pid in it nobody can signal this runner, but on a full disk it still has to deliver.
        if let Err(error) = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())) {
            tracing::warn!(%error, "the pid cannot be written into the lock");
        }
        Ok(Some(Claim { _file: file }))
    }

    /// Notes that a runner was started here; answers how many there were, this one included.
    pub(crate) fn count_start(&self) -> Result<u64, Error> {
        let path = self.path(folder::STARTS);
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        file.write_all(b".").map_err(failed("write", &path))?;
        Ok(file.metadata().map_err(failed("read", &path))?.len())
    }

    /// The JSON in a file; `None` when there is no such file.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.path(name);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(mut file) => file.read_to_end(&mut text).map_err(failed("read", &path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| failed("understand", &path)(error.into()))
    }

    /// Writes a file whole or not at all, and returns when it would survive a power loss.
    pub(crate) fn write(&self, name: &str, content: &impl Serialize) -> Result<(), Error> {
        self.replace(name, content, true)
    }

    /// Writes a file whole or not at all; it survives the runner, which is enough for what is about living processes.
    pub(crate) fn write_soon(&self, name: &str, content: &impl Serialize) -> Result<(), Error> {
        self.replace(name, content, false)
    }

    fn replace(&self, name: &str, content: &impl Serialize, durable: bool) -> Result<(), Error> {
        let (path, partial) = (self.path(name), self.path(&format!("{name}.partial")));
        let text = serde_json::to_vec(content).map_err(|error| failed("write", &path)(error.into()))?;
        let replaced = write_new(&partial, &text, durable).and_then(|()| fs::rename(&partial, &path));
        let synced = replaced.and_then(|()| if durable { self.sync() } else { Ok(()) });
        synced.map_err(failed("write", &path))
    }

    /// Makes a file that must not exist yet, and only then returns.
    pub(crate) fn create_once(&self, name: &str, content: &str) -> Result<(), Error> {
        let path = self.path(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|mut file| file.write_all(content.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| self.sync())
            .map_err(failed("make", &path))
    }

    /// Writes the spec again without the values of secrets, and deletes what an executor that was killed left of writing it.
    pub(crate) fn forget_secrets(&self, spec: &JobSpec) -> Result<(), Error> {
        let Some(without) = secret::forgotten(spec) else { return Ok(()) };
        let listed = fs::read_dir(&self.root).map_err(failed("list", &self.root))?;
        for entry in listed.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(folder::STAGED.as_bytes()) {
                match fs::remove_file(entry.path()) {
                    // The executor was writing it, and is done.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    deleted => deleted.map_err(failed("delete", &entry.path()))?,
                }
            }
        }
        self.write(folder::SPEC, &without)
    }

    /// Says that the server has everything. Losing this mark in a crash only means delivering again.
    pub(crate) fn mark_delivered(&self) -> Result<(), Error> {
        let path = self.path(folder::DELIVERED);
        File::create(&path).map(drop).map_err(failed("make", &path))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.root)?.sync_all()
    }
}

/// Takes an open-file-description write lock on a file, which is made when it is missing; `None` when it is held.
/// The lock ends with the returned file; programs that are started do not inherit it.
pub(crate) fn lock(path: &Path) -> Result<Option<File>, Error> {
    let file = open_lock(path)?;
    Ok(set_lock(&file, libc::F_WRLCK).map_err(failed("lock", path))?.then_some(file))
}

/// The same for reading: many may hold it, while nobody holds it for writing.
pub(crate) fn lock_shared(path: &Path) -> Result<Option<File>, Error> {
    let file = open_lock(path)?;
    Ok(set_lock(&file, libc::F_RDLCK).map_err(failed("lock", path))?.then_some(file))
}

/// Goes on holding a lock for reading only.
pub(crate) fn share(lock: &File, path: &Path) -> Result<(), Error> {
    set_lock(lock, libc::F_RDLCK).map(drop).map_err(failed("share", path))
}

fn open_lock(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed("open", path))
}

/// `false`: somebody else is in the way.
fn set_lock(file: &File, kind: libc::c_int) -> io::Result<bool> {
    let whole = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn write_new(path: &Path, content: &[u8], durable: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    if durable { file.sync_all() } else { Ok(()) }
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |cause| Error { verb, path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runner_at_a_time_holds_the_lock() {
        let base = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(base.path()).unwrap();
        let claim = folder.claim().unwrap().expect("nobody holds it");
        assert!(folder.claim().unwrap().is_none());
        assert_eq!(fs::read_to_string(folder.path(folder::LOCK)).unwrap(), std::process::id().to_string());
        drop(claim);
        assert!(folder.claim().unwrap().is_some());
    }

    #[test]
    fn many_share_a_lock_that_nobody_can_take_for_itself_then() {
        let base = tempfile::TempDir::new().unwrap();
        let path = base.path().join("lock");
        let own = lock(&path).unwrap().expect("nobody holds it");
        assert!(lock_shared(&path).unwrap().is_none());
        share(&own, &path).unwrap();
        let other = lock_shared(&path).unwrap().expect("it is shared now");
        assert!(lock(&path).unwrap().is_none());
        drop((own, other));
        assert!(lock(&path).unwrap().is_some());
    }

    #[test]
    fn what_is_made_once_is_not_made_twice() {
        let base = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(base.path()).unwrap();
        folder.create_once(folder::LAUNCHED, "1").unwrap();
        let error = folder.create_once(folder::LAUNCHED, "2").unwrap_err().to_string();
        assert!(error.contains("launched`: File exists"), "{error}");
        assert_eq!((folder.count_start().unwrap(), folder.count_start().unwrap()), (1, 2));
    }
}
