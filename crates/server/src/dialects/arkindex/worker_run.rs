//! Worker runs. One that works through elements says what they and its configuration are; any other run of ours is taken for one
//! too: the process, the task and the worker run have the run's id. A worker run is its own worker version.

use axum::{Json, extract::State};
use runyard_domain::{
    RunId, WorkerRunId,
    run::{Run, Status},
};
use runyard_engine::{self as engine, Actor, model::Reference, worker_run::WorkerRun as Row};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    activity,
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
/// Only this makes workers say what became of each element.
const READY: &str = "ready";

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
pub(super) struct WorkerVersion {
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

/// What a worker brings along.
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
    activity_state: &'static str,
    /// Whether the worker asks for one element after the other. Without a clear no, newer workers never say that they have begun
    /// an element.
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

/// What is known of a worker run, wherever it comes from.
struct Known {
    id: String,
    /// What its worker is.
    of: String,
    name: String,
    version: String,
    summary: String,
    kind: &'static str,
    state: &'static str,
    mode: &'static str,
    corpus: Option<String>,
    parents: Vec<String>,
    brought: WorkerConfiguration,
    chosen: Map<String, Value>,
    model_version: Option<engine::model::ModelVersion>,
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    process: activity::Process,
    Id(id): Id<WorkerRunId>,
) -> Result<Json<WorkerRun>, Problem> {
    let known = known(&app, &actor, id).await?;
    let model_version = match known.model_version.clone() {
        Some(version) => Some(model_version::whole(&app, &actor, &site, version).await?),
        None => None,
    };
    let mut shown = show(known, model_version);
    shown.process.skip_elements_json = process.one_by_one;
    Ok(Json(shown))
}

/// What a worker with this id is.
pub(super) async fn version(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
) -> Result<Json<WorkerVersion>, Problem> {
    Ok(Json(show(known(&app, &actor, id).await?, None).worker_version))
}

pub(super) async fn configuration(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
) -> Result<Json<Merged>, Problem> {
    let known = known(&app, &actor, id).await?;
    let model = known.model_version.map(|version| version.config).unwrap_or_default();
    let values = merged(&known.brought, model, known.chosen);
    let items = values.into_iter().map(|(key, value)| Item { key, value, secret: false });
    // Secrets are named by themselves: a worker asks for each, and looks for a file of its own when there is none.
    let secrets = known.brought.secrets.into_iter();
    let secrets = secrets.map(|name| Item { key: name.clone(), value: Value::String(name), secret: true });
    Ok(Json(Merged { configuration: items.chain(secrets).collect() }))
}

/// The order of older workers, which merge by themselves: what the worker brings, the model's, defaults of what the model does not
/// say, what was chosen.
fn merged(
    brought: &WorkerConfiguration,
    model: Map<String, Value>,
    chosen: Map<String, Value>,
) -> Map<String, Value> {
    let mut values = brought.configuration.clone();
    for (key, choice) in &brought.user_configuration {
        if let Some(default) = choice.get("default").filter(|_| !model.contains_key(key)) {
            values.insert(key.clone(), default.clone());
        }
    }
    values.extend(model);
    values.extend(chosen);
    values
}

async fn known(app: &App, actor: &Actor, id: WorkerRunId) -> Result<Known, Problem> {
    match engine::worker_run::get(&app.engine, actor, id).await {
        Ok(row) => of_worker_run(app, actor, row).await,
        Err(engine::Error::NotFound { .. }) => {
            let run = engine::run::get(&app.engine, actor, RunId(id.0)).await?;
            of_run(app, actor, run).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn of_worker_run(app: &App, actor: &Actor, row: Row) -> Result<Known, Problem> {
    let run = match row.run_id {
        Some(id) => Some(engine::run::get(&app.engine, actor, id).await?),
        None => None,
    };
    let (path, named) = match &row.model_version_id {
        Some(id) => ("model_version_id".to_owned(), Some(id.as_str())),
        None => named(&row.configuration),
    };
    let model_version = meant(app, actor, row.project_id, path, named).await?;
    let state = match &run {
        Some(run) => run.life.status,
        None if row.counts.queued + row.counts.started > 0 => Status::JobRunning,
        None => Status::JobCompleted,
    };
    let parents = ponos::parents(app, actor, &row).await?;
    Ok(Known {
        of: row.id.to_string(),
        version: run.map(|run| run.version).unwrap_or_default(),
        name: row.worker,
        summary: row.summary,
        kind: "worker",
        state: ponos::state(state),
        mode: row.mode.word(),
        corpus: row.corpus_id.map(|corpus| corpus.to_string()),
        parents,
        brought: WorkerConfiguration {
            configuration: row.worker_configuration,
            user_configuration: row.user_configuration,
            secrets: row.secrets,
        },
        chosen: row.configuration,
        model_version,
        id: row.id.to_string(),
    })
}

async fn of_run(app: &App, actor: &Actor, run: Run) -> Result<Known, Problem> {
    let chosen = run.config.as_object().cloned().unwrap_or_default();
    let (path, named) = named(&chosen);
    let model_version = meant(app, actor, run.project_id, path, named).await?;
    let id = run.id.to_string();
    let version = if run.version.is_empty() { "unversioned" } else { &run.version };
    Ok(Known {
        of: run.blueprint_id.map_or_else(|| id.clone(), |blueprint| blueprint.to_string()),
        summary: format!("Worker {} @ {version}", run.name),
        version: run.version,
        name: run.name,
        kind: run.kind.word(),
        state: ponos::state(run.life.status),
        mode: "workers",
        corpus: None,
        parents: Vec::new(),
        brought: WorkerConfiguration::default(),
        chosen,
        model_version,
        id,
    })
}

/// The model version that a configuration names, and where.
fn named(config: &Map<String, Value>) -> (String, Option<&str>) {
    (format!("config.{MODEL_VERSION}"), config.get(MODEL_VERSION).and_then(Value::as_str))
}

async fn meant(
    app: &App,
    actor: &Actor,
    project: runyard_domain::ProjectId,
    path: String,
    named: Option<&str>,
) -> Result<Option<engine::model::ModelVersion>, Problem> {
    let Some(named) = named else { return Ok(None) };
    let reference = Reference::parse(named).map_err(|error| Problem::field(&path, error.to_string()))?;
    match engine::model::meant(&app.engine, actor, project, reference).await {
        Ok(version) => Ok(Some(version)),
        Err(error @ engine::Error::NotFound { .. }) => Err(Problem::field(&path, error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn show(known: Known, model_version: Option<ModelVersion>) -> WorkerRun {
    let version = if known.version.is_empty() { "unversioned".to_owned() } else { known.version };
    let id = known.id;
    let worker =
        Worker { id: known.of, slug: slug(&known.name), name: known.name.clone(), r#type: known.kind };
    let chosen = Some(known.chosen).filter(|chosen| !chosen.is_empty());
    WorkerRun {
        parents: known.parents,
        summary: known.summary,
        worker_version: WorkerVersion { id: id.clone(), version, worker, configuration: known.brought },
        process: Process {
            id: id.clone(),
            name: known.name.clone(),
            state: known.state,
            mode: known.mode,
            activity_state: if known.corpus.is_some() { READY } else { "disabled" },
            corpus: known.corpus,
            skip_elements_json: false,
        },
        model_version,
        configuration: chosen.map(|configuration| Chosen { id: id.clone(), name: known.name, configuration }),
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_slug_has_letters_and_single_dashes() {
        for (name, expected) in [("Digits, v2 (new)", "digits-v2-new"), ("", ""), ("--", ""), ("Été", "été")]
        {
            assert_eq!(slug(name), expected);
        }
    }

    #[test]
    fn a_configuration_is_merged_as_older_workers_merge_it() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let brought = WorkerConfiguration {
            configuration: map(json!({"a": 1, "b": 1, "c": 1})),
            user_configuration: map(json!({"b": {"default": 2}, "c": {"default": 2}, "d": {"type": "int"}})),
            secrets: Vec::new(),
        };
        let merged = merged(&brought, map(json!({"b": 3})), map(json!({"c": 4})));
        assert_eq!(Value::from(merged), json!({"a": 1, "b": 3, "c": 4}));
    }
}
