//! What workers ask of Ponos, which runs Arkindex's tasks: the task that they are, and secrets.

use axum::{
    Json,
    extract::{Path, State},
};
use runyard_domain::{RunId, WorkerRunId, run::Status};
use runyard_engine::{self as engine, Actor};
use serde::Serialize;
use serde_json::Value;

use crate::{
    app::{App, Id},
    auth::Caller,
    error::Problem,
};

/// The key of a worker run's configuration that names the tasks whose files it reads: a list of ids.
const PARENTS: &str = "parents";

/// A task: here it is a run, and its worker run too.
#[derive(Serialize)]
pub(super) struct Task {
    id: String,
    slug: String,
    state: &'static str,
    parents: Vec<String>,
}

/// The task of a run, or of a worker run that no run executes.
pub(super) async fn task(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
) -> Result<Json<Task>, Problem> {
    let worker_run = match engine::worker_run::get(&app.engine, &actor, WorkerRunId(id.0)).await {
        Ok(worker_run) => Some(worker_run),
        Err(engine::Error::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let parents = match &worker_run {
        Some(worker_run) => parents(&app, &actor, worker_run).await?,
        None => Vec::new(),
    };
    if let Some(alone) = worker_run.filter(|worker_run| worker_run.run_id.is_none()) {
        let state = state(Status::JobRunning);
        return Ok(Json(Task { id: id.to_string(), slug: alone.worker, state, parents }));
    }
    let run = engine::run::get(&app.engine, &actor, id).await?;
    Ok(Json(Task { id: run.id.to_string(), slug: run.name, state: state(run.life.status), parents }))
}

/// What a worker run goes on from: tasks that its configuration names, and the builds of the datasets whose sets it works through.
pub(super) async fn parents(
    app: &App,
    actor: &Actor,
    worker_run: &engine::worker_run::WorkerRun,
) -> Result<Vec<String>, Problem> {
    let named = worker_run.configuration.get(PARENTS).and_then(Value::as_array).into_iter().flatten();
    let mut parents: Vec<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
    for set in &worker_run.selection.sets {
        match engine::dataset::get(&app.engine, actor, set.dataset).await {
            Ok(whole) => parents.extend(whole.dataset.task_id),
            Err(engine::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut seen = std::collections::HashSet::new();
    parents.retain(|parent| seen.insert(parent.clone()));
    Ok(parents)
}

/// No secrets are kept here: the client then looks for a file of its own.
pub(super) async fn secret(Path(name): Path<String>) -> Problem {
    let name: String = name.chars().take(200).collect();
    Problem::not_found(format!("there is no secret `{name}`"))
}

/// The status of a run in Ponos's words.
pub(super) fn state(status: Status) -> &'static str {
    match status {
        Status::RunCreated | Status::RunRestartRequested => "unscheduled",
        Status::JobCreated | Status::JobSubmitted | Status::JobPending => "pending",
        Status::JobRunning | Status::JobUnknown => "running",
        Status::RunStopRequested | Status::JobTerminateRequested | Status::JobTerminating => "stopping",
        Status::JobTerminated => "stopped",
        Status::JobCompleted => "completed",
        Status::JobFailed => "failed",
        Status::JobCreateFailed => "error",
    }
}
