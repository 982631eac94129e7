//! What this machine has for jobs: processors, memory, disk, GPUs. Only looks; never counts what is in use.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::{sched::CpuSet, sys::statvfs::statvfs, unistd::Pid};

/// `nvidia-smi` answers in a second or two; with a broken driver it may never answer.
const NVIDIA_SMI_PATIENCE: Duration = Duration::from_secs(10);

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Thousandths of a core.
    pub(crate) cpu_milli: i64,
    pub(crate) memory_bytes: i64,
    /// Size of the file system of the job folders.
    pub(crate) disk_bytes: i64,
    pub(crate) gpus: Vec<Gpu>,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gpu {
    /// As `CUDA_VISIBLE_DEVICES` takes it; the same after a restart of the machine.
    pub(crate) id: String,
    /// Its type, such as `NVIDIA A100-SXM4-80GB`.
    pub(crate) kind: String,
}

/// Looks at this machine. `jobs` is on the disk that the jobs use, `nvidia_smi` the command that knows the GPUs.
pub(crate) fn measure(jobs: &Path, nvidia_smi: &Path) -> Machine {
    let groups = Cgroups::read(Path::new("/proc/self"));
    Machine {
        cpu_milli: groups.cpu_milli().map_or_else(affinity_milli, |quota| quota.min(affinity_milli())),
        memory_bytes: groups.memory_bytes().unwrap_or(i64::MAX).min(memory_total()),
        disk_bytes: disk_bytes(jobs),
        gpus: gpus(nvidia_smi),
    }
}

/// The processors that this process may use.
fn affinity_milli() -> i64 {
    let allowed = nix::sched::sched_getaffinity(Pid::from_raw(0)).ok();
    let count = allowed.map(|set| (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).count());
    // More processors than the set can say: the standard library knows a way.
    let count = count.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    count.unwrap_or(1).max(1) as i64 * 1000
}

fn memory_total() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok());
    kib.unwrap_or_else(|| {
        tracing::warn!("/proc/meminfo does not say MemTotal: no run that asks for memory can start here");
        0
    }) * 1024
}

fn disk_bytes(jobs: &Path) -> i64 {
    let size =
        |stat: nix::sys::statvfs::Statvfs| (stat.blocks() as i64).saturating_mul(stat.fragment_size() as i64);
    statvfs(jobs).map_or(i64::MAX, size)
}

/// The control groups that this process is in, own folder first, then all above it.
#[derive(Debug, Default)]
struct Cgroups {
    /// Version 2: every controller in one tree.
    unified: Vec<PathBuf>,
    /// Version 1, controller `cpu`.
    cpu: Vec<PathBuf>,
    /// Version 1, controller `memory`.
    memory: Vec<PathBuf>,
}

impl Cgroups {
    fn read(process: &Path) -> Self {
        let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        Self {
            unified: folders(&mounts, "cgroup2", None, group_path(&groups, "")),
            cpu: folders(&mounts, "cgroup", Some("cpu"), group_path(&groups, "cpu")),
            memory: folders(&mounts, "cgroup", Some("memory"), group_path(&groups, "memory")),
        }
    }

    /// The smallest CPU quota, in thousandths of a core.
    fn cpu_milli(&self) -> Option<i64> {
        let quota = |quota: i64, period: i64| {
            (quota > 0 && period > 0)
                .then(|| i64::try_from(i128::from(quota) * 1000 / i128::from(period)).ok())
        };
        let unified = self.unified.iter().filter_map(|folder| {
            let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
            let (max, period) = text.trim().split_once(' ')?;
            quota(max.parse().ok()?, period.parse().ok()?)?
        });
        let legacy = self.cpu.iter().filter_map(|folder| {
            quota(number(&folder.join("cpu.cfs_quota_us"))?, number(&folder.join("cpu.cfs_period_us"))?)?
        });
        unified.chain(legacy).min()
    }

    /// The smallest memory limit, in bytes.
    fn memory_bytes(&self) -> Option<i64> {
        let unified = self.unified.iter().filter_map(|folder| number(&folder.join("memory.max")));
        let legacy = self.memory.iter().filter_map(|folder| number(&folder.join("memory.limit_in_bytes")));
        unified.chain(legacy).min()
    }
}

fn number(path: &Path) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The path of this process in the tree of `controller` (empty: version 2), from `/proc/self/cgroup`.
fn group_path<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// Where that path and all above it are mounted, from `/proc/self/mountinfo`.
fn folders(mounts: &str, kind: &str, option: Option<&str>, path: Option<&str>) -> Vec<PathBuf> {
    let Some(path) = path else { return Vec::new() };
    let found = mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let matches = system.next() == Some(kind)
            && option
                .is_none_or(|option| system.nth(1).is_some_and(|all| all.split(',').any(|o| o == option)));
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        matches.then_some((root, point))
    });
    let Some((root, point)) = found else { return Vec::new() };
    // In a container the tree is mounted from the container's own group downwards.
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new("")).to_owned();
    below.ancestors().map(|part| Path::new(point).join(part)).collect()
}

fn gpus(nvidia_smi: &Path) -> Vec<Gpu> {
    let query = "--query-gpu=index,uuid,name,memory.total,memory.used,utilization.gpu";
    let mut command = Command::new(nvidia_smi);
    command.args([query, "--format=csv,noheader,nounits"]);
    match output_of(command, NVIDIA_SMI_PATIENCE) {
        Ok(text) => parse_gpus(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!("{}: {error}; going on without GPUs", nvidia_smi.display());
            Vec::new()
        }
    }
}

/// What the command printed, if it succeeds in time.
fn output_of(mut command: Command, patience: Duration) -> std::io::Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = sender.send(stdout.read_to_string(&mut text).map(|_| text));
        });
    }
    let text = receiver.recv_timeout(patience).unwrap_or_else(|_| {
        child.kill()?;
        Err(std::io::Error::other(format!("no answer within {} s", patience.as_secs())))
    });
    let status = child.wait()?;
    match text {
        Ok(_) if !status.success() => Err(std::io::Error::other(format!("it ended with {status}"))),
        text => text,
    }
}

fn parse_gpus(text: &str) -> Vec<Gpu> {
    let mut gpus: Vec<(u32, Gpu)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        match fields.as_slice() {
            [index, id, kind, _, _, _] if !id.is_empty() && !kind.is_empty() => {
                if let Ok(index) = index.parse()
                    && !gpus.iter().any(|(_, gpu)| gpu.id == *id)
                {
                    gpus.push((index, Gpu { id: (*id).to_owned(), kind: (*kind).to_owned() }));
                    continue;
                }
            }
            _ => {}
        }
        tracing::warn!("nvidia-smi said {line:?}, which is no GPU: ignored");
    }
    gpus.sort_by_key(|&(index, _)| index);
    gpus.into_iter().map(|(_, gpu)| gpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_read_in_the_order_of_their_index_and_rubbish_is_ignored() {
        let text = "1, GPU-b, NVIDIA A100-SXM4-40GB, 40960, 0, 0\n\
                    0, GPU-a, NVIDIA T4, 15360, [N/A], [N/A]\n\
                    Unable to determine the device handle\n\
                    2, GPU-c\n\
                    x, GPU-d, NVIDIA T4, 1, 1, 1\n\
                    3, GPU-a, NVIDIA T4, 15360, 0, 0\n\n";
        let gpu = |id: &str, kind: &str| Gpu { id: id.into(), kind: kind.into() };
        assert_eq!(parse_gpus(text), [gpu("GPU-a", "NVIDIA T4"), gpu("GPU-b", "NVIDIA A100-SXM4-40GB")]);
    }

    #[test]
    fn a_machine_without_nvidia_smi_has_no_gpus() {
        assert_eq!(gpus(Path::new("/nonexistent/nvidia-smi")), []);
        assert_eq!(gpus(Path::new("/bin/false")), [], "a command that fails");
    }

    #[test]
    fn the_gpus_are_those_that_nvidia_smi_lists() {
        let command = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/local/tests/nvidia-smi");
        let found = gpus(&command);
        let gpu = |id: &str| Gpu { id: id.into(), kind: "NVIDIA T4".into() };
        assert_eq!(found, [gpu("GPU-a"), gpu("GPU-b")]);
    }

    #[test]
    fn a_command_that_does_not_answer_is_given_up() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let error = output_of(command, Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("no answer"), "{error}");
    }

    #[test]
    fn this_machine_has_a_processor_memory_and_a_disk() {
        let machine = measure(&std::env::temp_dir(), Path::new("/nonexistent/nvidia-smi"));
        assert!(
            machine.cpu_milli > 0 && machine.memory_bytes > 4 << 20 && machine.disk_bytes > 0,
            "{machine:?}"
        );
    }

    /// A process in the group `/a/b`, with the trees of both versions mounted in `folder`.
    fn groups(folder: &Path, root: &str) -> Cgroups {
        let at = |name: &str| folder.join(name).display().to_string();
        let mounts = format!(
            "24 1 0:22 / / rw - ext4 /dev/root rw\n\
             30 24 0:26 {root} {} rw shared:9 - cgroup2 cgroup2 rw\n\
             31 24 0:27 {root} {} rw - cgroup cgroup rw,cpuacct,cpu\n\
             32 24 0:28 {root} {} rw - cgroup cgroup rw,memory\n",
            at("unified"),
            at("cpu"),
            at("memory")
        );
        fs::write(folder.join("mountinfo"), mounts).unwrap();
        fs::write(folder.join("cgroup"), "4:memory:/a/b\n2:cpuacct,cpu:/a/b\n0::/a/b\n").unwrap();
        Cgroups::read(folder)
    }

    fn put(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_tightest_limit_of_a_group_and_those_above_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "unified/a/b/cpu.max", "max 100000\n");
        put(folder.path(), "unified/a/cpu.max", "150000 100000\n");
        put(folder.path(), "unified/a/b/memory.max", "max\n");
        put(folder.path(), "unified/a/memory.max", "1073741824\n");
        let groups = groups(folder.path(), "/");
        assert_eq!((groups.cpu_milli(), groups.memory_bytes()), (Some(1500), Some(1 << 30)));
    }

    #[test]
    fn version_one_limits_count_too() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "cpu/a/b/cpu.cfs_quota_us", "50000\n");
        put(folder.path(), "cpu/a/b/cpu.cfs_period_us", "100000\n");
        put(folder.path(), "cpu/cpu.cfs_quota_us", "-1\n");
        put(folder.path(), "cpu/cpu.cfs_period_us", "100000\n");
        put(folder.path(), "memory/memory.limit_in_bytes", "9223372036854771712\n");
        put(folder.path(), "memory/a/memory.limit_in_bytes", "4096\n");
        let groups = groups(folder.path(), "/");
        assert_eq!((groups.cpu_milli(), groups.memory_bytes()), (Some(500), Some(4096)));
    }

    #[test]
    fn in_a_container_the_group_is_the_root_of_the_mount() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "unified/cpu.max", "200000 100000\n");
        let groups = groups(folder.path(), "/a/b");
        assert_eq!(groups.cpu_milli(), Some(2000));
    }

    #[test]
    fn without_limits_nothing_is_capped() {
        let folder = tempfile::tempdir().unwrap();
        let groups = groups(folder.path(), "/");
        assert_eq!((groups.cpu_milli(), groups.memory_bytes()), (None, None));
    }
}
