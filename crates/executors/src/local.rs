//! Jobs as processes of this machine: it admits what has room and keeps a runner on every folder that needs one.
//!
//! What it knows it can find again in the job folders: jobs outlive the server, and no job is started twice.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::sys::signal::Signal;
use runyard_domain::{
    JobId, Millis,
    job::{Exit, Reason, StopOrder, folder as names},
    resources::{Demand, Resources},
};
use tokio::sync::Notify;

use crate::{Capacity, Error, Executor, Job, Kept, Leftover, LocalOptions, Observation, ledger::Ledger};

pub(crate) mod admission;
pub(crate) mod folder;
mod kept;
pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod request;
pub(crate) mod round;

use folder::Progress;
use machine::Machine;

/// The executor for this machine. Needs a tokio runtime around every call.
#[derive(Debug)]
pub struct Local {
    shared: Arc<Shared>,
    /// Held by whoever starts, stops or deletes: so a job that was stopped is never started afterwards.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What executors with job folders on this machine have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The executor's word.
    pub(crate) word: &'static str,
    pub(crate) options: LocalOptions,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) changed: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) phases: HashMap<JobId, Phase>,
}

/// What is known of a job. All of it can be read again from the job's folder.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// Handed over; no runner was ever started, so the folder cannot have changed.
    Submitted,
    /// Stopped before a runner was started: none ever will be.
    Stopped,
    /// A runner was started.
    Spawned(Runner),
    /// Nothing more will come.
    Over(Exit),
}

#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) gpus: Vec<String>,
    /// When it was last started.
    pub(crate) at: Millis,
    /// Whether this process started it: then its end is seen.
    ours: bool,
    /// Its process, while it lives and is ours.
    child: Option<u32>,
    /// How often it had to be started again.
    attempts: u32,
    /// Not started again before.
    retry_at: Millis,
    /// Why it could not be started the last time.
    trouble: Option<String>,
}

impl Local {
    /// Takes charge of the job folders below `options.jobs`; looks at what the machine has.
    pub fn new(options: LocalOptions) -> Result<Self, Error> {
        Self::open(options, |jobs| machine::measure(jobs, Path::new("nvidia-smi")))
    }

    fn open(mut options: LocalOptions, measure: impl FnOnce(&Path) -> Machine) -> Result<Self, Error> {
        let create = |path: &Path| {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            path.canonicalize()
        };
        options.jobs =
            create(&options.jobs).map_err(|error| cannot("use the folder", &options.jobs, &error))?;
        // Runners are started in their job's folder, where a relative path would lead elsewhere.
        if options.runner.components().count() > 1 {
            let runner = std::path::absolute(&options.runner);
            options.runner = runner.map_err(|error| cannot("find", &options.runner, &error))?;
        }
        let mut machine = measure(&options.jobs);
        machine.cpu_milli = machine.cpu_milli.min(options.cpu_milli.unwrap_or(i64::MAX));
        machine.memory_bytes = machine.memory_bytes.min(options.memory_bytes.unwrap_or(i64::MAX));
        let shared = Shared::new("local", options, Arc::new(Ledger::new(machine)));
        Ok(Self { shared: Arc::new(shared), turn: Arc::default() })
    }

    /// What another executor on this machine goes by.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Runs `work` on a thread that may wait for the disk, alone among those that change jobs. It goes on to its
    /// end when the caller is dropped.
    async fn alone<T: Send + 'static>(&self, work: impl FnOnce(&Arc<Shared>) -> T + Send + 'static) -> T {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let shared = Arc::clone(&self.shared);
        on_a_thread(move || {
            let _turn = turn;
            work(&shared)
        })
        .await
    }
}

pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[async_trait::async_trait]
impl Executor for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn check(&self, demand: &Demand, resources: &Resources) -> Result<(), String> {
        request::check(&self.shared.ledger.machine, demand, resources)
    }

    fn capacity(&self) -> Capacity {
        self.shared.ledger.capacity()
    }

    async fn submit(&self, job: &Job) -> Result<(), Error> {
        let (shared, spec) = (Arc::clone(&self.shared), job.spec.clone());
        // The phase is left for the next poll to read: the folder may be an old one.
        on_a_thread(move || {
            let folder = shared.folder(spec.job_id);
            folder::submit(&folder, &spec).map_err(|error| unavailable("write", &folder, &error))
        })
        .await?;
        self.shared.changed.notify_one();
        Ok(())
    }

    async fn poll(&self, jobs: &[Arc<Job>], now: Millis) -> Vec<Observation> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let unsure = self.shared.unsure(jobs);
        let shared = Arc::clone(&self.shared);
        let (turn, sights) = on_a_thread(move || (turn, shared.look(&unsure, now))).await;
        let (mut observations, starts) = self.shared.decide(jobs, &sights, now);
        self.shared.start_all(turn, starts, &mut observations, now).await;
        self.shared.count(jobs, &observations, now);
        observations
    }

    async fn terminate(&self, job: &Job, deadline: Millis) -> Result<bool, Error> {
        let id = job.spec.job_id;
        let told = self.alone(move |shared| shared.stop(id, Some(deadline), Signal::SIGTERM)).await?;
        self.shared.changed.notify_one();
        Ok(told)
    }

    async fn kill(&self, job: &Job) -> Result<(), Error> {
        let id = job.spec.job_id;
        self.alone(move |shared| shared.stop(id, None, Signal::SIGKILL)).await?;
        self.shared.changed.notify_one();
        Ok(())
    }

    async fn release(&self, job: JobId) -> Result<(), Error> {
        let released = self.alone(move |shared| shared.release(job)).await;
        self.shared.changed.notify_one();
        released
    }

    async fn delete(&self, job: JobId) -> Result<i64, Error> {
        self.alone(move |shared| shared.delete(job)).await
    }

    async fn open(&self, job: JobId, place: &str) -> Option<std::fs::File> {
        self.shared.open(job, place).await
    }

    async fn kept(&self) -> Result<Vec<Kept>, Error> {
        let shared = Arc::clone(&self.shared);
        on_a_thread(move || {
            let options = &shared.options;
            let mut kept =
                kept::jobs(&options.jobs).map_err(|error| cannot("list", &options.jobs, &error))?;
            let shared_by_jobs = kept::environments(&options.cache);
            kept.extend(shared_by_jobs.map_err(|error| cannot("list", &options.cache, &error))?);
            Ok(kept)
        })
        .await
    }

    async fn size(&self, leftover: &Leftover) -> Result<i64, Error> {
        let folder = match leftover {
            Leftover::Job(job) => self.shared.folder(*job),
            Leftover::Environment(name) => kept::environment(&self.shared.options.cache, name),
        };
        on_a_thread(move || folder::size(&folder).map_err(|error| cannot("look into", &folder, &error))).await
    }

    async fn delete_environment(&self, name: &str) -> Result<Option<i64>, Error> {
        let folder = kept::environment(&self.shared.options.cache, name);
        on_a_thread(move || {
            kept::delete_environment(&folder).map_err(|error| cannot("delete", &folder, &error))
        })
        .await
    }

    async fn changed(&self) {
        self.shared.changed.notified().await;
    }
}

impl Shared {
    pub(crate) fn new(word: &'static str, options: LocalOptions, ledger: Arc<Ledger>) -> Self {
        Self { word, options, ledger, changed: Notify::new(), state: Mutex::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn folder(&self, job: JobId) -> PathBuf {
        self.options.jobs.join(job.to_string())
    }

    /// A file of a job, by its place below its `ml/`.
    pub(crate) async fn open(&self, job: JobId, place: &str) -> Option<std::fs::File> {
        let (ml, place) = (self.folder(job).join(names::ML), place.to_owned());
        on_a_thread(move || folder::open_below(&ml, &place)).await
    }

    /// Forgets a job that is over, and deletes the values of secrets where its runner could not.
    pub(crate) fn release(&self, job: JobId) -> Result<(), Error> {
        self.state().phases.remove(&job);
        let folder = self.folder(job);
        folder::forget_secrets(&folder).map_err(|error| unavailable("tidy", &folder, &error))
    }

    /// Deletes the folder of a job that has no runner; answers the bytes freed.
    pub(crate) fn delete(&self, job: JobId) -> Result<i64, Error> {
        let folder = self.folder(job);
        let cannot = |error| unavailable("delete", &folder, &error);
        if process::is_locked(&folder).map_err(cannot)? {
            return Err(Error::Unavailable(format!("job {job} still has a runner: stop it first")));
        }
        let bytes = folder::delete(&folder).map_err(cannot)?;
        self.state().phases.remove(&job);
        Ok(bytes)
    }

    /// Leaves the order to stop and signals the runner; `false`: none was ever started, and none will be. Without a
    /// deadline an order that is there stays.
    pub(crate) fn stop(&self, job: JobId, deadline: Option<Millis>, signal: Signal) -> Result<bool, Error> {
        let folder = self.folder(job);
        let cannot = |error: io::Error| unavailable("stop", &folder, &error);
        let progress = folder::progress(&folder).map_err(cannot)?;
        let order = match (deadline, &progress) {
            (Some(deadline), _) => Some(deadline),
            (None, Progress::Submitted) => Some(Millis(0)),
            (None, _) => None,
        };
        if let Some(deadline) = order {
            folder::order_stop(&folder, StopOrder { deadline }).map_err(cannot)?;
        }
        if !matches!(progress, Progress::Spawned(_)) {
            if order.is_some() {
                folder::forget_secrets(&folder).map_err(cannot)?;
                self.state().phases.insert(job, Phase::Stopped);
            }
            return Ok(false);
        }
        process::signal_runner(&folder, signal).map_err(cannot)?;
        Ok(true)
    }
}

pub(crate) fn cannot(verb: &str, path: &Path, error: &io::Error) -> Error {
    Error::Unavailable(format!("cannot {verb} {}: {error}", path.display()))
}

pub(crate) fn unavailable(verb: &str, folder: &Path, error: &io::Error) -> Error {
    let fix = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": free some space there",
        io::ErrorKind::PermissionDenied => ": it must belong to the user that runs the server",
        _ => "",
    };
    Error::Unavailable(format!("cannot {verb} the job in {}: {error}{fix}", folder.display()))
}

/// The end of a job that was stopped before a runner was started.
fn never_started(now: Millis) -> Exit {
    Exit::because(Reason::NeverStarted, "stopped before it was started", now)
}

#[cfg(test)]
mod tests;
