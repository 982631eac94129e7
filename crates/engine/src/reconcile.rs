//! Drives runs: compares what is wanted with what is seen and does the next step.
//!
//! Holds nothing that it could not read again, and may be killed at any instant. It never decides that a job is
//! dead without proof: only the runner's exit record or the back end's own word ends one.

mod step;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    sync::{Arc, PoisonError},
    time::Duration,
};

use runyard_domain::{
    Millis, RunId,
    run::{Job, Run, Status},
};
use runyard_executors::{self as executors, Observation};
use runyard_store as store;

use crate::{Engine, Error, Result, dataset, garbage};

/// How often everything is looked at, in milliseconds, when nothing says that it changed.
const SCAN_EVERY_MS: i64 = 1_000;
/// How long a server lives in the eyes of the others after it was last heard of, in milliseconds.
const SERVER_LEASE_MS: i64 = 30_000;
/// How long a job that nobody sees is given before it is said to be lost from sight, in milliseconds.
pub(crate) const LEASE_MS: i64 = 60_000;
/// How long after its deadline a stopped job is ended with force, in milliseconds.
const KILL_AFTER_MS: i64 = 10_000;

/// An active run as the controller remembers it.
struct Active {
    run: Run,
    job: Option<Job>,
    /// The job as its executor knows it.
    handed: Option<Arc<executors::Job>>,
    /// The deadline that the executor was told last.
    told: Option<Millis>,
    /// When force was last used.
    killed_at: Option<Millis>,
}

/// Drives the runs of one server.
pub struct Controller {
    engine: Engine,
    active: BTreeMap<RunId, Active>,
    scanned_at: Option<Millis>,
    renewed_at: Option<Millis>,
}

/// Drives runs until `shutdown`.
pub async fn run(engine: Engine, shutdown: impl Future<Output = ()> + Send) {
    let mut controller = Controller::new(engine.clone());
    let mut shutdown = std::pin::pin!(shutdown);
    let sweeper = tokio::spawn(sweep(engine.clone()));
    let collector = tokio::spawn(garbage::collect_again(engine.clone()));
    let builder = tokio::spawn(dataset::build::run(engine.clone()));
    loop {
        if let Err(error) = controller.tick().await {
            tracing::warn!("the controller could not finish a round, and tries again: {error}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let changed = futures::future::select_all(engine.executors.iter().map(|executor| executor.changed()));
        tokio::select! {
            () = &mut shutdown => break,
            () = engine.signals.driven() => {}
            _ = changed => {}
            () = tokio::time::sleep(Duration::from_millis(SCAN_EVERY_MS.unsigned_abs())) => {}
        }
    }
    sweeper.abort();
    collector.abort();
    builder.abort();
}

/// Frees what nothing refers to any more, at the start and every hour; looks for orphans, which takes a list of all
/// objects, an hour after the start and every day.
async fn sweep(engine: Engine) {
    for hour in 0_u64.. {
        if let Err(error) = garbage::sweep(&engine).await {
            tracing::warn!("could not free garbage, and tries again later: {error}");
        }
        if hour % 24 == 1
            && let Err(error) = garbage::gc::orphans(&engine, false).await
        {
            tracing::warn!("could not look for objects that nobody knows, and tries again tomorrow: {error}");
        }
        tokio::time::sleep(Duration::from_hours(1)).await;
    }
}

impl Controller {
    /// A controller that knows nothing yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, active: BTreeMap::new(), scanned_at: None, renewed_at: None }
    }

    /// One round: looks at what changed, and does the next step of every run that has one.
    ///
    /// # Errors
    /// The database could not be asked; nothing is lost, the next round begins again.
    pub async fn tick(&mut self) -> Result<()> {
        let now = self.engine.now();
        let mut due = self.engine.signals.take_due();
        if self.scanned_at.is_none_or(|at| now.since(at) >= SCAN_EVERY_MS || now < at) {
            match self.scan(now).await {
                Ok(changed) => due.extend(changed),
                Err(error) => {
                    self.put_back(due);
                    return Err(error);
                }
            }
            self.scanned_at = Some(now);
        }
        let outcome = self.round(due.clone(), now).await;
        if outcome.is_err() {
            self.put_back(due);
        }
        outcome
    }

    /// What was taken from the list of due runs is due again: the next round must not wait for a scan.
    fn put_back(&self, due: BTreeSet<RunId>) {
        for id in due {
            self.engine.signals.drive(id);
        }
    }

    async fn round(&mut self, due: BTreeSet<RunId>, now: Millis) -> Result<()> {
        self.load(due.into_iter().collect()).await?;
        self.step_all().await?;
        self.enforce_stops(now).await?;
        self.observe(now).await
    }

    /// Says that this server lives, takes over what nobody drives, and answers the runs that changed behind its back.
    async fn scan(&mut self, now: Millis) -> Result<Vec<RunId>> {
        let server = self.engine.options.server_id.clone();
        if self.renewed_at.is_none_or(|at| now.since(at) >= SERVER_LEASE_MS / 6 || now < at) {
            let (me, until, seen_before) = (server.clone(), now.plus(SERVER_LEASE_MS), now.plus(-LEASE_MS));
            let lost = self
                .engine
                .db
                .write(move |tx| {
                    store::run::renew_server(tx, &me, until)?;
                    store::run::adopt(tx, &me, now)?;
                    Ok::<_, Error>(store::run::out_of_sight(tx, &me, now, seen_before)?)
                })
                .await?;
            for (id, epoch) in lost {
                step::lost(&self.engine, id, epoch, "the server that looks after its machine is away")
                    .await?;
            }
            self.renewed_at = Some(now);
        }
        let driven = self.engine.db.read(move |tx| Ok::<_, Error>(store::run::driven(tx, &server)?)).await?;
        let there: BTreeMap<RunId, i64> = driven.into_iter().collect();
        self.active.retain(|id, _| there.contains_key(id));
        let known = |id, sequence| self.active.get(id).is_some_and(|active| active.run.sequence == sequence);
        Ok(there.iter().filter(|(id, sequence)| !known(id, **sequence)).map(|(id, _)| *id).collect())
    }

    /// Reads these runs again.
    async fn load(&mut self, ids: Vec<RunId>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let wanted = ids.clone();
        let found = self
            .engine
            .db
            .read(move |tx| {
                let mut found = Vec::new();
                for run in store::run::by_ids(tx, &wanted)? {
                    let job = store::job::by_epoch(tx, run.id, run.life.epoch)?;
                    found.push((run, job));
                }
                Ok::<_, Error>(found)
            })
            .await?;
        let mut gone: BTreeSet<RunId> = ids.into_iter().collect();
        for (run, job) in found {
            gone.remove(&run.id);
            self.remember(run, job).await;
        }
        for id in gone {
            self.active.remove(&id);
        }
        Ok(())
    }

    /// Takes the newest knowledge of a run; one that has ended is released and forgotten.
    async fn remember(&mut self, run: Run, job: Option<Job>) {
        let id = run.id;
        // A retry may have come between: what is seen of an older job must never be taken for the new one's.
        let (job, older) = match job {
            Some(job) if job.epoch != run.life.epoch => (None, true),
            job => (job, false),
        };
        if older {
            self.engine.signals.drive(id);
        }
        let old = self.active.remove(&id);
        if let Some(handed) = old.as_ref().and_then(|old| old.handed.as_ref())
            && (run.life.status.is_terminal() || handed.spec.epoch != run.life.epoch)
            && let Ok(executor) = self.engine.executor(&run.executor)
            && let Err(error) = executor.release(handed.spec.job_id).await
        {
            tracing::warn!(job = %handed.spec.job_id, "could not release the job: {error}");
        }
        if run.life.status.is_terminal() {
            return;
        }
        let same = old.filter(|old| old.run.life.epoch == run.life.epoch);
        let (handed, told, killed_at) =
            same.map_or((None, None, None), |old| (old.handed, old.told, old.killed_at));
        let handed = match (handed, &job) {
            (None, Some(job)) => Some(Arc::new(step::watched(&self.engine, &run, job).await)),
            (handed, _) => handed,
        };
        self.active.insert(id, Active { run, job, handed, told, killed_at });
    }

    /// Makes and submits the jobs of runs that have none; many at a time, so that they share commits.
    async fn step_all(&mut self) -> Result<()> {
        let waiting: Vec<(Run, Option<Job>)> = self
            .active
            .values()
            .filter(|active| {
                let status = active.run.life.status;
                matches!(status, Status::RunCreated | Status::RunRestartRequested | Status::JobCreated)
            })
            .map(|active| (active.run.clone(), active.job.clone()))
            .collect();
        for part in waiting.chunks(64) {
            let steps = part.iter().map(|(run, job)| step::begin(&self.engine, run, job.clone()));
            for outcome in futures::future::join_all(steps).await {
                if let Some((run, job)) = outcome? {
                    self.remember(run, job).await;
                }
            }
        }
        Ok(())
    }

    /// Tells executors of stops, and uses force on jobs that outlive their deadline.
    async fn enforce_stops(&mut self, now: Millis) -> Result<()> {
        let mut moved = Vec::new();
        for active in self.active.values_mut() {
            let (Some(stop), Some(handed)) = (active.run.life.stop, active.handed.clone()) else { continue };
            let executor = self.engine.executor(&active.run.executor)?;
            if active.told.is_none_or(|told| stop.deadline < told) {
                match executor.terminate(&handed, stop.deadline).await {
                    Ok(there_is_a_runner) => {
                        moved.push(step::terminated(&self.engine, &active.run, there_is_a_runner).await?);
                        active.told = Some(stop.deadline);
                    }
                    Err(error) => tracing::warn!(run = %active.run.id, "could not pass on the stop: {error}"),
                }
            }
            let overdue = now.since(stop.deadline) > KILL_AFTER_MS;
            if overdue && active.killed_at.is_none_or(|at| now.since(at) > KILL_AFTER_MS) {
                if let Err(error) = executor.kill(&handed).await {
                    tracing::warn!(run = %active.run.id, "could not end the job with force: {error}");
                }
                active.killed_at = Some(now);
            }
        }
        for run in moved.into_iter().flatten() {
            let job = self.active.get(&run.id).and_then(|active| active.job.clone());
            self.remember(run, job).await;
        }
        Ok(())
    }

    /// Asks every executor about its jobs, which starts what has room, and notes what it says.
    async fn observe(&mut self, now: Millis) -> Result<()> {
        let mut moved = Vec::new();
        let mut waiting = HashMap::new();
        for executor in &self.engine.executors {
            let mine = |active: &&Active| {
                active.run.executor == executor.name() && active.run.life.status != Status::JobCreated
            };
            let asked: Vec<&Active> =
                self.active.values().filter(mine).filter(|active| active.handed.is_some()).collect();
            let jobs: Vec<Arc<executors::Job>> =
                asked.iter().filter_map(|active| active.handed.clone()).collect();
            let seen = executor.poll(&jobs, now).await;
            debug_assert_eq!(seen.len(), asked.len(), "an executor answers for every job");
            for (active, observation) in asked.iter().zip(&seen) {
                if let Observation::Waiting(reason) = observation {
                    waiting.insert(active.run.id, reason.clone());
                }
            }
            let notes = asked.iter().zip(seen).map(|(active, observation): (_, Observation)| {
                step::note(&self.engine, &active.run, active.job.as_ref(), observation, now)
            });
            moved.extend(futures::future::join_all(notes).await);
        }
        *self.engine.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
        for outcome in moved {
            if let Some(run) = outcome? {
                let job = self.active.get(&run.id).and_then(|active| active.job.clone());
                self.remember(run, job).await;
            }
        }
        Ok(())
    }
}
