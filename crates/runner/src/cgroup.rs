//! The control groups of one job, one for each of its instances: limits, accounting, and the sure way to kill everything in
//! them. What is counted is counted over all instances, unless one is named. A machine that allows
//! nothing gets an empty [`Group`]: the job runs all the same, and the caller knows what is not enforced.

mod hierarchy;
mod probe;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use hierarchy::{Hierarchy, Kind};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

pub use probe::{Finding, probe};

/// The folder, below a place in each hierarchy, that holds the groups of all jobs.
const HOME: &str = "runyard";
/// Period of the CPU limit, in microseconds.
const PERIOD_US: i64 = 100_000;
/// The kernel takes no smaller share.
const QUOTA_US_MIN: i64 = 1_000;

/// What to enforce.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) cpu_milli: Option<i64>,
}

/// The groups of one job: for each instance one per hierarchy that lets us make one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    dirs: Vec<Dir>,
    /// Whether the memory limit is the kernel's business.
    pub(crate) memory_limited: bool,
    /// Whether the CPU limit is.
    pub(crate) cpu_limited: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Dir {
    kind: Kind,
    path: PathBuf,
    /// Whose it is.
    #[serde(default)]
    instance: usize,
}

impl Group {
    /// Makes the groups named `name` (of several instances, `name` and the number) and sets the limits of each, where the machine
    /// allows.
    pub(crate) fn make(name: &str, instances: usize, limits: Limits) -> Self {
        let mut group = Self { memory_limited: true, cpu_limited: true, ..Self::default() };
        let all = hierarchy::all();
        let mixed = all.iter().any(|hierarchy| hierarchy.kind != Kind::Unified);
        for instance in 0..instances.max(1) {
            let name = if instances > 1 { format!("{name}-{instance}") } else { name.to_owned() };
            let (mut memory, mut cpu) = (false, false);
            for hierarchy in &all {
                if let Some(path) = make_dir(hierarchy, &name, mixed) {
                    let limited = limit(hierarchy.kind, &path, limits);
                    (memory, cpu) = (memory | limited.0, cpu | limited.1);
                    group.dirs.push(Dir { kind: hierarchy.kind, path, instance });
                }
            }
            // Where one instance has no limit, somebody else has to look.
            group.memory_limited &= memory;
            group.cpu_limited &= cpu;
        }
        group
    }

    /// The files through which a process that is about to be a program of this instance enters, opened here because it may not.
    pub(crate) fn doors(&self, instance: usize) -> Vec<File> {
        let open = |dir: &Dir| OpenOptions::new().write(true).open(dir.path.join(dir.kind.door())).ok();
        self.dirs.iter().filter(|dir| dir.instance == instance).filter_map(open).collect()
    }

    /// Keeps of the instance's groups only those that its process has really entered: a user may be allowed to make a group and still not
    /// to move a process into it. Gives up the limits of the others.
    pub(crate) fn keep_entered(&mut self, instance: usize, pid: i32) {
        let entered = |dir: &Dir| {
            let pids = fs::read_to_string(dir.path.join("cgroup.procs")).unwrap_or_default();
            pids.lines().any(|line| line.parse() == Ok(pid))
        };
        let (kept, lost): (Vec<Dir>, Vec<Dir>) =
            self.dirs.iter().cloned().partition(|dir| dir.instance != instance || entered(dir));
        // Looked at last: a program that has ended already is nowhere, and then nothing can be said.
        if crate::processes::read(pid).is_none_or(|process| process.zombie) {
            return;
        }
        self.dirs = kept;
        for dir in lost {
            match dir.kind {
                Kind::Unified => {
                    self.memory_limited &= self.has(instance, Kind::Memory);
                    self.cpu_limited &= self.has(instance, Kind::Cpu);
                }
                Kind::Memory => self.memory_limited = false,
                Kind::Cpu => self.cpu_limited = false,
                Kind::CpuAccounting => {}
            }
            let _ = fs::remove_dir(dir.path);
        }
    }

    /// Kills everything inside.
    pub(crate) fn kill(&self) {
        let mut all = self.dirs(Kind::Unified).peekable();
        if all.peek().is_some() && all.all(|dir| write(&dir.join("cgroup.kill"), "1").is_ok()) {
            return;
        }
        for pid in self.pids() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Whether no process is left inside.
    pub(crate) fn is_empty(&self) -> bool {
        self.pids().next().is_none()
    }

    /// How many processes are inside; `None` without groups.
    pub(crate) fn processes(&self) -> Option<usize> {
        (!self.dirs.is_empty()).then(|| self.pids().count())
    }

    fn pids(&self) -> impl Iterator<Item = i32> {
        let mut pids: Vec<i32> = self
            .dirs
            .iter()
            .filter_map(|dir| fs::read_to_string(dir.path.join("cgroup.procs")).ok())
            .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>())
            // 0: a process of another pid namespace, and never something to signal.
            .filter(|pid| *pid > 1)
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids.into_iter()
    }

    /// The first instance in which the kernel killed a process for memory.
    pub(crate) fn out_of_memory(&self) -> Option<usize> {
        let killed = |dir: &&Dir| match dir.kind {
            Kind::Unified => {
                field(&dir.path.join("memory.events"), "oom_kill").is_some_and(|count| count > 0)
            }
            Kind::Memory => {
                field(&dir.path.join("memory.oom_control"), "oom_kill").is_some_and(|count| count > 0)
            }
            Kind::Cpu | Kind::CpuAccounting => false,
        };
        self.dirs.iter().find(killed).map(|dir| dir.instance)
    }

    /// CPU time used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let v1 = sum(self.dirs(Kind::CpuAccounting), |dir| number(&dir.join("cpuacct.usage")));
        let unified = || sum(self.dirs(Kind::Unified), |dir| field(&dir.join("cpu.stat"), "usage_usec"));
        v1.map(|ns| ns as f64 / 1e9).or_else(|| unified().map(|us| us as f64 / 1e6))
    }

    /// Memory in use, without the file cache that the kernel would give back first.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        let used = |dir: &Path, used: &str, cache: &str| {
            Some(number(&dir.join(used))?.saturating_sub(field(&dir.join("memory.stat"), cache).unwrap_or(0)))
        };
        sum(self.dirs(Kind::Memory), |dir| used(dir, "memory.usage_in_bytes", "total_inactive_file"))
            .or_else(|| sum(self.dirs(Kind::Unified), |dir| used(dir, "memory.current", "inactive_file")))
    }

    /// The most memory that was in use (of several instances, the most of each).
    pub(crate) fn memory_peak_bytes(&self) -> Option<u64> {
        sum(self.dirs(Kind::Memory), |dir| number(&dir.join("memory.max_usage_in_bytes")))
            .or_else(|| sum(self.dirs(Kind::Unified), |dir| number(&dir.join("memory.peak"))))
    }

    /// Removes the groups; they must be empty. Those whose last process is still being buried are tried again a little.
    pub(crate) async fn remove(&self) {
        let mut pause = Duration::from_millis(1);
        let mut left: Vec<&Path> = self.dirs.iter().map(|dir| dir.path.as_path()).collect();
        loop {
            left.retain(|path| {
                fs::remove_dir(path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
            });
            if left.is_empty() || pause > Duration::from_millis(500) {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        for path in left {
            tracing::warn!(path = %path.display(), "a control group could not be removed");
        }
    }

    fn has(&self, instance: usize, kind: Kind) -> bool {
        self.dirs.iter().any(|dir| dir.instance == instance && dir.kind == kind)
    }

    fn dirs(&self, kind: Kind) -> impl Iterator<Item = &Path> {
        self.dirs.iter().filter(move |dir| dir.kind == kind).map(|dir| dir.path.as_path())
    }
}

/// What all of them say together; `None` when there is none, or none says anything.
fn sum<'a>(dirs: impl Iterator<Item = &'a Path>, read: impl Fn(&Path) -> Option<u64>) -> Option<u64> {
    dirs.filter_map(read).reduce(u64::saturating_add)
}

/// Makes the group in the best place: one that has the controllers if there is any, else the first that works. In a
/// `mixed` machine a v2 group without controllers is not made: entering it takes milliseconds, and v1 does all it could do.
fn make_dir(hierarchy: &Hierarchy, name: &str, mixed: bool) -> Option<PathBuf> {
    let mut second_best = None;
    for place in hierarchy.places() {
        let home = place.join(HOME);
        if !make_if_missing(&home) {
            continue;
        }
        let enabled = hierarchy.kind != Kind::Unified || enable_controllers(place, &home);
        if enabled {
            let path = home.join(name);
            if make_if_missing(&path) {
                return Some(path);
            }
        } else if second_best.is_none() && !mixed {
            second_best = Some(home);
        }
    }
    let path = second_best?.join(name);
    make_if_missing(&path).then_some(path)
}

/// Sets the limits of a group; answers which of both the kernel took, memory and CPU.
fn limit(kind: Kind, path: &Path, limits: Limits) -> (bool, bool) {
    let (mut memory, mut cpu) = (false, false);
    let put = |file: &str, text: String| write(&path.join(file), &text).is_ok();
    let quota = limits.cpu_milli.map(|milli| (milli * PERIOD_US / 1000).max(QUOTA_US_MIN));
    match kind {
        Kind::Unified => {
            if let Some(bytes) = limits.memory_bytes
                && put("memory.max", bytes.to_string())
            {
                put("memory.swap.max", "0".into());
                // All or nothing: a program with one process killed would only hang.
                put("memory.oom.group", "1".into());
                memory = true;
            }
            if let Some(quota) = quota {
                cpu |= put("cpu.max", format!("{quota} {PERIOD_US}"));
            }
        }
        Kind::Memory => {
            if let Some(bytes) = limits.memory_bytes
                && put("memory.limit_in_bytes", bytes.to_string())
            {
                // Absent where swap is not accounted for.
                put("memory.memsw.limit_in_bytes", bytes.to_string());
                memory = true;
            }
        }
        Kind::Cpu => {
            if let Some(quota) = quota {
                put("cpu.cfs_period_us", PERIOD_US.to_string());
                cpu |= put("cpu.cfs_quota_us", quota.to_string());
            }
        }
        Kind::CpuAccounting => {}
    }
    (memory, cpu)
}

/// Whether the kernel killed a process of this container for memory: its own group, as it is seen from inside, is new and nobody
/// else's.
pub(crate) fn container_out_of_memory() -> bool {
    let count = |file: &str| field(Path::new(file), "oom_kill").unwrap_or(0);
    count("/sys/fs/cgroup/memory.events") + count("/sys/fs/cgroup/memory/memory.oom_control") > 0
}

fn make_if_missing(path: &Path) -> bool {
    match fs::create_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::AlreadyExists && path.is_dir(),
    }
}

/// v2: hands the controllers down from `place` through `home` to the groups in it. `true` when memory and cpu arrive.
fn enable_controllers(place: &Path, home: &Path) -> bool {
    for dir in [place, home] {
        for controller in ["+memory", "+cpu"] {
            // One at a time: one that is missing must not take the other with it.
            let _ = write(&dir.join("cgroup.subtree_control"), controller);
        }
    }
    let enabled = fs::read_to_string(home.join("cgroup.subtree_control")).unwrap_or_default();
    ["memory", "cpu"].iter().all(|controller| enabled.split_whitespace().any(|word| word == *controller))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after `name` in a file of `name number` lines.
fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines()
        .find_map(|line| line.split_once(' ').filter(|(word, _)| *word == name)?.1.trim().parse().ok())
}

/// Bytes read from and written to disks, where the v2 tree says so.
pub(crate) fn disk_bytes(group: &Group) -> Option<(u64, u64)> {
    let of = |dir: &Path, name: &str| -> Option<u64> {
        let text = fs::read_to_string(dir.join("io.stat")).ok()?;
        Some(text.split_whitespace().filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok()).sum())
    };
    let of_all = |name: &str| sum(group.dirs(Kind::Unified), |dir| of(dir, name));
    Some((of_all("rbytes=")?, of_all("wbytes=")?))
}
