//! The next step of one run: make its job, hand it over, note what was seen of it.

use runyard_domain::{
    JobId, Millis, RunId,
    activity::LEASE_MS as LEASE_MS_OF_ACTIVITIES,
    job::{Exit, JobSpec, Reason, WorkerJob},
    run::{Cause, Job, Run, Status},
    secret::SecretEnv,
    worker_run::BATCH,
};
use runyard_executors::{self as executors, Observation};
use runyard_store as store;

use super::LEASE_MS;
use crate::{
    Engine, Error, Result,
    run::{advance, announce, transition},
    secret, token, worker_run,
};

/// Grace of a program that is stopped by something else than a person, in milliseconds.
const OWN_GRACE_MS: i64 = 30_000;

/// The job as its executor and its runner know it.
fn hand(engine: &Engine, run: &Run, job: &Job) -> executors::Job {
    let spec = JobSpec {
        job_id: job.id,
        run_id: run.id,
        project_id: run.project_id,
        epoch: job.epoch,
        run_name: run.name.clone(),
        url: engine.options.url.get().cloned().unwrap_or_default(),
        server_file: engine.options.server_file.as_ref().map(|path| path.display().to_string()),
        token: token::job_secret(engine, job.id),
        command: run.spec.command.clone(),
        image: None,
        source: run.spec.source.clone(),
        env: run.spec.env.clone(),
        secret_env: SecretEnv::default(),
        requirements: run.spec.requirements.clone(),
        config: run.config.clone(),
        resources: run.resources.clone(),
        instances: run.spec.instances(),
        gpus: Vec::new(),
        max_run_time_ms: run.spec.max_run_time_s.map(|limit| limit.saturating_mul(1000)),
        grace_ms: OWN_GRACE_MS,
        cache_dir: engine.options.cache_dir.display().to_string(),
        metric_definitions: run.spec.metric_definitions.clone(),
        worker: worker(run),
        inputs: run.spec.inputs.clone(),
        outputs: run.spec.outputs.clone(),
    };
    // Checked when the run was submitted or restarted.
    let demand = run.resources.demand().unwrap_or_default().times(run.spec.instances());
    executors::Job {
        spec,
        demand,
        image: run.spec.image.clone(),
        registry: None,
        priority: run.priority,
        created_at: run.created_at,
    }
}

/// The job as its executor is asked about it: without the secrets of its program, with the account at the registry that its
/// image comes from.
pub(super) async fn watched(engine: &Engine, run: &Run, job: &Job) -> executors::Job {
    let registry = match secret::of_registry(engine, run).await {
        Ok(Ok(account)) => account,
        // The registry will say that it wants one.
        Ok(Err(reason)) => {
            tracing::warn!(run = %run.id, "{reason}");
            None
        }
        Err(error) => {
            tracing::warn!(run = %run.id, "the account at the registry could not be read: {error}");
            None
        }
    };
    executors::Job { registry, ..hand(engine, run, job) }
}

/// What the job of a worker run must know.
fn worker(run: &Run) -> Option<WorkerJob> {
    let spec = run.spec.worker.as_ref()?;
    Some(WorkerJob {
        worker_run_id: worker_run::of(run.id),
        processes: spec.processes.unwrap_or(1),
        batch: spec.batch.unwrap_or(BATCH),
        lease_ms: spec.lease_ms.unwrap_or(LEASE_MS_OF_ACTIVITIES),
        worker_type: spec.worker_type.unwrap_or_default(),
    })
}

/// Makes the job of a run that has none and hands it to the executor; answers the run as it is then.
pub(super) async fn begin(
    engine: &Engine,
    run: &Run,
    job: Option<Job>,
) -> Result<Option<(Run, Option<Job>)>> {
    let executor = match engine.executor(&run.executor) {
        Ok(executor) => executor,
        Err(error) => return refuse(engine, run, error.to_string()).await,
    };
    let (secret_env, registry) =
        match (secret::of_job(engine, run).await?, secret::of_registry(engine, run).await?) {
            (Ok(values), Ok(account)) => (values, account),
            (Err(reason), _) | (_, Err(reason)) => return refuse(engine, run, reason).await,
        };
    let (run, job) = match job {
        Some(job) if run.life.status == Status::JobCreated => (run.clone(), job),
        _ => {
            if let Err(reason) = fits(executor.as_ref(), run) {
                return refuse(engine, run, reason).await;
            }
            match make(engine, run).await? {
                (run, Some(job)) if run.life.status == Status::JobCreated => (run, job),
                (run, job) => return Ok(Some((run, job))),
            }
        }
    };
    let mut handed = hand(engine, &run, &job);
    // Only what is handed over has them: what the controller keeps does not.
    handed.spec.secret_env = secret_env;
    handed.registry = registry;
    match executor.submit(&handed).await {
        Ok(()) => {
            let causes = vec![Cause::Submitted, Cause::Pending { reason: None }];
            Ok(advance(engine, run.id, job.epoch, causes).await?.map(|run| (run, Some(job))))
        }
        Err(executors::Error::Refused(reason)) => {
            let exit = Exit::because(Reason::BackendFailed, reason, engine.now());
            let ended = advance(engine, run.id, job.epoch, vec![Cause::Ended { exit }]).await?;
            Ok(ended.map(|run| (run, Some(job))))
        }
        Err(executors::Error::Unavailable(reason)) => {
            tracing::warn!(run = %run.id, "could not hand over the job, and tries again: {reason}");
            Ok(None)
        }
    }
}

/// Whether the executor could ever run all instances of the run at once; else why not.
fn fits(executor: &dyn executors::Executor, run: &Run) -> std::result::Result<(), String> {
    let count = run.spec.instances();
    let all = run.resources.times(count);
    let demand = all.demand().unwrap_or_default();
    executor.check(&demand, &all).map_err(|reason| match count {
        1 => reason,
        _ => format!("{reason} (in all, for {count} instances, which start together: fewer need less)"),
    })
}

/// Makes the job of the run's epoch, once.
async fn make(engine: &Engine, run: &Run) -> Result<(Run, Option<Job>)> {
    let (id, now) = (run.id, engine.now());
    let fresh = engine.id(JobId::new);
    let token = token::job_token(engine, run.project_id, run.id, fresh);
    let epoch = run.life.epoch;
    let made = engine
        .db
        .write(move |tx| {
            let Some(mut run) = store::run::lock(tx, id)? else { return Ok(None) };
            let wants = matches!(run.life.status, Status::RunCreated | Status::RunRestartRequested);
            if wants && run.life.epoch == epoch {
                let job = Job {
                    id: fresh,
                    run_id: id,
                    epoch,
                    executor: run.executor.clone(),
                    created_at: now,
                    started_at: None,
                    seen_at: None,
                    ended_at: None,
                    exit: None,
                    lengths: runyard_domain::job::StreamLengths::default(),
                };
                store::job::insert(tx, &job)?;
                store::token::insert(tx, &token)?;
                transition(tx, &mut run, &Cause::JobMade, now)?;
            }
            let job = store::job::by_epoch(tx, id, run.life.epoch)?;
            Ok::<_, Error>(Some((run, job)))
        })
        .await?;
    match made {
        Some(made) => {
            announce(engine, id, &[]);
            Ok(made)
        }
        None => Err(Error::not_found("run", id)),
    }
}

async fn refuse(engine: &Engine, run: &Run, reason: String) -> Result<Option<(Run, Option<Job>)>> {
    let refused = match run.life.status {
        Status::RunCreated | Status::RunRestartRequested => Cause::JobRefused { reason },
        _ => Cause::Ended { exit: Exit::because(Reason::BackendFailed, reason, engine.now()) },
    };
    Ok(advance(engine, run.id, run.life.epoch, vec![refused]).await?.map(|run| (run, None)))
}

/// Notes that the executor was told of a stop: there is a runner that will see to it, or the job never started.
pub(super) async fn terminated(engine: &Engine, run: &Run, there_is_a_runner: bool) -> Result<Option<Run>> {
    let cause = if there_is_a_runner {
        if run.life.status != Status::RunStopRequested {
            return Ok(None);
        }
        Cause::TerminateSent
    } else {
        Cause::Ended {
            exit: Exit::because(Reason::NeverStarted, "stopped before it was started", engine.now()),
        }
    };
    advance(engine, run.id, run.life.epoch, vec![cause]).await
}

/// Notes that a job was lost from sight.
pub(super) async fn lost(engine: &Engine, id: RunId, epoch: i64, reason: &str) -> Result<Option<Run>> {
    advance(engine, id, epoch, vec![Cause::Lost { reason: reason.to_owned() }]).await
}

/// Notes what an executor saw of a job, where it says something new; answers the run if it moved.
pub(super) async fn note(
    engine: &Engine,
    run: &Run,
    job: Option<&Job>,
    seen: Observation,
    now: Millis,
) -> Result<Option<Run>> {
    let unknown = run.life.status == Status::JobUnknown;
    let cause = match seen {
        Observation::Waiting(_) | Observation::Alive if unknown => {
            Cause::Found { running: job.is_some_and(|job| job.started_at.is_some()) }
        }
        Observation::Ended(exit) => Cause::Ended { exit },
        // Only a back end that does not know the job and a runner that is silent are proof together.
        Observation::Absent if is_silent(engine, run, now).await? => {
            let message = "its executor does not know the job any more, and its runner is silent";
            Cause::Ended { exit: Exit::because(Reason::BackendFailed, message, now) }
        }
        Observation::OutOfSight(reason) if !unknown && is_silent(engine, run, now).await? => {
            Cause::Lost { reason }
        }
        Observation::Waiting(_) | Observation::Alive | Observation::Absent | Observation::OutOfSight(_) => {
            return Ok(None);
        }
    };
    advance(engine, run.id, run.life.epoch, vec![cause]).await
}

/// Whether the current job's runner has not been heard of for the length of a lease. Read anew: heartbeats do not
/// reach the controller's memory.
async fn is_silent(engine: &Engine, run: &Run, now: Millis) -> Result<bool> {
    let (id, epoch) = (run.id, run.life.epoch);
    let job = engine.db.read(move |tx| Ok::<_, Error>(store::job::by_epoch(tx, id, epoch)?)).await?;
    Ok(job.is_none_or(|job| now.since(job.seen_at.unwrap_or(job.created_at)) > LEASE_MS))
}
