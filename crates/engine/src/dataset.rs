//! Datasets: elements of a corpus in sets. Make, read, change, fill, split, delete; the archive is made in `build`.

pub use runyard_domain::dataset::State;
use runyard_domain::{
    CorpusId, DatasetId, ElementId, FieldErrors, Millis, WorkerRunId, blueprint as rules,
    dataset::{self as sets, DEFAULT_SETS, Share},
    token::Scope,
    worker_run::Selection,
};
use runyard_objects::{GetAs, Signed};
pub use runyard_store::dataset::{Dataset, Filter, Member, Set, Stratify};
use runyard_store::{self as store, Tx, activity::SelectFrom};

use crate::{
    Actor, Engine, Error, Result, corpus, garbage,
    worker_run::{check_selection, no_set},
};

pub mod build;
mod files;
#[cfg(test)]
mod tests;

/// How long an address to read an archive lives, in seconds.
const ADDRESS_S: i64 = 3600;
/// When nothing that was still on its way to a deleted dataset's objects can come any more, in milliseconds.
const LATE_MS: i64 = 24 * 3_600_000;
/// Elements that are named in one request.
const NAMED_MAX: usize = 50_000;

/// A dataset with its sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The dataset.
    pub dataset: Dataset,
    /// Its sets, in their order.
    pub sets: Vec<Set>,
}

/// A dataset to make.
#[derive(Debug, Clone, Default)]
pub struct NewDataset {
    /// An id of the caller's choice.
    pub id: Option<DatasetId>,
    /// Id of the corpus.
    pub corpus: Option<CorpusId>,
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Names of its sets; `None`: train, dev, test.
    pub sets: Option<Vec<String>>,
}

/// What may change; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// All sets; one that is left out must be empty.
    pub sets: Option<Vec<String>>,
    /// Open it again: the archive goes.
    pub reopen: bool,
}

/// How to split.
#[derive(Debug, Clone, Default)]
pub struct Split {
    /// The part of each set.
    pub shares: Vec<Share>,
    /// The same seed and elements give the same split.
    pub seed: i64,
    /// Elements to add first.
    pub selection: Option<Selection>,
    /// Within what.
    pub stratify: Option<Stratify>,
}

/// Makes a dataset with empty sets. With an id that is known already that dataset is answered, and nothing is made.
pub async fn create(engine: &Engine, actor: &Actor, new: NewDataset) -> Result<Whole> {
    let names = new.sets.clone().unwrap_or_else(|| DEFAULT_SETS.map(str::to_owned).to_vec());
    let mut errors = FieldErrors::default();
    rules::check_name("name", &new.name, &mut errors);
    rules::check_description("description", &new.description, &mut errors);
    sets::check_sets("sets", names.iter().map(String::as_str), &mut errors);
    if new.corpus.is_none() {
        errors.add("corpus", "is needed: give the id of a corpus");
    }
    errors.finish(())?;
    let (now, actor) = (engine.now(), actor.clone());
    let id = new.id.unwrap_or_else(|| engine.id(DatasetId::new));
    engine
        .db
        .write(move |tx| {
            let Some(corpus) = new.corpus else { return Err(Error::field("corpus", "is needed")) };
            let corpus = corpus::hold(tx, &actor, corpus).map_err(|error| match error {
                Error::NotFound { .. } => Error::field("corpus", error.to_string()),
                other => other,
            })?;
            corpus::people(&actor, corpus.project_id, "make datasets")?;
            // The name first: what another request commits between the two is then seen by the second.
            let free = free_name(tx, corpus.id, &new.name);
            if let Some(there) = repeated(tx, id, corpus.id, &new.name)? {
                return whole(tx, there);
            }
            free?;
            let dataset = Dataset {
                id,
                corpus_id: corpus.id,
                name: new.name.clone(),
                description: new.description.clone(),
                state: State::Open,
                error: None,
                seed: None,
                task_id: None,
                archive: None,
                created_at: now,
                updated_at: now,
            };
            if !store::dataset::insert(tx, &dataset, &names)? {
                // Another request was faster.
                let there = repeated(tx, id, corpus.id, &new.name)?.ok_or_else(|| taken(&new.name))?;
                return whole(tx, there);
            }
            whole(tx, dataset)
        })
        .await
}

/// The dataset that an earlier request with this id made.
fn repeated(tx: &mut Tx, id: DatasetId, corpus: CorpusId, name: &str) -> Result<Option<Dataset>> {
    let Some(there) = store::dataset::get(tx, id)? else { return Ok(None) };
    if there.corpus_id == corpus && there.name == name {
        return Ok(Some(there));
    }
    let message = format!("there is another dataset with the id {id}: choose another id");
    Err(Error::Conflict { code: "already_exists", message })
}

/// Datasets that match, by id; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<Vec<Whole>> {
    filter.project_id = match actor.scope {
        Scope::Admin => None,
        Scope::Project(own) | Scope::Run(own, _) => Some(own),
    };
    engine
        .db
        .read(move |tx| {
            let found = store::dataset::list(tx, &filter)?;
            let ids: Vec<DatasetId> = found.iter().map(|dataset| dataset.id).collect();
            let mut sets = store::dataset::sets_of(tx, &ids)?;
            let all = found.into_iter().map(|dataset| {
                let sets = sets.remove(&dataset.id).unwrap_or_default();
                Whole { dataset, sets }
            });
            Ok::<_, Error>(all.collect())
        })
        .await
}

/// The dataset with this id.
pub async fn get(engine: &Engine, actor: &Actor, id: DatasetId) -> Result<Whole> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let dataset = readable(tx, &actor, id)?;
            whole(tx, dataset)
        })
        .await
}

/// The dataset whose last build has this id: a UUID.
pub async fn by_task(engine: &Engine, actor: &Actor, task: String) -> Result<Whole> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let found = store::dataset::by_task(tx, &task)?;
            let id = found.map(|dataset| dataset.id).ok_or_else(|| Error::not_found("task", &task))?;
            let dataset = readable(tx, &actor, id)?;
            whole(tx, dataset)
        })
        .await
}

/// Changes name, description or sets, or opens a dataset again.
///
/// # Errors
/// 409 that names the state: sets change while it is open only; what is being built cannot be opened.
pub async fn patch(engine: &Engine, actor: &Actor, id: DatasetId, patch: Patch) -> Result<Whole> {
    let mut errors = FieldErrors::default();
    if let Some(name) = &patch.name {
        rules::check_name("name", name, &mut errors);
    }
    if let Some(description) = &patch.description {
        rules::check_description("description", description, &mut errors);
    }
    if let Some(names) = &patch.sets {
        sets::check_sets("sets", names.iter().map(String::as_str), &mut errors);
    }
    errors.finish(())?;
    let reopens = patch.reopen;
    let changed = change(engine, actor, id, move |tx, dataset, now| {
        if patch.reopen {
            reopen(tx, dataset, now)?;
        }
        if let Some(name) = patch.name.as_ref().filter(|name| **name != dataset.name) {
            free_name(tx, dataset.corpus_id, name)?;
            dataset.name.clone_from(name);
        }
        if let Some(description) = &patch.description {
            dataset.description.clone_from(description);
        }
        if let Some(names) = &patch.sets {
            open(dataset, "change the sets of")?;
            let full = store::dataset::sets(tx, id)?
                .into_iter()
                .find(|set| set.elements > 0 && !names.contains(&set.name));
            if let Some(set) = full {
                let message = format!(
                    "leaves out the set `{}`, which has {} elements: remove them first",
                    set.name, set.elements
                );
                return Err(Error::field("sets", message));
            }
            store::dataset::set_sets(tx, id, names)?;
        }
        Ok(())
    })
    .await?;
    if reopens {
        collect(engine).await;
    }
    Ok(changed.0)
}

/// Deletes a dataset with its archive; the elements stay.
pub async fn delete(engine: &Engine, actor: &Actor, id: DatasetId) -> Result<()> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            writable(tx, &actor, id)?;
            bury(tx, id, now)
        })
        .await?;
    collect(engine).await;
    Ok(())
}

/// Deletes a dataset, in the transaction of the caller; its archive, and what a build still sends, is noted as garbage.
pub(crate) fn bury(tx: &mut Tx, id: DatasetId, now: Millis) -> Result<()> {
    store::dataset::delete(tx, id)?;
    Ok(store::source::discard_objects(tx, &files::prefix(id), now, Some(now.plus(LATE_MS)))?)
}

/// Adds elements to a set; answers how many are new there.
///
/// # Errors
/// 409 when it is not open; 422 for a set that it does not have.
pub async fn add(
    engine: &Engine,
    actor: &Actor,
    id: DatasetId,
    set: String,
    selection: Selection,
) -> Result<i64> {
    let mut errors = FieldErrors::default();
    selection.check("selection", &mut errors);
    if selection.is_empty() {
        errors.add("selection", "selects nothing: give elements, a query or sets");
    }
    errors.finish(())?;
    let changed = change(engine, actor, id, move |tx, dataset, _| {
        open(dataset, "add to")?;
        check_set(tx, dataset, &set)?;
        fill(tx, dataset, &set, &selection)
    });
    Ok(changed.await?.1)
}

/// Takes elements (these, or all) out of a set (`None`: all sets); answers how many places are free by that.
pub async fn remove(
    engine: &Engine,
    actor: &Actor,
    id: DatasetId,
    set: Option<String>,
    elements: Option<Vec<ElementId>>,
) -> Result<i64> {
    if elements.as_ref().is_some_and(|elements| elements.len() > NAMED_MAX) {
        return Err(Error::field(
            "elements",
            format!("names more than {NAMED_MAX} ids: ask in several requests"),
        ));
    }
    let changed = change(engine, actor, id, move |tx, dataset, _| {
        open(dataset, "remove from")?;
        if let Some(set) = &set {
            check_set(tx, dataset, set)?;
        }
        let Some(elements) = &elements else {
            return Ok(store::dataset::remove(tx, id, set.as_deref(), None)?);
        };
        let mut removed = 0;
        for part in elements.chunks(5_000) {
            removed += store::dataset::remove(tx, id, set.as_deref(), Some(part))?;
        }
        Ok(removed)
    });
    Ok(changed.await?.1)
}

/// Splits all elements of a dataset anew: each goes to one of the sets named, which are the sets of the dataset from then on.
/// Pure but for what is in it: the same elements, shares and seed give the same sets.
pub async fn split(engine: &Engine, actor: &Actor, id: DatasetId, how: Split) -> Result<Whole> {
    let mut errors = FieldErrors::default();
    sets::check_shares("shares", &how.shares, &mut errors);
    if let Some(selection) = &how.selection {
        selection.check("selection", &mut errors);
    }
    errors.finish(())?;
    let changed = change(engine, actor, id, move |tx, dataset, _| {
        open(dataset, "split")?;
        let names: Vec<String> = how.shares.iter().map(|share| share.set.clone()).collect();
        if let Some(Stratify::Class(Some(run))) = how.stratify {
            check_worker_run(tx, run)?;
        }
        if let Some(selection) = &how.selection {
            // They stay in the first set only until all are placed.
            let first = store::dataset::sets(tx, id)?.into_iter().next().map(|set| set.name);
            let first = first.ok_or_else(|| Error::Internal(format!("dataset {id} has no set")))?;
            fill(tx, dataset, &first, selection)?;
        }
        let members = store::dataset::strata(tx, id, how.stratify)?;
        let chosen = sets::split(members, &how.shares, how.seed);
        store::dataset::place(tx, id, &names, &chosen)?;
        dataset.seed = Some(how.seed);
        Ok(())
    });
    Ok(changed.await?.0)
}

/// Elements of a dataset by set and id; `after`: a set and an element in it.
pub async fn members(
    engine: &Engine,
    actor: &Actor,
    id: DatasetId,
    set: Option<String>,
    after: Option<(String, ElementId)>,
    limit: i64,
) -> Result<Vec<Member>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let dataset = readable(tx, &actor, id)?;
            if let Some(set) = &set {
                check_set(tx, &dataset, set)?;
            }
            let after = after.as_ref().map(|(set, element)| (set.as_str(), *element));
            Ok::<_, Error>(store::dataset::members(tx, id, set.as_deref(), after, limit)?)
        })
        .await
}

/// Where to read the archive of a dataset.
///
/// # Errors
/// 409 `incomplete` before it is complete; 404 when its archive is missing from the object store.
pub async fn archive(engine: &Engine, actor: &Actor, id: DatasetId) -> Result<Signed> {
    let dataset = get(engine, actor, id).await?.dataset;
    let Some(archive) = dataset.archive.filter(|_| dataset.state == State::Complete) else {
        let fix = match (dataset.state, &dataset.error) {
            (State::Open, _) => "build it first (`runyard dataset build`)".to_owned(),
            (State::Building, _) => "wait until it is complete".to_owned(),
            (_, Some(error)) => format!("the last build failed: {error}"),
            (_, None) => "build it again".to_owned(),
        };
        let message =
            format!("dataset `{}` is {}, it has no archive yet: {fix}", dataset.name, dataset.state);
        return Err(Error::Conflict { code: "incomplete", message });
    };
    if engine.objects.size(&archive.key).await?.is_none() {
        tracing::warn!(dataset = %id, key = archive.key, "the archive of a complete dataset is missing");
        return Err(Error::not_found("archive", files::name(id)));
    }
    let get = GetAs { name: Some(files::name(id)), content_type: Some("application/zstd".to_owned()) };
    Ok(engine.objects.presign_get(&archive.key, ADDRESS_S, &get)?)
}

/// Puts a dataset that ended back to open; its archive goes.
fn reopen(tx: &mut Tx, dataset: &mut Dataset, now: Millis) -> Result<()> {
    match dataset.state {
        State::Open => return Ok(()),
        State::Building => return Err(state_conflict(dataset, "open", "wait for its end")),
        State::Complete | State::Error => {}
    }
    if let Some(archive) = dataset.archive.take() {
        store::source::discard_object(tx, &archive.key, now)?;
    }
    (dataset.state, dataset.error) = (State::Open, None);
    Ok(())
}

fn fill(tx: &mut Tx, dataset: &Dataset, set: &str, selection: &Selection) -> Result<i64> {
    let corpus = store::corpus::hold(tx, dataset.corpus_id)?
        .ok_or_else(|| Error::not_found("corpus", dataset.corpus_id))?;
    check_selection(tx, corpus.id, corpus.project_id, selection, "selection")?;
    Ok(store::dataset::add(tx, dataset.id, set, SelectFrom { corpus: corpus.id, selection })?)
}

/// Changes a dataset under its lock and writes it; answers it as it is then.
async fn change<T: Send + 'static>(
    engine: &Engine,
    actor: &Actor,
    id: DatasetId,
    act: impl Fn(&mut Tx, &mut Dataset, Millis) -> Result<T> + Send + 'static,
) -> Result<(Whole, T)> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let mut dataset = writable(tx, &actor, id)?;
            let answer = act(tx, &mut dataset, now)?;
            dataset.updated_at = now;
            match store::dataset::save(tx, &dataset) {
                Err(error) if error.is_unique_violation() => Err(taken(&dataset.name)),
                saved => Ok::<_, Error>((saved.map(|()| whole(tx, dataset))??, answer)),
            }
        })
        .await
}

fn whole(tx: &mut Tx, dataset: Dataset) -> Result<Whole> {
    let sets = store::dataset::sets(tx, dataset.id)?;
    Ok(Whole { dataset, sets })
}

/// The dataset, if the actor may read its corpus.
fn readable(tx: &mut Tx, actor: &Actor, id: DatasetId) -> Result<Dataset> {
    let absent = || Error::not_found("dataset", id);
    let dataset = store::dataset::get(tx, id)?.ok_or_else(absent)?;
    corpus::readable(tx, actor, dataset.corpus_id).map_err(|_| absent())?;
    Ok(dataset)
}

/// The dataset, locked, if the actor may change it.
fn writable(tx: &mut Tx, actor: &Actor, id: DatasetId) -> Result<Dataset> {
    let absent = || Error::not_found("dataset", id);
    let dataset = store::dataset::lock(tx, id)?.ok_or_else(absent)?;
    let corpus = corpus::readable(tx, actor, dataset.corpus_id).map_err(|_| absent())?;
    corpus::people(actor, corpus.project_id, "change datasets")?;
    Ok(dataset)
}

/// Says no unless it is open.
fn open(dataset: &Dataset, what: &str) -> Result<()> {
    match dataset.state {
        State::Open => Ok(()),
        State::Building => Err(state_conflict(dataset, what, "wait until it is complete")),
        State::Complete | State::Error => {
            Err(state_conflict(dataset, what, "open it again, which deletes its archive"))
        }
    }
}

fn state_conflict(dataset: &Dataset, what: &str, fix: &str) -> Error {
    Error::conflict(format!("cannot {what} dataset `{}`: it is {}; {fix}", dataset.name, dataset.state))
}

fn check_set(tx: &mut Tx, dataset: &Dataset, set: &str) -> Result<()> {
    let sets = store::dataset::sets(tx, dataset.id)?;
    if sets.iter().any(|one| one.name == set) {
        return Ok(());
    }
    Err(Error::field("set", no_set(&dataset.name, set, &sets)))
}

fn check_worker_run(tx: &mut Tx, run: WorkerRunId) -> Result<()> {
    match store::worker_run::get(tx, run)? {
        Some(_) => Ok(()),
        None => Err(Error::field("worker_run_id", format!("there is no worker run `{run}`"))),
    }
}

fn free_name(tx: &mut Tx, corpus: CorpusId, name: &str) -> Result<()> {
    if store::dataset::by_name(tx, corpus, name)?.is_none() { Ok(()) } else { Err(taken(name)) }
}

fn taken(name: &str) -> Error {
    let message = format!("there is a dataset `{name}` in this corpus already: choose another name");
    Error::Conflict { code: "already_exists", message }
}

async fn collect(engine: &Engine) {
    if let Err(error) = garbage::collect(engine).await {
        tracing::warn!("could not free an archive, and tries again later: {error}");
    }
}
