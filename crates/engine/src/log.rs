//! Reads the output of a job: by bytes, by lines, from the beginning or the end. What was dropped is said, never hidden.

use runyard_domain::{JobId, RunId, run::Job};
use runyard_store::{self as store, Tx};

use crate::{Actor, Engine, Error, Result, run::visible};

mod instance;
mod lines;
mod search;

pub use instance::read_instance;
pub use lines::{Lines, MAX_LINE, lines};
pub use search::{Found, MAX_TEXT, Match, Search, search};

/// How much output of a job is kept when nothing was said.
pub const DEFAULT_MAX_BYTES: i64 = 1 << 30;
/// The least that can be kept.
pub const MIN_MAX_BYTES: i64 = 1 << 20;

/// A part of a job's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The job.
    pub job_id: JobId,
    /// Its epoch.
    pub epoch: i64,
    /// Where the bytes start.
    pub offset: i64,
    /// The bytes; or, where output was dropped, a line that says so.
    pub bytes: Vec<u8>,
    /// Where the next part starts.
    pub next_offset: i64,
    /// How many bytes were dropped, if this part stands for them.
    pub dropped: Option<i64>,
    /// How much output there was in all.
    pub total: i64,
    /// How many lines it has, the last one included although it may not have ended. Only where lines were asked for.
    pub total_lines: Option<i64>,
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

/// Which part of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// From this byte on; negative: so many before the end.
    Bytes(i64),
    /// From this line on, counted from 1 (negative: so many before the end); and how many, if not all.
    Lines(i64, Option<i64>),
}

/// Where the output of a job is followed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The epoch of the job.
    pub epoch: i64,
    /// From this byte on.
    pub offset: i64,
    /// The entry of the run's log with which the epoch began; 0 for the first one.
    pub sequence: i64,
}

/// Up to `limit` bytes of output. `None`: the run has no job yet.
///
/// # Errors
/// An epoch or a job that the run does not have is not found.
pub async fn read(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    which: Which,
    range: Range,
    limit: i64,
) -> Result<Option<Part>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let Some(job) = find(tx, &actor, run, which)? else { return Ok(None) };
            let (offset, end) = place(tx, &job, range)?;
            let limit = end.map_or(limit, |end| limit.min(end - offset));
            let part = store::log::read(tx, job.id, offset, limit)?;
            let total_lines = match range {
                Range::Bytes(_) => None,
                Range::Lines(..) => Some(store::log::line_count(tx, job.id, job.lengths.logs)?),
            };
            Ok::<_, Error>(Some(Part { total_lines, ..of_job(&job, part) }))
        })
        .await
}

/// What was read of a job's output.
fn of_job(job: &Job, part: store::log::Part) -> Part {
    Part {
        job_id: job.id,
        epoch: job.epoch,
        offset: part.offset,
        bytes: part.bytes,
        next_offset: part.next,
        dropped: part.dropped,
        total: job.lengths.logs,
        total_lines: None,
    }
}

/// Where a follower begins that wants the output from there on. `None`: the run has no job yet.
///
/// # Errors
/// An epoch or a job that the run does not have is not found.
pub async fn start(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    which: Which,
    range: Range,
) -> Result<Option<Start>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let Some(job) = find(tx, &actor, run, which)? else { return Ok(None) };
            let (offset, _) = place(tx, &job, range)?;
            let sequence = store::event::restart(tx, run, job.epoch)?
                .ok_or_else(|| Error::Internal(format!("run {run} has no restart to epoch {}", job.epoch)))?;
            Ok::<_, Error>(Some(Start { epoch: job.epoch, offset, sequence }))
        })
        .await
}

fn find(tx: &mut Tx, actor: &Actor, run: RunId, which: Which) -> Result<Option<Job>> {
    visible(actor, run, store::run::get(tx, run)?)?;
    Ok(match which {
        Which::Newest => store::job::list(tx, run)?.into_iter().next(),
        Which::Epoch(epoch) => Some(
            store::job::by_epoch(tx, run, epoch)?
                .ok_or_else(|| Error::not_found("job with the epoch", epoch))?,
        ),
        Which::Job(id) => Some(
            store::job::get(tx, id)?
                .filter(|job| job.run_id == run)
                .ok_or_else(|| Error::not_found("job", id))?,
        ),
    })
}

/// Where a part starts, and where it ends if it has an end of its own.
fn place(tx: &mut Tx, job: &Job, range: Range) -> Result<(i64, Option<i64>)> {
    let total = job.lengths.logs;
    match range {
        Range::Bytes(offset) if offset < 0 => Ok((total.saturating_add(offset).max(0), None)),
        Range::Bytes(offset) => Ok((offset.min(total), None)),
        Range::Lines(from, count) => {
            let from = if from < 0 {
                store::log::line_count(tx, job.id, total)?.saturating_add(from).saturating_add(1).max(1)
            } else {
                from.max(1)
            };
            let start = store::log::line_start(tx, job.id, from)?.unwrap_or(total);
            let end = match count {
                Some(count) => {
                    let end = store::log::line_start(tx, job.id, from.saturating_add(count.max(0)))?
                        .unwrap_or(total);
                    // Lines of which some were dropped begin and end where the drop begins: the mark is one of them.
                    Some(if end == start && count > 0 { end.saturating_add(1) } else { end })
                }
                None => None,
            };
            Ok((start, end))
        }
    }
}
