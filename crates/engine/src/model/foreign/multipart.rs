//! The archive of a foreign client in parts whose sizes it chooses.

use runyard_domain::ModelVersionId;
use runyard_objects::{Error as ObjectsError, Signed};
use runyard_store as store;

use super::{
    arriving,
    validate::{Claims, Twin, settle},
};
use crate::{
    Actor, Engine, Error, Result,
    model::{
        ADDRESS_S, ModelVersion,
        changing::{discard_upload, unfinished},
        parts::lost,
    },
};

/// Begins an upload in parts, in place of one that was begun before; answers its name.
pub async fn begin_parts(engine: &Engine, actor: &Actor, id: ModelVersionId) -> Result<String> {
    let reader = actor.clone();
    let version = engine.db.write(move |tx| unfinished(tx, &reader, id)).await?;
    let key = arriving(&version);
    let upload = engine.objects.begin_loose_multipart(&key).await?;
    let (now, actor, begun) = (engine.now(), actor.clone(), upload.clone());
    engine
        .db
        .write(move |tx| {
            let mut version = match unfinished(tx, &actor, id) {
                Err(gone) => return Err(gone),
                Ok(version) => version,
            };
            discard_upload(tx, &version, now)?;
            version.object_key.clone_from(&key);
            (version.upload, version.updated_at) = (Some(begun.clone()), now);
            Ok(store::model::version::save(tx, &version)?)
        })
        .await?;
    Ok(upload)
}

/// Where to send a part, of any size; `md5` binds its bytes.
pub async fn sign_part(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    upload: &str,
    number: i64,
    md5: Option<[u8; 16]>,
) -> Result<Signed> {
    let key = of_upload(engine, actor, id, upload).await?;
    Ok(engine.objects.presign_loose_part(&key, upload, number, md5, ADDRESS_S)?)
}

/// Makes the parts one object and validates it by what was said of the archive before: from then on the version is
/// available. Another version that has the same tree is answered in its place. May be repeated.
///
/// # Errors
/// As [`super::validate`], but for [`Error::SameContent`]; `no_upload` when this is not the upload that the version has.
pub async fn complete_parts(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    upload: &str,
    parts: Vec<(i64, String)>,
) -> Result<ModelVersion> {
    match of_upload(engine, actor, id, upload).await {
        Ok(key) => match engine.objects.complete_multipart(&key, upload, &parts).await {
            // An earlier request came so far, or it is lost: what has arrived tells.
            Ok(()) | Err(ObjectsError::NoUpload { .. }) => {}
            Err(error) => return Err(error.into()),
        },
        // An earlier request was done, one way or the other.
        Err(Error::Conflict { code: "available" | "failed", .. } | Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    settle(engine, actor, id, Claims::default(), Twin::Merged).await
}

/// Gives the upload up, and frees its parts. May be repeated.
pub async fn abort_parts(engine: &Engine, actor: &Actor, id: ModelVersionId, upload: &str) -> Result<()> {
    let (now, actor, wanted) = (engine.now(), actor.clone(), upload.to_owned());
    engine
        .db
        .write(move |tx| {
            let mut version = unfinished(tx, &actor, id)?;
            if version.upload.as_deref() == Some(&*wanted) {
                discard_upload(tx, &version, now)?;
                (version.upload, version.updated_at) = (None, now);
                store::model::version::save(tx, &version)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    crate::garbage::collect(engine).await?;
    Ok(())
}

/// The key of the upload, if it is the one that the version has.
async fn of_upload(engine: &Engine, actor: &Actor, id: ModelVersionId, upload: &str) -> Result<String> {
    let (actor, wanted, now) = (actor.clone(), upload.to_owned(), engine.now());
    engine
        .db
        .write(move |tx| {
            let mut version = unfinished(tx, &actor, id)?;
            if version.upload.as_deref() != Some(&*wanted) {
                return Err(lost(id));
            }
            version.updated_at = now;
            store::model::version::save(tx, &version)?;
            Ok(arriving(&version))
        })
        .await
}
