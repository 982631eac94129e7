//! What runners say: start, heartbeat, streams, end. Each may be repeated; an older epoch is refused.

use bytes::Bytes;
pub use runyard_domain::run::Job;
use runyard_domain::{
    JobId, Millis, RunId,
    job::{Exit, Stream, StreamLengths},
    progress,
    record::{self, Record},
    run::{Cause, Effect, Run, Status},
};
use runyard_store::{self as store, Tx};

use crate::{
    Actor, Engine, Error, Result, file_set, metric,
    run::{announce, transition, visible},
};

/// A heartbeat is written down when the last one is older than this, in milliseconds.
const SEEN_EVERY_MS: i64 = 5_000;

/// What a runner must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// When the program must be dead, if a stop is in force.
    pub stop_deadline: Option<Millis>,
    /// This server's clock.
    pub now: Millis,
    /// Bytes of each stream that are stored.
    pub lengths: StreamLengths,
}

/// The answer to a chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Where the next chunk starts.
    pub next_offset: i64,
    /// `(offset, what is wrong)` of lines that were no records.
    pub rejected: Vec<(i64, String)>,
}

/// Jobs of a run, newest first.
pub async fn list(engine: &Engine, actor: &Actor, run: RunId) -> Result<Vec<Job>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            visible(&actor, run, store::run::get(tx, run)?)?;
            Ok::<_, Error>(store::job::list(tx, run)?)
        })
        .await
}

/// The runner reports in: from here on the run is `job_running`.
///
/// # Errors
/// `stale_epoch` when the run has a newer job or has ended: the runner must not launch anything.
pub async fn start(engine: &Engine, actor: &Actor, job: JobId, host: String) -> Result<State> {
    let (now, actor) = (engine.now(), actor.clone());
    let (state, run, effects) = engine
        .db
        .write(move |tx| {
            let (mut run, job) = current(tx, &actor, job)?;
            if run.life.status.is_terminal() {
                let status = run.life.status;
                return Err(stale(format!("run {} has ended ({status}): this job must not start", run.id)));
            }
            store::job::seen(tx, job.id, now, Some(&host))?;
            let effects = transition(tx, &mut run, &Cause::Started, now)?;
            Ok::<_, Error>((state(&run, &job, now), run.id, effects))
        })
        .await?;
    announce(engine, run, &effects);
    Ok(state)
}

/// The runner is alive. `terminating`: it has told the program to stop.
pub async fn heartbeat(engine: &Engine, actor: &Actor, job: JobId, terminating: bool) -> Result<State> {
    let now = engine.now();
    let reader = actor.clone();
    let (answer, due) = engine
        .db
        .read(move |tx| {
            let (run, job) = seen(tx, &reader, job)?;
            let lost = run.life.status == Status::JobUnknown;
            let untold =
                terminating && run.life.status != Status::JobTerminating && !run.life.status.is_terminal();
            let unseen = job.seen_at.is_none_or(|seen| now.since(seen) >= SEEN_EVERY_MS);
            Ok::<_, Error>((state(&run, &job, now), lost || untold || unseen))
        })
        .await?;
    if !due {
        return Ok(answer);
    }
    let actor = actor.clone();
    let (state, run, effects) = engine
        .db
        .write(move |tx| {
            let (mut run, job) = current(tx, &actor, job)?;
            store::job::seen(tx, job.id, now, None)?;
            let mut effects = Vec::new();
            if !run.life.status.is_terminal() {
                effects.extend(transition(tx, &mut run, &Cause::Found { running: true }, now)?);
                if terminating {
                    effects.extend(transition(tx, &mut run, &Cause::Terminating, now)?);
                }
            }
            Ok::<_, Error>((state(&run, &job, now), run.id, effects))
        })
        .await?;
    announce(engine, run, &effects);
    Ok(state)
}

/// Appends a chunk of a stream at `offset`; what is stored already is skipped.
///
/// # Errors
/// [`Error::OffsetGap`] when bytes between are missing.
pub async fn append(
    engine: &Engine,
    actor: &Actor,
    job: JobId,
    stream: Stream,
    offset: i64,
    chunk: Bytes,
) -> Result<Appended> {
    if stream != Stream::Logs && !chunk.is_empty() && !chunk.ends_with(b"\n") {
        return Err(Error::field("body", "a chunk of records must end at the end of a line"));
    }
    if offset < 0 {
        return Err(Error::field("offset", format!("{offset} is negative: a stream starts at 0")));
    }
    let (now, actor, cap) = (engine.now(), actor.clone(), engine.options.max_log_bytes);
    let (appended, run) = engine
        .db
        .write(move |tx| {
            let (run, job) = current(tx, &actor, job)?;
            let stored = job.lengths.of(stream);
            if offset > stored {
                return Err(Error::OffsetGap { given: offset, expected: stored });
            }
            let fresh =
                usize::try_from(stored - offset).map_or(&[][..], |skip| chunk.get(skip..).unwrap_or(&[]));
            let mut appended = Appended { next_offset: stored + fresh.len() as i64, rejected: Vec::new() };
            if !fresh.is_empty() {
                if stream == Stream::Logs {
                    store::log::append(tx, job.id, stored, fresh, cap)?;
                } else {
                    appended.rejected = take_records(tx, &run, &job, stored, fresh, now)?;
                }
                store::job::set_length(tx, job.id, stream, appended.next_offset)?;
            }
            Ok((appended, run.id))
        })
        .await?;
    engine.signals.changed(run);
    Ok(appended)
}

/// The job has ended: the exit record, after all of the streams.
///
/// # Errors
/// [`Error::Incomplete`] when a stream is shorter than the runner says.
pub async fn end(
    engine: &Engine,
    actor: &Actor,
    job: JobId,
    exit: Exit,
    lengths: StreamLengths,
) -> Result<State> {
    let (now, actor) = (engine.now(), actor.clone());
    let (state, run, effects) = engine
        .db
        .write(move |tx| {
            let (mut run, job) = match current(tx, &actor, job) {
                // Said once already; an automatic restart may have raised the epoch since.
                Err(Error::Conflict { .. }) if ended_already(tx, job)? => return repeated(tx, job, now),
                other => other?,
            };
            if Stream::ALL.into_iter().any(|stream| job.lengths.of(stream) < lengths.of(stream)) {
                return Err(Error::Incomplete { stored: job.lengths });
            }
            file_set::end_job(tx, &run, job.id, now)?;
            let effects = transition(tx, &mut run, &Cause::Ended { exit: exit.clone() }, now)?;
            Ok((state(&run, &job, now), run.id, effects))
        })
        .await?;
    announce(engine, run, &effects);
    engine.signals.drive(run);
    Ok(state)
}

type Answer = (State, RunId, Vec<Effect>);

fn ended_already(tx: &mut Tx, job: JobId) -> Result<bool> {
    Ok(store::job::get(tx, job)?.is_some_and(|job| job.ended_at.is_some()))
}

fn repeated(tx: &mut Tx, job: JobId, now: Millis) -> Result<Answer> {
    let job = store::job::get(tx, job)?.ok_or_else(|| Error::not_found("job", job))?;
    Ok((State { stop_deadline: None, now, lengths: job.lengths }, job.run_id, Vec::new()))
}

/// The job and its run, locked, if the job is the run's current one.
fn current(tx: &mut Tx, actor: &Actor, id: JobId) -> Result<(Run, Job)> {
    // The lock comes first: the lengths of the job's streams move behind it.
    let job = store::job::get(tx, id)?.ok_or_else(|| Error::not_found("job", id))?;
    store::run::lock(tx, job.run_id)?;
    seen(tx, actor, id)
}

/// The job and its run, if the job is the run's current one.
pub(crate) fn seen(tx: &mut Tx, actor: &Actor, id: JobId) -> Result<(Run, Job)> {
    let job = store::job::get(tx, id)?.ok_or_else(|| Error::not_found("job", id))?;
    let run = visible(actor, job.run_id, store::run::get(tx, job.run_id)?)?;
    if job.epoch != run.life.epoch {
        return Err(stale(format!(
            "job {id} is attempt {} of run {}, which is at attempt {} now: it can change nothing any more",
            job.epoch, run.id, run.life.epoch
        )));
    }
    Ok((run, job))
}

fn stale(message: String) -> Error {
    Error::Conflict { code: "stale_epoch", message }
}

fn state(run: &Run, job: &Job, now: Millis) -> State {
    State { stop_deadline: run.life.stop.map(|stop| stop.deadline), now, lengths: job.lengths }
}

/// Stores the records of whole lines; answers the lines that were none.
fn take_records(
    tx: &mut Tx,
    run: &Run,
    job: &Job,
    start: i64,
    lines: &[u8],
    now: Millis,
) -> Result<Vec<(i64, String)>> {
    let mut rejected = Vec::new();
    let mut points = Vec::new();
    let mut operations = None;
    let mut offset = start;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if !text.iter().all(u8::is_ascii_whitespace) {
            match record::parse_line(text) {
                Ok(Record::Metric(point)) => points.push(point),
                Ok(Record::Metrics(mut more)) => points.append(&mut more),
                Ok(Record::Progress(reported)) => {
                    let known = operations.as_ref().unwrap_or(&run.progress);
                    operations = Some(progress::advance(known, reported, now));
                }
                // The runner, which has the files, does what these ask for.
                Ok(Record::Checkpoint(_) | Record::Artifact(_) | Record::Model(_)) => {}
                Err(error) => rejected.push((offset, error.to_string())),
            }
        }
        offset += line.len() as i64;
    }
    metric::append(tx, run.id, job, points, now)?;
    if let Some(operations) = operations {
        store::run::save_progress(tx, run.id, &operations, now)?;
    }
    Ok(rejected)
}
