//! The output of a job over HTTP, byte for byte.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use runyard_domain::{JobId, RunId};
use runyard_engine::{self as engine, log::Which};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    app::{App, Id},
    auth::Caller,
    error::Problem,
    limits,
    openapi::{Missing, Refused},
    query::Query,
};

/// Which part of which job's output.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Id of the job; the newest one when neither this nor `epoch` is given.
    #[param(nullable = false)]
    job_id: Option<String>,
    /// Which attempt, from 1.
    #[param(minimum = 1, nullable = false)]
    epoch: Option<i64>,
    /// Where to start, in bytes; negative: so many before the end.
    #[param(nullable = false)]
    offset: Option<i64>,
    /// At most so many bytes; 1 MiB when nothing was said.
    #[param(minimum = 0, maximum = 8_388_608, nullable = false)]
    limit: Option<i64>,
}

/// Reads the output of a job
///
/// Bytes as the program wrote them: stdout and stderr in order.
#[utoipa::path(get, path = "/runs/{run_id}/logs", operation_id = "read_logs", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run."), Wanted),
    responses(
        (status = 200, description = "A part of the output.", content_type = "text/plain", body = String, headers(
            ("x-runyard-job-id" = String, description = "The job; absent when the run has none yet."),
            ("x-runyard-offset" = i64, description = "Where the part starts."),
            ("x-runyard-next-offset" = i64, description = "Where the next part starts."),
            ("x-runyard-total" = i64, description = "How much output the server has."))),
        Missing, Refused))]
pub(super) async fn read(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<RunId>,
    Query(wanted): Query<Wanted>,
) -> Result<(HeaderMap, Vec<u8>), Problem> {
    let which = match (wanted.job_id, wanted.epoch) {
        (None, None) => Which::Newest,
        (None, Some(epoch)) => Which::Epoch(epoch),
        (Some(job), None) => {
            let job = job.parse::<JobId>().map_err(|error| Problem::field("job_id", error.to_string()))?;
            Which::Job(job)
        }
        (Some(_), Some(_)) => {
            return Err(Problem::field("epoch", "name the job by `job_id` or by `epoch`, not both"));
        }
    };
    let (offset, limit) = (wanted.offset.unwrap_or(0), wanted.limit.unwrap_or(limits::LOG_DEFAULT));
    let part = engine::log::read(&app.engine, &actor, run, which, offset, limit).await?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // It is what a program wrote: no browser may take it for a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let mut number = |name, value: i64| headers.insert(HeaderName::from_static(name), value.into());
    let (offset, next, total) = part
        .as_ref()
        .map_or((0, 0, 0), |part| (part.offset, part.offset + part.bytes.len() as i64, part.total));
    number("x-runyard-offset", offset);
    number("x-runyard-next-offset", next);
    number("x-runyard-total", total);
    if let Some(job) = part.as_ref().and_then(|part| part.job_id.to_string().parse().ok()) {
        headers.insert(HeaderName::from_static("x-runyard-job-id"), job);
    }
    Ok((headers, part.map(|part| part.bytes).unwrap_or_default()))
}
