//! The processes of the job, as /proc shows them. The runner adopts what the program abandons (it is a subreaper), so
//! whatever the program started, however deep, is a descendant of the runner until it is dead: nothing else is ever killed.

use std::{
    collections::{HashMap, HashSet},
    fs,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
    unistd::{Pid, getpgrp},
};
use tokio::time::Instant;

use crate::cgroup::Group;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) zombie: bool,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// User and system time, its dead children's included, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// Clock ticks after the machine's start. With the pid it names a process for ever.
    pub(crate) started: u64,
}

/// The process with this pid, if there is one.
pub(crate) fn read(pid: i32) -> Option<Process> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Process> {
    // The name is in parentheses and may contain anything, parentheses too.
    let (head, tail) = stat.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
    Some(Process {
        pid,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: number(1)? as i32,
        group: number(2)? as i32,
        session: number(3)? as i32,
        cpu_ticks: [11, 12, 13, 14].into_iter().filter_map(number).sum::<i64>() as u64,
        started: number(19)? as u64,
    })
}

/// All processes that can be seen.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(read).collect()
}

/// All processes below `root`, zombies included.
pub(crate) fn descendants(root: i32) -> Vec<Process> {
    let all = all();
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in &all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut todo = vec![root];
    while let Some(parent) = todo.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.pid) {
                todo.push(child.pid);
                found.push((*child).clone());
            }
        }
    }
    found
}

/// All processes below this one.
pub(crate) fn ours() -> Vec<Process> {
    descendants(std::process::id().cast_signed())
}

/// Whether this process has any child, dead or alive. Costs one system call.
pub(crate) fn has_children() -> bool {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, peek) != Err(Errno::ECHILD)
}

/// Buries adopted processes that have ended, but not those of `own`, for which somebody else waits, nor the runner's tools, which
/// are in its own process group.
pub(crate) fn bury_adopted(own: &[i32]) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, peek) {
        let tool = read(pid.as_raw()).is_some_and(|process| process.group == getpgrp().as_raw());
        if tool || own.contains(&pid.as_raw()) || waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
    }
}

/// Signals a process group that this process leads or whose leader it has not yet waited for.
pub(crate) fn signal_group(group: i32, signal: Signal) {
    if group > 1 {
        // A group that is gone needs no signal.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// Sends SIGKILL to these processes.
pub(crate) fn kill_each<'a>(processes: impl IntoIterator<Item = &'a Process>) {
    for process in processes.into_iter().filter(|process| !process.zombie && process.pid > 1) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

/// Kills whatever is left below this process and in the cgroup, until nothing is. To be called when nobody waits for
/// a child any more. `false`: something did not die in time (it hangs in the kernel).
pub(crate) async fn sweep(group: Option<&Group>, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        if !has_children() && group.is_none_or(Group::is_empty) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        if let Some(group) = group {
            group.kill();
        }
        kill_each(&ours());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Clock ticks per second.
pub(crate) fn ticks_per_second() -> f64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.unwrap_or(100) as f64
}

/// Names this start of the machine: pids and start times mean nothing across it.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "42 (a) b (c) S 1 42 7 0 -1 4194560 100 0 0 0 5 6 7 8 20 0 1 0 12345 1000 10 0";
        let process = parse(stat).unwrap();
        assert_eq!((process.pid, process.parent, process.group, process.session), (42, 1, 42, 7));
        assert_eq!((process.cpu_ticks, process.started, process.zombie), (26, 12345, false));
        assert_eq!(parse("rubbish"), None);
    }

    #[test]
    fn children_of_children_are_found() {
        let mut shell = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let pid = shell.id().cast_signed();
        let until = std::time::Instant::now() + Duration::from_secs(10);
        let below = loop {
            let below = descendants(pid);
            if !below.is_empty() || std::time::Instant::now() > until {
                break below;
            }
            std::thread::yield_now();
        };
        assert_eq!(below.len(), 1);
        kill_each(&below);
        shell.wait().unwrap();
    }
}
