//! Reads the output of a job.

use runyard_domain::{JobId, RunId};
use runyard_store as store;

use crate::{Actor, Engine, Error, Result, run::visible};

/// A part of a job's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The job.
    pub job_id: JobId,
    /// Its epoch.
    pub epoch: i64,
    /// Where the bytes start.
    pub offset: i64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How much output is stored in all.
    pub total: i64,
}

/// Which job of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The newest one.
    Newest,
    /// The one with this epoch.
    Epoch(i64),
    /// This one.
    Job(JobId),
}

/// Up to `limit` bytes of output from `offset`; a negative offset counts from the end. `None`: the run has no job yet.
///
/// # Errors
/// An epoch or a job that the run does not have is not found.
pub async fn read(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    which: Which,
    offset: i64,
    limit: i64,
) -> Result<Option<Part>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            visible(&actor, run, store::run::get(tx, run)?)?;
            let job = match which {
                Which::Newest => match store::job::list(tx, run)?.into_iter().next() {
                    Some(job) => job,
                    None => return Ok(None),
                },
                Which::Epoch(epoch) => store::job::by_epoch(tx, run, epoch)?
                    .ok_or_else(|| Error::not_found("job with the epoch", epoch))?,
                Which::Job(id) => store::job::get(tx, id)?
                    .filter(|job| job.run_id == run)
                    .ok_or_else(|| Error::not_found("job", id))?,
            };
            let total = job.lengths.logs;
            let offset = if offset < 0 { total.saturating_add(offset).max(0) } else { offset.min(total) };
            let bytes = store::log::read(tx, job.id, offset, limit)?;
            Ok::<_, Error>(Some(Part { job_id: job.id, epoch: job.epoch, offset, bytes, total }))
        })
        .await
}
