//! The one accounting of this machine: what its executors have promised to jobs, whichever way those are started, and
//! who of all that wait is next. Starts nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runyard_domain::{Millis, resources::Demand};

use crate::{
    Capacity, Job,
    local::{
        admission::{self, Decision, Running, Waiting},
        machine::Machine,
    },
};

/// What staging may take before the time limit of a program begins to count.
const STAGING_MS: i64 = 60_000;

/// The accounting; executors that share a machine share it.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// What there is.
    pub(crate) machine: Machine,
    parts: Mutex<BTreeMap<&'static str, Part>>,
}

/// What one executor said last.
#[derive(Debug, Default)]
struct Part {
    /// Whether it has said anything yet.
    heard: bool,
    holds: Vec<Hold>,
    waiting: Vec<Arc<Job>>,
}

/// What a job holds.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) demand: Demand,
    /// Ids of the GPUs it was given.
    pub(crate) gpus: Vec<String>,
    /// When it is over at the latest; `None`: nobody knows.
    pub(crate) ends_by: Option<Millis>,
}

impl Hold {
    /// What a job that runs since `at` holds.
    pub(crate) fn since(job: &Job, gpus: Vec<String>, at: Millis, now: Millis) -> Self {
        // Past its limit nobody knows any more when it ends.
        let ends_by = lasts_ms(job).map(|ms| at.plus(ms)).filter(|&at| at > now);
        Self { demand: job.demand.clone(), gpus, ends_by }
    }

    /// What a job holds of which nothing else is known.
    pub(crate) fn unseen(job: &Job) -> Self {
        Self { demand: job.demand.clone(), gpus: Vec::new(), ends_by: None }
    }

    fn running(&self) -> Running<'_> {
        Running { demand: &self.demand, gpus: &self.gpus, ends_by: self.ends_by }
    }
}

impl Ledger {
    /// The accounting of an empty machine.
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, parts: Mutex::default() }
    }

    /// Expects to hear of one more executor before anybody starts anything: after a restart its jobs may be running.
    pub(crate) fn expect(&self, executor: &'static str) {
        self.parts().entry(executor).or_default();
    }

    /// Decides for each of `waiting`, in the same order, beside all that `executor` says is held, and all that the other
    /// executors of this machine have said. Those that start hold what they need from here on. `None`: one of the others has
    /// not said anything yet.
    pub(crate) fn admit(
        &self,
        executor: &'static str,
        holds: Vec<Hold>,
        waiting: Vec<Arc<Job>>,
        now: Millis,
    ) -> Option<Vec<Decision>> {
        let mut parts = self.parts();
        parts.insert(executor, Part { heard: true, holds, waiting });
        if parts.values().any(|part| !part.heard) {
            return None;
        }
        // Its own first: their decisions are the first ones too.
        let others = parts.iter().filter(|(name, _)| **name != executor).map(|(_, part)| part);
        let all: Vec<&Part> = parts.get(executor).into_iter().chain(others).collect();
        let running: Vec<Running<'_>> = all.iter().flat_map(|part| &part.holds).map(Hold::running).collect();
        let queue: Vec<Waiting<'_>> =
            all.iter().flat_map(|part| &part.waiting).map(|job| waits(job)).collect();
        let mut decisions = admission::admit(&self.machine, &running, &queue, now);
        let part = parts.get_mut(executor)?;
        decisions.truncate(part.waiting.len());
        let mut left = Vec::new();
        for (job, decision) in part.waiting.drain(..).zip(&decisions) {
            match decision {
                Decision::Start { gpus } => part.holds.push(Hold::since(&job, gpus.clone(), now, now)),
                Decision::Wait(_) => left.push(job),
            }
        }
        part.waiting = left;
        Some(decisions)
    }

    /// Notes what is held, without deciding anything.
    pub(crate) fn hold(&self, executor: &'static str, holds: Vec<Hold>) {
        let mut parts = self.parts();
        let part = parts.entry(executor).or_default();
        (part.heard, part.holds) = (true, holds);
    }

    /// What there is and what is free beside all that is held.
    pub(crate) fn capacity(&self) -> Capacity {
        let parts = self.parts();
        capacity(&self.machine, parts.values().flat_map(|part| &part.holds).map(Hold::running))
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<&'static str, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lasts_ms(job: &Job) -> Option<i64> {
    job.spec.max_run_time_ms.map(|ms| ms.saturating_add(job.spec.grace_ms + STAGING_MS))
}

fn waits(job: &Job) -> Waiting<'_> {
    Waiting {
        id: job.spec.job_id,
        run_name: &job.spec.run_name,
        demand: &job.demand,
        priority: job.priority,
        created_at: job.created_at,
        lasts_ms: lasts_ms(job),
    }
}

/// What there is, and what is free beside `running`.
fn capacity<'a>(machine: &Machine, running: impl IntoIterator<Item = Running<'a>>) -> Capacity {
    let mut free = (machine.cpu_milli, machine.memory_bytes);
    let mut given: Vec<&String> = Vec::new();
    for job in running {
        free.0 -= job.demand.cpu_milli;
        free.1 -= job.demand.memory_bytes.unwrap_or(0);
        given.extend(job.gpus);
    }
    let mut gpus: Vec<(String, i64, i64)> = Vec::new();
    for gpu in &machine.gpus {
        let is_free = i64::from(!given.contains(&&gpu.id));
        match gpus.iter_mut().find(|(kind, ..)| *kind == gpu.kind) {
            Some((_, total, free)) => (*total, *free) = (*total + 1, *free + is_free),
            None => gpus.push((gpu.kind.clone(), 1, is_free)),
        }
    }
    gpus.sort();
    Capacity {
        cpu_milli_total: machine.cpu_milli,
        cpu_milli_free: free.0.max(0),
        memory_bytes_total: machine.memory_bytes,
        memory_bytes_free: free.1.max(0),
        gpus,
    }
}

#[cfg(test)]
mod tests;
