//! The data folder as the server holds it: one server at a time, its token, and where it can be found.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use runyard_engine::open::write_private;

use crate::serve::Error;

/// The lock's file; holds the server's process id.
const LOCK: &str = "lock";
/// How long a dead server may seem to hold the lock: a runner that it was starting when it was killed has the lock's file
/// open until it executes.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// The secret of an admin token.
const TOKEN: &str = "token";
/// `{"url", "pid", "version"}` of the server that runs.
const SERVER: &str = "server.json";

/// A data folder that is ours for as long as this value lives.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let fault = |cause| Error::Data { path: path.to_owned(), cause };
        make(path).map_err(fault)?;
        // Others must find the same folder, wherever they are.
        let path = path.canonicalize().map_err(fault)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder, as an absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that says where the server is.
    pub(crate) fn server_file(&self) -> PathBuf {
        self.path.join(SERVER)
    }

    /// The secret in the folder; the first start writes the one that `new` makes.
    pub(crate) fn token(&self, new: impl FnOnce() -> String) -> Result<String, Error> {
        let path = self.path.join(TOKEN);
        let fault = |cause| Error::Data { path: path.clone(), cause };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let secret = text.trim();
                if !(20..=crate::limits::SECRET).contains(&secret.len())
                    || !secret.bytes().all(|b| b.is_ascii_graphic())
                {
                    return Err(Error::Token { path });
                }
                std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(fault)?;
                Ok(secret.to_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = new();
                write_private(&path, format!("{secret}\n").as_bytes()).map_err(fault)?;
                Ok(secret)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Token { path }),
            Err(error) => Err(fault(error)),
        }
    }

    /// Says where the server is.
    pub(crate) fn announce(&self, url: &str) -> Result<(), Error> {
        let path = self.server_file();
        let server = serde_json::json!({
            "url": url,
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        write_private(&path, server.to_string().as_bytes()).map_err(|cause| Error::Data { path, cause })
    }

    /// The server is gone. What cannot be removed is found stale by those who read it.
    pub(crate) fn withdraw(&self) {
        if let Err(error) = std::fs::remove_file(self.server_file()) {
            tracing::warn!("cannot remove {}: {error}", self.server_file().display());
        }
    }
}

/// A new folder is its owner's alone. One that is there stays as it is: it may be more than ours.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!("others may look into {}: `chmod 700` it if it is only Runyard's", path.display());
        }
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let fault = |cause| Error::Data { path: path.clone(), cause };
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(fault)?;
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                let pid = holder(&mut file);
                if pid.is_some_and(is_there) || Instant::now() >= until {
                    return Err(Error::Held { path: folder.to_owned(), pid });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::Error(cause)) => return Err(fault(cause)),
        }
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(fault)?;
    Ok(file)
}

/// The process that has noted itself in the lock's file.
fn holder(file: &mut File) -> Option<u32> {
    let mut pid = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut pid)).ok()?;
    pid.trim().parse().ok()
}

fn is_there(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_and_its_files_are_their_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(
            folder.token(|| "ryd_0123456789012345678901234".into()).unwrap(),
            "ryd_0123456789012345678901234"
        );
        assert_eq!(mode(&path.join(TOKEN)), 0o600);
    }

    #[test]
    fn the_second_start_reads_the_first_ones_token() {
        let parent = tempfile::tempdir().unwrap();
        let first =
            Folder::open(parent.path()).unwrap().token(|| "ryd_0123456789012345678901234".into()).unwrap();
        let again = Folder::open(parent.path()).unwrap().token(|| panic!("there is one")).unwrap();
        assert_eq!(first, again);
    }

    #[test]
    fn a_file_that_holds_no_token_is_named_with_the_fix() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path()).unwrap();
        for text in [&b""[..], b"short", b"two words that are long enough", b"\xff\xfe 0123456789012345678"] {
            std::fs::write(parent.path().join(TOKEN), text).unwrap();
            let error = folder.token(|| panic!("there is a file")).unwrap_err().to_string();
            assert!(error.contains("token") && error.contains("delete"), "{error}");
        }
    }

    #[test]
    fn a_folder_has_one_server_and_the_second_is_told_its_process() {
        let parent = tempfile::tempdir().unwrap();
        let first = Folder::open(parent.path()).unwrap();
        let error = Folder::open(parent.path()).err().expect("it is held").to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())) && error.contains("--data"),
            "{error}"
        );
        drop(first);
        Folder::open(parent.path()).unwrap();
    }

    #[test]
    fn a_lock_that_a_dead_server_has_left_to_its_child_is_waited_for() {
        let parent = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let mut lock = lock(parent.path()).unwrap();
        lock.rewind().and_then(|()| lock.set_len(0)).unwrap();
        write!(lock, "{}", dead.id()).unwrap();
        // As between fork and exec: somebody else has the open file, and will give it up.
        let child = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(lock);
        });
        Folder::open(parent.path()).unwrap();
        child.join().unwrap();
    }

    #[test]
    fn a_server_can_be_found_until_it_withdraws() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path()).unwrap();
        folder.announce("http://127.0.0.1:1").unwrap();
        let server: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.server_file()).unwrap()).unwrap();
        assert_eq!(server["url"], "http://127.0.0.1:1");
        assert_eq!(server["pid"], std::process::id());
        folder.withdraw();
        assert!(!folder.server_file().exists());
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("file"), "").unwrap();
        let error =
            Folder::open(&parent.path().join("file/data")).err().expect("it cannot be made").to_string();
        assert!(error.contains("file/data"), "{error}");
    }
}
