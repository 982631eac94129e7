//! Runners as processes: start one, see whether one is alive, send it a signal. Never touches the program itself.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::Path,
    process::Stdio,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    sys::signal::Signal,
};
use runyard_domain::job::folder;
use tokio::process::{Child, Command};

/// Starts a runner on the folder. It outlives the server, and its terminal too: the first thing that it does is to make a
/// session of its own. Nothing is asked of the child before that, or the server, large as it may be, would have to be
/// copied for every job (fork) instead of being lent for an instant (vfork).
pub(crate) fn spawn_runner(runner: &Path, job: &Path, hidden: &[String]) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(job.join(folder::RUNNER_LOG))?;
    let mut command = Command::new(runner);
    command.arg("runner").arg(job).current_dir(job);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // What was set for the server (address, token, database) is not for the runner: it has its spec.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"RUNYARD_") {
            command.env_remove(name);
        }
    }
    for name in hidden {
        command.env_remove(name);
    }
    command.spawn()
}

/// Whether a runner holds the folder's lock.
pub(crate) fn is_locked(job: &Path) -> io::Result<bool> {
    match File::open(job.join(folder::LOCK)) {
        Ok(file) => is_held(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the lock of a file for writing; `None` when somebody holds it, for reading or for writing. It ends with the file.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole)) {
        Ok(_) => Ok(Some(file)),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

pub(super) fn is_held(lock: &File) -> io::Result<bool> {
    let mut probe = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(lock, FcntlArg::F_OFD_GETLK(&mut probe))?;
    Ok(i32::from(probe.l_type) != libc::F_UNLCK)
}

/// Sends a signal to the runner that holds the folder's lock; `false`: there is none.
pub(crate) fn signal_runner(job: &Path, signal: Signal) -> io::Result<bool> {
    let path = job.join(folder::LOCK);
    let lock = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    if !is_held(&lock)? {
        return Ok(false);
    }
    let text = fs::read_to_string(&path)?;
    let Ok(pid) = text.trim().parse::<libc::pid_t>() else {
        // It has the lock and is about to write its id: it reads the order to stop after that.
        return Ok(false);
    };
    if pid <= 1 {
        // The first process of a container, by its own count; outside, that number is somebody else.
        return Ok(false);
    }
    let process = match open_process(pid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
        process => process?,
    };
    // The id may be an earlier runner's and belong to a stranger by now; from here on it cannot change hands.
    if !has_open(pid, &lock)? || !is_held(&lock)? {
        return Ok(false);
    }
    send(&process, signal)
}

/// Whether the process has this very file open; `true` also when that cannot be seen.
fn has_open(pid: libc::pid_t, file: &File) -> io::Result<bool> {
    let wanted = file.metadata()?;
    let open_files = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(open_files) => open_files,
        Err(error) => return Ok(error.kind() == io::ErrorKind::PermissionDenied),
    };
    let same = |file: &fs::Metadata| file.dev() == wanted.dev() && file.ino() == wanted.ino();
    Ok(open_files.flatten().any(|open| fs::metadata(open.path()).is_ok_and(|file| same(&file))))
}

#[expect(unsafe_code, reason = "pidfd_open has no safe wrapper here; it answers a descriptor of our own")]
fn open_process(pid: libc::pid_t) -> io::Result<OwnedFd> {
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[expect(unsafe_code, reason = "pidfd_send_signal has no safe wrapper here; it reads no memory of ours")]
fn send(process: &OwnedFd, signal: Signal) -> io::Result<bool> {
    let none = std::ptr::null::<libc::siginfo_t>();
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal as libc::c_int, none, 0)
    };
    match Errno::result(sent) {
        Ok(_) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
