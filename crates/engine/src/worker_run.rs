//! Worker runs: make, list, read, delete, and select what they work through. What happens to each element is in `activity`.

use std::collections::HashMap;

use runyard_domain::{
    CorpusId, FieldErrors, Millis, RunId, WorkerRunId, activity, element,
    run::Run,
    token::Scope,
    worker_run::{Mode, Selection, WorkerSpec, check_settings},
};
pub use runyard_store::worker_run::{Filter, WorkerRun};
use runyard_store::{self as store, Tx, activity::SelectFrom, corpus::Corpus, worker_run::Ledger};
use serde_json::{Map, Value};

use crate::{Actor, Engine, Error, Result, garbage, project};

mod selection;
#[cfg(test)]
mod tests;

pub(crate) use selection::{check_selection, no_set};

/// Bytes of each configuration, as JSON.
const MAX_CONFIGURATION: usize = 1 << 20;
/// Names of secrets of a worker run.
const MAX_SECRETS: usize = 100;

/// A worker run to make; every field as it was given.
#[derive(Debug, Clone, Default)]
pub struct NewWorkerRun {
    /// An id of the caller's choice.
    pub id: Option<WorkerRunId>,
    /// Id or name; `None`: the corpus's, or `default`.
    pub project: Option<String>,
    /// Id or name.
    pub corpus: Option<String>,
    /// Name of the worker.
    pub worker: String,
    /// For people.
    pub summary: Option<String>,
    /// `workers` when `None`.
    pub mode: Option<String>,
    /// What was chosen.
    pub configuration: Map<String, Value>,
    /// What the worker brings.
    pub worker_configuration: Map<String, Value>,
    /// What people may choose.
    pub user_configuration: Map<String, Value>,
    /// Names of secrets.
    pub secrets: Vec<String>,
    /// A model version.
    pub model_version_id: Option<String>,
    /// Which elements.
    pub selection: Option<Selection>,
    /// See [`WorkerRun`].
    pub max_attempts: Option<i64>,
    /// See [`WorkerRun`].
    pub lease_ms: Option<i64>,
}

/// Makes a worker run that no run of this server executes. With an id that is known already the worker run with it is
/// answered, and nothing is made.
///
/// # Errors
/// Every wrong field by its path.
pub async fn create(engine: &Engine, actor: &Actor, new: NewWorkerRun) -> Result<WorkerRun> {
    check(&new)?;
    let (now, actor) = (engine.now(), actor.clone());
    let id = new.id.unwrap_or_else(|| engine.id(WorkerRunId::new));
    engine
        .db
        .write(move |tx| {
            if new.id.is_some()
                && let Some(there) = store::worker_run::get(tx, id)?
            {
                reach(&actor, id, there.project_id)?;
                return Ok(there);
            }
            let project = project::resolve(tx, &actor, new.project.as_deref().unwrap_or(project::DEFAULT))
                .map_err(|error| wrong_name("project_id", error))?;
            if !actor.scope.covers_project(project.id) {
                return Err(Error::Forbidden("the token of a run cannot make worker runs".to_owned()));
            }
            let corpus = new.corpus.as_deref().map(|corpus| {
                let only = new.project.as_ref().map(|_| project.id).or(own_project(&actor));
                find_corpus(tx, only, project.id, corpus).map_err(|error| wrong_name("corpus", error))
            });
            let corpus = corpus.transpose()?;
            let selection = new.selection.clone().unwrap_or_default();
            let run = WorkerRun {
                id,
                project_id: corpus.as_ref().map_or(project.id, |corpus| corpus.project_id),
                corpus_id: corpus.map(|corpus| corpus.id),
                run_id: None,
                summary: new.summary.clone().unwrap_or_else(|| new.worker.clone()),
                worker: new.worker.clone(),
                mode: new.mode.as_deref().and_then(Mode::from_word).unwrap_or_default(),
                configuration: new.configuration.clone(),
                worker_configuration: new.worker_configuration.clone(),
                user_configuration: new.user_configuration.clone(),
                secrets: new.secrets.clone(),
                model_version_id: new.model_version_id.clone(),
                selection,
                max_attempts: new.max_attempts.unwrap_or(activity::MAX_ATTEMPTS),
                lease_ms: new.lease_ms.unwrap_or(activity::LEASE_MS),
                created_at: now,
                counts: activity::Counts::default(),
            };
            insert(tx, run, "selection", now)
        })
        .await
}

/// Worker runs that match, the newest first; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<Vec<WorkerRun>> {
    let visible = match actor.scope {
        Scope::Admin => true,
        Scope::Project(own) if filter.project_ids.is_empty() => {
            filter.project_ids.push(own);
            true
        }
        Scope::Project(own) => {
            filter.project_ids.retain(|&project| project == own);
            !filter.project_ids.is_empty()
        }
        Scope::Run(_, own) => {
            let visible = filter.ids.is_empty() || filter.ids.iter().any(|id| id.0 == own.0);
            filter.ids = vec![of(own)];
            visible
        }
    };
    if !visible {
        return Ok(Vec::new());
    }
    engine.db.read(move |tx| Ok::<_, Error>(store::worker_run::list(tx, &filter)?)).await
}

/// The worker run with this id.
pub async fn get(engine: &Engine, actor: &Actor, id: WorkerRunId) -> Result<WorkerRun> {
    let actor = actor.clone();
    engine.db.read(move |tx| readable(tx, &actor, id)).await
}

/// What worker runs that made something are called; those that were deleted are not among them.
pub async fn summaries(engine: &Engine, ids: Vec<WorkerRunId>) -> Result<HashMap<WorkerRunId, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let filter = Filter { limit: ids.len() as i64, ids, ..Filter::default() };
    let found = engine.db.read(move |tx| Ok::<_, Error>(store::worker_run::list(tx, &filter)?)).await?;
    Ok(found.into_iter().map(|run| (run.id, run.summary)).collect())
}

/// Deletes a worker run with its activities; what it found stays. One that a run executes goes with that run.
pub async fn delete(engine: &Engine, actor: &Actor, id: WorkerRunId) -> Result<()> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let run = readable(tx, &actor, id)?;
            if !actor.scope.covers_project(run.project_id) {
                return Err(Error::Forbidden("the token of a run cannot delete worker runs".to_owned()));
            }
            if let Some(run) = run.run_id {
                return Err(Error::conflict(format!(
                    "worker run {id} is executed by run {run}: delete that (`runyard rm {run}`)"
                )));
            }
            store::worker_run::delete(tx, id, now)?;
            Ok::<_, Error>(())
        })
        .await?;
    garbage::collect(engine).await.map(drop)
}

/// Queues the elements of a selection (`None`: what its own selection finds by now); answers how many are new.
pub async fn select(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    selection: Option<Selection>,
) -> Result<i64> {
    if let Some(selection) = &selection {
        let mut errors = FieldErrors::default();
        selection.check("selection", &mut errors);
        errors.finish(())?;
    }
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let mut ledger = locked(tx, &actor, id)?;
            let own = store::worker_run::get(tx, id)?.map(|run| run.selection).unwrap_or_default();
            let selection = selection.as_ref().unwrap_or(&own);
            let added = queue(tx, &mut ledger, selection, "selection", now)?;
            store::worker_run::save(tx, &ledger)?;
            Ok::<_, Error>(added)
        })
        .await
}

/// Makes the worker run of a run, in its transaction. The section was checked.
pub(crate) fn make(tx: &mut Tx, run: &Run, spec: &WorkerSpec, now: Millis) -> Result<()> {
    let path = "spec.worker";
    let corpus = find_corpus(tx, Some(run.project_id), run.project_id, &spec.corpus)
        .map_err(|error| wrong_name("spec.worker.corpus", error))?;
    let worker = spec.worker.clone().unwrap_or_else(|| run.name.clone());
    let worker_run = WorkerRun {
        id: of(run.id),
        project_id: run.project_id,
        corpus_id: Some(corpus.id),
        run_id: Some(run.id),
        summary: format!("{worker} (run {})", run.name),
        worker,
        mode: if spec.selection.sets.is_empty() { Mode::Workers } else { Mode::Dataset },
        configuration: run.config.as_object().cloned().unwrap_or_default(),
        worker_configuration: Map::new(),
        user_configuration: Map::new(),
        secrets: Vec::new(),
        model_version_id: None,
        selection: spec.selection.clone(),
        max_attempts: spec.max_attempts.unwrap_or(activity::MAX_ATTEMPTS),
        lease_ms: spec.lease_ms.unwrap_or(activity::LEASE_MS),
        created_at: now,
        counts: activity::Counts::default(),
    };
    insert(tx, worker_run, &element::join(path, "selection"), now).map(drop)
}

/// Adds what the selection of a restarted run's worker run finds by now; what is left stays as it is.
pub(crate) fn select_again(tx: &mut Tx, run: RunId, now: Millis) -> Result<()> {
    let Some(mut ledger) = store::worker_run::lock(tx, of(run))? else { return Ok(()) };
    let Some(worker_run) = store::worker_run::get(tx, of(run))? else { return Ok(()) };
    // Elements and sets that it named may be gone: that is no reason to refuse the restart.
    if let Some(corpus) = ledger.corpus_id {
        let from = SelectFrom { corpus, selection: &worker_run.selection };
        ledger.counts.queued += store::activity::select(tx, ledger.id, from, now)?;
        store::worker_run::save(tx, &ledger)?;
    }
    Ok(())
}

/// The worker run that a run executes has its id.
pub(crate) fn of(run: RunId) -> WorkerRunId {
    WorkerRunId(run.0)
}

/// The ledger of a worker run, if the actor's token reaches it.
pub(crate) fn locked(tx: &mut Tx, actor: &Actor, id: WorkerRunId) -> Result<Ledger> {
    // A foreign token is refused whether or not there is such a worker run.
    own(actor, id)?;
    let ledger = store::worker_run::lock(tx, id)?.ok_or_else(|| Error::not_found("worker run", id))?;
    reach(actor, id, ledger.project_id)?;
    Ok(ledger)
}

/// The worker run, if the actor's token reaches it.
pub(crate) fn readable(tx: &mut Tx, actor: &Actor, id: WorkerRunId) -> Result<WorkerRun> {
    own(actor, id)?;
    let run = store::worker_run::get(tx, id)?.ok_or_else(|| Error::not_found("worker run", id))?;
    reach(actor, id, run.project_id)?;
    Ok(run)
}

fn own(actor: &Actor, id: WorkerRunId) -> Result<()> {
    match actor.scope {
        Scope::Run(_, own) if own.0 != id.0 => {
            Err(Error::Forbidden(format!("this token belongs to run {own}: it cannot touch worker run {id}")))
        }
        _ => Ok(()),
    }
}

fn reach(actor: &Actor, id: WorkerRunId, project: runyard_domain::ProjectId) -> Result<()> {
    own(actor, id)?;
    if actor.scope.covers_run(project, RunId(id.0)) {
        return Ok(());
    }
    Err(Error::not_found("worker run", id))
}

fn own_project(actor: &Actor) -> Option<runyard_domain::ProjectId> {
    match actor.scope {
        Scope::Project(own) => Some(own),
        _ => None,
    }
}

/// The corpus with this id (in `only`, where that is given), or with this name in `project`; it stays until the end of the
/// transaction.
pub(crate) fn find_corpus(
    tx: &mut Tx,
    only: Option<runyard_domain::ProjectId>,
    project: runyard_domain::ProjectId,
    id_or_name: &str,
) -> Result<Corpus> {
    let id = match id_or_name.parse::<CorpusId>() {
        Ok(id) => Some(id),
        Err(_) => store::corpus::by_name(tx, project, id_or_name)?.map(|corpus| corpus.id),
    };
    let found = id.map(|id| store::corpus::hold(tx, id)).transpose()?.flatten();
    found
        .filter(|corpus| only.is_none_or(|only| corpus.project_id == only))
        .ok_or_else(|| Error::not_found("corpus", id_or_name))
}

fn wrong_name(path: &str, error: Error) -> Error {
    match error {
        Error::NotFound { .. } => Error::field(path, error.to_string()),
        other => other,
    }
}

fn insert(tx: &mut Tx, run: WorkerRun, path: &str, now: Millis) -> Result<WorkerRun> {
    if !store::worker_run::insert(tx, &run)? {
        // Another request with this id was faster.
        let there = store::worker_run::get(tx, run.id)?.filter(|there| there.project_id == run.project_id);
        return there.ok_or_else(|| Error::not_found("worker run", run.id));
    }
    if run.selection.is_empty() {
        return Ok(run);
    }
    let mut ledger =
        store::worker_run::lock(tx, run.id)?.ok_or_else(|| Error::not_found("worker run", run.id))?;
    queue(tx, &mut ledger, &run.selection, path, now)?;
    store::worker_run::save(tx, &ledger)?;
    Ok(WorkerRun { counts: ledger.counts, ..run })
}

/// Queues a selection, whose parts must all be there.
fn queue(tx: &mut Tx, ledger: &mut Ledger, selection: &Selection, path: &str, now: Millis) -> Result<i64> {
    let corpus = ledger.corpus_id.ok_or_else(|| {
        Error::field("corpus", "is needed to select elements: name the corpus that has them")
    })?;
    check_selection(tx, corpus, ledger.project_id, selection, path)?;
    let added = store::activity::select(tx, ledger.id, SelectFrom { corpus, selection }, now)?;
    ledger.counts.queued += added;
    Ok(added)
}

fn check(new: &NewWorkerRun) -> Result<()> {
    let mut errors = FieldErrors::default();
    element::check_name("worker", &new.worker, &mut errors);
    if let Some(summary) = &new.summary {
        runyard_domain::blueprint::check_description("summary", summary, &mut errors);
    }
    if let Some(mode) = new.mode.as_deref().filter(|mode| Mode::from_word(mode).is_none()) {
        let known = Mode::ALL.map(Mode::word).join(", ");
        errors.add("mode", format!("`{mode}` is not a mode: it is one of {known}"));
    }
    let configurations = [
        ("configuration", &new.configuration),
        ("worker_configuration", &new.worker_configuration),
        ("user_configuration", &new.user_configuration),
    ];
    for (path, configuration) in configurations {
        if serde_json::to_string(configuration).map_or(0, |text| text.len()) > MAX_CONFIGURATION {
            errors.add(path, format!("is larger than {MAX_CONFIGURATION} bytes as JSON"));
        }
    }
    if new.secrets.len() > MAX_SECRETS {
        errors.add("secrets", format!("has more than {MAX_SECRETS} names"));
    }
    for (index, secret) in new.secrets.iter().enumerate() {
        element::check_name(&format!("secrets.{index}"), secret, &mut errors);
    }
    if let Some(version) = &new.model_version_id {
        element::check_name("model_version_id", version, &mut errors);
    }
    if let Some(selection) = &new.selection {
        selection.check("selection", &mut errors);
        if new.corpus.is_none() && !selection.is_empty() {
            errors.add("corpus", "is needed to select elements: name the corpus that has them");
        }
    }
    check_settings("", new.lease_ms, new.max_attempts, &mut errors);
    Ok(errors.finish(())?)
}
