//! What workers ask of Ponos, which runs Arkindex's tasks: the task that they are, and secrets.

use axum::{
    Json,
    extract::{Path, State},
};
use runyard_domain::{RunId, run::Status};
use runyard_engine as engine;
use serde::Serialize;

use crate::{
    app::{App, Id},
    auth::Caller,
    error::Problem,
};

/// A task: here it is a run, and its worker run too.
#[derive(Serialize)]
pub(super) struct Task {
    id: String,
    slug: String,
    state: &'static str,
    parents: Vec<String>,
}

pub(super) async fn task(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
) -> Result<Json<Task>, Problem> {
    let run = engine::run::get(&app.engine, &actor, id).await?;
    let state = state(run.life.status);
    Ok(Json(Task { id: run.id.to_string(), slug: run.name, state, parents: Vec::new() }))
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
