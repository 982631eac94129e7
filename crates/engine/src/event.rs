//! Reads the log of a run.

use runyard_domain::RunId;
pub use runyard_domain::run::Event;
use runyard_store as store;

use crate::{Actor, Engine, Result, run::visible};

/// Events of a run by sequence.
pub async fn list(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    descending: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<Event>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            visible(&actor, run, store::run::get(tx, run)?)?;
            Ok(store::event::list(tx, run, descending, limit, offset)?)
        })
        .await
}

/// Events after `sequence`, oldest first: for those who follow.
pub async fn after(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    sequence: i64,
    limit: i64,
) -> Result<Vec<Event>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            visible(&actor, run, store::run::get(tx, run)?)?;
            Ok(store::event::after(tx, run, sequence, limit)?)
        })
        .await
}
