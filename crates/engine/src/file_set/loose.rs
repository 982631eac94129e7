//! Loose files of a task: what clients of other systems upload one by one, saying neither what is in it nor when it has arrived.
//! They are no artifacts: what is stored below their run is what there is. Rows say what may be there, so that deletion and
//! backups find it; what arrives later than its run's deletion is found by `gc`.

use runyard_domain::{
    Millis, RunId,
    checkpoint::check_path,
    run::{Kind, Run},
    token::Scope,
};
use runyard_objects::{GetAs, PUT_MAX, Signed};
use runyard_store as store;

use super::{ADDRESS_S, create::run_prefix};
use crate::{
    Actor, Engine, Error, Result, corpus,
    run::{lock_for, visible},
};

/// A loose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loose {
    /// Its name; may have slashes.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// When it was stored.
    pub stored_at: Millis,
}

/// What the keys of the loose files of a run begin with.
fn prefix(run: RunId) -> String {
    format!("{}loose/", run_prefix(run))
}

/// Where a loose file is stored.
pub(crate) fn key(run: RunId, path: &str) -> String {
    format!("{}{path}", prefix(run))
}

/// Where to send a file of a run, in place of one that is there.
///
/// # Errors
/// 422 for a path or a size that cannot be.
pub async fn begin(engine: &Engine, actor: &Actor, run: RunId, path: &str, size: i64) -> Result<Signed> {
    check_path(path).map_err(|error| Error::field("path", error.to_string()))?;
    let limit = u64::try_from(size).ok().filter(|size| *size <= PUT_MAX);
    let limit =
        limit.ok_or_else(|| Error::field("size", format!("{size} is not from 0 to {PUT_MAX} bytes")))?;
    let (actor, noted) = (actor.clone(), path.to_owned());
    engine
        .db
        .write(move |tx| {
            if lock_for(tx, &actor, run)?.kind == Kind::External {
                let message = format!("run {run} is executed elsewhere: nothing of it is kept here");
                return Err(Error::conflict(message));
            }
            Ok(store::file_set::note_loose(tx, run, &noted, size)?)
        })
        .await?;
    Ok(engine.objects.presign_put_any(&key(run, path), limit, ADDRESS_S)?)
}

/// Loose files of a run, by path. A job reads those of other runs of its project too.
pub async fn list(engine: &Engine, actor: &Actor, run: RunId) -> Result<Vec<Loose>> {
    of_project(engine, actor, run).await?;
    let prefix = prefix(run);
    let listed = engine.objects.list(&prefix).await?.into_iter();
    let loose = listed.filter_map(|object| {
        let since = object.modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Some(Loose {
            path: object.key.strip_prefix(&prefix)?.to_owned(),
            size: object.size as i64,
            stored_at: Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        })
    });
    Ok(loose.collect())
}

/// Where to read a loose file; `None`: there is none with this path.
pub async fn read(engine: &Engine, actor: &Actor, run: RunId, path: &str) -> Result<Option<Signed>> {
    of_project(engine, actor, run).await?;
    if check_path(path).is_err() {
        return Ok(None);
    }
    let key = key(run, path);
    if engine.objects.size(&key).await?.is_none() {
        return Ok(None);
    }
    let name = path.rsplit('/').next().map(str::to_owned);
    let get = GetAs { name, content_type: Some("application/octet-stream".to_owned()) };
    Ok(Some(engine.objects.presign_get(&key, ADDRESS_S, &get)?))
}

/// The run, for whoever may read what it left: its own job, and jobs of its project.
async fn of_project(engine: &Engine, actor: &Actor, run: RunId) -> Result<Run> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let found = store::run::get(tx, run)?;
            match actor.scope {
                Scope::Run(..) => found
                    .filter(|found| corpus::reads(&actor, found.project_id))
                    .ok_or_else(|| Error::not_found("run", run)),
                _ => visible(&actor, run, found),
            }
        })
        .await
}
