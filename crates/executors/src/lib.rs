//! What starts and stops jobs.
//!
//! An executor only starts and stops runners ([`Executor`]); everything else about a job is the runner's work.
//! It keeps no state that cannot be found again: after a restart it recognises its jobs by their ids.

use std::{path::PathBuf, sync::Arc};

use runyard_domain::{
    JobId, Millis,
    job::{Exit, JobSpec},
    resources::{Demand, Resources},
};

pub mod container;
mod ledger;
pub mod local;

/// A job as the executor needs to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Everything the runner needs, `gpus` not yet given.
    pub spec: JobSpec,
    /// What it asks for, in integers.
    pub demand: Demand,
    /// The container image, for an executor that runs containers.
    pub image: Option<String>,
    /// The account at the image's registry, `user:password`. It is in no file of the job.
    pub registry: Option<String>,
    /// Higher goes first.
    pub priority: i64,
    /// Older goes first among equals.
    pub created_at: Millis,
}

/// What an executor sees of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// It waits, for what the text says.
    Waiting(String),
    /// Its runner was started, or is alive.
    Alive,
    /// The back end's own terminal state: no runner will report any more.
    Ended(Exit),
    /// The back end answers, and does not know the job.
    Absent,
    /// The back end cannot be asked now; why.
    OutOfSight(String),
}

/// What went wrong with the back end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can never work: the run's request has to change.
    #[error("{0}")]
    Refused(String),
    /// It did not work this time; trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// What there is and what is free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a core: all.
    pub cpu_milli_total: i64,
    /// Thousandths of a core: not promised to a job.
    pub cpu_milli_free: i64,
    /// Bytes: all.
    pub memory_bytes_total: i64,
    /// Bytes: not promised to a job.
    pub memory_bytes_free: i64,
    /// `(type, total, free)`, by type.
    pub gpus: Vec<(String, i64, i64)>,
}

/// Something that jobs left on the disks of an executor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leftover {
    /// The folder of a job.
    Job(JobId),
    /// A virtual environment that jobs share, by name.
    Environment(String),
}

/// Something on the disks of an executor that can be deleted one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it is.
    pub what: Leftover,
    /// When it was used last.
    pub since: Millis,
    /// Whether somebody uses it now, or has to deliver something from it.
    pub in_use: bool,
}

/// What starts and stops jobs. Every call may be repeated; a crash between any two is harmless.
#[async_trait::async_trait]
pub trait Executor: Send + Sync {
    /// The executor's word: `local`, `container`, `slurm`, `kubernetes`.
    fn name(&self) -> &'static str;

    /// Whether this back end could ever satisfy a request, in a sentence that says what to change.
    fn check(&self, demand: &Demand, resources: &Resources) -> Result<(), String>;

    /// Whether it can be used now; else what is missing, in a sentence that says what to do. New runs are refused then; jobs
    /// that it has already wait.
    async fn available(&self) -> Result<(), String> {
        Ok(())
    }

    /// What there is and what is free.
    fn capacity(&self) -> Capacity;

    /// Hands the job over. `Ok` means that the executor will start it when there is room, also after a restart of
    /// the server, provided [`Executor::poll`] goes on being called with it.
    async fn submit(&self, job: &Job) -> Result<(), Error>;

    /// Looks after all jobs that were submitted and have not ended, and says what is seen of each, in the same order.
    /// An executor without a scheduler of its own starts here what has room now. `jobs` is the whole truth: a job
    /// that is no longer named holds no capacity.
    async fn poll(&self, jobs: &[Arc<Job>], now: Millis) -> Vec<Observation>;

    /// Asks the job to stop: SIGTERM now, SIGKILL at the deadline. `Ok(true)`: a runner was told (or will see it);
    /// `Ok(false)`: there is no runner and none will be started any more.
    async fn terminate(&self, job: &Job, deadline: Millis) -> Result<bool, Error>;

    /// Ends the job with force, runner included, because the runner did not keep the deadline.
    async fn kill(&self, job: &Job) -> Result<(), Error>;

    /// The job is over and delivered: forget it. Its files stay.
    async fn release(&self, job: JobId) -> Result<(), Error>;

    /// Deletes what the job left on the executor's disks; answers the bytes freed.
    async fn delete(&self, job: JobId) -> Result<i64, Error>;

    /// A file of a job by its place below its `ml/`, to be read. `None`: it is on the disk of another machine, or is no regular
    /// file, or a link on the way leads out of there.
    async fn open(&self, _job: JobId, _place: &str) -> Option<std::fs::File> {
        None
    }

    /// What jobs left on the executor's disks. Nothing, when they are not the executor's to keep tidy.
    async fn kept(&self) -> Result<Vec<Kept>, Error> {
        Ok(Vec::new())
    }

    /// Bytes that deleting it would free.
    async fn size(&self, _leftover: &Leftover) -> Result<i64, Error> {
        Ok(0)
    }

    /// Deletes a virtual environment; answers the bytes freed. `None`: a job uses it.
    async fn delete_environment(&self, _name: &str) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    /// Becomes ready whenever something may have changed that [`Executor::poll`] would see.
    async fn changed(&self);
}

/// Where a local executor finds things.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Folder of the job folders: `DATA/jobs`.
    pub jobs: PathBuf,
    /// What jobs share: `DATA/cache`.
    pub cache: PathBuf,
    /// The binary to start as `BINARY runner FOLDER`.
    pub runner: PathBuf,
    /// Offer no more than this, in thousandths of a core; `None`: what the machine has.
    pub cpu_milli: Option<i64>,
    /// Offer no more than this, in bytes; `None`: what the machine has.
    pub memory_bytes: Option<i64>,
    /// Variables of this process that no job may see, besides those that begin with `RUNYARD_`.
    pub hidden: Vec<String>,
}
