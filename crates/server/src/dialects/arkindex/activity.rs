//! Activities, one element at a time. What is started takes a lease, although such workers know none: so that what a killed one
//! had comes back.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{
    ElementId, FieldErrors, WorkerRunId,
    activity::{Outcome, State as Of},
    token::Scope,
};
use runyard_engine as engine;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{refusal::not_now, wanted::id};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
};

/// What holders of this dialect are called by, behind their job.
pub(super) const HOLDER: &str = "arkindex";

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexActivity)]
pub(super) struct Update {
    element_id: String,
    process_id: String,
    state: String,
}

#[derive(Serialize)]
pub(super) struct Started {
    id: String,
}

/// The id of the path is that of the worker run, although it says otherwise.
pub(super) async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<WorkerRunId>,
    Valid(update): Valid<Update>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let element = id::<ElementId>(&mut errors, "element_id", &update.element_id);
    let process = id::<WorkerRunId>(&mut errors, "process_id", &update.process_id);
    if let Some(process) = process.filter(|process| *process != run) {
        errors.add("process_id", format!("process {process} is not that of worker run {run}"));
    }
    let state = update.state.parse::<Of>().map_err(|error| errors.add("state", error.to_string())).ok();
    if state == Some(Of::Queued) {
        errors.add("state", "is started, processed or error: what is queued, a retry of the worker run says");
    }
    errors.finish(())?;
    let (Some(element), Some(state)) = (element, state) else {
        return Err(Problem::fault("a wrong field without a message"));
    };
    let outcome = match state {
        Of::Processed => Some(Outcome::Processed),
        Of::Error => Some(Outcome::Error),
        Of::Started | Of::Queued => None,
    };
    let lease_ms = app.arkindex.lease_ms;
    let change = move |engine: engine::Engine| async move {
        let Some(outcome) = outcome else {
            let holder = engine::activity::holder(&engine, &actor, HOLDER).await?;
            engine::activity::start(&engine, &actor, run, element, holder, Some(lease_ms)).await?;
            return Ok(());
        };
        let reason = (outcome == Outcome::Error).then(|| "the worker's log says why".to_owned());
        engine::activity::finish(&engine, &actor, run, element, outcome, reason).await
    };
    match app.command(change).await {
        Err(problem) if problem.status == StatusCode::CONFLICT => Err(not_now(problem.message)),
        changed => changed.map(|()| StatusCode::NO_CONTENT),
    }
}

/// The next element of the worker run that the token belongs to. 404: there is none, and the worker has done its work.
pub(super) async fn start_next(
    State(app): State<App>,
    Caller(actor): Caller,
) -> Result<Json<Started>, Problem> {
    let Scope::Run(_, run) = actor.scope else {
        let message = "this token belongs to no worker run, so nothing says whose elements to start: use the token of a \
                       run's job, or name elements with --element or --elements-list";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message));
    };
    let lease_ms = app.arkindex.lease_ms;
    let run = WorkerRunId(run.0);
    let start = move |engine: engine::Engine| async move {
        let holder = engine::activity::holder(&engine, &actor, HOLDER).await?;
        engine::activity::start_next(&engine, &actor, run, holder, Some(lease_ms)).await
    };
    match app.command(start).await? {
        Some(started) => Ok(Json(Started { id: started.element.to_string() })),
        None => Err(Problem::not_found(format!("worker run {run} has no element that is free"))),
    }
}
