//! What jobs leave on this machine: their folders, and the virtual environments that they share. Lists all of it, and deletes
//! an environment that no job uses. What a runner still needs is never touched.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use runyard_domain::{
    JobId, Millis,
    job::{environments, folder},
};

use super::{
    folder::{self as job_folder, Progress},
    process,
};
use crate::{Kept, Leftover};

/// The folders of jobs; one whose runner has something to deliver is in use.
pub(super) fn jobs(jobs: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    for (path, name) in folders(jobs)? {
        let Ok(job) = name.parse::<JobId>() else { continue };
        let delivered = changed(&path.join(folder::DELIVERED))?;
        // Of a job that was stopped before its runner was started nothing is ever delivered.
        let over = match delivered {
            None if job_folder::progress(&path)? == Progress::Stopped => changed(&path.join(folder::STOP))?,
            delivered => delivered,
        };
        let in_use = over.is_none() || process::is_locked(&path)?;
        let Some(since) = over.map_or_else(|| changed(&path), |at| Ok(Some(at)))? else { continue };
        found.push(Kept { what: Leftover::Job(job), since, in_use });
    }
    Ok(found)
}

/// The virtual environments.
pub(super) fn environments(cache: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    for (path, name) in folders(&cache.join(environments::FOLDER))? {
        let used = changed(&path.join(environments::COMPLETE))?;
        let Some(since) = used.map_or_else(|| changed(&path), |at| Ok(Some(at)))? else { continue };
        let in_use = match File::open(lock_of(&path)) {
            Ok(lock) => process::is_held(&lock)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        found.push(Kept { what: Leftover::Environment(name), since, in_use });
    }
    Ok(found)
}

/// Where an environment is.
pub(super) fn environment(cache: &Path, name: &str) -> PathBuf {
    // A name as it was listed: one segment.
    let name = Path::new(name).file_name().unwrap_or_default();
    cache.join(environments::FOLDER).join(name)
}

/// Deletes an environment; `None`: a job uses it, or makes it now.
pub(super) fn delete_environment(path: &Path) -> io::Result<Option<i64>> {
    let Some(_lock) = process::lock(&lock_of(path))? else { return Ok(None) };
    // First of all, so that what a crash leaves is never used.
    match fs::remove_file(path.join(environments::COMPLETE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The file of the lock stays: somebody may wait for it.
    job_folder::delete(path).map(Some)
}

fn lock_of(environment: &Path) -> PathBuf {
    environment.with_extension(environments::LOCK)
}

/// Folders in a folder, by path and name.
fn folders(parent: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}

/// When a file was changed last; `None`: there is none.
fn changed(path: &Path) -> io::Result<Option<Millis>> {
    let modified = match fs::symlink_metadata(path).and_then(|metadata| metadata.modified()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        modified => modified?,
    };
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))))
}

#[cfg(test)]
mod tests {
    use nix::{
        fcntl::{FcntlArg, fcntl},
        libc,
    };

    use super::*;

    #[test]
    fn an_environment_that_a_job_uses_is_not_deleted() {
        let place = tempfile::tempdir().unwrap();
        let (cache, venvs) = (place.path().join("cache"), place.path().join("cache/venvs"));
        fs::create_dir(place.path().join("jobs")).unwrap();
        for name in ["used", "idle", "half"] {
            fs::create_dir_all(venvs.join(name).join("bin")).unwrap();
            fs::write(venvs.join(name).join("bin/big"), vec![1; 100_000]).unwrap();
            fs::write(venvs.join(format!("{name}.lock")), "").unwrap();
        }
        fs::write(venvs.join("used/.complete"), "").unwrap();
        fs::write(venvs.join("idle/.complete"), "").unwrap();
        let reading = File::open(venvs.join("used.lock")).unwrap();
        let whole = libc::flock {
            l_type: libc::F_RDLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&reading, FcntlArg::F_OFD_SETLK(&whole)).unwrap();
        let mut kept: Vec<_> =
            environments(&cache).unwrap().into_iter().map(|kept| (kept.what, kept.in_use)).collect();
        kept.sort();
        let named = |name: &str| Leftover::Environment(name.to_owned());
        assert_eq!(kept, [(named("half"), false), (named("idle"), false), (named("used"), true)]);
        let delete = |name: &str| delete_environment(&environment(&cache, name)).unwrap();
        assert_eq!(delete("used"), None);
        assert!(venvs.join("used/.complete").exists());
        for name in ["idle", "half"] {
            assert!(delete(name).is_some_and(|bytes| bytes >= 100_000));
            assert!(!venvs.join(name).exists());
        }
        // A name leads nowhere else.
        assert_eq!(delete("../../jobs"), Some(0));
        assert!(place.path().join("jobs").exists());
        drop(reading);
        assert!(delete("used").is_some());
    }
    #[test]
    fn the_folder_of_a_job_that_was_stopped_before_its_start_is_in_nobodys_use() {
        let place = tempfile::tempdir().unwrap();
        let folder_of = |n: u8, files: &[&str]| {
            let job = JobId::new(Millis(n.into()), [n; 10]);
            let path = place.path().join(job.to_string());
            fs::create_dir(&path).unwrap();
            for file in files {
                fs::write(path.join(file), "{}").unwrap();
            }
            job
        };
        let waiting = folder_of(1, &[folder::SPEC]);
        let stopped = folder_of(2, &[folder::SPEC, folder::STOP]);
        let running = folder_of(3, &[folder::SPEC, folder::LAUNCHED, folder::STOP]);
        let delivered = folder_of(4, &[folder::SPEC, folder::LAUNCHED, folder::DELIVERED]);
        let found = jobs(place.path()).unwrap();
        let in_use = |job| found.iter().find(|kept| kept.what == Leftover::Job(job)).unwrap().in_use;
        assert_eq!([waiting, stopped, running, delivered].map(in_use), [true, false, true, false]);
    }
}
