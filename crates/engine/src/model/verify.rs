//! Verifications under way: one per version at a time, whoever asks, and never ended because somebody stopped waiting.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use runyard_domain::ModelVersionId;
use tokio::sync::Semaphore;

use super::finish::Finished;
use crate::{Engine, Error, Result};

/// How long a request waits for the end of a verification.
const WAIT: Duration = Duration::from_secs(20);
/// Archives that are read at once: each takes a core or two and some memory.
const AT_ONCE: usize = 4;

/// How a verification ends, for everybody who waits for it.
pub(super) type Outcome = Shared<BoxFuture<'static, Result<Finished>>>;

/// What is being verified on this server.
pub struct Verifications {
    by_version: Mutex<HashMap<ModelVersionId, Outcome>>,
    places: Semaphore,
    wait: Mutex<Duration>,
}

impl Default for Verifications {
    fn default() -> Self {
        Self { by_version: Mutex::default(), places: Semaphore::new(AT_ONCE), wait: Mutex::new(WAIT) }
    }
}

/// Joins the verification of this version, or starts it.
pub(super) fn join<F>(engine: &Engine, id: ModelVersionId, work: impl FnOnce(Engine) -> F) -> Outcome
where
    F: Future<Output = Result<Finished>> + Send + 'static,
{
    let mut under_way = under_way(engine);
    if let Some(same) = under_way.get(&id) {
        return same.clone();
    }
    let (own, work) = (engine.clone(), work(engine.clone()));
    let task = tokio::spawn(async move {
        let ended = match own.models.places.acquire().await {
            // On a task of its own: a panic must not leave the version under way for ever.
            Ok(_place) => tokio::spawn(work).await,
            Err(closed) => Ok(Err(Error::Internal(closed.to_string()))),
        };
        self::under_way(&own).remove(&id);
        ended.unwrap_or_else(|error| Err(Error::Internal(format!("a verification did not end: {error}"))))
    });
    let outcome = async move {
        task.await
            .unwrap_or_else(|error| Err(Error::Internal(format!("a verification did not end: {error}"))))
    };
    let outcome = outcome.boxed().shared();
    under_way.insert(id, outcome.clone());
    outcome
}

/// How it ended; `None`: it goes on.
pub(super) async fn wait(engine: &Engine, outcome: Outcome) -> Option<Result<Finished>> {
    let patience = *engine.models.wait.lock().unwrap_or_else(PoisonError::into_inner);
    tokio::time::timeout(patience, outcome).await.ok()
}

#[cfg(test)]
impl Verifications {
    /// Requests do not wait at all.
    pub(super) fn hurry(&self) {
        *self.wait.lock().unwrap() = Duration::ZERO;
    }

    /// Nothing is read until this is dropped.
    pub(super) async fn occupy(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.places.acquire_many(AT_ONCE as u32).await.unwrap()
    }

    /// How many verifications are under way.
    pub(super) fn count(&self) -> usize {
        self.by_version.lock().unwrap().len()
    }
}

fn under_way(engine: &Engine) -> MutexGuard<'_, HashMap<ModelVersionId, Outcome>> {
    engine.models.by_version.lock().unwrap_or_else(PoisonError::into_inner)
}
