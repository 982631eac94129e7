//! Metrics over HTTP: write, read, tags, series for charts.

use axum::extract::State;
use runyard_domain::{
    FieldErrors, JobId, Millis, RunId,
    filter::parse_time,
    metric::{exact_value, series::Axis},
};
use runyard_engine::{self as engine, metric::By};
use runyard_wire::{
    Data,
    metric::{Chart, Metric, PostMetrics, Series, Written},
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

/// Which series.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedSeries {
    /// Of these runs, by id.
    run_id: Vec<String>,
    /// These tags; all of them when none is named.
    #[serde(default)]
    #[param(required = false)]
    tag: Vec<String>,
    /// What the horizontal axis shows: `step` (when nothing was said) or `time`.
    #[param(nullable = false)]
    x: Option<String>,
    /// At most so many buckets of equal width; 1000 when nothing was said. With as many as there are steps every point
    /// is answered as it is.
    #[param(minimum = 1, maximum = 10_000, nullable = false)]
    buckets: Option<i64>,
    /// From this step on, or from this time: epoch milliseconds or RFC 3339; the first point when nothing was said.
    #[param(nullable = false)]
    from: Option<String>,
    /// To this step or time, inclusive; the last point when nothing was said.
    #[param(nullable = false)]
    to: Option<String>,
}

/// Reads series for a chart
///
/// Several runs and tags on one axis, each reduced to buckets with minimum, maximum, last value and count.
#[utoipa::path(get, path = "/metrics/series", operation_id = "read_metric_series", tag = "metrics",
    params(WantedSeries),
    responses((status = 200, description = "Series by run and tag, as columns.", body = Data<Chart>), Refused))]
pub(super) async fn series(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<WantedSeries>,
) -> Answer<Chart> {
    let mut errors = FieldErrors::default();
    let axis = match wanted.x.as_deref() {
        None | Some("step") => Axis::Step,
        Some("time") => Axis::Time,
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            errors.add("x", format!("is `{other}`: it must be `step` or `time`"));
            Axis::Step
        }
    };
    let place = |text: &str| match axis {
        Axis::Step => text.parse::<i64>().map_err(|_| {
            format!("`{}` is no step: write a whole number", text.chars().take(40).collect::<String>())
        }),
        Axis::Time => parse_time(text).map(|at| at.0).map_err(|error| error.to_string()),
    };
    let wanted = engine::metric::series::Wanted {
        run_ids: query::each(&mut errors, "run_id", wanted.run_id, str::parse),
        tags: wanted.tag,
        axis,
        buckets: wanted.buckets.unwrap_or(1000),
        from: query::one(&mut errors, "from", wanted.from, place),
        to: query::one(&mut errors, "to", wanted.to, place),
    };
    errors.finish(())?;
    let chart = engine::metric::series(&app.engine, &actor, wanted).await?;
    data(Chart {
        x: axis.word().to_owned(),
        from: chart.grid.map(|grid| grid.from()),
        to: chart.grid.map(|grid| grid.to()),
        width: chart.grid.map(|grid| i64::try_from(grid.width()).unwrap_or(i64::MAX)),
        series: chart.curves.iter().map(wire_series).collect(),
    })
}

fn wire_series(curve: &engine::metric::series::Curve) -> Series {
    let mut series = Series { run_id: curve.run.to_string(), tag: curve.tag.clone(), ..Series::default() };
    for bucket in curve.buckets.filled() {
        series.points += bucket.count;
        series.gaps += bucket.gaps.total();
        series.x.push(bucket.last_x);
        series.min.push(bucket.min);
        series.max.push(bucket.max);
        series.last.push(exact_value(bucket.last));
        series.count.push(bucket.count);
        series.nan.push(bucket.gaps.nan);
        series.infinity.push(bucket.gaps.infinity);
        series.minus_infinity.push(bucket.gaps.minus_infinity);
    }
    for counts in [&mut series.nan, &mut series.infinity, &mut series.minus_infinity] {
        if counts.iter().all(|count| *count == 0) {
            counts.clear();
        }
    }
    series
}

pub(super) fn wire(row: &engine::metric::Row) -> Metric {
    Metric {
        id: row.id.to_string(),
        created_at: row.point.at.0,
        run_id: row.id.run.to_string(),
        job_id: Some(row.job_id.to_string()),
        global_step: row.point.step,
        tag: row.tag.to_string(),
        value: exact_value(row.point.value),
    }
}
