//! Where a version comes from: run, job, source, config, parent. Written down when it is begun, because all of them may go
//! before it does.

use runyard_domain::{FieldErrors, JobId, ModelVersionId, RunId, token::Scope};
use runyard_store::{self as store, Tx};
use serde_json::Value;

use super::{Model, ModelVersion, State, reaches};
use crate::{Actor, Error, Result, run};

/// What made a version.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) run: Option<RunId>,
    pub(super) job: Option<JobId>,
    pub(super) source: Option<String>,
    pub(super) config: Option<Value>,
}

/// What made it: the run that was named, or that the token belongs to.
///
/// # Errors
/// Names a run or job that is none by its field; 409 `stale_epoch` when a job that was superseded publishes.
pub(super) fn of(tx: &mut Tx, actor: &Actor, run: Option<RunId>, job: Option<JobId>) -> Result<Origin> {
    let own = match actor.scope {
        Scope::Run(_, own) => Some(own),
        Scope::Admin | Scope::Project(_) => None,
    };
    let Some(id) = run.or(own) else {
        let message = "belongs to a run: name that too, as `run_id`";
        return if job.is_some() { Err(Error::field("job_id", message)) } else { Ok(Origin::default()) };
    };
    let run = store::run::get(tx, id)?;
    let run = run::visible(actor, id, run).map_err(|error| match error {
        Error::NotFound { .. } => Error::field("run_id", error.to_string()),
        other => other,
    })?;
    let current = store::job::by_epoch(tx, run.id, run.life.epoch)?.map(|job| job.id);
    if let Some(job) = job.filter(|job| current != Some(*job)) {
        let found = store::job::get(tx, job)?.filter(|found| found.run_id == run.id);
        if found.is_none() {
            return Err(Error::field("job_id", format!("run {id} has no job `{job}`")));
        }
        if own.is_some() {
            let message =
                format!("job {job} is not the current job of run {id}: it publishes nothing any more");
            return Err(Error::Conflict { code: "stale_epoch", message });
        }
    }
    Ok(Origin {
        run: Some(run.id),
        job: job.or(current),
        source: run.spec.source.clone(),
        config: Some(run.config),
    })
}

/// The parent that is meant by an id or a tag.
///
/// # Errors
/// Names what is no available version of the same model under `parent`.
pub(super) fn parent(
    tx: &mut Tx,
    actor: &Actor,
    model: &Model,
    named: Option<&str>,
) -> Result<Option<ModelVersionId>> {
    let Some(named) = named else { return Ok(None) };
    let wrong = |what: String| {
        let message =
            format!("{what}: a parent is an available version of model `{}`, by id or tag", model.name);
        Error::Invalid { fields: FieldErrors::one("parent", message) }
    };
    let shown: String = named.chars().take(200).collect();
    let found = match named.parse() {
        Ok(id) => store::model::version::get(tx, id)?.filter(|found| reaches(actor, found.project_id)),
        Err(_) => store::model::version::by_tag(tx, model.id, named)?,
    };
    match found {
        None => Err(wrong(format!("there is no version `{shown}`"))),
        Some(other) if other.model_id != model.id => {
            Err(wrong(format!("`{shown}` is a version of model `{}`", other.model)))
        }
        Some(other) if other.state != State::Available => {
            Err(wrong(format!("`{shown}` is `{}`", other.state.word())))
        }
        Some(ModelVersion { id, .. }) => Ok(Some(id)),
    }
}
