//! Gives uploads up and deletes sets: rows and notes of garbage in one transaction, files right after it.

use runyard_domain::{
    FieldErrors, FileSetId, JobId, Millis, RunId,
    checkpoint::{Kind, Status},
};
use runyard_store::{
    self as store, Tx,
    file_set::file::{self as rows},
};

use super::{ADDRESS_S, FileSet, Run, create::run_prefix, key, open, owned};
use crate::{Actor, Engine, Error, Result, garbage};

/// Longest reason, in characters.
const MAX_REASON: usize = 1000;
/// How long an upload of a run that has ended may wait for somebody to go on with it, in milliseconds.
const DESERTED_MS: i64 = 24 * 3600 * 1000;

/// Gives an upload up: what was sent is freed, the set stays `incomplete` with the reason. May be repeated.
///
/// # Errors
/// 409 when the set is complete: it can only be deleted.
pub async fn abandon(
    engine: &Engine,
    actor: &Actor,
    kind: Kind,
    id: FileSetId,
    reason: String,
) -> Result<FileSet> {
    if !(1..=MAX_REASON).contains(&reason.chars().count()) || reason.contains('\0') {
        let message = format!("must be 1 to {MAX_REASON} characters");
        return Err(FieldErrors::one("reason", message).into());
    }
    let (now, actor) = (engine.now(), actor.clone());
    let set = engine
        .db
        .write(move |tx| {
            let (_, set) = owned(tx, &actor, kind, id)?;
            if set.reason.is_some() {
                return Ok(set);
            }
            let (_, set) = open(tx, &actor, kind, id)?;
            if set.status == Status::Complete {
                let message = format!("{} {id} is complete: delete it instead", kind.word());
                return Err(Error::Conflict { code: "complete", message });
            }
            give_up(tx, set, &reason, now)
        })
        .await?;
    engine.signals.changed(set.run_id);
    collect(engine).await;
    Ok(set)
}

/// Deletes a set with its files; answers the bytes freed.
pub async fn delete(engine: &Engine, actor: &Actor, kind: Kind, id: FileSetId) -> Result<i64> {
    let (now, actor) = (engine.now(), actor.clone());
    let run = engine
        .db
        .write(move |tx| {
            let (run, set) = owned(tx, &actor, kind, id)?;
            bury(tx, set, now)?;
            Ok::<_, Error>(run.id)
        })
        .await?;
    engine.signals.changed(run);
    garbage::collect(engine).await
}

/// A job that ended goes on with nothing.
pub(crate) fn end_job(tx: &mut Tx, run: &Run, job: JobId, now: Millis) -> Result<()> {
    for set in store::file_set::open_until(tx, run.id, run.life.epoch)? {
        if set.job_id == job {
            give_up(tx, set, "the job ended before all of it was uploaded", now)?;
        }
    }
    Ok(())
}

/// What older jobs of a run were uploading is not gone on with.
pub(super) fn give_up_older(tx: &mut Tx, run: &Run, now: Millis) -> Result<()> {
    for set in store::file_set::open_until(tx, run.id, run.life.epoch - 1)? {
        give_up(tx, set, "a newer job took over before all of it was uploaded", now)?;
    }
    Ok(())
}

/// Gives up what nobody goes on with, whatever became of its run.
pub(crate) fn desert(tx: &mut Tx, now: Millis) -> Result<()> {
    loop {
        let found = store::file_set::deserted(tx, now.plus(-DESERTED_MS), 100)?;
        if found.is_empty() {
            return Ok(());
        }
        for set in found {
            give_up(tx, set, "nobody went on with the upload", now)?;
        }
    }
}

/// Deletes the sets of a run that is being deleted, and its loose files.
pub(crate) fn delete_run(tx: &mut Tx, run: RunId, now: Millis) -> Result<()> {
    for (key, upload) in rows::uploads_of_run(tx, run)? {
        store::source::discard_upload(tx, &key, &upload, now)?;
    }
    if store::file_set::delete_run(tx, run)? {
        store::source::discard_objects(tx, &run_prefix(run), now, Some(expired(now)))?;
    }
    Ok(())
}

fn give_up(tx: &mut Tx, mut set: FileSet, reason: &str, now: Millis) -> Result<FileSet> {
    discard(tx, &set, now)?;
    (set.reason, set.status_updated_at) = (Some(reason.to_owned()), now);
    (set.size, set.files) = (0, 0);
    store::file_set::save(tx, &set)?;
    Ok(set)
}

/// Deletes a set; the row stays without files, so that its source is not uploaded once more.
pub(super) fn bury(tx: &mut Tx, mut set: FileSet, now: Millis) -> Result<()> {
    discard(tx, &set, now)?;
    (set.status, set.status_updated_at) = (Status::Deleted, now);
    (set.size, set.files) = (0, 0);
    Ok(store::file_set::save(tx, &set)?)
}

/// Notes all files of a set as garbage. Addresses that are out there may still bring some: those go once they expired.
fn discard(tx: &mut Tx, set: &FileSet, now: Millis) -> Result<()> {
    for file in rows::in_parts(tx, set.id)? {
        if let Some(upload) = &file.upload {
            store::source::discard_upload(tx, &key(set, &file.path), upload, now)?;
        }
    }
    rows::delete(tx, set.id)?;
    let settled = set.status == Status::Complete && expired(set.status_updated_at) < now;
    let again_at = (!settled).then(|| expired(now));
    Ok(store::source::discard_objects(tx, &set.key_prefix, now, again_at)?)
}

/// When every address that was given out by then has expired.
fn expired(then: Millis) -> Millis {
    then.plus((ADDRESS_S + 60) * 1000)
}

async fn collect(engine: &Engine) {
    if let Err(error) = garbage::collect(engine).await {
        tracing::warn!("could not free what was given up: {error}");
    }
}
