//! Begins a checkpoint or an artifact. The same source again is the same set.

use runyard_domain::{
    FieldErrors, FileSetId, JobId, RunId,
    checkpoint::{Kind, MAX_NAME, Status},
};
use runyard_store as store;

use super::{FileSet, current_job, delete::give_up_older};
use crate::{Actor, Engine, Error, Result, run::lock_for};

/// Longest path that is kept for people, in bytes.
const MAX_SHOWN_PATH: usize = 4096;

/// A set to begin.
#[derive(Debug, Clone)]
pub struct NewFileSet {
    /// Which of the two.
    pub kind: Kind,
    /// Its run.
    pub run: RunId,
    /// The job; `None`: the current one.
    pub job: Option<JobId>,
    /// Of a checkpoint: its step.
    pub global_step: Option<i64>,
    /// Of an artifact: its name.
    pub name: Option<String>,
    /// Of an artifact: what sort of thing.
    pub of_type: Option<String>,
    /// What tells it from the run's others; `None`: nothing does.
    pub source_key: Option<String>,
    /// The folder, as the program named it.
    pub path: Option<String>,
}

/// Begins a set; a repeat with the same source answers the same set, also when it has been completed, given up or
/// deleted since.
///
/// # Errors
/// `stale_epoch` when the job is not the run's current one; `source_conflict` when the source made something else.
pub async fn create(engine: &Engine, actor: &Actor, new: NewFileSet) -> Result<FileSet> {
    check(&new)?;
    let (id, now, actor) = (engine.id(FileSetId::new), engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let run = lock_for(tx, &actor, new.run)?;
            let job = current_job(tx, &run, new.job)?;
            let source_key = new.source_key.clone().unwrap_or_else(|| id.to_string());
            if let Some(same) = store::file_set::by_source(tx, run.id, new.kind, &source_key)? {
                return same_as(&new, same);
            }
            give_up_older(tx, &run, now)?;
            let set = FileSet {
                id,
                kind: new.kind,
                run_id: run.id,
                project_id: run.project_id,
                job_id: job.id,
                epoch: job.epoch,
                source_key,
                name: new.name.clone(),
                of_type: new.of_type.clone(),
                global_step: new.global_step,
                path: new.path.clone(),
                status: Status::Incomplete,
                status_updated_at: now,
                reason: None,
                created_at: now,
                size: 0,
                files: 0,
                key_prefix: format!("{}{}/{id}/", run_prefix(run.id), new.kind.plural()),
            };
            store::file_set::insert(tx, &set)?;
            Ok(set)
        })
        .await
}

/// What the keys of all objects of a run begin with.
pub(super) fn run_prefix(run: RunId) -> String {
    format!("runs/{run}/")
}

fn same_as(new: &NewFileSet, set: FileSet) -> Result<FileSet> {
    if (set.global_step, &set.name, &set.of_type) == (new.global_step, &new.name, &new.of_type) {
        return Ok(set);
    }
    let (kind, id, key) = (set.kind.word(), set.id, &set.source_key);
    let message =
        format!("the source `{key}` made {kind} {id} of another step or name: use a source of its own");
    Err(Error::Conflict { code: "source_conflict", message })
}

fn check(new: &NewFileSet) -> Result<()> {
    let mut errors = FieldErrors::default();
    let mut title = |path: &str, text: &Option<String>, least: usize, most: usize| {
        let Some(text) = text else { return };
        if !(least..=most).contains(&text.chars().count()) || text.chars().any(char::is_control) {
            errors
                .add(path, format!("must be {least} to {most} characters, none of them a control character"));
        }
    };
    title("name", &new.name, 1, MAX_NAME);
    title("type", &new.of_type, 0, MAX_NAME);
    title("source_key", &new.source_key, 1, MAX_NAME);
    title("path", &new.path, 0, MAX_SHOWN_PATH);
    Ok(errors.finish(())?)
}
