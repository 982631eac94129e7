//! A job's folder as the executor reads and writes it. What a runner writes there is only read, never changed.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use runyard_domain::{
    Millis,
    job::{Exit, JobSpec, StopOrder, folder},
    secret,
};
use serde::{Deserialize, Serialize};

use super::process::is_locked;

/// `spawned`: when a runner was last started, and the GPUs that the job holds.
///
/// It outlives a killed server, and need not outlive the machine: then nothing runs any more, and whether the
/// program had been launched is said by the runner's own `launched`, which is on disk before the launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spawned {
    pub(crate) at: Millis,
    pub(crate) gpus: Vec<String>,
}

/// How far a job has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is no job in this folder.
    Nothing,
    /// Handed over; no runner was ever started.
    Submitted,
    /// Stopped before a runner was started.
    Stopped,
    /// A runner was started at least once.
    Spawned(Spawned),
}

/// What a folder whose runner was started shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The runner's lock is held.
    Held,
    /// No runner, and work left for one.
    Free,
    /// All is delivered; how it ended.
    Delivered(Exit),
}

/// Writes the spec, unless there is one. On disk when it answers.
pub(crate) fn submit(job: &Path, spec: &JobSpec) -> io::Result<()> {
    make(job)?;
    let path = job.join(folder::SPEC);
    if !path.try_exists()? {
        let staged = write_staged(job, &to_json(spec)?, true)?;
        let linked = fs::hard_link(&staged, &path);
        fs::remove_file(&staged)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => linked?,
        }
    }
    // Also when the spec was there: the one who wrote it may have died before this.
    sync_folder(job)?;
    job.parent().map_or(Ok(()), sync_folder)
}

pub(crate) fn progress(job: &Path) -> io::Result<Progress> {
    if let Some(text) = read(&job.join(folder::SPAWNED))? {
        match serde_json::from_slice(&text) {
            Ok(spawned) => return Ok(Progress::Spawned(spawned)),
            // The machine went down before it was on disk.
            Err(error) => tracing::warn!("{}: {error}: not used", job.join(folder::SPAWNED).display()),
        }
    }
    if job.join(folder::LAUNCHED).try_exists()? || job.join(folder::EXIT).try_exists()? {
        return Ok(Progress::Spawned(Spawned { at: Millis(0), gpus: Vec::new() }));
    }
    if job.join(folder::STOP).try_exists()? {
        return Ok(Progress::Stopped);
    }
    let submitted = job.join(folder::SPEC).try_exists()?;
    Ok(if submitted { Progress::Submitted } else { Progress::Nothing })
}

/// Notes that a runner is about to be started, with these GPUs. The `first` time they go into the spec too, with what
/// else is known only now.
pub(crate) fn mark_spawned(
    job: &Path,
    spawned: &Spawned,
    first: Option<&dyn Fn(&mut JobSpec)>,
) -> io::Result<()> {
    if let Some(complete) = first {
        let path = job.join(folder::SPEC);
        let mut spec: JobSpec = serde_json::from_slice(&fs::read(&path)?).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {error}", path.display()))
        })?;
        let before = spec.clone();
        spec.gpus.clone_from(&spawned.gpus);
        complete(&mut spec);
        if spec != before {
            replace(job, folder::SPEC, &to_json(&spec)?, true)?;
        }
    }
    replace(job, folder::SPAWNED, &to_json(spawned)?, false)
}

/// Writes the spec again without the values of secrets, and deletes what a crash left of writing it: nobody will launch
/// the program any more.
pub(crate) fn forget_secrets(job: &Path) -> io::Result<()> {
    for _ in 0..3 {
        match forget_once(job) {
            // A runner that does the same deletes what it takes for leftovers.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            forgotten => return forgotten,
        }
    }
    forget_once(job)
}

fn forget_once(job: &Path) -> io::Result<()> {
    let Some(text) = read(&job.join(folder::SPEC))? else { return Ok(()) };
    // What cannot be read is of another version, or damaged: then nobody reads secrets out of it either.
    let Some(without) = serde_json::from_slice(&text).ok().and_then(|spec| secret::forgotten(&spec)) else {
        return Ok(());
    };
    for entry in fs::read_dir(job)?.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(folder::STAGED.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    replace(job, folder::SPEC, &to_json(&without)?, true)
}

/// Leaves the order to stop, in place of an earlier one.
pub(crate) fn order_stop(job: &Path, order: StopOrder) -> io::Result<()> {
    make(job)?;
    replace(job, folder::STOP, &to_json(&order)?, true)
}

pub(crate) fn sight(job: &Path, now: Millis) -> io::Result<Sight> {
    if job.join(folder::DELIVERED).try_exists()? {
        return Ok(Sight::Delivered(exit(job)?.unwrap_or_else(|| {
            let reason = runyard_domain::job::Reason::BackendFailed;
            Exit::because(reason, "the runner left, because the server no longer wanted this job", now)
        })));
    }
    Ok(if is_locked(job)? { Sight::Held } else { Sight::Free })
}

/// Writes the exit record in the runner's place, once no runner can: whoever delivers the job says this. With `delivered`,
/// there is nothing to deliver.
pub(crate) fn end(job: &Path, end: &Exit, delivered: bool) -> io::Result<()> {
    if exit(job)?.is_none() {
        replace(job, folder::EXIT, &to_json(end)?, true)?;
    }
    if delivered { replace(job, folder::DELIVERED, b"", true) } else { Ok(()) }
}

/// Says in the folder where the server is.
pub(crate) fn write_address(job: &Path, name: &str, url: &str) -> io::Result<()> {
    replace(job, name, &to_json(&serde_json::json!({ "url": url }))?, false)
}

/// Adds to what the runner said for the operator.
pub(crate) fn append_log(job: &Path, text: &str) -> io::Result<()> {
    let path = job.join(folder::RUNNER_LOG);
    let mut log = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    log.write_all(text.as_bytes())
}

/// The exit record, if the runner wrote one.
pub(crate) fn exit(job: &Path) -> io::Result<Option<Exit>> {
    let text = read(&job.join(folder::EXIT))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// Opens a regular file below a folder that others write to: no link, and no `..`, leads out of it.
pub(crate) fn open_below(root: &Path, place: &str) -> Option<File> {
    let root = File::open(root).ok()?;
    // O_NONBLOCK: what is no file (a pipe) must not hold the server.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let file = File::from(openat2(&root, place, OpenHow::new().flags(flags).resolve(resolve)).ok()?);
    file.metadata().is_ok_and(|found| found.is_file()).then_some(file)
}

/// Deletes the folder and all in it; answers the bytes that the disk gets back. Links are deleted, never followed.
pub(crate) fn delete(job: &Path) -> io::Result<i64> {
    let metadata = match fs::symlink_metadata(job) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata?,
    };
    if !metadata.is_dir() {
        let what = format!("{} is not a folder", job.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, what));
    }
    let bytes = allocated(job)?;
    match fs::remove_dir_all(job) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Some(parent) = job.parent() {
        sync_folder(parent)?;
    }
    Ok(bytes)
}

/// Bytes that the disk would get back; 0 when there is no such folder.
pub(crate) fn size(folder: &Path) -> io::Result<i64> {
    if folder.is_dir() { allocated(folder) } else { Ok(0) }
}

/// Bytes that the files below `folder` hold on the disk. A file that has names elsewhere too is not counted.
/// Folders that a program closed to us are opened, because they could not be deleted.
fn allocated(folder: &Path) -> io::Result<i64> {
    let mut bytes = 0;
    let mut seen: HashMap<(u64, u64), u64> = HashMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mode = fs::symlink_metadata(&folder)?.permissions().mode();
        if mode & 0o700 != 0o700 {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode | 0o700))?;
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                let names = seen.entry((metadata.dev(), metadata.ino())).or_default();
                *names += 1;
                if *names == metadata.nlink() {
                    bytes += metadata.blocks() as i64 * 512;
                }
            }
        }
    }
    Ok(bytes)
}

pub(crate) fn make(job: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(job)
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

fn to_json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

/// Puts a file in place of the one with this name, whole; with `durable`, on disk when it answers.
fn replace(job: &Path, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
    let staged = write_staged(job, bytes, durable)?;
    fs::rename(&staged, job.join(name))?;
    if durable { sync_folder(job) } else { Ok(()) }
}

fn write_staged(job: &Path, bytes: &[u8], durable: bool) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = job.join(format!("{}{}-{count}", folder::STAGED, std::process::id()));
    // A file of this name is the leftover of an earlier process with the same id.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    Ok(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use runyard_domain::{JobId, ProjectId, RunId};

    use super::*;

    #[test]
    fn a_folder_whose_job_is_over_has_no_values_of_secrets() {
        let place = tempfile::tempdir().unwrap();
        let job = place.path().join("job");
        let spec: JobSpec = serde_json::from_value(serde_json::json!({
            "job_id": JobId::new(Millis(1), [7; 10]), "run_id": RunId::new(Millis(1), [7; 10]),
            "project_id": ProjectId::new(Millis(1), [7; 10]), "epoch": 1, "run_name": "r",
            "url": "http://127.0.0.1:1", "token": "t", "command": ["true"], "config": {},
            "resources": {"cpu": "1"}, "grace_ms": 1, "cache_dir": "c", "secret_env": {"HF": "hunter2-token"},
        }))
        .unwrap();
        submit(&job, &spec).unwrap();
        fs::write(job.join(".executor-1-1"), "hunter2-token").unwrap();
        let with = fs::read_to_string(job.join(folder::SPEC)).unwrap();
        assert!(with.contains("hunter2-token"));
        assert_eq!(fs::metadata(job.join(folder::SPEC)).unwrap().permissions().mode() & 0o777, 0o600);
        forget_secrets(&job).unwrap();
        let left: Vec<String> = fs::read_dir(&job)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, [folder::SPEC]);
        let without: JobSpec = serde_json::from_slice(&fs::read(job.join(folder::SPEC)).unwrap()).unwrap();
        assert_eq!(without, secret::forgotten(&spec).unwrap());
        assert!(without.secret_env.is_empty());
        forget_secrets(&job).unwrap();
        forget_secrets(&place.path().join("another")).unwrap();
    }

    #[test]
    fn a_jobs_file_is_opened_only_below_its_folder_whatever_links_it_makes() {
        let place = tempfile::tempdir().unwrap();
        let ml = place.path().join("ml");
        fs::create_dir_all(ml.join("output/deep")).unwrap();
        fs::write(ml.join("output/deep/weights"), "bytes").unwrap();
        fs::write(place.path().join("spec.json"), "secret").unwrap();
        let link =
            |to: &str, name: &str| std::os::unix::fs::symlink(to, ml.join("output").join(name)).unwrap();
        link("deep/weights", "inside");
        link("../../spec.json", "outside");
        link(place.path().join("spec.json").to_str().unwrap(), "absolute");
        link("..", "up");
        nix::unistd::mkfifo(&ml.join("output/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for there in ["output/deep/weights", "output/inside", "output/up/output/inside"] {
            assert!(open_below(&ml, there).is_some(), "{there}");
        }
        let absolute = ml.join("output/deep/weights");
        let beyond = [
            "output/outside",
            "output/absolute",
            "../spec.json",
            "output/up/../spec.json",
            "output",
            "output/pipe",
            "output/none",
            "",
            absolute.to_str().unwrap(),
        ];
        for beyond in beyond {
            assert!(open_below(&ml, beyond).is_none(), "{beyond}");
        }
    }
}
