//! Stops a run with a grace period.

use runyard_domain::{
    RunId,
    run::{Cause, Run},
};

use super::transition::{announce, transition};
use crate::{Actor, Engine, Error, Result};

/// Grace when nobody says one, in seconds (Chariot's default).
pub const DEFAULT_GRACE_S: i64 = 600;

/// Longest grace, in seconds: a week.
pub const MAX_GRACE_S: i64 = 7 * 24 * 3600;

/// Stops a run: SIGTERM now, SIGKILL after the grace (1 second or more; `None`: [`DEFAULT_GRACE_S`]).
///
/// # Errors
/// 409 with the status when the run has ended; a second stop may only shorten the grace.
pub async fn stop(
    engine: &Engine,
    actor: &Actor,
    id: RunId,
    grace_period_seconds: Option<i64>,
) -> Result<Run> {
    let grace_s = grace_period_seconds.unwrap_or(DEFAULT_GRACE_S);
    if !(1..=MAX_GRACE_S).contains(&grace_s) {
        let message = format!("{grace_s} is not from 1 to {MAX_GRACE_S} seconds");
        return Err(Error::field("grace_period_seconds", message));
    }
    let (now, actor) = (engine.now(), actor.clone());
    let (run, effects) = engine
        .db
        .write(move |tx| {
            let mut run = super::lock_for(tx, &actor, id)?;
            let cause = Cause::Stop { grace_ms: grace_s * 1000, by: actor.name.clone() };
            let effects = transition(tx, &mut run, &cause, now)?;
            Ok::<_, Error>((run, effects))
        })
        .await?;
    announce(engine, id, &effects);
    Ok(run)
}
