//! The life of a job, from the first question to the server to the last acknowledgement. Each step may be the last before
//! `kill -9`: what the folder holds decides where the next runner goes on, and the program is never launched twice.

use std::{fs::OpenOptions, rc::Rc, time::Duration};

use runyard_domain::{
    Millis,
    job::{Exit, JobSpec, Reason, StreamLengths, folder},
};
use runyard_wire::job::{EndJob, StartJob};
use tokio::sync::{Notify, watch};

use crate::{
    cgroup::{self, Group},
    clock,
    crew::{self, Crew},
    environment::Environment,
    folder::Folder,
    gang,
    listen::{self, Signals},
    orders::Orders,
    output::Output,
    outputs,
    printed::Printed,
    processes, recover,
    recover::Program,
    server::{Patience, Refusal, Server},
    ship::{self, Shipping},
    stage,
    supervise::{self, Watched},
    system::Sampler,
    worker,
};

/// After so many runners that died before the launch, another one would die too.
const STARTS_MAX: u64 = 3;
/// A job that nobody wants any more gets no more than this between SIGTERM and SIGKILL.
const SUPERSEDED_GRACE_MAX: Duration = Duration::from_secs(5);
const SWEEP_PATIENCE: Duration = Duration::from_secs(10);

/// What every part of the runner needs to know.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) folder: Folder,
    pub(crate) spec: JobSpec,
    pub(crate) server: Rc<Server>,
    pub(crate) output: std::sync::Arc<Output>,
    pub(crate) orders: Orders,
    /// Whether the program was sent SIGTERM.
    pub(crate) terminating: watch::Sender<bool>,
    /// Told after every sample.
    pub(crate) sampled: Notify,
    /// Told after every look at new records.
    pub(crate) recorded: Notify,
    /// Keeps the virtual environment that it uses from being deleted.
    pub(crate) environment: std::cell::OnceCell<std::fs::File>,
}

impl Job {
    pub(crate) fn new(folder: Folder, spec: JobSpec, output: std::sync::Arc<Output>) -> Self {
        let server = Rc::new(Server::new(&spec));
        let (terminating, orders) = (watch::Sender::new(false), Orders::new());
        let (sampled, recorded) = (Notify::new(), Notify::new());
        let environment = std::cell::OnceCell::new();
        Self { folder, spec, server, output, orders, terminating, sampled, recorded, environment }
    }

    /// The grace that holds when nobody said another.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.spec.grace_ms.max(0).unsigned_abs())
    }

    /// The run has a newer job.
    pub(crate) fn supersede(&self) {
        self.orders.supersede(self.grace().min(SUPERSEDED_GRACE_MAX));
    }
}

/// An exit without a program.
fn exit(reason: Reason, message: impl Into<String>) -> Exit {
    Exit::because(reason, message, clock::now())
}

/// How far the job came in this runner.
enum Outcome {
    /// It has an exit to deliver, and perhaps its streams are on their way already.
    Ended(Exit, Option<Shipping>),
    /// The server does not want it.
    Unwanted(Refusal),
}

/// Why a runner leaves without having delivered.
#[derive(Debug, thiserror::Error)]
#[error("the job is not delivered: {0}")]
pub(crate) struct Undelivered(Refusal);

/// Lives the job to its end, or delivers the end of one that an earlier runner lived.
pub(crate) async fn live(job: Rc<Job>, starts: u64, signals: Signals) -> Result<(), Undelivered> {
    tokio::task::spawn_local(signals.obey(job.clone()));
    let (exit, shipping) = match outcome(&job, starts).await {
        Outcome::Ended(exit, shipping) => (exit, shipping),
        Outcome::Unwanted(refusal) => return leave(&job, refusal),
    };
    if job.orders.now().superseded {
        return leave(&job, Refusal::Superseded);
    }
    let exit = keep(&job, exit);
    if shipping.is_none() {
        tokio::task::spawn_local(listen::heartbeats(job.clone()));
    }
    // Before the end is told: a run that is completed has its outputs.
    let exit = match outputs::bring(&job, exit).await {
        Ok(exit) => exit,
        Err(refusal) => return leave(&job, refusal),
    };
    let end = EndJob { exit, lengths: StreamLengths::default() };
    match ship::deliver(&job, shipping, &end).await {
        Ok(()) => {
            mark_delivered(&job);
            Ok(())
        }
        Err(refusal) => leave(&job, refusal),
    }
}

/// Nothing more to do here when the server has a newer job or none; any other refusal leaves it to a later runner.
fn leave(job: &Job, refusal: Refusal) -> Result<(), Undelivered> {
    tracing::info!(why = %refusal, "leaving the job");
    match refusal {
        Refusal::Superseded | Refusal::Gone(_) => {
            mark_delivered(job);
            Ok(())
        }
        refusal => Err(Undelivered(refusal)),
    }
}

fn mark_delivered(job: &Job) {
    // First: a runner that comes after the mark does nothing any more.
    let forgotten = job.folder.forget_secrets(&job.spec);
    match (job.folder.mark_delivered(), forgotten) {
        (Err(error), _) => tracing::warn!(%error, "a later runner will deliver this job again"),
        // Nobody needs the spec of a delivered job, and deleting it takes no room.
        (Ok(()), Err(error)) => {
            tracing::warn!(%error, "deleting the spec, for the secrets in it");
            let _ = std::fs::remove_file(job.folder.path(folder::SPEC));
        }
        (Ok(()), Ok(())) => {}
    }
}

/// Writes the exit record. On a full disk it lives in memory until it is delivered.
fn keep(job: &Job, mut exit: Exit) -> Exit {
    if job.folder.has(folder::EXIT) {
        return exit;
    }
    if let Some(lost) = job.output.finish() {
        let message = exit.message.take().map(|message| message + "; ").unwrap_or_default();
        exit.message = Some(message + &lost);
    }
    if let Err(error) = job.folder.write(folder::EXIT, &exit) {
        tracing::warn!(%error, "the exit record is only in memory");
    }
    exit
}

async fn outcome(job: &Rc<Job>, starts: u64) -> Outcome {
    match job.folder.read::<Exit>(folder::EXIT) {
        Ok(Some(exit)) => return Outcome::Ended(exit, None),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the exit record is lost"),
    }
    if job.folder.has(folder::LAUNCHED) {
        return Outcome::Ended(recover::after_launch(job).await, None);
    }
    if starts > 1 {
        recover::end_what_is_left(job, None, &Group::default()).await;
    }
    if starts > STARTS_MAX {
        let message = format!("the runner died {STARTS_MAX} times before the program started");
        return Outcome::Ended(exit(Reason::StagingFailed, message), None);
    }
    listen::obey_file(job, false);
    first_life(job).await
}

/// Asks the server, stages, launches, supervises.
async fn first_life(job: &Rc<Job>) -> Outcome {
    let start = StartJob { host: host() };
    let asked = tokio::select! {
        biased;
        () = job.orders.stopped() => return Outcome::Ended(never_started(), None),
        asked = job.server.insist(|| Patience::BeforeLaunch, async |client| client.start(&start).await) => asked,
    };
    let state = match asked {
        Ok(state) => state,
        Err(refusal) => return Outcome::Unwanted(refusal),
    };
    let shipping = Shipping::begin(job, state.lengths);
    listen::obey(job, &state);
    tokio::task::spawn_local(listen::heartbeats(job.clone()));
    let staged = tokio::select! {
        biased;
        () = job.orders.stopped() => None,
        staged = stage::stage(job) => Some(staged),
    };
    let exit = match staged {
        Some(Ok(env)) => run(job, env).await,
        Some(Err(failure)) => exit(failure.reason, failure.message),
        None => {
            // What staging had started was killed with it; what that had started is not dead yet.
            processes::sweep(None, SWEEP_PATIENCE).await;
            never_started()
        }
    };
    Outcome::Ended(exit, Some(shipping))
}

fn never_started() -> Exit {
    exit(Reason::NeverStarted, "the run was stopped before its program was launched")
}

/// From the mark that makes a second launch impossible to the end of the program.
async fn run(job: &Rc<Job>, env: Environment) -> Exit {
    let launch_failed = |message: String| exit(Reason::LaunchFailed, message);
    let records = job.folder.path(folder::RECORDS);
    if let Err(error) = OpenOptions::new().append(true).create(true).open(&records) {
        return launch_failed(format!("cannot make `{}`: {error}", records.display()));
    }
    let demand = job.spec.resources.demand().unwrap_or_default();
    let limits = cgroup::Limits {
        memory_bytes: demand.memory_bytes,
        cpu_milli: Some(demand.cpu_milli).filter(|milli| *milli > 0),
    };
    let mut group = Group::make(&job.spec.job_id.to_string(), gang::size(&job.spec), limits);
    let launched_at = clock::now();
    if let Err(error) = job.folder.create_once(folder::LAUNCHED, &launched_at.0.to_string()) {
        group.remove().await;
        return launch_failed(error.to_string());
    }
    let doors: crew::Doors = {
        let group = group.clone();
        Rc::new(move |instance| group.doors(instance))
    };
    let launched = tokio::select! {
        biased;
        launched = Crew::launch(job, env, doors) => launched,
        () = job.orders.stopped() => Err("the run was stopped before its program was launched".to_owned()),
    };
    let exit = match launched {
        Err(message) => launch_failed(message),
        Ok(program) => supervise_and_sample(job, program, &mut group, launched_at).await,
    };
    group.remove().await;
    exit
}

async fn supervise_and_sample(job: &Rc<Job>, program: Crew, group: &mut Group, launched_at: Millis) -> Exit {
    let pid = program.pid();
    for (instance, pid) in program.pids_by_instance() {
        group.keep_entered(instance, pid);
    }
    if let Err(error) = job.folder.write_soon(folder::PROGRAM, &Program::new(pid, launched_at, group)) {
        tracing::warn!(%error, "a later runner will have to look for the program by its environment");
    }
    let group = &*group;
    let watched = Watched { job, group, launched_at };
    let mut sampler = Sampler::new(job, group);
    let mut printed = Printed::of(job);
    let exit = tokio::select! {
        biased;
        exit = supervise::supervise(&watched, program) => exit,
        never = sampler.run(job) => match never {},
        never = Printed::run(&mut printed, job) => match never {},
    };
    Printed::finish(printed, job).await;
    sampler.finish(job);
    worker::judge(job, exit).await
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
