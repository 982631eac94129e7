//! The log of a job as lines of text.

use axum::extract::{Path, State};
use runyard_domain::run::Event;
use runyard_engine as engine;
use serde_json::json;

use super::{
    Answer, Asked, id,
    job::find,
    query::Parameters,
    show::{status, time},
};
use crate::{app::App, error::Problem};

/// Most entries that are looked at.
const EVENTS: i64 = 10_000;

pub(super) async fn list(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    answer(&app, &asked, &id, &parameters).await
}

/// All instances of a job begin and end together: its events are theirs.
pub(super) async fn of_instance(
    State(app): State<App>,
    asked: Asked,
    Path((id, instance)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let run = find(&app, &asked, &id).await?;
    let index = id::instance_index(run.id, &instance).filter(|index| *index < run.spec.instances());
    if index.is_none() {
        let instance: String = instance.chars().take(100).collect();
        return Err(Problem::not_found(format!(
            "training job `{}` has no instance `{instance}`",
            id::job(run.id)
        )));
    }
    answer(&app, &asked, &id, &parameters).await
}

async fn answer(app: &App, asked: &Asked, id: &str, parameters: &Parameters) -> Answer {
    let run = find(app, asked, id).await?;
    let (page, after, before) =
        (parameters.page()?, parameters.time("StartTime")?, parameters.time("EndTime")?);
    let events = engine::event::list(&app.engine, &asked.actor, run.id, false, EVENTS, 0).await?;
    let within = |event: &&Event| {
        after.is_none_or(|after| event.created_at >= after)
            && before.is_none_or(|before| event.created_at <= before)
    };
    let lines: Vec<String> = events.iter().filter(within).map(line).collect();
    let total = lines.len();
    Ok(asked.answer(json!({"Events": page.of(lines), "TotalCount": total.to_string()})))
}

/// Time, PAI's status, ours, and what there is to say.
fn line(event: &Event) -> String {
    let words = format!("{} {} ({})", time(event.created_at), status(event.status), event.status);
    if event.details.is_empty() {
        return words;
    }
    let details = serde_json::to_string(&event.details).unwrap_or_default();
    format!("{words} {details}")
}
