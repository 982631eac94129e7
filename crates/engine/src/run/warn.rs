//! Warnings: what a person should know of a run that goes on all the same. An event with the status that the run has;
//! it changes nothing else.

use runyard_domain::{
    Millis, RunId,
    run::{Entry, Run},
};
use runyard_store::{self as store, Tx};
use serde_json::{Map, Value};

use crate::{Engine, Error, Result};

/// The word under which the sentence is in the details of the event; the only one there, by which readers know it.
const WARNING: &str = "warning";

/// Warns of something, in the transaction of its caller, who holds the run locked.
pub(crate) fn warn(tx: &mut Tx, run: &mut Run, sentence: &str, now: Millis) -> Result<()> {
    let details = Map::from_iter([(WARNING.to_owned(), Value::from(sentence))]);
    run.sequence += 1;
    let entry = Entry { status: run.life.status, details };
    store::event::append(tx, run.id, run.sequence, &entry, now)?;
    store::run::save_life(tx, run)?;
    Ok(())
}

/// Warns of something in a transaction of its own; a run that is gone is left alone.
pub async fn warn_of(engine: &Engine, id: RunId, sentence: String) -> Result<()> {
    let now = engine.now();
    engine
        .db
        .write(move |tx| match store::run::lock(tx, id)? {
            Some(mut run) => warn(tx, &mut run, &sentence, now),
            None => Ok::<_, Error>(()),
        })
        .await?;
    engine.signals.changed(id);
    Ok(())
}
