//! Labels of a job: added and changed one by one, removed by their keys.

use axum::extract::{Path, State};
use runyard_domain::FieldErrors;
use runyard_engine as engine;
use serde_json::json;

use super::{Answer, Asked, job::find, query::Parameters, request::Label};
use crate::{app::App, body::Raw, error::Problem, limits};

pub(super) async fn update(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    Raw(body): Raw<{ limits::FORM }>,
) -> Answer {
    let sent = super::body(&body)?;
    let given: Vec<Label> = crate::body::from_value(sent["Labels"].clone()).map_err(|errors| {
        let said = errors.0.into_values().flatten().collect::<Vec<_>>().join("; ");
        FieldErrors::one("Labels", format!("must be a list of Key and Value: {said}"))
    })?;
    let run = find(&app, &asked, &id).await?;
    let mut labels = run.labels;
    labels.extend(given.into_iter().map(|label| (label.key, label.value.0)));
    engine::run::patch(&app.engine, &asked.actor, run.id, None, None, Some(labels)).await?;
    Ok(asked.answer(json!({})))
}

pub(super) async fn delete(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let keys = parameters
        .text("Keys")
        .ok_or_else(|| Problem::field("Keys", "is needed: keys with commas between"))?;
    let run = find(&app, &asked, &id).await?;
    let mut labels = run.labels;
    labels.retain(|key, _| !keys.split(',').any(|gone| gone.trim() == key));
    engine::run::patch(&app.engine, &asked.actor, run.id, None, None, Some(labels)).await?;
    Ok(asked.answer(json!({})))
}
