//! The processes that belong to a data folder: its runners, their programs, and whatever those started. A process belongs
//! to the folder when its command line or its environment names it; nothing else is ever looked for, or killed.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_domain::job::folder;
use serde_json::Value;

use crate::holds_within;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The job that it is part of, by the name of the job's folder.
    pub job: Option<String>,
}

/// The living processes that belong to the folder `data`.
pub fn of(data: &Path) -> Vec<Process> {
    let own = std::process::id().cast_signed();
    let pids = fs::read_dir("/proc").expect("/proc is there");
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own).filter_map(|pid| read(pid, data)).collect()
}

/// The living processes of one job.
pub fn of_job(data: &Path, job: &str) -> Vec<Process> {
    of(data).into_iter().filter(|process| process.job.as_deref() == Some(job)).collect()
}

/// The processes that should be gone: of jobs that were delivered or deleted.
pub fn leftovers(data: &Path) -> Vec<Process> {
    let ended = |job: &str| {
        let job = jobs(data).join(job);
        !job.exists() || job.join(folder::DELIVERED).exists()
    };
    of(data).into_iter().filter(|process| process.job.as_deref().is_some_and(ended)).collect()
}

/// The folder of all jobs.
pub fn jobs(data: &Path) -> PathBuf {
    data.join("jobs")
}

/// The id of the job's runner, when it has written it.
pub fn runner(data: &Path, job: &str) -> Option<i32> {
    fs::read_to_string(jobs(data).join(job).join(folder::LOCK)).ok()?.trim().parse().ok()
}

/// The id of the job's program, when it was launched.
pub fn program(data: &Path, job: &str) -> Option<i32> {
    let text = fs::read(jobs(data).join(job).join(folder::PROGRAM)).ok()?;
    let program: Value = serde_json::from_slice(&text).ok()?;
    i32::try_from(program["pid"].as_i64()?).ok()
}

/// Whether there is such a process, and it has not ended.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, tail)| !tail.trim_start().starts_with(['Z', 'X']))
}

/// Sends SIGKILL to a process that belongs to a test.
pub fn sigkill(pid: i32) {
    assert!(pid > 1, "{pid} is no process of a test");
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// Kills everything that belongs to the folder, and removes the control groups of its jobs.
pub fn end_all(data: &Path) {
    let ended = holds_within(Duration::from_secs(20), || {
        let left = of(data);
        for process in &left {
            sigkill(process.pid);
        }
        left.is_empty()
    });
    assert!(ended || std::thread::panicking(), "these do not die: {:#?}", of(data));
    for job in fs::read_dir(jobs(data)).into_iter().flatten().flatten() {
        remove_groups(&job.path());
    }
}

fn remove_groups(job: &Path) {
    let Ok(text) = fs::read(job.join(folder::PROGRAM)) else { return };
    let program: Value = serde_json::from_slice(&text).unwrap_or_default();
    for dir in program["group"]["dirs"].as_array().into_iter().flatten() {
        if let Some(path) = dir["path"].as_str() {
            // Most runners have removed theirs.
            let _ = fs::remove_dir(path);
        }
    }
}

fn read(pid: i32, data: &Path) -> Option<Process> {
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let name = data.as_os_str().as_bytes();
    // Both are empty for what has ended and waits to be buried.
    if !names(&command, name) && !names(&environment, name) {
        return None;
    }
    let mut inside = jobs(data).into_os_string().into_encoded_bytes();
    inside.push(b'/');
    let job = [&command, &environment].into_iter().find_map(|text| after(text, &inside));
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
    Some(Process { pid, command, job })
}

fn names(text: &[u8], name: &[u8]) -> bool {
    text.windows(name.len()).any(|window| window == name)
}

/// The part of a path that follows `inside`.
fn after(text: &[u8], inside: &[u8]) -> Option<String> {
    let at = text.windows(inside.len()).position(|window| window == inside)? + inside.len();
    let rest = text[at..].split(|byte| matches!(byte, b'/' | 0)).next()?;
    String::from_utf8(rest.to_vec()).ok()
}
