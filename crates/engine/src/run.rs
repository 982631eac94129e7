//! Runs: one verb per file; reading them and what people write on them is here.

pub mod delete;
mod image;
mod instances;
pub mod restart;
pub mod stop;
pub mod submit;
mod transition;
mod warn;

use std::collections::BTreeMap;

pub use delete::delete;
pub use restart::restart;
pub use runyard_domain::run::Run;
use runyard_domain::{
    FieldErrors, RunId, blueprint as rules,
    progress::{self, Operation},
    run::Progress,
    token::Scope,
};
pub use runyard_store::run::{Filter, Sort, SortField};
use runyard_store::{self as store, Tx};
pub use stop::stop;
pub use submit::{NewRun, submit};
pub(crate) use transition::{advance, announce, transition};
pub(crate) use warn::warn;
pub use warn::warn_of;

use crate::{Actor, Engine, Error, Result};

/// Runs that match; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, filter: Filter) -> Result<Vec<Run>> {
    let Some(filter) = readable(actor, filter) else { return Ok(Vec::new()) };
    engine.db.read(move |tx| Ok::<_, Error>(store::run::list(tx, &filter)?)).await
}

/// How many runs match on all pages; limited to what the actor may read.
pub async fn count(engine: &Engine, actor: &Actor, filter: Filter) -> Result<i64> {
    let Some(filter) = readable(actor, filter) else { return Ok(0) };
    engine.db.read(move |tx| Ok::<_, Error>(store::run::count(tx, &filter)?)).await
}

/// The filter within what the actor may read; `None`: nothing can match.
fn readable(actor: &Actor, mut filter: Filter) -> Option<Filter> {
    match actor.scope {
        Scope::Admin => {}
        Scope::Project(own) if filter.project_ids.is_empty() => filter.project_ids.push(own),
        Scope::Project(own) => {
            filter.project_ids.retain(|&project| project == own);
            if filter.project_ids.is_empty() {
                return None;
            }
        }
        Scope::Run(_, own) if filter.ids.is_empty() => filter.ids.push(own),
        Scope::Run(_, own) => {
            filter.ids.retain(|&run| run == own);
            if filter.ids.is_empty() {
                return None;
            }
        }
    }
    Some(filter)
}

/// The run with this id.
pub async fn get(engine: &Engine, actor: &Actor, id: RunId) -> Result<Run> {
    let actor = actor.clone();
    engine.db.read(move |tx| visible(&actor, id, store::run::get(tx, id)?)).await
}

/// Changes name, notes or labels; `None` stays.
pub async fn patch(
    engine: &Engine,
    actor: &Actor,
    id: RunId,
    name: Option<String>,
    notes: Option<String>,
    labels: Option<BTreeMap<String, String>>,
) -> Result<Run> {
    let mut errors = FieldErrors::default();
    if let Some(name) = &name {
        rules::check_run_name("name", name, &mut errors);
    }
    if let Some(notes) = &notes {
        rules::check_notes("notes", notes, &mut errors);
    }
    if let Some(labels) = &labels {
        rules::check_labels("labels", labels, &mut errors);
    }
    errors.finish(())?;
    let actor = actor.clone();
    let run = engine
        .db
        .write(move |tx| {
            let mut run = lock_for(tx, &actor, id)?;
            run.name = name.clone().unwrap_or(run.name);
            run.notes = notes.clone().or(run.notes);
            run.labels = labels.clone().unwrap_or(run.labels);
            store::run::save_notes(tx, &run)?;
            Ok::<_, Error>(run)
        })
        .await?;
    engine.signals.changed(id);
    Ok(run)
}

/// Adds and changes single labels, or takes them away where there is no value; all others stay.
pub async fn label(
    engine: &Engine,
    actor: &Actor,
    id: RunId,
    changes: BTreeMap<String, Option<String>>,
) -> Result<Run> {
    let actor = actor.clone();
    let run = engine
        .db
        .write(move |tx| {
            let mut run = lock_for(tx, &actor, id)?;
            for (key, value) in &changes {
                match value {
                    Some(value) => run.labels.insert(key.clone(), value.clone()),
                    None => run.labels.remove(key),
                };
            }
            let mut errors = FieldErrors::default();
            rules::check_labels("labels", &run.labels, &mut errors);
            errors.finish(())?;
            store::run::save_notes(tx, &run)?;
            Ok::<_, Error>(run)
        })
        .await?;
    engine.signals.changed(id);
    Ok(run)
}

/// Replaces the progress of a run; answers it with what its history says.
pub async fn put_progress(
    engine: &Engine,
    actor: &Actor,
    id: RunId,
    progress: Vec<Progress>,
) -> Result<Vec<Operation>> {
    let (now, actor) = (engine.now(), actor.clone());
    let operations = engine
        .db
        .write(move |tx| {
            let run = lock_for(tx, &actor, id)?;
            let operations = progress::advance(&run.progress, progress.clone(), now);
            store::run::save_progress(tx, id, &operations, now)?;
            Ok::<_, Error>(operations)
        })
        .await?;
    engine.signals.changed(id);
    Ok(operations)
}

/// The run, locked, if the actor's token reaches it.
pub(crate) fn lock_for(tx: &mut Tx, actor: &Actor, id: RunId) -> Result<Run> {
    visible(actor, id, store::run::lock(tx, id)?)
}

/// The run if it is there and the actor's token reaches it; a foreign run looks like none, except to a job.
pub(crate) fn visible(actor: &Actor, id: RunId, run: Option<Run>) -> Result<Run> {
    match (run, actor.scope) {
        (_, Scope::Run(_, own)) if own != id => {
            Err(Error::Forbidden(format!("this token belongs to run {own}: it cannot touch run {id}")))
        }
        (Some(run), scope) if scope.covers_run(run.project_id, run.id) => Ok(run),
        _ => Err(Error::not_found("run", id)),
    }
}
