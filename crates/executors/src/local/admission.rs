//! Which waiting jobs start now: a pure function of what there is, what runs, what waits, and the time.
//!
//! Priority first, then age. A smaller job may pass one that has no room, but a job that has waited for
//! [`PATIENCE_MS`] passes no more: what it needs is set aside as it becomes free, so no stream of small jobs starves it.

use runyard_domain::{JobId, Millis, resources::Demand};

use super::machine::{Gpu, Machine};

/// For this long after its creation a job without room may be passed by any smaller one.
pub(crate) const PATIENCE_MS: i64 = 30_000;

/// A job that holds capacity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running<'a> {
    pub(crate) demand: &'a Demand,
    /// Ids of the GPUs it was given.
    pub(crate) gpus: &'a [String],
    /// When it is over at the latest; `None`: nobody knows.
    pub(crate) ends_by: Option<Millis>,
}

/// A job that no runner was started for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting<'a> {
    pub(crate) id: JobId,
    /// Name of its run, for the sentence about those behind it.
    pub(crate) run_name: &'a str,
    pub(crate) demand: &'a Demand,
    pub(crate) priority: i64,
    pub(crate) created_at: Millis,
    /// How long it takes from its start at the most; `None`: nobody knows.
    pub(crate) lasts_ms: Option<i64>,
}

/// What becomes of a waiting job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It starts now, with these GPUs.
    Start { gpus: Vec<String> },
    /// It waits, for the reason in the sentence.
    Wait(String),
}

/// Decides for each of `waiting` (in any order), in the same order.
pub(crate) fn admit(
    machine: &Machine,
    running: &[Running<'_>],
    waiting: &[Waiting<'_>],
    now: Millis,
) -> Vec<Decision> {
    let mut order: Vec<usize> = (0..waiting.len()).collect();
    order.sort_by_key(|&i| (-i128::from(waiting[i].priority), waiting[i].created_at, waiting[i].id));
    let mut room = Room::new(machine, running);
    let mut decisions = vec![None; waiting.len()];
    for i in order {
        decisions[i] = Some(room.decide(i, waiting, now));
    }
    decisions.into_iter().flatten().collect()
}

/// Amounts of everything; GPUs by the index of their type.
#[derive(Debug, Clone, Default)]
struct Amount {
    cpu: i64,
    memory: i64,
    gpus: Vec<i64>,
}

/// What a job takes, its GPU type chosen.
#[derive(Debug, Clone, Copy)]
struct Need {
    cpu: i64,
    memory: i64,
    gpus: i64,
    kind: usize,
}

impl Amount {
    /// Whether the rest of `need` fits, and which type its GPUs would be of. Among several types the one with the
    /// fewest left goes first, to keep the larger groups whole.
    fn place(&self, demand: &Demand, kinds: &[&str]) -> Option<Need> {
        let memory = demand.memory_bytes.unwrap_or(0);
        if demand.cpu_milli > self.cpu || (memory > 0 && memory > self.memory) {
            return None;
        }
        let kind = if demand.gpu_count == 0 {
            0
        } else {
            let enough = |&kind: &usize| self.gpus[kind] >= demand.gpu_count;
            wanted_kinds(demand, kinds).filter(enough).min_by_key(|&kind| self.gpus[kind])?
        };
        Some(Need { cpu: demand.cpu_milli, memory, gpus: demand.gpu_count, kind })
    }

    fn add(&mut self, need: Need) {
        self.cpu += need.cpu;
        self.memory += need.memory;
        if need.gpus > 0 {
            self.gpus[need.kind] += need.gpus;
        }
    }

    fn subtract(&mut self, need: Need) {
        self.add(Need { cpu: -need.cpu, memory: -need.memory, ..need });
        if need.gpus > 0 {
            self.gpus[need.kind] -= 2 * need.gpus;
        }
    }

    /// What is left beside `held`, never below nothing.
    fn beside(&self, held: &Self) -> Self {
        Self {
            cpu: (self.cpu - held.cpu).max(0),
            memory: (self.memory - held.memory).max(0),
            gpus: self.gpus.iter().zip(&held.gpus).map(|(all, held)| (all - held).max(0)).collect(),
        }
    }
}

fn wanted_kinds<'a>(demand: &'a Demand, kinds: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let wanted = move |kind: &str| demand.gpu_type.as_deref().is_none_or(|wanted| wanted == kind);
    (0..kinds.len()).filter(move |&kind| wanted(kinds[kind]))
}

/// What is free and what is set aside, while the jobs are gone through in their order.
struct Room<'a> {
    kinds: Vec<&'a str>,
    total: Amount,
    free: Amount,
    free_gpus: Vec<&'a Gpu>,
    /// What ends when at the latest, by time.
    ends: Vec<(Millis, Need)>,
    /// Set aside for the jobs that wait too long.
    held: Amount,
    holders: Vec<(usize, Need)>,
    /// The time at which, by the limits alone, the first of them can start; `None`: that cannot be said.
    horizon: Option<Millis>,
}

impl<'a> Room<'a> {
    fn new(machine: &'a Machine, running: &[Running<'_>]) -> Self {
        let mut kinds: Vec<&str> = machine.gpus.iter().map(|gpu| gpu.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let count = |gpus: &[&Gpu]| -> Vec<i64> {
            let of = |kind: &&str| gpus.iter().filter(|gpu| gpu.kind == **kind).count() as i64;
            kinds.iter().map(of).collect()
        };
        let given = |gpu: &&Gpu| running.iter().any(|job| job.gpus.contains(&gpu.id));
        let all_gpus: Vec<&Gpu> = machine.gpus.iter().collect();
        let free_gpus: Vec<&Gpu> = machine.gpus.iter().filter(|gpu| !given(gpu)).collect();
        let total = Amount { cpu: machine.cpu_milli, memory: machine.memory_bytes, gpus: count(&all_gpus) };
        let mut free = Amount { gpus: count(&free_gpus), ..total.clone() };
        let mut ends = Vec::new();
        for job in running {
            let kind = all_gpus.iter().find(|gpu| job.gpus.contains(&gpu.id)).map(|gpu| gpu.kind.as_str());
            let kind = kind.and_then(|kind| kinds.iter().position(|&known| known == kind));
            let need = Need {
                cpu: job.demand.cpu_milli,
                memory: job.demand.memory_bytes.unwrap_or(0),
                gpus: kind.map_or(0, |_| job.gpus.len() as i64),
                kind: kind.unwrap_or(0),
            };
            free.subtract(Need { gpus: 0, ..need });
            ends.extend(job.ends_by.map(|at| (at, need)));
        }
        ends.sort_by_key(|&(at, _)| at);
        let held = Amount { gpus: vec![0; kinds.len()], ..Amount::default() };
        Self {
            kinds,
            total,
            free,
            free_gpus,
            ends,
            held,
            holders: Vec::new(),
            horizon: Some(Millis(i64::MAX)),
        }
    }

    fn decide(&mut self, i: usize, waiting: &[Waiting<'_>], now: Millis) -> Decision {
        let job = &waiting[i];
        if self.total.place(job.demand, &self.kinds).is_none() {
            // It must not hold up the others: what it waits for does not exist.
            return Decision::Wait(format!(
                "waits for {}: this machine never has that",
                need_text(job.demand)
            ));
        }
        let open = self.free.beside(&self.held);
        if let Some(need) = open.place(job.demand, &self.kinds) {
            return self.start(need, job.lasts_ms, now);
        }
        let fits = self.free.place(job.demand, &self.kinds);
        let in_time = self.horizon.is_some_and(|by| job.lasts_ms.is_some_and(|ms| now.plus(ms) <= by));
        if let (Some(need), true) = (fits, in_time) {
            return self.start(need, job.lasts_ms, now);
        }
        let reason = if fits.is_some() { self.behind(&open, waiting, job) } else { self.lacking(job.demand) };
        if now.since(job.created_at) >= PATIENCE_MS {
            self.set_aside(i, &open, job.demand);
        }
        Decision::Wait(reason)
    }

    fn start(&mut self, need: Need, lasts_ms: Option<i64>, now: Millis) -> Decision {
        self.free.subtract(need);
        if let Some(ms) = lasts_ms {
            let at = now.plus(ms);
            let place = self.ends.partition_point(|&(end, _)| end <= at);
            self.ends.insert(place, (at, need));
        }
        let mut gpus = Vec::new();
        if need.gpus > 0 {
            let kind = self.kinds[need.kind];
            self.free_gpus.retain(|gpu| {
                let take = gpu.kind == kind && (gpus.len() as i64) < need.gpus;
                if take {
                    gpus.push(gpu.id.clone());
                }
                !take
            });
        }
        Decision::Start { gpus }
    }

    /// Sets aside what `demand` needs of what is `open`. Of several GPU types it is the one that has the most open.
    fn set_aside(&mut self, i: usize, open: &Amount, demand: &Demand) {
        let kind = (wanted_kinds(demand, &self.kinds))
            .filter(|&kind| self.total.gpus[kind] >= demand.gpu_count)
            .max_by_key(|&kind| (open.gpus[kind], std::cmp::Reverse(kind)))
            .filter(|_| demand.gpu_count > 0);
        let need = Need {
            cpu: demand.cpu_milli.min(open.cpu),
            memory: demand.memory_bytes.unwrap_or(0).min(open.memory),
            gpus: kind.map_or(0, |kind| demand.gpu_count.min(open.gpus[kind])),
            kind: kind.unwrap_or(0),
        };
        self.held.add(need);
        self.holders.push((i, need));
        self.horizon = self.horizon.and_then(|by| self.starts_by(demand).map(|at| at.min(by)));
    }

    /// When `demand` has room by the limits of what runs, whatever else waits.
    fn starts_by(&self, demand: &Demand) -> Option<Millis> {
        let mut free = self.free.clone();
        self.ends.iter().find_map(|&(at, need)| {
            free.add(need);
            free.place(demand, &self.kinds).map(|_| at)
        })
    }

    fn behind(&self, open: &Amount, waiting: &[Waiting<'_>], job: &Waiting<'_>) -> String {
        let cpu = job.demand.cpu_milli > open.cpu;
        let memory = job.demand.memory_bytes.unwrap_or(0) > open.memory;
        let blocks = |need: &Need| {
            (cpu && need.cpu > 0) || (memory && need.memory > 0) || (!cpu && !memory && need.gpus > 0)
        };
        let holder = self.holders.iter().find(|(_, need)| blocks(need)).or(self.holders.first());
        let Some(holder) = holder.map(|&(i, _)| &waiting[i]) else { return self.lacking(job.demand) };
        format!("waits behind run {}, which needs {}", holder.run_name, need_text(holder.demand))
    }

    fn lacking(&self, demand: &Demand) -> String {
        let mut parts = Vec::new();
        let (free, total) = (&self.free, &self.total);
        if demand.cpu_milli > free.cpu {
            let cpu = cpu_text(demand.cpu_milli);
            parts.push(format!("{cpu} CPU: {} of {} are free", cpu_text(free.cpu), cpu_text(total.cpu)));
        }
        if let Some(memory) = demand.memory_bytes.filter(|&memory| memory > free.memory) {
            let (free, total) = (size_text(free.memory), size_text(total.memory));
            parts.push(format!("{} of memory: {free} of {total} are free", size_text(memory)));
        }
        let enough = |kind: usize| free.gpus[kind] >= demand.gpu_count;
        if demand.gpu_count > 0 && !wanted_kinds(demand, &self.kinds).any(enough) {
            let count = |amount: &Amount| -> i64 {
                wanted_kinds(demand, &self.kinds).map(|kind| amount.gpus[kind]).sum()
            };
            parts.push(format!("{}: {} of {} are free", gpu_text(demand), count(free), count(total)));
        }
        format!("waits for {}", parts.join("; "))
    }
}

/// `4 CPU, 16Gi of memory and 2 NVIDIA A100 GPU`.
pub(crate) fn need_text(demand: &Demand) -> String {
    let mut parts = vec![format!("{} CPU", cpu_text(demand.cpu_milli))];
    parts.extend(demand.memory_bytes.map(|bytes| format!("{} of memory", size_text(bytes))));
    if demand.gpu_count > 0 {
        parts.push(gpu_text(demand));
    }
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

fn gpu_text(demand: &Demand) -> String {
    match &demand.gpu_type {
        Some(kind) => format!("{} {kind} GPU", demand.gpu_count),
        None if demand.gpu_count > 1 => format!("{} GPU of one type", demand.gpu_count),
        None => format!("{} GPU", demand.gpu_count),
    }
}

/// Thousandths of a core as cores: `4`, `1.5`.
pub(crate) fn cpu_text(milli: i64) -> String {
    let milli = milli.max(0);
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes in the largest unit that leaves at least one whole: `2Gi`, `7.6Gi`, `512Mi`.
pub(crate) fn size_text(bytes: i64) -> String {
    let bytes = bytes.max(0);
    for (suffix, bits) in [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] {
        if bytes >> bits > 0 {
            let tenths = (i128::from(bytes) * 10) >> bits;
            let fraction = if tenths % 10 == 0 { String::new() } else { format!(".{}", tenths % 10) };
            return format!("{}{fraction}{suffix}", tenths / 10);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests;
