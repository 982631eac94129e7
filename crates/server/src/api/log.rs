//! The output of a job over HTTP: byte for byte, by lines, and searched.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use runyard_domain::{JobId, RunId};
use runyard_engine::{
    self as engine,
    log::{Range, Search, Which},
};
use runyard_wire::{
    Data,
    log::{LogMatch, LogSearch},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
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
    /// Instead of `offset`: the line to start with, from 1; negative: so many lines before the end.
    #[param(nullable = false)]
    line_from: Option<i64>,
    /// With `line_from`: at most so many lines.
    #[param(minimum = 0, nullable = false)]
    lines: Option<i64>,
    /// Only what this instance printed, from 0, without what stands before its lines: whole lines, at least one. Offsets stay those
    /// of the whole output, and line numbers are its own. An empty part whose end has moved: nothing of it so far.
    #[param(minimum = 0, nullable = false)]
    instance: Option<i64>,
    /// At most so many bytes; 1 MiB when nothing was said.
    #[param(minimum = 0, maximum = 8_388_608, nullable = false)]
    limit: Option<i64>,
}

/// Reads the output of a job
///
/// Bytes as the program wrote them: stdout and stderr in order. Of more output than the server keeps of a job the middle
/// was dropped; there one part is a line that says so, and offsets and line numbers go on behind it as if it were there.
#[utoipa::path(get, path = "/runs/{run_id}/logs", operation_id = "read_logs", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run."), Wanted),
    responses(
        (status = 200, description = "A part of the output.", content_type = "text/plain", body = String, headers(
            ("x-runyard-job-id" = String, description = "The job; absent when the run has none yet."),
            ("x-runyard-offset" = i64, description = "Where the part starts."),
            ("x-runyard-next-offset" = i64, description = "Where the next part starts."),
            ("x-runyard-total" = i64, description = "How much output there was in all."),
            ("x-runyard-lines" = i64, description = "How many lines that are; with `line_from` only."),
            ("x-runyard-dropped" = i64, description = "How many dropped bytes this part stands for; absent: none."))),
        Missing, Refused))]
pub(super) async fn read(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<RunId>,
    Query(wanted): Query<Wanted>,
) -> Result<(HeaderMap, Vec<u8>), Problem> {
    let which = which(wanted.job_id, wanted.epoch)?;
    let range = match (wanted.offset, wanted.line_from, wanted.lines) {
        (Some(_), Some(_), _) => {
            return Err(Problem::field("line_from", "start at `offset` or at `line_from`, not at both"));
        }
        (_, Some(0), _) => {
            return Err(Problem::field("line_from", "is 0: lines are counted from 1, or from -1 at the end"));
        }
        (None, Some(from), count) => Range::Lines(from, count),
        (Some(_), None, Some(_)) => {
            return Err(Problem::field("lines", "lines are counted from `line_from`, not from `offset`"));
        }
        (None, None, Some(count)) => Range::Lines(1, Some(count)),
        (offset, None, None) => Range::Bytes(offset.unwrap_or(0)),
    };
    let limit = wanted.limit.unwrap_or(limits::LOG_DEFAULT);
    let part = match wanted.instance {
        None => engine::log::read(&app.engine, &actor, run, which, range, limit).await?,
        Some(own) => engine::log::read_instance(&app.engine, &actor, run, own, which, range, limit).await?,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // It is what a program wrote: no browser may take it for a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let mut number = |name, value: Option<i64>| {
        value.map(|value| headers.insert(HeaderName::from_static(name), value.into()))
    };
    number("x-runyard-offset", Some(part.as_ref().map_or(0, |part| part.offset)));
    number("x-runyard-next-offset", Some(part.as_ref().map_or(0, |part| part.next_offset)));
    number("x-runyard-total", Some(part.as_ref().map_or(0, |part| part.total)));
    number("x-runyard-lines", part.as_ref().and_then(|part| part.total_lines));
    number("x-runyard-dropped", part.as_ref().and_then(|part| part.dropped));
    if let Some(job) = part.as_ref().and_then(|part| part.job_id.to_string().parse().ok()) {
        headers.insert(HeaderName::from_static("x-runyard-job-id"), job);
    }
    Ok((headers, part.map(|part| part.bytes).unwrap_or_default()))
}

fn which(job_id: Option<String>, epoch: Option<i64>) -> Result<Which, Problem> {
    match (job_id, epoch) {
        (None, None) => Ok(Which::Newest),
        (None, Some(epoch)) => Ok(Which::Epoch(epoch)),
        (Some(job), None) => {
            let job = job.parse::<JobId>().map_err(|error| Problem::field("job_id", error.to_string()))?;
            Ok(Which::Job(job))
        }
        (Some(_), Some(_)) => {
            Err(Problem::field("epoch", "name the job by `job_id` or by `epoch`, not both"))
        }
    }
}

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedMatches {
    /// The text: 1 to 1,000 characters.
    q: String,
    /// Whether it is a regular expression (without look-around and back references, so that none takes for ever).
    #[param(nullable = false)]
    regex: Option<bool>,
    /// Whether capital and small letters are the same.
    #[param(nullable = false)]
    ignore_case: Option<bool>,
    /// Id of the job; the newest one when neither this nor `epoch` is given.
    #[param(nullable = false)]
    job_id: Option<String>,
    /// Which attempt, from 1.
    #[param(minimum = 1, nullable = false)]
    epoch: Option<i64>,
    /// Only lines of this instance, from 0, as it printed them.
    #[param(minimum = 0, nullable = false)]
    instance: Option<i64>,
    /// From the line that starts at this byte.
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
    /// At most so many lines; 100 when nothing was said.
    #[param(minimum = 1, maximum = 1_000, nullable = false)]
    limit: Option<i64>,
}

/// Searches the output of a job
///
/// Line by line. One call reads some tens of MiB: until `complete`, search on from `next_offset`.
#[utoipa::path(get, path = "/runs/{run_id}/logs/search", operation_id = "search_logs", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run."), WantedMatches),
    responses((status = 200, description = "Lines that match, in order.", body = Data<LogSearch>), Missing, Refused))]
pub(super) async fn search(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<RunId>,
    Query(wanted): Query<WantedMatches>,
) -> Answer<LogSearch> {
    let which = which(wanted.job_id, wanted.epoch)?;
    let search = Search {
        text: wanted.q,
        regex: wanted.regex.unwrap_or(false),
        ignore_case: wanted.ignore_case.unwrap_or(false),
        offset: wanted.offset.unwrap_or(0),
        limit: wanted.limit.unwrap_or(100) as usize,
        instance: wanted.instance,
    };
    let Some(found) = engine::log::search(&app.engine, &actor, run, which, search).await? else {
        return data(LogSearch { complete: true, ..LogSearch::default() });
    };
    data(LogSearch {
        job_id: Some(found.job_id.to_string()),
        epoch: Some(found.epoch),
        matches: found
            .matches
            .into_iter()
            .map(|one| LogMatch { offset: one.offset, line: one.line, text: one.text, cut: one.cut })
            .collect(),
        next_offset: found.next_offset,
        complete: found.complete,
    })
}
