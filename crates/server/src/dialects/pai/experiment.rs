//! Experiments, as PAI's clients make and read them. A job that names one has its label.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use runyard_domain::ExperimentId;
use runyard_engine::{
    self as engine,
    experiment::{Experiment, Filter},
};
use serde_json::{Value, json};

use super::{Answer, Asked, body, job::project, query::Parameters, request::Label, show::time};
use crate::{app::App, body::Raw, error::Problem, limits, query::sort_by_creation};

pub(super) async fn list(State(app): State<App>, asked: Asked, parameters: Parameters) -> Answer {
    let (page, ascending) = (parameters.page()?, parameters.ascending(false)?);
    let order = if ascending { "created_at:asc" } else { "created_at:desc" };
    let mut errors = runyard_domain::FieldErrors::default();
    let named = project(&app, &asked, parameters.text("WorkspaceId").filter(|id| *id != "None")).await?;
    let filter = Filter {
        project_ids: vec![engine::project::get(&app.engine, &asked.actor, &named).await?.id],
        names: parameters.text("Name").map(str::to_owned).into_iter().collect(),
        sort: sort_by_creation(&mut errors, vec![order.to_owned()]),
        limit: page.size,
        offset: page.offset,
    };
    errors.finish(())?;
    let (total, found) = engine::experiment::list(&app.engine, &asked.actor, filter).await?;
    let shown: Vec<Value> = found.iter().map(shown).collect();
    Ok(asked.answer(json!({"Experiments": shown, "TotalCount": total})))
}

pub(super) async fn get(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let found = engine::experiment::get(&app.engine, &asked.actor, parse(&id)?).await?;
    Ok(asked.answer(shown(&found)))
}

pub(super) async fn create(State(app): State<App>, asked: Asked, Raw(sent): Raw<{ limits::FORM }>) -> Answer {
    let sent = body(&sent)?;
    let text = |name: &str| sent[name].as_str().map(str::to_owned);
    let workspace = text("WorkspaceId").filter(|id| id != "None");
    let named = project(&app, &asked, workspace.as_deref()).await?;
    let (name, uri) = (text("Name").unwrap_or_default(), text("ArtifactUri").unwrap_or_default());
    let labels = labels(&sent["Labels"])?;
    let actor = asked.actor.clone();
    let create = move |engine| async move {
        let plain = uri.split_once('?').map_or(uri.as_str(), |(plain, _)| plain).to_owned();
        engine::experiment::create(&engine, &actor, &named, name, plain, labels).await
    };
    let made = app.command(create).await.map_err(renamed)?;
    Ok(asked.answer(json!({"ExperimentId": made.id.to_string()})))
}

pub(super) async fn update(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    Raw(sent): Raw<{ limits::FORM }>,
) -> Answer {
    let (id, name) = (parse(&id)?, body(&sent)?["Name"].as_str().map(str::to_owned));
    let patched = engine::experiment::patch(&app.engine, &asked.actor, id, name, BTreeMap::new()).await;
    patched.map_err(|error| renamed(error.into()))?;
    Ok(asked.answer(json!({})))
}

pub(super) async fn delete(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    engine::experiment::delete(&app.engine, &asked.actor, parse(&id)?).await?;
    Ok(asked.answer(json!({})))
}

pub(super) async fn set_labels(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    Raw(sent): Raw<{ limits::FORM }>,
) -> Answer {
    let labels =
        labels(&body(&sent)?["Labels"])?.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let patched = engine::experiment::patch(&app.engine, &asked.actor, parse(&id)?, None, labels).await;
    patched.map_err(|error| renamed(error.into()))?;
    Ok(asked.answer(json!({})))
}

pub(super) async fn delete_label(
    State(app): State<App>,
    asked: Asked,
    Path((id, key)): Path<(String, String)>,
) -> Answer {
    let gone = BTreeMap::from([(key, None)]);
    engine::experiment::patch(&app.engine, &asked.actor, parse(&id)?, None, gone).await?;
    Ok(asked.answer(json!({})))
}

/// The name of the experiment that a new job belongs to; `None`: it names none, or none that this server has.
pub(super) async fn of_job(app: &App, asked: &Asked, sent: &Value) -> Result<Option<String>, Problem> {
    let Some(id) = sent["ExperimentConfig"]["ExperimentId"].as_str() else { return Ok(None) };
    let Ok(id) = id.parse::<ExperimentId>() else { return Ok(None) };
    match engine::experiment::get(&app.engine, &asked.actor, id).await {
        Ok(found) => Ok(Some(found.name)),
        Err(engine::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn shown(found: &Experiment) -> Value {
    let labels: Vec<Value> =
        found.labels.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({
        "ExperimentId": found.id.to_string(), "Name": found.name, "ArtifactUri": found.artifact_uri,
        "TensorboardLogUri": format!("{}tensorboard/", with_slash(&found.artifact_uri)),
        "WorkspaceId": found.project_id.to_string(), "UserId": found.user_id, "Labels": labels,
        "GmtCreateTime": time(found.created_at), "GmtModifiedTime": time(found.updated_at),
    })
}

fn with_slash(uri: &str) -> String {
    if uri.ends_with('/') { uri.to_owned() } else { format!("{uri}/") }
}

fn labels(sent: &Value) -> Result<BTreeMap<String, String>, Problem> {
    if sent.is_null() {
        return Ok(BTreeMap::new());
    }
    let given: Vec<Label> = crate::body::from_value(sent.clone())
        .map_err(|errors| Problem::field("Labels", format!("must be a list of Key and Value: {errors}")))?;
    Ok(given.into_iter().map(|label| (label.key, label.value.0)).collect())
}

fn parse(id: &str) -> Result<ExperimentId, Problem> {
    id.parse().map_err(|_| {
        let id: String = id.chars().take(100).collect();
        Problem::not_found(format!("there is no experiment `{id}`"))
    })
}

/// The same, with the names that were sent.
fn renamed(mut problem: Problem) -> Problem {
    let sent = |path: String| match path.as_str() {
        "name" => "Name".to_owned(),
        "artifact_uri" => "ArtifactUri".to_owned(),
        _ => path.replacen("labels", "Labels", 1),
    };
    problem.errors =
        problem.errors.map(|errors| errors.into_iter().map(|(path, said)| (sent(path), said)).collect());
    problem
}
