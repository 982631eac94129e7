//! What runners say over HTTP, and the jobs of a run.

use axum::extract::{Path, State};
use runyard_domain::{JobId, RunId, job::Stream};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    job::{Appended, EndJob, Heartbeat, Job, JobState, Rejected, StartJob},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    body::{Raw, Valid},
    error::Problem,
    limits,
    openapi::{BadBody, BadBytes, Conflicting, Missing, Refused},
    query::{Nothing, Query},
};

/// Where a chunk belongs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct At {
    /// Where the chunk starts in the stream, in bytes.
    #[param(minimum = 0)]
    offset: i64,
}

/// Lists the jobs of a run
///
/// Newest first.
#[utoipa::path(get, path = "/runs/{run_id}/jobs", operation_id = "list_jobs", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")),
    responses((status = 200, description = "Jobs.", body = Data<Vec<Job>>), Missing, Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<Job>> {
    let jobs = engine::job::list(&app.engine, &actor, run).await?;
    data(jobs.into_iter().map(wire).collect())
}

/// A runner reports in
///
/// The program may be launched only after this was answered with success.
#[utoipa::path(post, path = "/jobs/{job_id}/start", operation_id = "start_job", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job.")), request_body = StartJob,
    responses((status = 200, description = "What the runner must know.", body = Data<JobState>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn start(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(job): Id<JobId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(start): Valid<StartJob>,
) -> Answer<JobState> {
    let start = move |engine| async move { engine::job::start(&engine, &actor, job, start.host).await };
    data(state(app.command(start).await?))
}

/// A runner is alive
#[utoipa::path(post, path = "/jobs/{job_id}/heartbeat", operation_id = "heartbeat_job", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job.")), request_body = Heartbeat,
    responses((status = 200, description = "What the runner must know.", body = Data<JobState>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn heartbeat(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(job): Id<JobId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(beat): Valid<Heartbeat>,
) -> Answer<JobState> {
    let beat =
        move |engine| async move { engine::job::heartbeat(&engine, &actor, job, beat.terminating).await };
    data(state(app.command(beat).await?))
}

/// Appends to a stream
///
/// What the server has already is skipped, so that a chunk may be sent again. A gap is refused with the offset that
/// is expected.
#[utoipa::path(put, path = "/jobs/{job_id}/streams/{stream}", operation_id = "append_stream", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job."),
        ("stream" = String, Path, description = "`logs`, `records` or `system`."), At),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "At most 1 MiB."),
    responses((status = 200, description = "Where the next chunk starts.", body = Data<Appended>),
        Missing, Conflicting, BadBytes, Refused))]
pub(super) async fn append(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((job, stream)): Path<(String, String)>,
    Query(At { offset }): Query<At>,
    Raw(chunk): Raw<{ limits::CHUNK }>,
) -> Answer<Appended> {
    let job: JobId = parse_id(&job)?;
    let stream = Stream::from_word(&stream).ok_or_else(|| {
        let stream: String = stream.chars().take(80).collect();
        Problem::not_found(format!(
            "`{stream}` is no stream of a job: the streams are logs, records and system"
        ))
    })?;
    let append =
        move |engine| async move { engine::job::append(&engine, &actor, job, stream, offset, chunk).await };
    let appended = app.command(append).await?;
    let rejected = appended.rejected.into_iter().map(|(offset, error)| Rejected { offset, error });
    data(Appended { next_offset: appended.next_offset, rejected: rejected.collect() })
}

/// Delivers the exit record
///
/// Refused with `incomplete` until the server has all of the streams.
#[utoipa::path(post, path = "/jobs/{job_id}/end", operation_id = "end_job", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job.")), request_body = EndJob,
    responses((status = 200, description = "The job is over.", body = Data<JobState>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn end(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(job): Id<JobId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(end): Valid<EndJob>,
) -> Answer<JobState> {
    let end =
        move |engine| async move { engine::job::end(&engine, &actor, job, end.exit, end.lengths).await };
    data(state(app.command(end).await?))
}

fn state(state: engine::job::State) -> JobState {
    JobState { stop_deadline: state.stop_deadline.map(|at| at.0), now: state.now.0, lengths: state.lengths }
}

fn wire(job: engine::job::Job) -> Job {
    Job {
        id: job.id.to_string(),
        run_id: job.run_id.to_string(),
        epoch: job.epoch,
        executor: job.executor,
        created_at: job.created_at.0,
        started_at: job.started_at.map(|at| at.0),
        ended_at: job.ended_at.map(|at| at.0),
        exit: job.exit.and_then(|exit| serde_json::to_value(exit).ok()),
        log_bytes: job.lengths.logs,
    }
}
