//! Metrics over HTTP: write, read, tags.

use axum::extract::State;
use runyard_domain::{FieldErrors, JobId, Millis, RunId, filter::parse_time, metric::wire_value};
use runyard_engine::{self as engine, metric::By};
use runyard_wire::{
    Data,
    metric::{Metric, PostMetrics, Written},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{
    app::App,
    auth::Caller,
    body::Bulk,
    limits,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Which points.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Of these runs, by id.
    run_id: Vec<String>,
    /// Any of these tags.
    #[serde(default)]
    #[param(required = false)]
    tag: Vec<String>,
    /// Any of these steps.
    #[serde(default)]
    #[param(required = false)]
    global_step: Vec<i64>,
    /// Steps strictly above this one. With `sort=global_step` it pages: a page never ends inside a step.
    #[param(nullable = false)]
    global_step_after: Option<i64>,
    /// Reported strictly before this time: epoch milliseconds or RFC 3339.
    #[param(nullable = false)]
    created_before: Option<String>,
    /// Ids strictly above this one. With `sort=id` it pages.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// Points of this job, also those that a newer job logged again.
    #[param(nullable = false)]
    job_id: Option<String>,
    /// `global_step`, `created_at` or `id`, with `:asc` or `:desc`; `global_step:asc` when nothing was said.
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    /// About how many: a page is completed to the end of its last step; 1000 when nothing was said.
    #[param(minimum = 0, maximum = 10_000, nullable = false)]
    limit: Option<i64>,
}

/// Which tags.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedTags {
    /// Of these runs, by id.
    run_id: Vec<String>,
    /// Tags strictly after this one.
    #[param(nullable = false)]
    tag_after: Option<String>,
    /// At most so many; 1000 when nothing was said.
    #[param(minimum = 0, maximum = 10_000, nullable = false)]
    limit: Option<i64>,
}

/// Lists points
///
/// One value lives per step: what a newer job of the run logs replaces what older jobs logged from there on.
#[utoipa::path(get, path = "/metrics", operation_id = "list_metrics", tag = "metrics", params(Wanted),
    responses((status = 200, description = "Points in order.", body = Data<Vec<Metric>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Metric>> {
    let mut errors = FieldErrors::default();
    let sort = query::sort(&mut errors, wanted.sort, &["global_step", "created_at", "id"]);
    let query = engine::metric::Query {
        run_ids: query::each(&mut errors, "run_id", wanted.run_id, str::parse),
        tags: wanted.tag,
        global_steps: wanted.global_step,
        global_step_after: wanted.global_step_after,
        created_before: query::one(&mut errors, "created_before", wanted.created_before, parse_time),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        job_id: query::one(&mut errors, "job_id", wanted.job_id, str::parse),
        by: match sort.map_or("global_step", |sort| sort.field) {
            "created_at" => By::CreatedAt,
            "id" => By::Id,
            _ => By::GlobalStep,
        },
        descending: sort.is_some_and(|sort| sort.descending),
        limit: wanted.limit.unwrap_or(1000) as usize,
    };
    errors.finish(())?;
    let rows = engine::metric::list(&app.engine, &actor, query).await?;
    data(rows.iter().map(wire).collect())
}

/// Writes points
///
/// Of one run, all or none; durable when this answers.
#[utoipa::path(post, path = "/metrics", operation_id = "post_metrics", tag = "metrics", request_body = PostMetrics,
    responses((status = 200, description = "How many were written.", body = Data<Written>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn post(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    Bulk(body): Bulk<PostMetrics, { limits::METRICS }>,
) -> Answer<Written> {
    let mut errors = FieldErrors::default();
    let run = query::one(&mut errors, "run_id", Some(body.run_id), str::parse::<RunId>);
    let job = query::one(&mut errors, "job_id", body.job_id, str::parse::<JobId>);
    let run = errors.finish(run)?.ok_or_else(|| FieldErrors::one("run_id", "is required"))?;
    let points = body.metrics.into_iter().map(|point| engine::metric::NewMetric {
        tag: point.tag,
        global_step: point.global_step,
        value: point.value,
        created_at: point.created_at.map(Millis),
    });
    let points = points.collect();
    let post = move |engine| async move { engine::metric::post(&engine, &actor, run, job, points).await };
    data(Written { written: app.command(post).await? })
}

/// Lists tags
#[utoipa::path(get, path = "/metrics/tags", operation_id = "list_metric_tags", tag = "metrics", params(WantedTags),
    responses((status = 200, description = "Tags of the runs, ascending.", body = Data<Vec<String>>), Refused))]
pub(super) async fn tags(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<WantedTags>,
) -> Answer<Vec<String>> {
    let mut errors = FieldErrors::default();
    let runs = query::each(&mut errors, "run_id", wanted.run_id, str::parse::<RunId>);
    errors.finish(())?;
    let limit = wanted.limit.unwrap_or(1000);
    data(engine::metric::tags(&app.engine, &actor, runs, wanted.tag_after, limit).await?)
}

pub(super) fn wire(row: &engine::metric::Row) -> Metric {
    Metric {
        id: row.id.to_string(),
        created_at: row.point.at.0,
        run_id: row.id.run.to_string(),
        job_id: Some(row.job_id.to_string()),
        global_step: row.point.step,
        tag: row.tag.to_string(),
        value: wire_value(row.point.value),
    }
}
