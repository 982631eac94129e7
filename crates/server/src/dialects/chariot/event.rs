//! The log of a run, as Chariot's clients read it.

use axum::extract::State;
use runyard_domain::{FieldErrors, RunId, run::Status};
use runyard_engine as engine;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::{Answer, data, settings::Time};
use crate::{
    app::{App, Id},
    auth::Caller,
    query::{self, Lenient},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
}

/// All fields are always there, and `details` is an object.
#[derive(Serialize)]
pub(super) struct Event {
    id: String,
    sequence: i64,
    run_id: String,
    created_at: Time,
    status: Status,
    details: Map<String, Value>,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<RunId>,
    Lenient(page): Lenient<Page>,
) -> Answer<Vec<Event>> {
    let mut errors = FieldErrors::default();
    let descending = query::sort(&mut errors, page.sort, &["sequence"]).is_none_or(|sort| sort.descending);
    errors.finish(())?;
    let (limit, offset) = (page.limit.unwrap_or(100), page.offset.unwrap_or(0));
    let events = engine::event::list(&app.engine, &actor, run, descending, limit, offset).await?;
    let shown = events.into_iter().map(|event| Event {
        id: event.id(),
        sequence: event.sequence,
        run_id: event.run_id.to_string(),
        created_at: app.chariot.time(event.created_at),
        status: event.status,
        details: event.details,
    });
    data(shown.collect())
}
