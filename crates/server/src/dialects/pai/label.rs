//! Labels of a job: added and changed one by one, removed by their keys.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use runyard_domain::FieldErrors;
use runyard_engine as engine;
use serde_json::json;

use super::{Answer, Asked, id, query::Parameters, refusal, request::Label};
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
    let changes = given.into_iter().map(|label| (label.key, Some(label.value.0)));
    change(&app, &asked, &id, changes.collect()).await?;
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
    let changes = keys.split(',').map(|key| (key.trim().to_owned(), None));
    change(&app, &asked, &id, changes.collect()).await?;
    Ok(asked.answer(json!({})))
}

async fn change(
    app: &App,
    asked: &Asked,
    id: &str,
    changes: BTreeMap<String, Option<String>>,
) -> Result<(), Problem> {
    let changed = engine::run::label(&app.engine, &asked.actor, id::run(id)?, changes).await;
    changed.map(drop).map_err(|error| refusal::no_job(refusal::renamed(error.into()), id))
}
