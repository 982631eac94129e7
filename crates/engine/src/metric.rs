//! Metrics: write, read, tags, series.

use runyard_domain::{
    FieldErrors, JobId, Millis, RunId,
    metric::{Reported, Value, check_tag, group_by_tag},
    run::Job,
    token::Scope,
};
pub use runyard_store::metric::{By, Query, Row};
use runyard_store::{self as store, Tx};

use crate::{Actor, Engine, Error, Result, run::visible};

pub mod series;
pub use series::series;

/// A point to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMetric {
    /// Tag.
    pub tag: String,
    /// Step.
    pub global_step: i64,
    /// A number, null, or one of the texts of non-finite numbers.
    pub value: serde_json::Value,
    /// When; `None`: now.
    pub created_at: Option<Millis>,
}

/// Most points of one call.
pub const MAX_POINTS: usize = 10_000;

/// Writes points of one run, all or none; durable when it answers.
///
/// # Errors
/// Every wrong point as `metrics.N.field`; a job that is not the run's current one is `stale_epoch`.
pub async fn post(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    job: Option<JobId>,
    metrics: Vec<NewMetric>,
) -> Result<i64> {
    let points = check(metrics)?;
    let written = points.len() as i64;
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let run = crate::run::lock_for(tx, &actor, run)?;
            let current = store::job::by_epoch(tx, run.id, run.life.epoch)?;
            let job = match (job, current) {
                (None, Some(current)) => current,
                (Some(wanted), Some(current)) if current.id == wanted => current,
                (Some(wanted), _) => {
                    return Err(Error::Conflict {
                        code: "stale_epoch",
                        message: format!("job {wanted} is not the current job of run {}", run.id),
                    });
                }
                (None, None) => {
                    return Err(Error::conflict(format!(
                        "run {} has no job yet: nothing can report",
                        run.id
                    )));
                }
            };
            append(tx, run.id, &job, points.clone(), now)
        })
        .await?;
    engine.signals.changed(run);
    Ok(written)
}

/// Points that match, in order. At least one run must be named.
pub async fn list(engine: &Engine, actor: &Actor, query: Query) -> Result<Vec<Row>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let query = Query { run_ids: readable(tx, &actor, &query.run_ids)?, ..query.clone() };
            if query.run_ids.is_empty() {
                return Ok(Vec::new());
            }
            Ok::<_, Error>(store::metric::points(tx, &query)?)
        })
        .await
}

/// Tags of the runs, ascending, strictly after `after`.
pub async fn tags(
    engine: &Engine,
    actor: &Actor,
    runs: Vec<RunId>,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<String>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let runs = readable(tx, &actor, &runs)?;
            Ok::<_, Error>(store::metric::tags(tx, &runs, after.as_deref(), limit)?)
        })
        .await
}

/// The newest point of every tag of a run.
pub async fn latest(engine: &Engine, actor: &Actor, run: RunId) -> Result<Vec<Row>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            visible(&actor, run, store::run::get(tx, run)?)?;
            Ok::<_, Error>(store::metric::latest(tx, run)?)
        })
        .await
}

/// Stores what a job reported, in its order.
pub(crate) fn append(tx: &mut Tx, run: RunId, job: &Job, points: Vec<Reported>, now: Millis) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    Ok(store::metric::append(tx, run, job.id, job.epoch, &group_by_tag(points, now))?)
}

/// Those of the runs that the actor may read; unknown and foreign ones are left out, as their lists are empty.
fn readable(tx: &mut Tx, actor: &Actor, runs: &[RunId]) -> Result<Vec<RunId>> {
    if actor.scope == Scope::Admin {
        return Ok(runs.to_vec());
    }
    let found = store::run::by_ids(tx, runs)?;
    Ok(found.iter().filter(|run| actor.scope.covers_run(run.project_id, run.id)).map(|run| run.id).collect())
}

fn check(metrics: Vec<NewMetric>) -> Result<Vec<Reported>> {
    if metrics.is_empty() || metrics.len() > MAX_POINTS {
        let message = format!("has {} points: send 1 to {MAX_POINTS} at a time", metrics.len());
        return Err(Error::field("metrics", message));
    }
    let mut errors = FieldErrors::default();
    let mut points = Vec::with_capacity(metrics.len());
    for (index, metric) in metrics.into_iter().enumerate() {
        if let Err(error) = check_tag(&metric.tag) {
            errors.add(format!("metrics.{index}.tag"), error.to_string());
        }
        match Value::from_json(&metric.value) {
            Ok(value) => {
                let (tag, step, at) = (metric.tag, metric.global_step, metric.created_at);
                points.push(Reported { tag, step, value, at });
            }
            Err(error) => errors.add(format!("metrics.{index}.value"), error.to_string()),
        }
    }
    Ok(errors.finish(points)?)
}
