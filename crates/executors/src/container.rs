//! Jobs as containers of an engine on this machine that speaks Docker's API. The same runner on the same folder as of a
//! local job, only inside of an image; whoever has no container left is delivered by a runner outside.
//!
//! The engine is never waited for in a round: it is asked in tasks, and may be away for as long as it likes. No job fails
//! because of that.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bollard::Docker;
use nix::sys::signal::Signal;
use runyard_domain::{
    JobId, Millis,
    resources::{Demand, Resources},
};

use crate::{
    Capacity, Error, Executor, Job, Observation,
    local::{Local, Shared, folder, on_a_thread, process, request, unavailable},
};

mod body;
mod care;
mod docker;
mod end;
mod image;
mod orphans;
mod round;
pub mod runner;

use docker::Trouble;
use round::State;

/// After an engine did not answer, it is not asked again before this.
const AWAY: Duration = Duration::from_secs(2);
/// How often the removal of a container is tried, with a pause that grows by this.
const REMOVALS: u32 = 10;
const REMOVE_AGAIN: Duration = Duration::from_millis(100);
/// An engine that answered so recently is taken to be there.
const THERE: Duration = Duration::from_secs(5);

/// How containers are run.
#[derive(Debug, Clone)]
pub struct ContainerOptions {
    /// Addresses of engines, `unix:///PATH` or `tcp://HOST:PORT`; the first that answers is used. It has to share this
    /// machine's disks.
    pub engines: Vec<String>,
    /// The static runner; or why there is none.
    pub runner: Result<PathBuf, String>,
    /// Stable name of this server: its containers carry it.
    pub server_id: String,
    /// Network of the containers: `host`, `bridge`, or the name of one.
    pub network: String,
    /// `UID:GID` inside; `None`: the server's own.
    pub user: Option<String>,
    /// Address of the server as it is seen from the network of the containers; `None`: its own.
    pub url: Option<String>,
    /// The server's own address; filled in once it listens.
    pub server_url: Arc<OnceLock<String>>,
}

/// The executor for containers on this machine. Needs a tokio runtime around every call.
#[derive(Debug)]
pub struct Container {
    inner: Arc<Inner>,
    /// Held by whoever starts, stops or deletes: so a job that was stopped is never started afterwards.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    options: ContainerOptions,
    client: Mutex<Client>,
    state: Mutex<State>,
}

/// What is known of the engine.
#[derive(Debug, Clone, Default)]
struct Client {
    found: Option<Engine>,
    answered: Option<Instant>,
    away: Option<(Instant, Trouble)>,
}

/// An engine that answered.
#[derive(Debug, Clone)]
struct Engine {
    docker: Docker,
    rootless: bool,
}

impl Container {
    /// Takes charge of containers on the machine of `local`: both share its folders, and what it has.
    ///
    /// # Errors
    /// Jobs would not find the server from where they are.
    pub fn new(options: ContainerOptions, local: &Local) -> Result<Self, Error> {
        if options.network != "host" && options.url.is_none() {
            return Err(Error::Refused(format!(
                "jobs in the network `{}` do not find this server: say with --container-url how they do, or use --container-network host",
                options.network
            )));
        }
        let own = local.shared();
        own.ledger.expect("container");
        let shared = Shared::new("container", own.options.clone(), Arc::clone(&own.ledger));
        let inner =
            Inner { shared: Arc::new(shared), options, client: Mutex::default(), state: Mutex::default() };
        Ok(Self { inner: Arc::new(inner), turn: Arc::default() })
    }

    /// Runs `work` on a thread that may wait for the disk, alone among those that change jobs. It goes on to its
    /// end when the caller is dropped.
    async fn alone<T: Send + 'static>(&self, work: impl FnOnce(&Arc<Shared>) -> T + Send + 'static) -> T {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let shared = Arc::clone(&self.inner.shared);
        on_a_thread(move || {
            let _turn = turn;
            work(&shared)
        })
        .await
    }

    /// Leaves an order in the folder, and sends the signal to whoever runs there, inside or outside.
    async fn stop(&self, job: JobId, deadline: Option<Millis>, signal: Signal) -> Result<bool, Error> {
        let told = self.alone(move |shared| shared.stop(job, deadline, signal)).await?;
        self.inner.shared.changed.notify_one();
        if told {
            // A signal that is lost, because the engine is away, is made up for by the next heartbeat's answer.
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                let sent = match inner.engine().await {
                    Ok(engine) => docker::signal(&engine.docker, &name(job), signal.as_str()).await,
                    Err(trouble) => Err(trouble),
                };
                if let Err(trouble) = sent {
                    tracing::warn!("job {job}: its container was not sent {signal}: {trouble}");
                }
            });
        }
        Ok(told)
    }
}

/// The name of a job's container.
fn name(job: JobId) -> String {
    format!("runyard-{job}")
}

#[async_trait::async_trait]
impl Executor for Container {
    fn name(&self) -> &'static str {
        "container"
    }

    fn check(&self, demand: &Demand, resources: &Resources) -> Result<(), String> {
        request::check(&self.inner.shared.ledger.machine, demand, resources)
    }

    async fn available(&self) -> Result<(), String> {
        if let Err(why) = &self.inner.options.runner {
            return Err(why.clone());
        }
        let with_help = |trouble: Trouble| match trouble.to_string() {
            text if text.contains(docker::HOW_TO_START) => text,
            text => format!("{text}: {}", docker::HOW_TO_START),
        };
        let answered = self.inner.client().answered;
        if answered.is_some_and(|at| at.elapsed() < THERE) {
            return Ok(());
        }
        let engine = self.inner.engine().await.map_err(with_help)?;
        let answer = docker::ping(&engine.docker).await;
        self.inner.heard(&answer);
        answer.map_err(with_help)
    }

    fn capacity(&self) -> Capacity {
        self.inner.shared.ledger.capacity()
    }

    async fn submit(&self, job: &Job) -> Result<(), Error> {
        let (shared, spec) = (Arc::clone(&self.inner.shared), job.spec.clone());
        if job.image.is_none() {
            return Err(Error::Refused(
                "a run without an image cannot run in a container: name one with --image".to_owned(),
            ));
        }
        on_a_thread(move || {
            let folder = shared.folder(spec.job_id);
            folder::submit(&folder, &spec).map_err(|error| unavailable("write", &folder, &error))
        })
        .await?;
        self.inner.shared.changed.notify_one();
        Ok(())
    }

    async fn poll(&self, jobs: &[Arc<Job>], now: Millis) -> Vec<Observation> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.inner.round(turn, jobs, now).await
    }

    async fn terminate(&self, job: &Job, deadline: Millis) -> Result<bool, Error> {
        self.stop(job.spec.job_id, Some(deadline), Signal::SIGTERM).await
    }

    async fn kill(&self, job: &Job) -> Result<(), Error> {
        self.stop(job.spec.job_id, None, Signal::SIGKILL).await.map(|_| ())
    }

    async fn release(&self, job: JobId) -> Result<(), Error> {
        let released = self.alone(move |shared| shared.release(job)).await;
        self.inner.forget(job);
        self.inner.shared.changed.notify_one();
        self.inner.discard(job);
        released
    }

    async fn delete(&self, job: JobId) -> Result<i64, Error> {
        let bytes = self.alone(move |shared| shared.delete(job)).await?;
        self.inner.forget(job);
        self.inner.discard(job);
        Ok(bytes)
    }

    async fn open(&self, job: JobId, place: &str) -> Option<std::fs::File> {
        self.inner.shared.open(job, place).await
    }

    async fn changed(&self) {
        self.inner.shared.changed.notified().await;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine. One that was found stays until it does not answer.
    async fn engine(&self) -> Result<Engine, Trouble> {
        let known = self.client().clone();
        if let Some(engine) = known.found {
            return Ok(engine);
        }
        if let Some((_, trouble)) = known.away.filter(|(at, _)| at.elapsed() < AWAY) {
            return Err(trouble);
        }
        let found = self.find().await;
        self.heard(&found);
        let engine = found?;
        self.client().found = Some(engine.clone());
        Ok(engine)
    }

    async fn find(&self) -> Result<Engine, Trouble> {
        let (docker, address) = docker::connect(&self.options.engines).await?;
        let rootless = docker::is_rootless(&docker).await?;
        tracing::info!("containers are run by the engine at {address}");
        Ok(Engine { docker, rootless })
    }

    /// Notes whether the engine answered.
    fn heard<T>(&self, answer: &Result<T, Trouble>) {
        let mut client = self.client();
        if let Err(trouble @ Trouble::Away(_)) = answer {
            *client = Client { found: None, answered: None, away: Some((Instant::now(), trouble.clone())) };
        } else {
            client.answered = Some(Instant::now());
            client.away = None;
        }
    }

    /// The address at which jobs find the server.
    fn url(&self) -> Option<&str> {
        self.options.url.as_deref().or_else(|| self.options.server_url.get().map(String::as_str))
    }

    /// Removes the container of a job that is over, once its runner has left: until then an engine would have to end it. What fails
    /// for long is tried again with the orphans.
    fn discard(self: &Arc<Self>, job: JobId) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            for attempt in 1..=REMOVALS {
                match inner.try_to_remove(job).await {
                    Ok(()) => return,
                    Err(why) if attempt == REMOVALS => {
                        tracing::warn!(
                            "job {job}: its container could not be removed, and is tried again: {why}"
                        );
                    }
                    Err(_) => tokio::time::sleep(REMOVE_AGAIN * attempt).await,
                }
            }
        });
    }

    async fn try_to_remove(&self, job: JobId) -> Result<(), String> {
        let folder = self.shared.folder(job);
        if process::is_locked(&folder).unwrap_or(false) {
            return Err("its runner is still there".to_owned());
        }
        let engine = self.engine().await.map_err(|trouble| trouble.to_string())?;
        let removed = docker::remove(&engine.docker, &name(job)).await;
        self.heard(&removed);
        removed.map_err(|trouble| trouble.to_string())
    }
}
