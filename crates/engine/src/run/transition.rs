//! One transition of a run, in the transaction of its caller: the run's row and its events together, or neither.

use runyard_domain::{
    Millis, RunId,
    run::{Cause, Effect, Kind, Run, apply},
};
use runyard_store::{self as store, Tx};

use crate::{Engine, Error, Result, activity};

/// Applies `cause` to `run`, which the caller holds locked, and writes what changed.
///
/// # Errors
/// A cause that cannot follow the run's status is a conflict, and nothing is written.
pub(crate) fn transition(tx: &mut Tx, run: &mut Run, cause: &Cause, now: Millis) -> Result<Vec<Effect>> {
    let change = apply(&run.life, cause, now)?;
    if change.entries.is_empty() {
        return Ok(change.effects);
    }
    for entry in &change.entries {
        run.sequence += 1;
        store::event::append(tx, run.id, run.sequence, entry, now)?;
    }
    let epoch = run.life.epoch;
    if let Cause::Ended { exit } = cause {
        if let Some(job) = store::job::by_epoch(tx, run.id, epoch)? {
            store::job::end(tx, job.id, exit, now)?;
            if run.kind == Kind::Worker {
                activity::end_job(tx, run, job.id, exit, now)?;
            }
        }
        run.exit = Some(exit.clone());
    }
    if change.life.epoch != epoch {
        run.exit = None;
    }
    if change.life.status != run.life.status {
        run.status_updated_at = now;
    }
    run.life = change.life;
    store::run::save_life(tx, run)?;
    Ok(change.effects)
}

/// Locks the run and applies `causes` in order, if its epoch is still `epoch`; answers the run as it is now.
/// `None`: the run is gone.
pub(crate) async fn advance(
    engine: &Engine,
    id: RunId,
    epoch: i64,
    causes: Vec<Cause>,
) -> Result<Option<Run>> {
    let now = engine.now();
    let (run, effects) = engine
        .db
        .write(move |tx| {
            let Some(mut run) = store::run::lock(tx, id)? else { return Ok::<_, Error>((None, Vec::new())) };
            let mut effects = Vec::new();
            for cause in &causes {
                if run.life.epoch == epoch {
                    effects.extend(transition(tx, &mut run, cause, now)?);
                }
            }
            Ok((Some(run), effects))
        })
        .await?;
    announce(engine, id, &effects);
    Ok(run)
}

/// Wakes whoever waits for the run, after the commit.
pub(crate) fn announce(engine: &Engine, id: RunId, effects: &[Effect]) {
    engine.signals.changed(id);
    if effects.contains(&Effect::Drive) {
        engine.signals.drive(id);
    }
}
