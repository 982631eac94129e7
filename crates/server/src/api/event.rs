//! The log of a run over HTTP.

use axum::extract::State;
use runyard_domain::{FieldErrors, RunId};
use runyard_engine as engine;
use runyard_wire::{Data, event::Event};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{
    app::{App, Id},
    auth::Caller,
    openapi::{Missing, Refused},
    query::{self, Query},
};

/// Which events of a run.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// At most so many; 100 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    /// Leave out so many first.
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
    /// `sequence`, `sequence:asc` or `sequence:desc`, which is what is taken when nothing was said.
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
}

/// Lists events
#[utoipa::path(get, path = "/runs/{run_id}/events", operation_id = "list_events", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run."), Page),
    responses((status = 200, description = "Events by sequence.", body = Data<Vec<Event>>), Missing, Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<RunId>,
    Query(page): Query<Page>,
) -> Answer<Vec<Event>> {
    let mut errors = FieldErrors::default();
    let descending = query::sort(&mut errors, page.sort, &["sequence"]).is_none_or(|sort| sort.descending);
    errors.finish(())?;
    let (limit, offset) = (page.limit.unwrap_or(100), page.offset.unwrap_or(0));
    let events = engine::event::list(&app.engine, &actor, run, descending, limit, offset).await?;
    data(events.into_iter().map(wire).collect())
}

pub(super) fn wire(event: engine::event::Event) -> Event {
    Event {
        id: event.id(),
        sequence: event.sequence,
        run_id: event.run_id.to_string(),
        created_at: event.created_at.0,
        status: event.status,
        details: event.details,
    }
}
