//! One round over the jobs: look at the folders that may have changed, decide, start runners. Keeps no job waiting
//! that has room, and leaves no folder without a runner that needs one.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use runyard_domain::{
    JobId, Millis,
    job::{Exit, Reason, folder as names},
};

use super::{
    Phase, Runner, Shared,
    admission::Decision,
    folder::{self, Progress, Sight, Spawned},
    never_started, on_a_thread, process, unavailable,
};
use crate::{Job, Observation, ledger::Hold};

/// How long a runner that somebody else started may take until it holds its lock.
const START_PATIENCE_MS: i64 = 5_000;
/// How often a runner that dies is started again.
const ATTEMPTS_MAX: u32 = 5;

/// What a look at a folder showed, where it matters for this round.
#[derive(Debug)]
pub(crate) enum Seen {
    /// There is no such job.
    Absent,
    /// No runner, nothing delivered; the exit record if there is one.
    Free(Option<Exit>),
    /// It could not be read, or whoever runs it cannot be asked; why.
    Trouble(String),
    /// Not started, and not to be started yet; why.
    Unready(String),
    /// Started, and nothing has to be done about it.
    Runs,
}

/// A runner to start.
#[derive(Debug)]
pub(crate) struct Start {
    /// Place in the list of jobs.
    pub(crate) index: usize,
    pub(crate) job: JobId,
    pub(crate) gpus: Vec<String>,
    /// No runner was ever started for it.
    pub(crate) first: bool,
}

impl Shared {
    /// The jobs whose folder may have changed since it was last read.
    pub(crate) fn unsure(&self, jobs: &[Arc<Job>]) -> Vec<JobId> {
        let state = self.state();
        let unsure = |job: &JobId| match state.phases.get(job) {
            None => true,
            Some(Phase::Spawned(runner)) => runner.child.is_none(),
            Some(_) => false,
        };
        jobs.iter().map(|job| job.spec.job_id).filter(unsure).collect()
    }

    /// Reads their folders.
    pub(crate) fn look(&self, jobs: &[JobId], now: Millis) -> HashMap<JobId, Seen> {
        jobs.iter().filter_map(|&job| Some((job, self.look_at(job, now)?))).collect()
    }

    fn look_at(&self, job: JobId, now: Millis) -> Option<Seen> {
        let folder = self.folder(job);
        let cannot = |error: std::io::Error| Seen::Trouble(unavailable("read", &folder, &error).to_string());
        let known = self.state().phases.get(&job).cloned();
        let mut phase = match known.map_or_else(|| recall(&folder), |phase| Ok(Some(phase))) {
            Ok(Some(phase)) => phase,
            Ok(None) => return Some(Seen::Absent),
            Err(error) => return Some(cannot(error)),
        };
        let mut seen = None;
        if matches!(phase, Phase::Spawned(_)) {
            match folder::sight(&folder, now) {
                Ok(Sight::Held) => {}
                Ok(Sight::Delivered(exit)) => phase = Phase::Over(exit),
                Ok(Sight::Free) => seen = Some(folder::exit(&folder).map_or_else(cannot, Seen::Free)),
                Err(error) => seen = Some(cannot(error)),
            }
        }
        self.state().phases.insert(job, phase);
        seen
    }

    /// What is said of each job, and which runners to start.
    pub(crate) fn decide(
        self: &Arc<Self>,
        jobs: &[Arc<Job>],
        seen: &HashMap<JobId, Seen>,
        now: Millis,
    ) -> (Vec<Observation>, Vec<Start>) {
        let mut state = self.state();
        let phases = &mut state.phases;
        let named: HashSet<JobId> = jobs.iter().map(|job| job.spec.job_id).collect();
        phases.retain(|job, _| named.contains(job));
        let mut observations = Vec::with_capacity(jobs.len());
        let mut starts = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            let id = job.spec.job_id;
            let mut over = None;
            let observation = match (phases.get_mut(&id), seen.get(&id)) {
                (_, Some(Seen::Trouble(why))) => Observation::OutOfSight(why.clone()),
                (None, _) => Observation::Absent,
                (Some(Phase::Submitted), Some(Seen::Unready(why))) => Observation::Waiting(why.clone()),
                (Some(Phase::Submitted), _) => Observation::Waiting(String::new()),
                (Some(Phase::Stopped), _) => Observation::Ended(never_started(now)),
                (Some(Phase::Over(exit)), _) => Observation::Ended(exit.clone()),
                (Some(Phase::Spawned(runner)), Some(Seen::Free(exit))) => {
                    match self.revive(&self.folder(id), runner, now) {
                        Revival::Wait => Observation::Alive,
                        Revival::Start => {
                            starts.push(Start { index, job: id, gpus: runner.gpus.clone(), first: false });
                            Observation::Alive
                        }
                        Revival::GiveUp(why) => {
                            let given_up = || Exit::because(Reason::RunnerKilled, why, now);
                            let exit = exit.clone().unwrap_or_else(given_up);
                            over = Some(exit.clone());
                            Observation::Ended(exit)
                        }
                    }
                }
                (Some(Phase::Spawned(_)), _) => Observation::Alive,
            };
            if let Some(exit) = over {
                tracing::error!(
                    "job {id}: {}",
                    exit.message.as_deref().unwrap_or("its runner cannot deliver its end")
                );
                phases.insert(id, Phase::Over(exit));
            }
            observations.push(observation);
        }
        let unready: HashSet<JobId> =
            (seen.iter()).filter(|(_, seen)| matches!(seen, Seen::Unready(_))).map(|(job, _)| *job).collect();
        self.admit_waiting(jobs, phases, &unready, now, &mut observations, &mut starts);
        (observations, starts)
    }

    /// What to do about a started job without a runner.
    fn revive(self: &Arc<Self>, folder: &Path, runner: &Runner, now: Millis) -> Revival {
        if !runner.ours && (0..START_PATIENCE_MS).contains(&now.since(runner.at)) {
            self.wake_in(START_PATIENCE_MS - now.since(runner.at));
            return Revival::Wait;
        }
        if runner.attempts >= ATTEMPTS_MAX {
            return Revival::GiveUp(match &runner.trouble {
                Some(why) => format!("its runner could not be started: {why}"),
                None => format!(
                    "its runner died {} times and could not tell how it ended; what the program had started may \
                     still be running; {} says why",
                    runner.attempts + 1,
                    folder.join(names::RUNNER_LOG).display()
                ),
            });
        }
        if now < runner.retry_at {
            self.wake_in(runner.retry_at.since(now));
            return Revival::Wait;
        }
        Revival::Start
    }

    /// Starts all of these runners; those that cannot be started wait as before.
    pub(crate) async fn start_all(
        self: &Arc<Self>,
        turn: tokio::sync::OwnedMutexGuard<()>,
        starts: Vec<Start>,
        observations: &mut [Observation],
        now: Millis,
    ) {
        if starts.is_empty() {
            return;
        }
        let shared = Arc::clone(self);
        let failed = on_a_thread(move || {
            let _turn = turn;
            let start = |start: Start| Some((start.index, shared.start(start, now).err()?));
            starts.into_iter().filter_map(start).collect::<Vec<_>>()
        })
        .await;
        for (index, why) in failed {
            observations[index] = Observation::Waiting(why);
        }
    }

    /// Starts a runner. `Err`: nothing was started, and the job waits as before.
    pub(crate) fn start(self: &Arc<Self>, start: Start, now: Millis) -> Result<(), String> {
        let Start { job, gpus, first, .. } = start;
        let folder = self.folder(job);
        let spawned = Spawned { at: now, gpus };
        let marked = folder::mark_spawned(&folder, &spawned, first.then_some(&|_| ()));
        // A runner that is needed to end a job is started even when the disk is too full for the mark.
        if let (Err(error), true) = (&marked, first) {
            return Err(unavailable("start", &folder, error).to_string());
        }
        let child = process::spawn_runner(&self.options.runner, &folder, &self.options.hidden);
        let pid = child.as_ref().ok().and_then(tokio::process::Child::id);
        let trouble = child.as_ref().err().map(|error| {
            tracing::warn!("job {job}: cannot start {}: {error}", self.options.runner.display());
            format!("cannot start {}: {error}", self.options.runner.display())
        });
        let mut state = self.state();
        let attempts = match state.phases.get(&job) {
            Some(Phase::Spawned(before)) => before.attempts + 1,
            _ => 0,
        };
        let pause = if attempts == 0 { 0 } else { 1000 << (attempts - 1).min(5) };
        let runner = Runner {
            gpus: spawned.gpus,
            at: now,
            ours: true,
            child: pid,
            attempts,
            retry_at: now.plus(pause),
            trouble,
        };
        state.phases.insert(job, Phase::Spawned(runner));
        drop(state);
        match child {
            Ok(child) => self.reap(job, child),
            Err(_) => self.wake_in(pause),
        }
        if attempts > 0 {
            tracing::warn!(
                "job {job}: its runner was gone; started another one ({attempts} of {ATTEMPTS_MAX})"
            );
            self.wake_in(pause);
        }
        Ok(())
    }

    /// Waits for the end of a runner, in a task.
    fn reap(self: &Arc<Self>, job: JobId, mut child: tokio::process::Child) {
        let (shared, pid) = (Arc::clone(self), child.id());
        tokio::spawn(async move {
            match child.wait().await {
                Ok(status) if status.success() => tracing::debug!("job {job}: its runner has left"),
                Ok(status) => tracing::warn!("job {job}: its runner ended with {status}"),
                Err(error) => tracing::warn!("job {job}: cannot wait for its runner: {error}"),
            }
            if let Some(Phase::Spawned(runner)) = shared.state().phases.get_mut(&job)
                && runner.child == pid
            {
                runner.child = None;
            }
            shared.changed.notify_one();
        });
    }

    pub(crate) fn wake_in(self: &Arc<Self>, ms: i64) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            // A little later, so that the next round surely finds the time come.
            tokio::time::sleep(Duration::from_millis(ms.max(0).unsigned_abs() + 10)).await;
            shared.changed.notify_one();
        });
    }

    /// Notes what is held now.
    pub(crate) fn count(&self, jobs: &[Arc<Job>], observations: &[Observation], now: Millis) {
        let state = self.state();
        let hold =
            |(job, seen): (&Arc<Job>, &Observation)| hold(job, state.phases.get(&job.spec.job_id), seen, now);
        self.ledger.hold(self.word, jobs.iter().zip(observations).filter_map(hold).collect());
    }

    /// Lets start what has room, and says of the others what they wait for.
    fn admit_waiting(
        self: &Arc<Self>,
        jobs: &[Arc<Job>],
        phases: &HashMap<JobId, Phase>,
        unready: &HashSet<JobId>,
        now: Millis,
        observations: &mut [Observation],
        starts: &mut Vec<Start>,
    ) {
        let (mut holds, mut waiting, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (job, observation)) in jobs.iter().zip(observations.iter()).enumerate() {
            let phase = phases.get(&job.spec.job_id);
            if matches!((phase, observation), (Some(Phase::Submitted), Observation::Waiting(_))) {
                if !unready.contains(&job.spec.job_id) {
                    places.push(index);
                    waiting.push(Arc::clone(job));
                }
            } else {
                holds.extend(hold(job, phase, observation, now));
            }
        }
        let Some(decisions) = self.ledger.admit(self.word, holds, waiting, now) else {
            self.wake_in(0);
            return;
        };
        for (index, decision) in places.into_iter().zip(decisions) {
            observations[index] = match decision {
                Decision::Wait(why) => Observation::Waiting(why),
                Decision::Start { gpus } => {
                    starts.push(Start { index, job: jobs[index].spec.job_id, gpus, first: true });
                    Observation::Alive
                }
            };
        }
    }
}

/// What a job holds of the machine, if it does.
fn hold(job: &Job, phase: Option<&Phase>, seen: &Observation, now: Millis) -> Option<Hold> {
    match (phase, seen) {
        (Some(Phase::Spawned(runner)), _) => Some(Hold::since(job, runner.gpus.clone(), runner.at, now)),
        // It cannot be read: it may well be running.
        (None, Observation::OutOfSight(_)) => Some(Hold::unseen(job)),
        _ => None,
    }
}

impl Runner {
    /// One that this process has started, or is about to.
    pub(crate) fn begun(spawned: Spawned, now: Millis) -> Self {
        let Spawned { at, gpus } = spawned;
        Self { gpus, at, ours: true, child: None, attempts: 0, retry_at: now, trouble: None }
    }
}

/// What the folder says of a job that this process does not know.
fn recall(folder: &Path) -> std::io::Result<Option<Phase>> {
    Ok(match folder::progress(folder)? {
        Progress::Nothing => None,
        Progress::Submitted => Some(Phase::Submitted),
        Progress::Stopped => Some(Phase::Stopped),
        Progress::Spawned(Spawned { at, gpus }) => Some(Phase::Spawned(Runner {
            gpus,
            at,
            ours: false,
            child: None,
            attempts: 0,
            retry_at: Millis(0),
            trouble: None,
        })),
    })
}

enum Revival {
    Wait,
    Start,
    GiveUp(String),
}
