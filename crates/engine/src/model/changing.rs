//! What every change of a version begins with: the lock of its model, and where its bytes are. Nothing changes which versions
//! are available, or their tags, without that lock.

use runyard_domain::{Millis, ModelVersionId};
use runyard_store::{self as store, Tx};

use super::{ADDRESS_S, ModelVersion, State, readable};
use crate::{Actor, Engine, Error, Result, idempotent::hex};

/// The version, if the actor may publish to its project; its model is locked.
pub(super) fn locked(tx: &mut Tx, actor: &Actor, id: ModelVersionId) -> Result<ModelVersion> {
    let version = readable(tx, actor, id)?;
    store::model::lock(tx, version.model_id)?;
    // Others may have changed it until the lock was there.
    readable(tx, actor, id)
}

/// The version that is being made, with its model locked.
///
/// # Errors
/// `available` and `failed` when nothing can be sent any more.
pub(super) fn unfinished(tx: &mut Tx, actor: &Actor, id: ModelVersionId) -> Result<ModelVersion> {
    let version = locked(tx, actor, id)?;
    match version.state {
        State::Created => Ok(version),
        State::Available => Err(available(id)),
        State::Error => Err(failed(&version)),
    }
}

/// The content of an available version does not change.
pub(super) fn available(id: ModelVersionId) -> Error {
    let message = format!(
        "model version {id} is available: its content does not change any more; publish a new version"
    );
    Error::Conflict { code: "available", message }
}

/// What failed stays so.
pub(super) fn failed(version: &ModelVersion) -> Error {
    let (id, reason) = (version.id, version.reason.as_deref().unwrap_or("no reason was noted"));
    let message = format!("model version {id} failed ({reason}): begin a new one");
    Error::Conflict { code: "failed", message }
}

/// What the keys of all objects of a version begin with.
pub(super) fn prefix(version: &ModelVersion) -> String {
    format!("models/{}/{}/", version.model_id, version.id)
}

/// A key that nothing was ever stored under: what is read under one key is never replaced while it is read.
pub(super) fn fresh_key(engine: &Engine) -> String {
    let mut random = [0; 8];
    engine.clock.fill(&mut random);
    format!("{}.tar.zst", hex(&random))
}

/// Notes all bytes of a version as garbage. Addresses that are out there may still bring some: those go once they expired.
pub(super) fn discard(tx: &mut Tx, version: &ModelVersion, now: Millis) -> Result<()> {
    discard_upload(tx, version, now)?;
    let settled = version.available_at.is_some_and(|then| expired(then) < now);
    let again_at = (!settled).then(|| expired(now));
    Ok(store::source::discard_objects(tx, &prefix(version), now, again_at)?)
}

/// Notes the upload in parts that is under way as garbage, and forgets its parts.
pub(super) fn discard_upload(tx: &mut Tx, version: &ModelVersion, now: Millis) -> Result<()> {
    if let Some(upload) = &version.upload {
        // What foreign clients send is taken away from where it arrives.
        let foreign = version.part_size.is_none();
        let key = if foreign { super::foreign::arriving(version) } else { version.object_key.clone() };
        store::source::discard_upload(tx, &key, upload, now)?;
    }
    Ok(store::model::content::forget_parts(tx, version.id)?)
}

/// When every address that was given out by then has expired.
pub(super) fn expired(then: Millis) -> Millis {
    then.plus((ADDRESS_S + 60) * 1000)
}
