//! Runs over HTTP: submit, read, change, stop, restart, delete.

use axum::extract::State;
use runyard_domain::{
    RunId,
    progress::Operation,
    run::{self as domain, Spec},
};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    run::{Deleted, NewRun, Progress, PutProgress, RestartRun, Run, RunPatch, RunSpec, StopRun},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{
    app::{App, Id, IdempotencyKey},
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{Nothing, Query},
};

mod list;
pub(super) use list::{__path_list, list};

/// Submits a run
///
/// Valid as a whole, or nothing is created: 422 names every wrong field, those of the config under `config`.
#[utoipa::path(post, path = "/runs", operation_id = "create_run", tag = "runs", params(IdempotencyKey),
    request_body = NewRun,
    responses((status = 200, description = "The run.", body = Data<Run>), Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    IdempotencyKey(key): IdempotencyKey,
    Valid(new): Valid<NewRun>,
) -> Answer<Run> {
    let new = engine::run::NewRun {
        project: new.project_id,
        name: new.name,
        version: new.version,
        kind: new.kind,
        blueprint: new.blueprint_id,
        task_type: new.task_type,
        config: new.config,
        resources: new.resources,
        spec: new.spec.map(spec),
        executor: new.executor,
        priority: new.priority,
        labels: new.labels,
        notes: new.notes,
    };
    data(wire(
        app.command(move |engine| async move { engine::run::submit(&engine, &actor, new, key).await })
            .await?,
    ))
}

/// Reads a run
#[utoipa::path(get, path = "/runs/{run_id}", operation_id = "get_run", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")),
    responses((status = 200, description = "The run.", body = Data<Run>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Run> {
    let run = engine::run::get(&app.engine, &actor, id).await?;
    data(Run { waiting_for: app.engine.waits_for(id), ..wire(run) })
}

/// Changes name, notes or labels
#[utoipa::path(patch, path = "/runs/{run_id}", operation_id = "patch_run", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")), request_body = RunPatch,
    responses((status = 200, description = "The run.", body = Data<Run>), Missing, BadBody, Refused))]
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(patch): Valid<RunPatch>,
) -> Answer<Run> {
    let change = move |engine| async move {
        engine::run::patch(&engine, &actor, id, patch.name, patch.notes, patch.labels).await
    };
    data(wire(app.command(change).await?))
}

/// Deletes a run
///
/// With its rows and files. One that has not ended is refused.
#[utoipa::path(delete, path = "/runs/{run_id}", operation_id = "delete_run", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")),
    responses((status = 200, description = "What that freed.", body = Data<Deleted>),
        Missing, Conflicting, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Deleted> {
    let freed =
        app.command(move |engine| async move { engine::run::delete(&engine, &actor, id).await }).await?;
    data(Deleted { id: id.to_string(), freed_bytes: freed })
}

/// Reads the progress of a run
#[utoipa::path(get, path = "/runs/{run_id}/progress", operation_id = "get_progress", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")),
    responses((status = 200, description = "Operations under way.", body = Data<Vec<Progress>>), Missing, Refused))]
pub(super) async fn progress(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<Progress>> {
    let run = engine::run::get(&app.engine, &actor, id).await?;
    data(run.progress.into_iter().map(wire_progress).collect())
}

/// Replaces the progress of a run
#[utoipa::path(put, path = "/runs/{run_id}/progress", operation_id = "put_progress", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")), request_body = PutProgress,
    responses((status = 200, description = "Operations under way.", body = Data<Vec<Progress>>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn put_progress(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<PutProgress>,
) -> Answer<Vec<Progress>> {
    let progress = body.progress.iter().map(|progress| domain::Progress {
        operation: progress.operation.clone(),
        value: progress.value.clone(),
        final_value: progress.final_value.clone(),
        units: progress.units.clone(),
        created_at: progress.created_at,
    });
    let progress = progress.collect();
    let put = move |engine| async move { engine::run::put_progress(&engine, &actor, id, progress).await };
    data(app.command(put).await?.into_iter().map(wire_progress).collect())
}

/// How long a stop may take.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Grace {
    /// Instead of the body's: seconds between SIGTERM and SIGKILL, 1 or more; 600 when nothing was said.
    #[param(nullable = false)]
    grace_period_seconds: Option<i64>,
}

/// Stops a run
///
/// SIGTERM now, SIGKILL after the grace. A second stop may only shorten the grace.
#[utoipa::path(post, path = "/runs/{run_id}/stop", operation_id = "stop_run", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run."), Grace),
    request_body(content = Option<StopRun>, description = "May be left out."),
    responses((status = 200, description = "The run.", body = Data<Run>), Missing, Conflicting, BadBody, Refused))]
pub(super) async fn stop(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Query(grace): Query<Grace>,
    Valid(body): Valid<Option<StopRun>>,
) -> Answer<Run> {
    let grace = match (grace.grace_period_seconds, body.unwrap_or_default().grace_period_seconds) {
        (Some(one), Some(other)) if one != other => {
            return Err(Problem::field(
                "grace_period_seconds",
                "is given in the query and in the body: give it once",
            ));
        }
        (one, other) => one.or(other),
    };
    data(wire(
        app.command(move |engine| async move { engine::run::stop(&engine, &actor, id, grace).await }).await?,
    ))
}

/// Restarts a run
///
/// One that has ended, or whose job is lost from sight: as a new job, with other resources if they are given.
#[utoipa::path(post, path = "/runs/{run_id}/restart", operation_id = "restart_run", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")),
    request_body(content = Option<RestartRun>, description = "May be left out."),
    responses((status = 200, description = "The run.", body = Data<Run>), Missing, Conflicting, BadBody, Refused))]
pub(super) async fn restart(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<Option<RestartRun>>,
) -> Answer<Run> {
    let resources = body.unwrap_or_default().resources;
    let restart = move |engine| async move { engine::run::restart(&engine, &actor, id, resources).await };
    data(wire(app.command(restart).await?))
}

fn spec(spec: RunSpec) -> Spec {
    Spec {
        command: spec.command,
        image: spec.image,
        registry_secret: spec.registry_secret,
        source: spec.source,
        env: spec.env,
        requirements: spec.requirements,
        max_run_time_s: spec.max_run_time_s,
        retries: spec.retries,
        retry_on: spec.retry_on,
        checkpoints: spec.checkpoints,
        secrets: spec.secrets,
        metric_definitions: spec.metric_definitions,
        recorded: spec.recorded,
        instances: spec.instances,
        instance_type: spec.instance_type,
        worker: spec.worker,
        inputs: spec.inputs,
        outputs: spec.outputs,
    }
}

fn wire_spec(spec: Spec) -> RunSpec {
    RunSpec {
        command: spec.command,
        image: spec.image,
        registry_secret: spec.registry_secret,
        source: spec.source,
        env: spec.env,
        requirements: spec.requirements,
        max_run_time_s: spec.max_run_time_s,
        retries: spec.retries,
        retry_on: spec.retry_on,
        checkpoints: spec.checkpoints,
        secrets: spec.secrets,
        metric_definitions: spec.metric_definitions,
        recorded: spec.recorded,
        instances: spec.instances,
        instance_type: spec.instance_type,
        worker: spec.worker,
        inputs: spec.inputs,
        outputs: spec.outputs,
    }
}

pub(super) fn wire_progress(operation: Operation) -> Progress {
    let (rate_per_s, seconds_left) = (operation.rate_per_s(), operation.seconds_left());
    let reported = operation.reported;
    Progress {
        operation: reported.operation,
        value: reported.value,
        final_value: reported.final_value,
        units: reported.units,
        created_at: None,
        started_at: Some(operation.started_at.0),
        rate_per_s,
        seconds_left,
    }
}

pub(super) fn wire(run: engine::run::Run) -> Run {
    Run {
        id: Some(run.id.to_string()),
        project_id: Some(run.project_id.to_string()),
        user_id: Some(run.user_id),
        created_at: Some(run.created_at.0),
        name: Some(run.name),
        version: Some(run.version),
        kind: Some(run.kind.word().to_owned()),
        blueprint_id: run.blueprint_id.map(|id| id.to_string()),
        task_type: run.task_type,
        config: Some(run.config),
        resources: Some(run.resources),
        spec: Some(wire_spec(run.spec)),
        executor: Some(run.executor),
        priority: Some(run.priority),
        labels: Some(run.labels),
        notes: run.notes,
        progress: Some(run.progress.into_iter().map(wire_progress).collect()),
        progress_updated_at: run.progress_updated_at.map(|at| at.0),
        status: Some(run.life.status),
        status_updated_at: Some(run.status_updated_at.0),
        waiting_for: None,
        epoch: Some(run.life.epoch),
        exit: run.exit.and_then(|exit| serde_json::to_value(exit).ok()),
    }
}
