//! Metrics of a job, by time; the newest of each; and what its machine measured.

use axum::extract::{Path, State};
use runyard_domain::{RunId, metric::Value as Number};
use runyard_engine::{
    self as engine,
    metric::{By, Query, Row},
};
use serde_json::{Value, json};

use super::{Answer, Asked, id, job::find, query::Parameters, show::time};
use crate::{app::App, error::Problem};

/// What tags begin with that the runner writes itself.
const SYSTEM: &str = "system/";
/// Most points of an answer that has no pages.
const POINTS_MAX: usize = 10_000;

pub(super) async fn list(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let run = find(&app, &asked, &id).await?;
    let page = parameters.page()?;
    let ascending = parameters.ascending(true)?;
    let after = parameters.time("StartTime")?;
    let query = Query {
        run_ids: vec![run.id],
        tags: parameters.text("Name").map(str::to_owned).into_iter().collect(),
        created_before: parameters.time("EndTime")?,
        by: By::CreatedAt,
        descending: !ascending,
        limit: usize::try_from(page.offset + page.size).unwrap_or(POINTS_MAX).min(POINTS_MAX),
        ..Query::default()
    };
    let rows = engine::metric::list(&app.engine, &asked.actor, query).await?;
    let rows: Vec<Value> = rows
        .iter()
        .filter(|row| !is_system(row) && after.is_none_or(|after| row.point.at >= after))
        .map(shown)
        .collect();
    Ok(asked.answer(json!({"Metrics": page.of(rows)})))
}

pub(super) async fn latest(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let run = find(&app, &asked, &id).await?;
    let mut metrics = latest_of(&app, &asked, run.id).await?;
    if let Some(names) = parameters.text("Names") {
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        metrics.retain(|metric| metric["Name"].as_str().is_some_and(|name| names.contains(&name)));
    }
    Ok(asked.answer(json!({"Metrics": metrics})))
}

/// The newest point of every metric that the program reported.
pub(super) async fn latest_of(app: &App, asked: &Asked, run: RunId) -> Result<Vec<Value>, Problem> {
    let rows = engine::metric::latest(&app.engine, &asked.actor, run).await?;
    Ok(rows.iter().filter(|row| !is_system(row)).map(shown).collect())
}

/// What the runner measured, for its first instance: all instances of a job share a machine.
pub(super) async fn of_instances(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let run = find(&app, &asked, &id).await?;
    let tag = parameters.text("MetricType").unwrap_or("cpu");
    let query = Query {
        run_ids: vec![run.id],
        tags: vec![system_tag(tag)],
        created_before: parameters.time("EndTime")?,
        by: By::CreatedAt,
        limit: POINTS_MAX,
        ..Query::default()
    };
    let after = parameters.time("StartTime")?;
    let rows = engine::metric::list(&app.engine, &asked.actor, query).await?;
    let points: Vec<Value> = rows
        .iter()
        .filter(|row| after.is_none_or(|after| row.point.at >= after))
        .map(|row| json!({"Time": time(row.point.at), "Value": number(row)}))
        .collect();
    let shown = if points.is_empty() {
        json!([])
    } else {
        json!([{"InstanceId": id::instance(run.id, 0), "NodeName": "local", "Metrics": points}])
    };
    // The second spelling is that of newer clients.
    Ok(asked.answer(json!({"JobId": id::job(run.id), "Instancemetrics": shown, "InstanceMetrics": shown})))
}

fn shown(row: &Row) -> Value {
    json!({"Name": row.tag.as_ref(), "Timestamp": time(row.point.at), "Value": number(row)})
}

/// Null where it is none that JSON has.
fn number(row: &Row) -> Value {
    match row.point.value {
        Number::Int(whole) => json!(whole as f64),
        Number::Float(number) if number.is_finite() => json!(number),
        Number::Float(_) => Value::Null,
    }
}

/// What the runner measures itself is no metric of the program.
fn is_system(row: &Row) -> bool {
    row.tag.starts_with(SYSTEM)
}

/// Our tag for a type of PAI's; any other one is taken as it is.
fn system_tag(asked: &str) -> String {
    let word = asked.to_ascii_lowercase();
    let known = if word.contains("gpu") {
        asked
    } else if word.contains("cpu") {
        "cpu_cores"
    } else if word.contains("mem") {
        "memory_bytes"
    } else {
        asked
    };
    format!("{SYSTEM}{known}")
}
