//! What there is and what is free; whether the server can work.

use runyard_domain::run::Status;
pub use runyard_executors::Capacity;
use runyard_store as store;

use crate::{Actor, Engine, Error, Result};

/// An executor and its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// The executor.
    pub executor: String,
    /// Why it cannot be used now, and what to do about that; `None`: it can.
    pub unavailable: Option<String>,
    /// What there is and what is free. Executors of one machine share it.
    pub capacity: Capacity,
    /// Jobs running.
    pub jobs_running: i64,
    /// Jobs waiting.
    pub jobs_pending: i64,
}

/// Resources of every executor. Any token may ask.
pub async fn resources(engine: &Engine, _actor: &Actor) -> Result<Vec<Resources>> {
    let counts = engine.db.read(|tx| Ok::<_, Error>(store::run::active_counts(tx)?)).await?;
    let count = |executor: &str, wanted: &[Status]| {
        let matching = counts.iter().filter(|(name, status, _)| name == executor && wanted.contains(status));
        matching.map(|(.., count)| count).sum()
    };
    let running = [Status::JobRunning, Status::JobTerminateRequested, Status::JobTerminating];
    let pending = [Status::RunCreated, Status::JobCreated, Status::JobSubmitted, Status::JobPending];
    let of = |name: &str| (count(name, &running), count(name, &pending));
    let mut all = Vec::new();
    for executor in &engine.executors {
        let (jobs_running, jobs_pending) = of(executor.name());
        let (unavailable, capacity) = (executor.available().await.err(), executor.capacity());
        let executor = executor.name().to_owned();
        all.push(Resources { executor, unavailable, capacity, jobs_running, jobs_pending });
    }
    Ok(all)
}

/// Whether runs may be given to this executor now; else why not, and what to do about that.
pub async fn available(engine: &Engine, executor: &str) -> std::result::Result<(), String> {
    match engine.executor(executor) {
        Ok(executor) => executor.available().await,
        Err(error) => Err(error.to_string()),
    }
}

/// Runs by status, for the operator's metrics.
pub async fn counts(engine: &Engine) -> Result<Vec<(Status, i64)>> {
    engine.db.read(|tx| Ok::<_, Error>(store::run::counts(tx)?)).await
}

/// Whether the database answers.
pub async fn ready(engine: &Engine) -> Result<()> {
    Ok(engine.db.check().await?)
}
