//! Samples of what the program uses, written as records to `system.jsonl`. CPU, memory and disk are the job's own, from
//! its control group or summed over its processes; network counters are those of the whole network namespace, which
//! their names say. Never slows the program: files in /proc and /sys, a few times a minute.

use std::{
    convert::Infallible,
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    cgroup::{self, Group},
    clock,
    job::Job,
    processes,
};

/// The first sample, for programs that live shortly, and the pause between later ones.
const FIRST: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(10);
/// `nvidia-smi` hangs when a driver is in trouble.
const SMI_PATIENCE: Duration = Duration::from_secs(5);
const MIB: f64 = 1024.0 * 1024.0;
const SMI_QUERY: &str = "--query-gpu=index,uuid,name,memory.total,memory.used,utilization.gpu";

/// Writes samples while the program runs.
#[derive(Debug)]
pub(crate) struct Sampler {
    path: PathBuf,
    gpus: Vec<String>,
    group: Group,
    started: Instant,
    start: Usage,
    last: Usage,
    last_at: Instant,
    last_step: i64,
}

/// Counters since the launch.
#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    cpu_seconds: f64,
    disk: (u64, u64),
    network: (u64, u64),
}

/// One value: tag below `system/`, and number.
type Sample = (String, f64);

impl Sampler {
    pub(crate) fn new(job: &Job, group: &Group) -> Self {
        let path = job.folder.path(runyard_domain::job::folder::SYSTEM);
        // A program that has just begun has used nothing, and looking through /proc would only delay it.
        let cpu_seconds = group.cpu_seconds().unwrap_or_else(dead_cpu_seconds);
        let start = Usage { cpu_seconds, disk: (0, 0), network: network_bytes() };
        let now = Instant::now();
        Self {
            path,
            gpus: job.spec.gpus.clone(),
            group: group.clone(),
            started: now,
            start,
            last: start,
            last_at: now,
            last_step: -1,
        }
    }

    /// Samples until it is dropped.
    pub(crate) async fn run(&mut self, job: &Job) -> Infallible {
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            pause = PAUSE;
            let usage = usage(&self.group);
            let mut values = self.totals(usage);
            values.push(("disk_read_bytes".into(), since(usage.disk.0, self.start.disk.0)));
            values.push(("disk_write_bytes".into(), since(usage.disk.1, self.start.disk.1)));
            values.push(("memory_bytes".into(), self.memory_bytes() as f64));
            values.push(("processes".into(), self.processes() as f64));
            values.extend(gpus(&self.gpus).await);
            self.write(values);
            job.sampled.notify_one();
        }
    }

    /// The last sample, after the end of a program that lived long enough for one.
    pub(crate) fn finish(mut self, job: &Job) {
        if self.started.elapsed() >= FIRST {
            let mut values = self.totals(usage(&self.group));
            values
                .extend(self.group.memory_peak_bytes().map(|peak| ("memory_peak_bytes".into(), peak as f64)));
            self.write(values);
            job.sampled.notify_one();
        }
    }

    /// What can be said of a program that has ended, too.
    fn totals(&mut self, usage: Usage) -> Vec<Sample> {
        let now = Instant::now();
        let seconds = (now - self.last_at).as_secs_f64().max(1e-3);
        let cores = (usage.cpu_seconds - self.last.cpu_seconds).max(0.0) / seconds;
        (self.last, self.last_at) = (usage, now);
        vec![
            ("cpu_cores".into(), cores),
            ("machine_network_rx_bytes".into(), since(usage.network.0, self.start.network.0)),
            ("machine_network_tx_bytes".into(), since(usage.network.1, self.start.network.1)),
        ]
    }

    fn memory_bytes(&self) -> u64 {
        let all = || resident_bytes(&processes::ours().iter().map(|process| process.pid).collect::<Vec<_>>());
        self.group.memory_bytes().unwrap_or_else(all)
    }

    fn processes(&self) -> usize {
        self.group.processes().unwrap_or_else(|| processes::ours().iter().filter(|p| !p.zombie).count())
    }

    fn write(&mut self, values: Vec<Sample>) {
        let step = (self.started.elapsed().as_secs_f64().round() as i64).max(self.last_step + 1);
        self.last_step = step;
        let created_at = clock::now().0;
        let metrics: Vec<Value> = values
            .into_iter()
            .map(|(tag, value)| {
                json!({"tag": format!("system/{tag}"), "global_step": step, "value": value, "created_at": created_at})
            })
            .collect();
        let line = json!({ "metrics": metrics }).to_string() + "\n";
        let file = OpenOptions::new().append(true).create(true).open(&self.path);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            tracing::debug!(%error, "a sample could not be written");
        }
    }
}

fn since(now: u64, then: u64) -> f64 {
    now.saturating_sub(then) as f64
}

fn usage(group: &Group) -> Usage {
    Usage {
        cpu_seconds: group.cpu_seconds().unwrap_or_else(cpu_seconds),
        disk: cgroup::disk_bytes(group).unwrap_or_else(disk_bytes),
        network: network_bytes(),
    }
}

/// CPU time of all living descendants and of those that were waited for.
fn cpu_seconds() -> f64 {
    let ticks: u64 = processes::ours().iter().map(|process| process.cpu_ticks).sum();
    ticks as f64 / processes::ticks_per_second() + dead_cpu_seconds()
}

fn dead_cpu_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0.0, |usage| {
        let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    })
}

fn disk_bytes() -> (u64, u64) {
    processes::ours().iter().fold((0, 0), |(read, written), process| {
        let text = fs::read_to_string(format!("/proc/{}/io", process.pid)).unwrap_or_default();
        let field = |name| number_after(&text, name).unwrap_or(0);
        (read + field("read_bytes:"), written + field("write_bytes:"))
    })
}

/// Received and sent by all interfaces but the loopback.
fn network_bytes() -> (u64, u64) {
    let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo").fold(
        (0, 0),
        |(received, sent), (_, counters)| {
            let counters: Vec<u64> =
                counters.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            (received + counters.first().unwrap_or(&0), sent + counters.get(8).unwrap_or(&0))
        },
    )
}

/// Private memory of these processes; pages shared after a fork are counted for each.
pub(crate) fn resident_bytes(pids: &[i32]) -> u64 {
    sum_kib(pids, |pid| format!("/proc/{pid}/status"), &["RssAnon:", "RssShmem:"])
}

/// The same with shared pages divided among those who share them. Costs the kernel a walk over the memory.
pub(crate) fn proportional_bytes(pids: &[i32]) -> u64 {
    sum_kib(pids, |pid| format!("/proc/{pid}/smaps_rollup"), &["Pss_Anon:", "Pss_Shmem:"])
}

fn sum_kib(pids: &[i32], file: impl Fn(i32) -> String, fields: &[&str]) -> u64 {
    let of_process = |pid| {
        let text = fs::read_to_string(file(pid)).unwrap_or_default();
        fields.iter().filter_map(|name| number_after(&text, name)).sum::<u64>()
    };
    pids.iter().map(|pid| of_process(*pid)).sum::<u64>() * 1024
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Use of the job's GPUs; nothing when it has none, or when `nvidia-smi` says nothing.
async fn gpus(wanted: &[String]) -> Vec<Sample> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let asked = tokio::process::Command::new("nvidia-smi")
        .args([SMI_QUERY, "--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(SMI_PATIENCE, asked).await {
        Ok(Ok(output)) if output.status.success() => {
            gpu_values(&String::from_utf8_lossy(&output.stdout), wanted)
        }
        _ => Vec::new(),
    }
}

fn gpu_values(csv: &str, wanted: &[String]) -> Vec<Sample> {
    let mut values = Vec::new();
    for line in csv.lines() {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [index, uuid, _name, _total, used_mib, utilization] = fields[..] else { continue };
        if !wanted.iter().any(|gpu| gpu == index || gpu == uuid) {
            continue;
        }
        // A GPU may answer `[N/A]` for either.
        if let Ok(percent) = utilization.parse() {
            values.push((format!("gpu/{index}/utilization_percent"), percent));
        }
        if let Ok(mib) = used_mib.parse::<f64>() {
            values.push((format!("gpu/{index}/memory_bytes"), mib * MIB));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_jobs_gpus_are_sampled() {
        let csv = "0, GPU-a, NVIDIA A100, 81920, 1024, 37\n1, GPU-b, NVIDIA A100, 81920, 5, [N/A]\n";
        let values = gpu_values(csv, &["GPU-a".into()]);
        assert_eq!(
            values,
            [("gpu/0/utilization_percent".into(), 37.0), ("gpu/0/memory_bytes".into(), 1024.0 * MIB)]
        );
        assert_eq!(gpu_values(csv, &["1".into()]), [("gpu/1/memory_bytes".into(), 5.0 * MIB)]);
    }

    #[test]
    fn numbers_are_found_by_name() {
        assert_eq!(number_after("Name:\tx\nRssAnon:\t  12 kB\n", "RssAnon:"), Some(12));
        assert_eq!(number_after("", "RssAnon:"), None);
    }
}
