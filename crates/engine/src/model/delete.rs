//! Deletes models and versions: rows and notes of garbage in one transaction, bytes right after it. Versions that were made
//! from one that goes keep its id: where something came from is history.

use runyard_domain::{Millis, ModelId, ModelVersionId, token::Scope};
use runyard_store::{self as store, Tx};

use super::{
    ModelVersion, State,
    changing::{discard, discard_upload, expired, locked},
    find, no_job,
};
use crate::{Actor, Engine, Error, Result, garbage, source};

/// How long a version may wait for somebody to go on with it, in milliseconds.
const PENDING_MS: i64 = 24 * 3600 * 1000;
/// How long a version that failed says why, in milliseconds.
const FAILED_MS: i64 = 7 * 24 * 3600 * 1000;

/// Deletes a model with all of its versions; answers its id and the bytes freed. Not for jobs.
pub async fn delete(
    engine: &Engine,
    actor: &Actor,
    id_or_name: &str,
    project: Option<&str>,
) -> Result<(ModelId, i64)> {
    let now = engine.now();
    let (actor, wanted, project) = (actor.clone(), id_or_name.to_owned(), project.map(str::to_owned));
    let id = engine
        .db
        .write(move |tx| {
            let model = find(tx, &actor, &wanted, project.as_deref())?;
            no_job(&actor, "delete models")?;
            store::model::lock(tx, model.id)?;
            for version in store::model::version::uploading(tx, model.id)? {
                discard_upload(tx, &version, now)?;
            }
            let sources = store::model::version::sources(tx, model.id)?;
            store::model::delete(tx, model.id)?;
            let prefix = format!("models/{}/", model.id);
            store::source::discard_objects(tx, &prefix, now, Some(expired(now)))?;
            sources.iter().try_for_each(|digest| forget_source(tx, digest, now))?;
            Ok::<_, Error>(model.id)
        })
        .await?;
    Ok((id, garbage::collect(engine).await?))
}

/// Deletes a version; answers the bytes freed. A job may delete what its own run began and nobody can use yet.
pub async fn delete_version(engine: &Engine, actor: &Actor, id: ModelVersionId) -> Result<i64> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let version = locked(tx, &actor, id)?;
            let own = matches!(actor.scope, Scope::Run(_, run) if version.run_id == Some(run));
            if !own || version.state == State::Available {
                no_job(
                    &actor,
                    "delete model versions, but for those that its run began and that never became available",
                )?;
            }
            bury(tx, &version, now)
        })
        .await?;
    garbage::collect(engine).await
}

/// Deletes versions that nobody goes on with, and those that failed long ago.
pub(crate) fn expire(tx: &mut Tx, now: Millis) -> Result<()> {
    for (state, kept) in [(State::Created, PENDING_MS), (State::Error, FAILED_MS)] {
        loop {
            let found = store::model::version::idle(tx, state, now.plus(-kept), 100)?;
            if found.is_empty() {
                break;
            }
            for id in found {
                let Some(version) = store::model::version::get(tx, id)? else { continue };
                store::model::lock(tx, version.model_id)?;
                bury(tx, &version, now)?;
            }
        }
    }
    Ok(())
}

fn bury(tx: &mut Tx, version: &ModelVersion, now: Millis) -> Result<()> {
    discard(tx, version, now)?;
    store::model::version::delete(tx, version.id)?;
    version.source.as_deref().map_or(Ok(()), |digest| forget_source(tx, digest, now))
}

/// The source goes with the last that knows it.
fn forget_source(tx: &mut Tx, digest: &str, now: Millis) -> Result<()> {
    for digest in store::source::forget_unused(tx, Some(digest), now)? {
        store::source::discard_object(tx, &source::key(&digest), now)?;
    }
    Ok(())
}
