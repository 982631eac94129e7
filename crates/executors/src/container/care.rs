//! Sees to one container whose folder has no runner: makes it, starts it, or finds out how it ended. May be cut off between any
//! two lines; the next one begins with what the engine shows.

use std::sync::Arc;

use nix::unistd::{getgid, getuid};
use runyard_domain::{
    JobId, Millis,
    job::{Exit, Reason},
};

use super::{
    Inner,
    body::{self, Surroundings},
    docker::{self, Sight, Trouble},
    end,
    image::Lacking,
    name,
    round::has_begun,
};
use crate::Job;

/// How often a container that cannot be started is tried.
const ATTEMPTS_MAX: u32 = 3;
/// Between two tries.
const PAUSE_MS: i64 = 1_000;
/// A container that runs, and whose runner does not hold its lock yet, is looked at again after this.
const LOOK_AGAIN_MS: i64 = 200;

/// What became of it.
enum Outcome {
    /// It was started, or runs: its runner is waited for.
    Runs,
    /// It is over; the exit record is written.
    Over,
    /// The engine could not be asked.
    Away(String),
    /// It could not be started.
    Failed(Reason, String),
}

impl Inner {
    /// Does what the container of a job needs next.
    pub(super) async fn see_to(self: Arc<Self>, job: Arc<Job>, gpus: Vec<String>) {
        let id = job.spec.job_id;
        let outcome = self.next(&job, &gpus).await;
        let attempts = self.state().cares.get(&id).map_or(0, |care| care.attempts);
        let (mut away, mut pause, mut failed) = (None, LOOK_AGAIN_MS, 0);
        match outcome {
            Outcome::Runs | Outcome::Over => {}
            Outcome::Away(why) => (away, pause) = (Some(why), PAUSE_MS),
            Outcome::Failed(reason, why)
                if attempts + 1 < ATTEMPTS_MAX && reason == Reason::BackendFailed =>
            {
                tracing::warn!("job {id}: {why}; trying again");
                (failed, pause) = (1, PAUSE_MS << attempts);
            }
            Outcome::Failed(reason, why) => {
                if let Err(error) = self.end(id, Exit::because(reason, why, now())).await {
                    tracing::warn!("job {id}: cannot write how it ended: {error}");
                    pause = PAUSE_MS;
                }
            }
        }
        if let Some(care) = self.state().cares.get_mut(&id) {
            care.busy = false;
            care.away = away;
            care.attempts += failed;
            care.not_before = now().plus(pause);
        }
        self.shared.changed.notify_one();
        self.shared.wake_in(pause);
    }

    async fn next(&self, job: &Job, gpus: &[String]) -> Outcome {
        let id = job.spec.job_id;
        let engine = match self.engine().await {
            Ok(engine) => engine,
            Err(trouble) => return Outcome::Away(trouble.to_string()),
        };
        let seen = docker::inspect(&engine.docker, &name(id)).await;
        self.heard(&seen);
        let folder = self.shared.folder(id);
        match seen {
            Err(Trouble::Away(why)) => Outcome::Away(why),
            Err(trouble) => {
                Outcome::Failed(Reason::BackendFailed, format!("its container cannot be seen: {trouble}"))
            }
            Ok(Some(Sight::Running)) => Outcome::Runs,
            Ok(Some(Sight::Created)) => self.start(job, gpus, true).await,
            Ok(None) if !has_begun(&folder) => self.start(job, gpus, false).await,
            Ok(None) => {
                let message = "its container is gone: somebody removed it, or the engine lost it; the program was ended with it";
                self.over(id, Exit::because(Reason::RunnerKilled, message, now())).await
            }
            Ok(Some(Sight::Ended(ended))) => {
                let log = docker::log(&engine.docker, &name(id)).await;
                let exit = end::classify(&folder, job, &ended, &log, now());
                self.over(id, exit).await
            }
        }
    }

    async fn over(&self, job: JobId, exit: Exit) -> Outcome {
        match self.end(job, exit).await {
            Ok(()) => Outcome::Over,
            Err(error) => Outcome::Away(format!("cannot write how job {job} ended: {error}")),
        }
    }

    /// Makes the container, unless it is `there`, and starts it.
    async fn start(&self, job: &Job, gpus: &[String], there: bool) -> Outcome {
        let name = name(job.spec.job_id);
        let started = match if there { Ok(()) } else { self.make(job, gpus, &name).await } {
            Ok(()) => match self.engine().await {
                Ok(engine) => docker::start(&engine.docker, &name).await,
                Err(trouble) => Err(trouble),
            },
            Err(Lacking::Away(why)) => return Outcome::Away(why),
            Err(Lacking::For(reason, why)) => return Outcome::Failed(reason, why),
        };
        self.heard(&started);
        match started {
            Ok(()) => Outcome::Runs,
            Err(Trouble::Away(why)) => Outcome::Away(why),
            Err(trouble) => {
                Outcome::Failed(reason_of(&trouble), format!("its container could not be started: {trouble}"))
            }
        }
    }

    async fn make(&self, job: &Job, gpus: &[String], name: &str) -> Result<(), Lacking> {
        let image = self.image(job, &|_| ()).await?;
        let engine = self.engine().await.map_err(|trouble| Lacking::Away(trouble.to_string()))?;
        let runner = (self.options.runner.clone()).map_err(|why| Lacking::For(Reason::BackendFailed, why))?;
        let shown = |path: &std::path::Path| path.display().to_string();
        let cache = std::path::absolute(&self.shared.options.cache);
        let around = Surroundings {
            options: &self.options,
            runner: &shown(&runner),
            folder: &shown(&self.shared.folder(job.spec.job_id)),
            cache: &shown(cache.as_deref().unwrap_or(&self.shared.options.cache)),
            gpus,
            memory_bytes: self.shared.ledger.machine.memory_bytes,
            rootless: engine.rootless,
            own_user: format!("{}:{}", getuid(), getgid()),
        };
        let made = docker::create(&engine.docker, name, body::body(job, &image, &around)).await;
        self.heard(&made);
        match made {
            Ok(()) => Ok(()),
            Err(Trouble::Away(why)) => Err(Lacking::Away(why)),
            Err(trouble) => {
                Err(Lacking::For(reason_of(&trouble), format!("its container could not be made: {trouble}")))
            }
        }
    }
}

fn reason_of(trouble: &Trouble) -> Reason {
    if trouble.is_no_space() { Reason::NoSpace } else { Reason::BackendFailed }
}

/// The time; of tasks, which nobody passes it to.
fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
