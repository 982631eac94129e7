//! Worker runs. A run of ours is all of it: the process, the task and the worker run, each with the run's id.

use axum::{Json, extract::State};
use runyard_domain::{RunId, run::Run};
use runyard_engine::{self as engine, model::Reference};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    model_version::{self, ModelVersion},
    ponos,
    site::Site,
};
use crate::{
    app::{App, Id},
    auth::Caller,
    error::Problem,
};

/// The key of a run's config that names a model version: what a worker goes on from, or works with.
const MODEL_VERSION: &str = "model_version";

#[derive(Serialize)]
pub(super) struct WorkerRun {
    id: String,
    parents: Vec<String>,
    summary: String,
    worker_version: WorkerVersion,
    process: Process,
    model_version: Option<ModelVersion>,
    configuration: Option<Chosen>,
}

#[derive(Serialize)]
struct WorkerVersion {
    id: String,
    version: String,
    worker: Worker,
    configuration: WorkerConfiguration,
}

#[derive(Serialize)]
struct Worker {
    id: String,
    name: String,
    slug: String,
    r#type: &'static str,
}

/// What a worker brings along: here it is all said by the run.
#[derive(Default, Serialize)]
struct WorkerConfiguration {
    configuration: Map<String, Value>,
    user_configuration: Map<String, Value>,
    secrets: Vec<String>,
}

#[derive(Serialize)]
struct Process {
    id: String,
    name: String,
    state: &'static str,
    mode: &'static str,
    corpus: Option<String>,
    /// Only `ready` makes workers say what became of each element.
    activity_state: &'static str,
    /// Without a clear no, newer workers never say that they have begun an element.
    skip_elements_json: bool,
}

/// What was chosen for the run.
#[derive(Serialize)]
struct Chosen {
    id: String,
    name: String,
    configuration: Map<String, Value>,
}

#[derive(Serialize)]
pub(super) struct Merged {
    configuration: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    key: String,
    value: Value,
    secret: bool,
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<RunId>,
) -> Result<Json<WorkerRun>, Problem> {
    let run = engine::run::get(&app.engine, &actor, id).await?;
    let model_version = match chosen(&app, &actor, &run).await? {
        Some(version) => Some(model_version::whole(&app, &actor, &site, version).await?),
        None => None,
    };
    Ok(Json(show(run, model_version)))
}

pub(super) async fn configuration(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
) -> Result<Json<Merged>, Problem> {
    let run = engine::run::get(&app.engine, &actor, id).await?;
    let mut values = chosen(&app, &actor, &run).await?.map(|version| version.config).unwrap_or_default();
    values.extend(config(&run));
    let configuration = values.into_iter().map(|(key, value)| Item { key, value, secret: false });
    Ok(Json(Merged { configuration: configuration.collect() }))
}

/// The model version that the run's config names, if it does.
async fn chosen(
    app: &App,
    actor: &engine::Actor,
    run: &Run,
) -> Result<Option<engine::model::ModelVersion>, Problem> {
    let Some(named) = run.config.get(MODEL_VERSION).and_then(Value::as_str) else { return Ok(None) };
    let path = format!("config.{MODEL_VERSION}");
    let reference = Reference::parse(named).map_err(|error| Problem::field(&path, error.to_string()))?;
    match engine::model::meant(&app.engine, actor, run.project_id, reference).await {
        Ok(version) => Ok(Some(version)),
        Err(error @ engine::Error::NotFound { .. }) => Err(Problem::field(&path, error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn config(run: &Run) -> Map<String, Value> {
    run.config.as_object().cloned().unwrap_or_default()
}

fn show(run: Run, model_version: Option<ModelVersion>) -> WorkerRun {
    let configuration = Some(config(&run)).filter(|config| !config.is_empty());
    let id = run.id.to_string();
    let of = run.blueprint_id.map_or_else(|| id.clone(), |blueprint| blueprint.to_string());
    let version = if run.version.is_empty() { "unversioned".to_owned() } else { run.version };
    WorkerRun {
        parents: Vec::new(),
        summary: format!("Worker {} @ {version}", run.name),
        worker_version: WorkerVersion {
            id: of.clone(),
            version,
            worker: Worker { id: of, name: run.name.clone(), slug: slug(&run.name), r#type: run.kind.word() },
            configuration: WorkerConfiguration::default(),
        },
        process: Process {
            id: id.clone(),
            name: run.name.clone(),
            state: ponos::state(run.life.status),
            mode: "workers",
            corpus: None,
            activity_state: "disabled",
            skip_elements_json: false,
        },
        model_version,
        configuration: configuration.map(|configuration| Chosen {
            id: id.clone(),
            name: run.name,
            configuration,
        }),
        id,
    }
}

/// A name as it may stand in an address.
fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.to_lowercase().chars() {
        match c {
            c if c.is_alphanumeric() => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_has_letters_and_single_dashes() {
        for (name, expected) in [("Digits, v2 (new)", "digits-v2-new"), ("", ""), ("--", ""), ("Été", "été")]
        {
            assert_eq!(slug(name), expected);
        }
    }
}
