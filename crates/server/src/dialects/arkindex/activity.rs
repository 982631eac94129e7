//! Activities, one element at a time. What is started takes a lease, although such workers know none: so that what a killed one
//! had comes back.

use std::convert::Infallible;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
};
use runyard_domain::{
    ElementId, FieldErrors, WorkerRunId,
    activity::{Outcome, State as Of},
    token::Scope,
    worker_run::PROCESSES_MAX,
};
use runyard_engine::{self as engine, Actor, Engine};
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
const HOLDER: &str = "arkindex";
/// What stands before the number of a process in the address that our runner has workers use: such clients send that address
/// along with every request, and look at nothing of it but the host.
const PROCESS: &str = "/worker-process/";
/// What such an address ends with when its worker asks for one element after the other.
const ONE_BY_ONE: &str = "/one-by-one";

/// What is known of the process that asks, by the address that it was given.
pub(super) struct Process {
    /// Its number in its job.
    number: Option<i64>,
    /// Whether it asks for one element after the other, and is given no list of them.
    pub(super) one_by_one: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Process {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.headers.get(header::REFERER).and_then(|address| address.to_str().ok());
        Ok(Self::of(address.unwrap_or_default()))
    }
}

impl Process {
    fn of(address: &str) -> Self {
        let address = address.trim_end_matches('/');
        let (address, one_by_one) = match address.strip_suffix(ONE_BY_ONE) {
            Some(address) => (address, true),
            None => (address, false),
        };
        let number = address.split_once(PROCESS).and_then(|(_, number)| number.parse().ok());
        Self { number: number.filter(|number| (0..PROCESSES_MAX).contains(number)), one_by_one }
    }

    /// Who asks, as holder of elements.
    pub(super) async fn holder(&self, engine: &Engine, actor: &Actor) -> engine::Result<String> {
        engine::activity::holder(engine, actor, HOLDER, self.number).await
    }
}

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
    process: Process,
    Id(run): Id<WorkerRunId>,
    Valid(update): Valid<Update>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let element = id::<ElementId>(&mut errors, "element_id", &update.element_id);
    let named = id::<WorkerRunId>(&mut errors, "process_id", &update.process_id);
    if let Some(named) = named.filter(|named| *named != run) {
        errors.add("process_id", format!("process {named} is not that of worker run {run}"));
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
    let change = move |engine: Engine| async move {
        let Some(outcome) = outcome else {
            let holder = process.holder(&engine, &actor).await?;
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
    process: Process,
) -> Result<Json<Started>, Problem> {
    let Scope::Run(_, run) = actor.scope else {
        let message = "this token belongs to no worker run, so nothing says whose elements to start: use the token of a \
                       run's job, or name elements with --element or --elements-list";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message));
    };
    let lease_ms = app.arkindex.lease_ms;
    let run = WorkerRunId(run.0);
    let start = move |engine: Engine| async move {
        let holder = process.holder(&engine, &actor).await?;
        engine::activity::start_next(&engine, &actor, run, holder, Some(lease_ms)).await
    };
    match app.command(start).await? {
        Some(started) => Ok(Json(Started { id: started.element.to_string() })),
        None => Err(Problem::not_found(format!("worker run {run} has no element that is free"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_the_address_that_it_was_given() {
        let known = |address: &str| {
            let process = Process::of(address);
            (process.number, process.one_by_one)
        };
        assert_eq!(known("http://127.0.0.1:7878/worker-process/3"), (Some(3), false));
        assert_eq!(known("http://host/worker-process/0/one-by-one/"), (Some(0), true));
        assert_eq!(known("http://host/one-by-one"), (None, true));
        for other in ["", "http://host/", "http://host/worker-process/", "http://host/worker-process/256"] {
            assert_eq!(known(other), (None, false), "{other}");
        }
    }
}
