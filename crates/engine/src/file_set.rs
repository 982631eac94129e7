//! Checkpoints and artifacts: one verb per file; reading them is here. Nothing of a set can be read before every byte of
//! it was verified.

pub mod complete;
pub mod create;
pub mod delete;
pub mod loose;
mod retain;
pub mod take;
#[cfg(test)]
mod tests;
pub mod upload;

pub use complete::{SentFile, complete};
pub use create::{NewFileSet, create};
pub use delete::{abandon, delete};
pub(crate) use delete::{delete_run, desert, end_job};
pub(crate) use retain::best;
use runyard_domain::{FileSetId, JobId, run::Job, token::Scope};
pub use runyard_domain::{
    checkpoint::{Kind, Status},
    run::Run,
};
use runyard_objects::{GetAs, Signed};
pub use runyard_store::file_set::{FileSet, Filter, file::File};
use runyard_store::{self as store, Tx};
pub use take::{LocalFile, take};
pub use upload::{NewFile, NewPart, Upload, UploadPart, upload};

use crate::{Actor, Engine, Error, Result, run::lock_for};

/// How long an address to read or to write a file lives, in seconds.
const ADDRESS_S: i64 = 3600;
/// How many files of a set the object store is asked about at once.
const AT_ONCE: usize = 16;

/// Which files of a set.
#[derive(Debug, Clone, Default)]
pub struct WantedFiles {
    /// Only these.
    pub paths: Vec<String>,
    /// Strictly after this path.
    pub path_after: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// Sets that match; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<Vec<FileSet>> {
    match actor.scope {
        Scope::Admin => {}
        Scope::Project(own) if filter.project_ids.is_empty() => filter.project_ids.push(own),
        Scope::Project(own) => {
            filter.project_ids.retain(|&project| project == own);
            if filter.project_ids.is_empty() {
                return Ok(Vec::new());
            }
        }
        Scope::Run(_, own) if filter.run_ids.is_empty() => filter.run_ids.push(own),
        Scope::Run(_, own) => {
            filter.run_ids.retain(|&run| run == own);
            if filter.run_ids.is_empty() {
                return Ok(Vec::new());
            }
        }
    }
    engine.db.read(move |tx| Ok::<_, Error>(store::file_set::list(tx, &filter)?)).await
}

/// The set with this id. A job may read those of other runs of its project too: training goes on from them.
pub async fn get(engine: &Engine, actor: &Actor, kind: Kind, id: FileSetId) -> Result<FileSet> {
    let actor = actor.clone();
    engine.db.read(move |tx| readable(tx, &actor, kind, id)).await
}

/// Files of a set by path; with addresses to read them once the set is complete.
pub async fn files(
    engine: &Engine,
    actor: &Actor,
    kind: Kind,
    id: FileSetId,
    wanted: WantedFiles,
) -> Result<Vec<(File, Option<Signed>)>> {
    let actor = actor.clone();
    let (set, files) = engine
        .db
        .read(move |tx| {
            let set = readable(tx, &actor, kind, id)?;
            let files = if wanted.paths.is_empty() {
                store::file_set::file::page(tx, id, wanted.path_after.as_deref(), wanted.limit)?
            } else {
                let paths: Vec<&str> = wanted.paths.iter().map(String::as_str).collect();
                store::file_set::file::by_paths(tx, id, &paths)?
            };
            Ok::<_, Error>((set, files))
        })
        .await?;
    let address = |file: File| {
        let complete = set.status == Status::Complete;
        let signed = complete.then(|| sign(engine, &set, &file.path)).transpose()?;
        Ok((file, signed))
    };
    files.into_iter().map(address).collect()
}

/// Where to read one file of a set.
///
/// # Errors
/// 409 `incomplete` while it is being uploaded.
pub async fn file(engine: &Engine, actor: &Actor, kind: Kind, id: FileSetId, path: String) -> Result<Signed> {
    let (actor, wanted) = (actor.clone(), path.clone());
    let set = engine
        .db
        .read(move |tx| {
            let set = readable(tx, &actor, kind, id)?;
            let found = store::file_set::file::by_paths(tx, id, &[&wanted])?;
            if found.is_empty() { Err(Error::not_found("file", &wanted)) } else { Ok(set) }
        })
        .await?;
    if set.status != Status::Complete {
        return Err(incomplete(format!(
            "the {} is not complete: nothing of it can be read yet",
            kind.word()
        )));
    }
    sign(engine, &set, &path)
}

fn sign(engine: &Engine, set: &FileSet, path: &str) -> Result<Signed> {
    let name = path.rsplit('/').next().map(str::to_owned);
    let get = GetAs { name, content_type: Some("application/octet-stream".to_owned()) };
    Ok(engine.objects.presign_get(&key(set, path), ADDRESS_S, &get)?)
}

/// Where the object of a file is.
fn key(set: &FileSet, path: &str) -> String {
    format!("{}{path}", set.key_prefix)
}

/// The set, if the actor may read it.
fn readable(tx: &mut Tx, actor: &Actor, kind: Kind, id: FileSetId) -> Result<FileSet> {
    let reaches = |set: &FileSet| match actor.scope {
        Scope::Admin => true,
        Scope::Project(own) | Scope::Run(own, _) => set.project_id == own,
    };
    find(tx, kind, id)?.filter(reaches).ok_or_else(|| Error::not_found(kind.word(), id))
}

fn find(tx: &mut Tx, kind: Kind, id: FileSetId) -> Result<Option<FileSet>> {
    let there = |set: &FileSet| set.kind == kind && set.status != Status::Deleted;
    Ok(store::file_set::get(tx, id)?.filter(there))
}

/// The set and its run, locked, if the actor may change them.
fn owned(tx: &mut Tx, actor: &Actor, kind: Kind, id: FileSetId) -> Result<(Run, FileSet)> {
    let absent = || Error::not_found(kind.word(), id);
    let set = find(tx, kind, id)?.ok_or_else(absent)?;
    let run = lock_for(tx, actor, set.run_id).map_err(|error| match error {
        Error::NotFound { .. } => absent(),
        other => other,
    })?;
    // Others may have changed it until the lock was there.
    let set = find(tx, kind, id)?.ok_or_else(absent)?;
    Ok((run, set))
}

/// The set and its run, locked, if its job is the run's current one and the upload was not given up.
fn open(tx: &mut Tx, actor: &Actor, kind: Kind, id: FileSetId) -> Result<(Run, FileSet)> {
    let (run, set) = owned(tx, actor, kind, id)?;
    if set.epoch != run.life.epoch {
        return Err(stale(format!(
            "{} {id} belongs to attempt {} of run {}, which is at attempt {} now: it can change nothing any more",
            kind.word(),
            set.epoch,
            run.id,
            run.life.epoch
        )));
    }
    if let Some(reason) = &set.reason {
        let message = format!("{} {id} was given up ({reason}): begin a new one", kind.word());
        return Err(Error::Conflict { code: "abandoned", message });
    }
    Ok((run, set))
}

/// The job that reports for the run: the named one if it is the current one, or else just the current one.
fn current_job(tx: &mut Tx, run: &Run, named: Option<JobId>) -> Result<Job> {
    let current = store::job::by_epoch(tx, run.id, run.life.epoch)?;
    match (named, current) {
        (None, Some(current)) => Ok(current),
        (Some(named), Some(current)) if current.id == named => Ok(current),
        (Some(named), _) => Err(stale(format!("job {named} is not the current job of run {}", run.id))),
        (None, None) => Err(Error::conflict(format!("run {} has no job yet: nothing can report", run.id))),
    }
}

fn stale(message: String) -> Error {
    Error::Conflict { code: "stale_epoch", message }
}

fn incomplete(message: String) -> Error {
    Error::Conflict { code: "incomplete", message }
}
