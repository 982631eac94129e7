//! What the kernel knows of a process. Signals nobody.

use std::{fs, path::Path, time::Duration};

use crate::Result;

/// A line of `/proc/PID/status` that counts memory, in bytes; `None` when the process is gone.
fn memory(pid: u32, line: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let text = status.lines().find_map(|each| each.strip_prefix(line))?;
    let kib: u64 = text.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Resident memory.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS").ok_or_else(|| format!("the kernel says no VmRSS of {pid}").into())
}

/// The most resident memory that it ever had; 0 when it is gone.
pub(crate) fn peak(pid: u32) -> u64 {
    memory(pid, "VmHWM").unwrap_or(0)
}

/// How many nanoseconds this thread has had a core.
pub(crate) fn on_core() -> Result<u64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split_whitespace().next().ok_or("the kernel says no schedstat")?.parse()?)
}

/// How long all threads of a process had a core; zero when it is gone.
pub(crate) fn cores(pid: u32) -> Duration {
    let read = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may be anything; user and system time are the 14th and 15th word.
        let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = words.get(11)?.parse::<u64>().ok()? + words.get(12)?.parse::<u64>().ok()?;
        // A tick is a hundredth of a second in all that /proc says.
        Some(Duration::from_millis(ticks * 10))
    };
    read().unwrap_or_default()
}

/// What waits for a core, on average of the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The runner of a job, while it lives.
pub(crate) fn runner(data: &Path, job: &str) -> Option<u32> {
    fs::read_to_string(data.join("jobs").join(job).join("runner.lock")).ok()?.trim().parse().ok()
}
