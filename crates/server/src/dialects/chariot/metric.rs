//! Metrics, as Chariot's clients read them: all of a run by its tags, and each tag by `global_step_after`.

use std::sync::Arc;

use axum::extract::State;
use runyard_domain::{FieldErrors, RunId, filter::parse_time, metric::wire_value};
use runyard_engine::{self as engine, metric::By};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::IntoParams;

use super::{Answer, data, ids, settings::Time};
use crate::{
    app::App,
    auth::Caller,
    query::{self, Lenient},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    run_id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    tag: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    global_step: Vec<i64>,
    #[param(nullable = false)]
    global_step_after: Option<i64>,
    #[param(nullable = false)]
    created_before: Option<String>,
    #[param(nullable = false)]
    id_after: Option<String>,
    #[param(nullable = false)]
    job_id: Option<String>,
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    #[param(minimum = 0, maximum = 10_000, nullable = false)]
    limit: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedTags {
    run_id: Vec<String>,
    #[param(nullable = false)]
    tag_after: Option<String>,
    #[param(minimum = 0, maximum = 10_000, nullable = false)]
    limit: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct Metric {
    id: String,
    created_at: Time,
    run_id: String,
    job_id: String,
    global_step: i64,
    #[serde(serialize_with = "as_text")]
    tag: Arc<str>,
    /// Null for NaN and the infinities; integers are integers.
    value: Value,
}

fn as_text<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Lenient(wanted): Lenient<Wanted>,
) -> Answer<Vec<Metric>> {
    let mut errors = FieldErrors::default();
    let sort = query::sort(&mut errors, wanted.sort, &["global_step", "created_at", "id"]);
    let run_ids = ids(&wanted.run_id);
    let job_id = ids(wanted.job_id.as_slice());
    let query = engine::metric::Query {
        run_ids: run_ids.clone().unwrap_or_default(),
        tags: wanted.tag,
        global_steps: wanted.global_step,
        global_step_after: wanted.global_step_after,
        created_before: query::one(&mut errors, "created_before", wanted.created_before, parse_time),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        job_id: job_id.as_ref().and_then(|ids| ids.first().copied()),
        by: match sort.map_or("global_step", |sort| sort.field) {
            "created_at" => By::CreatedAt,
            "id" => By::Id,
            _ => By::GlobalStep,
        },
        descending: sort.is_some_and(|sort| sort.descending),
        limit: wanted.limit.unwrap_or(1000) as usize,
    };
    errors.finish(())?;
    if run_ids.is_none() || job_id.is_none() {
        return data(Vec::new());
    }
    let rows = engine::metric::list(&app.engine, &actor, query).await?;
    let shown = rows.into_iter().map(|row| Metric {
        id: row.id.to_string(),
        created_at: app.chariot.time(row.point.at),
        run_id: row.id.run.to_string(),
        job_id: row.job_id.to_string(),
        global_step: row.point.step,
        tag: row.tag,
        value: wire_value(row.point.value),
    });
    data(shown.collect())
}

pub(super) async fn tags(
    State(app): State<App>,
    Caller(actor): Caller,
    Lenient(wanted): Lenient<WantedTags>,
) -> Answer<Vec<String>> {
    let Some(runs) = ids::<RunId>(&wanted.run_id) else { return data(Vec::new()) };
    let limit = wanted.limit.unwrap_or(1000);
    data(engine::metric::tags(&app.engine, &actor, runs, wanted.tag_after, limit).await?)
}
