//! Corpora: create, list, read, change, delete. The types of their elements are in `corpus/types.rs`.

use runyard_domain::{CorpusId, FieldErrors, Millis, ProjectId, blueprint as rules, element, token::Scope};
pub use runyard_store::corpus::{Corpus, ElementType, Filter};
use runyard_store::{self as store, Tx};

use crate::{Actor, Engine, Error, Result, dataset, garbage, idempotent, project};

#[cfg(test)]
mod tests;
pub(crate) mod types;

pub use types::{NewType, add_type, delete_type, types};

/// A corpus to create.
#[derive(Debug, Clone, Default)]
pub struct NewCorpus {
    /// Id of the caller's choice: the same corpus again changes nothing.
    pub id: Option<CorpusId>,
    /// Id or name of its project.
    pub project: String,
    /// Name, unique in its project.
    pub name: String,
    /// For people.
    pub description: String,
    /// Types of its elements.
    pub types: Vec<NewType>,
}

/// Creates a corpus with its first types.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    new: NewCorpus,
    idempotency_key: Option<String>,
) -> Result<Corpus> {
    check(Some(&new.name), Some(&new.description), &new.types)?;
    let key = idempotent::Key::new("corpus", idempotency_key, actor, &format!("{new:?}"))?;
    let id = new.id.unwrap_or_else(|| engine.id(CorpusId::new));
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let project = project::resolve(tx, &actor, &new.project)?;
            people(&actor, project.id, "create corpora")?;
            if let Some(id) = key.claim(tx, &id.to_string(), now)? {
                let id = id.parse().map_err(|error| Error::Internal(format!("{error}")))?;
                return store::corpus::get(tx, id)?.ok_or_else(|| Error::not_found("corpus", id));
            }
            // The name first: what another request commits between the two is then seen by the second.
            let named = store::corpus::by_name(tx, project.id, &new.name)?.is_some();
            if let Some(there) = repeated(tx, &new, project.id)? {
                return Ok(there);
            }
            if named {
                return Err(taken(&new.name));
            }
            let corpus = Corpus {
                id,
                project_id: project.id,
                name: new.name.clone(),
                description: new.description.clone(),
                created_at: now,
            };
            if !store::corpus::insert(tx, &corpus)? {
                // Another request was faster.
                return repeated(tx, &new, project.id)?.ok_or_else(|| taken(&new.name));
            }
            types::put_all(tx, corpus.id, &new.types, &mut ids.clone())?;
            Ok(corpus)
        })
        .await
}

/// The corpus that a create with an id of its own made before.
fn repeated(tx: &mut Tx, new: &NewCorpus, project: ProjectId) -> Result<Option<Corpus>> {
    let Some(id) = new.id else { return Ok(None) };
    let Some(there) = store::corpus::get(tx, id)? else { return Ok(None) };
    let same = there.project_id == project && there.name == new.name && there.description == new.description;
    if same {
        return Ok(Some(there));
    }
    let message = format!("there is another corpus with the id `{id}`: leave the id out, or choose another");
    Err(Error::Conflict { code: "already_exists", message })
}

/// Corpora that match; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<Vec<Corpus>> {
    if let Scope::Project(own) | Scope::Run(own, _) = actor.scope {
        if !filter.project_ids.is_empty() && !filter.project_ids.contains(&own) {
            return Ok(Vec::new());
        }
        filter.project_ids = vec![own];
    }
    engine.db.read(move |tx| Ok::<_, Error>(store::corpus::list(tx, &filter)?)).await
}

/// The corpus with this id.
pub async fn get(engine: &Engine, actor: &Actor, id: CorpusId) -> Result<Corpus> {
    let actor = actor.clone();
    engine.db.read(move |tx| readable(tx, &actor, id)).await
}

/// Changes name or description.
pub async fn patch(
    engine: &Engine,
    actor: &Actor,
    id: CorpusId,
    name: Option<String>,
    description: Option<String>,
) -> Result<Corpus> {
    check(name.as_deref(), description.as_deref(), &[])?;
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            let corpus = readable(tx, &actor, id)?;
            people(&actor, corpus.project_id, "change corpora")?;
            if let Some(name) = name.as_ref().filter(|name| **name != corpus.name)
                && store::corpus::by_name(tx, corpus.project_id, name)?.is_some()
            {
                return Err(taken(name));
            }
            match store::corpus::update(tx, id, name.as_deref(), description.as_deref()) {
                Err(error) if error.is_unique_violation() => {
                    Err(taken(name.as_deref().unwrap_or(&corpus.name)))
                }
                updated => updated?.ok_or_else(|| Error::not_found("corpus", id)),
            }
        })
        .await
}

/// Deletes a corpus with everything below it: at once nobody sees it any more, and its rows go in batches, so that others can
/// write in between. What a killed server leaves, the next one takes away.
pub async fn delete(engine: &Engine, actor: &Actor, id: CorpusId) -> Result<()> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let corpus = readable(tx, &actor, id)?;
            people(&actor, corpus.project_id, "delete corpora")?;
            hide(tx, id, now)
        })
        .await?;
    garbage::collect(engine).await.map(drop)
}

fn hide(tx: &mut Tx, id: CorpusId, now: Millis) -> Result<()> {
    store::corpus::hide(tx, id, now)?;
    Ok(store::source::discard_corpus(tx, id, now)?)
}

/// Takes away what is left of a hidden corpus.
pub(crate) async fn free(engine: &Engine, id: CorpusId) -> Result<()> {
    let now = engine.now();
    engine
        .db
        .write(move |tx| {
            for run in store::worker_run::of_corpus(tx, id)? {
                store::worker_run::delete(tx, run, now)?;
            }
            for dataset in store::dataset::of_corpus(tx, id)? {
                dataset::bury(tx, dataset, now)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    let batch = store::element::delete::BATCH as i64;
    let some = move |tx: &mut Tx| Ok::<_, Error>(store::element::delete::delete_some(tx, id, batch)?);
    while engine.db.write(some).await? > 0 {}
    engine.db.write(move |tx| Ok::<_, Error>(store::corpus::delete(tx, id)?)).await
}

/// The corpus, if it is there and the actor's token may read it: a run reads all of its project.
pub(crate) fn readable(tx: &mut Tx, actor: &Actor, id: CorpusId) -> Result<Corpus> {
    reached(actor, id, store::corpus::get(tx, id)?)
}

/// The same for a transaction that writes into it: it stays until the end.
pub(crate) fn hold(tx: &mut Tx, actor: &Actor, id: CorpusId) -> Result<Corpus> {
    reached(actor, id, store::corpus::hold(tx, id)?)
}

fn reached(actor: &Actor, id: CorpusId, corpus: Option<Corpus>) -> Result<Corpus> {
    corpus.filter(|corpus| reads(actor, corpus.project_id)).ok_or_else(|| Error::not_found("corpus", id))
}

/// Whether a token may read what is in corpora of a project.
pub(crate) fn reads(actor: &Actor, project: ProjectId) -> bool {
    match actor.scope {
        Scope::Run(own, _) => own == project,
        scope => scope.covers_project(project),
    }
}

/// Says no to the tokens of runs.
pub(crate) fn people(actor: &Actor, project: ProjectId, what: &str) -> Result<()> {
    if actor.scope.covers_project(project) {
        return Ok(());
    }
    Err(Error::Forbidden(format!("the token of a run cannot {what}")))
}

fn taken(name: &str) -> Error {
    let message = format!("there is a corpus `{name}` in this project already: choose another name");
    Error::Conflict { code: "already_exists", message }
}

fn check(name: Option<&str>, description: Option<&str>, new: &[NewType]) -> Result<()> {
    let mut errors = FieldErrors::default();
    if let Some(name) = name {
        element::check_name("name", name, &mut errors);
    }
    if let Some(description) = description {
        rules::check_description("description", description, &mut errors);
    }
    types::check(new, "types", &mut errors);
    Ok(errors.finish(())?)
}
