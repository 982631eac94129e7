//! Worker runs over HTTP: make, list, read, delete, select. What happens to their elements is in `activity.rs`.

use axum::extract::State;
use runyard_domain::{CorpusId, FieldErrors, WorkerRunId, activity};
use runyard_engine::{self as engine, worker_run::NewWorkerRun as New};
use runyard_wire::{
    Data,
    run::Deleted,
    worker_run::{Changed, Counts, NewWorkerRun, Select, WorkerRun},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data, project};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    limits,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Which worker runs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// On any of these corpora, by id.
    #[serde(default)]
    #[param(required = false)]
    corpus_id: Vec<String>,
    /// What follows this id.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// At most so many; 10 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Lists worker runs
///
/// The newest first, with how many of their elements are in each state.
#[utoipa::path(get, path = "/worker_runs", operation_id = "list_worker_runs", tag = "worker runs", params(Wanted),
    responses((status = 200, description = "Worker runs.", body = Data<Vec<WorkerRun>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<WorkerRun>> {
    let mut errors = FieldErrors::default();
    let filter = engine::worker_run::Filter {
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        project_ids: project::ids(&app, &actor, &mut errors, wanted.project_id).await?,
        corpus_ids: query::each(&mut errors, "corpus_id", wanted.corpus_id, str::parse::<CorpusId>),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        limit: wanted.limit.unwrap_or(10),
    };
    errors.finish(())?;
    let found = engine::worker_run::list(&app.engine, &actor, filter).await?;
    data(found.into_iter().map(wire).collect())
}

/// Makes a worker run
///
/// One that no run of this server executes: a worker that is started by hand, or that worked elsewhere. A run of the kind
/// `worker` makes its own. A repeat with the same id answers the same worker run.
#[utoipa::path(post, path = "/worker_runs", operation_id = "create_worker_run", tag = "worker runs",
    request_body = NewWorkerRun,
    responses((status = 200, description = "The worker run.", body = Data<WorkerRun>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<NewWorkerRun, { limits::SELECTION }>,
) -> Answer<WorkerRun> {
    let mut errors = FieldErrors::default();
    let id = query::one(&mut errors, "id", new.id, str::parse::<WorkerRunId>);
    errors.finish(())?;
    let new = New {
        id,
        project: new.project_id,
        corpus: new.corpus,
        worker: new.worker,
        summary: new.summary,
        mode: new.mode,
        configuration: new.configuration,
        worker_configuration: new.worker_configuration,
        user_configuration: new.user_configuration,
        secrets: new.secrets,
        model_version_id: new.model_version_id,
        selection: new.selection,
        max_attempts: new.max_attempts,
        lease_ms: new.lease_ms,
    };
    let create = move |engine| async move { engine::worker_run::create(&engine, &actor, new).await };
    data(wire(app.command(create).await?))
}

/// Reads a worker run
#[utoipa::path(get, path = "/worker_runs/{worker_run_id}", operation_id = "get_worker_run", tag = "worker runs",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")),
    responses((status = 200, description = "The worker run.", body = Data<WorkerRun>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<WorkerRun> {
    data(wire(engine::worker_run::get(&app.engine, &actor, id).await?))
}

/// Deletes a worker run
///
/// With its activities; what it found stays. One that a run executes goes with that run.
#[utoipa::path(delete, path = "/worker_runs/{worker_run_id}", operation_id = "delete_worker_run", tag = "worker runs",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")),
    responses((status = 200, description = "What was deleted.", body = Data<Deleted>), Missing, Conflicting, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Deleted> {
    let delete = move |engine| async move { engine::worker_run::delete(&engine, &actor, id).await };
    app.command(delete).await?;
    data(Deleted { id: id.to_string(), freed_bytes: 0 })
}

/// Queues elements of a worker run
///
/// Those that it has already stay as they are; answers how many are new.
#[utoipa::path(post, path = "/worker_runs/{worker_run_id}/select", operation_id = "select_elements", tag = "worker runs",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")), request_body = Select,
    responses((status = 200, description = "How many are new.", body = Data<Changed>), Missing, BadBody, Refused))]
pub(super) async fn select(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<Select, { limits::SELECTION }>,
) -> Answer<Changed> {
    let select =
        move |engine| async move { engine::worker_run::select(&engine, &actor, id, body.selection).await };
    data(Changed { count: app.command(select).await? })
}

fn wire(run: engine::worker_run::WorkerRun) -> WorkerRun {
    WorkerRun {
        id: run.id.to_string(),
        project_id: run.project_id.to_string(),
        corpus_id: run.corpus_id.map(|id| id.to_string()),
        run_id: run.run_id.map(|id| id.to_string()),
        summary: run.summary,
        worker: run.worker,
        mode: run.mode.word().to_owned(),
        configuration: run.configuration,
        worker_configuration: run.worker_configuration,
        user_configuration: run.user_configuration,
        secrets: run.secrets,
        model_version_id: run.model_version_id,
        selection: run.selection,
        max_attempts: run.max_attempts,
        lease_ms: run.lease_ms,
        created_at: run.created_at.0,
        counts: counts(run.counts),
    }
}

fn counts(counts: activity::Counts) -> Counts {
    let activity::Counts { queued, started, processed, error } = counts;
    Counts { queued, started, processed, error }
}
