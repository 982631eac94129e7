//! Validates what a foreign client sent: its size first, then every byte. Messages are those that its users know.

use runyard_archive::{Limits, model::Inspected};
use runyard_domain::{
    FieldErrors, ModelVersionId,
    model::{MAX_BYTES, MAX_ENTRIES},
};
use runyard_objects::Error as ObjectsError;
use runyard_store::{self as store, Tx};

use super::{arriving, lower};
use crate::{
    Actor, Engine, Error, Result, garbage,
    model::{
        ModelVersion, State,
        begin::is_hex,
        changing::{fresh_key, locked, prefix, unfinished},
        finish::{self, Finished},
        parts::lost,
        reaches, read,
        verify::join,
    },
};

/// An archive may always grow to so much, however small it is.
const GROWS_TO: u64 = 1 << 30;
/// How often its own size an archive may grow to.
const GROWS_BY: u64 = 1_000;

/// What the client says of what it sent; what is `None` is not compared, but for what it said before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Bytes of the archive.
    pub size: Option<i64>,
    /// Hex MD5 of the contents.
    pub content_md5: Option<String>,
    /// Hex MD5 of the archive.
    pub archive_md5: Option<String>,
}

/// What becomes of a version when another one of the model has its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twin {
    /// It stays, and whoever asks is told.
    Told,
    /// It goes, and the other one stands for it.
    Merged,
}

/// Validates the version: from then on it is available. A repeat with equal values is fine.
///
/// # Errors
/// [`Error::SameContent`] when another version of the model has the content: the same tree, or the same `content_md5` if the
/// client tells contents apart by that; wrong values under `size`, `hash` and `archive_hash`, and `state` when it failed before.
pub async fn validate(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    claims: Claims,
) -> Result<ModelVersion> {
    settle(engine, actor, id, claims, Twin::Told).await
}

/// The same, for one or the other way with twins.
pub(super) async fn settle(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    claims: Claims,
    twins: Twin,
) -> Result<ModelVersion> {
    let claims = check(claims)?;
    let (now, reader) = (engine.now(), actor.clone());
    let version = engine
        .db
        .write(move |tx| {
            let mut version = match locked(tx, &reader, id) {
                Err(gone @ Error::NotFound { .. }) if twins == Twin::Merged => {
                    let twin = finish::twin_of(tx, id)?.filter(|twin| reaches(&reader, twin.project_id));
                    return twin.ok_or(gone);
                }
                found => found?,
            };
            if version.state == State::Created {
                version.updated_at = now;
                store::model::version::save(tx, &version)?;
            }
            Ok::<_, Error>(version)
        })
        .await?;
    match version.state {
        State::Available if version.id != id => return Ok(version),
        State::Available => return repeated(version, &claims),
        State::Error => {
            let message = "You can only update a model version's state from Created to Available, not Error to Available.";
            return Err(Error::field("state", message));
        }
        State::Created if version.part_size.is_some() => {
            return Err(Error::field("state", "This version is published through Runyard's own API."));
        }
        State::Created => {}
    }
    let claims = Claims {
        size: claims.size.or(version.archive_size),
        archive_md5: claims.archive_md5.or_else(|| version.archive_md5.clone()),
        ..claims
    };
    let (actor, said) = (actor.clone(), claims.clone());
    let finished =
        join(engine, id, |engine| async move { verify(&engine, &actor, version, said, twins).await }).await?;
    if finished.existing { Ok(finished.version) } else { repeated(finished.version, &claims) }
}

/// The version if it is what the client says.
fn repeated(version: ModelVersion, claims: &Claims) -> Result<ModelVersion> {
    let wrong = differences(
        claims,
        version.archive_size,
        version.archive_md5.as_deref(),
        version.content_md5.as_deref(),
    );
    Ok(wrong.finish(version)?)
}

async fn verify(
    engine: &Engine,
    actor: &Actor,
    version: ModelVersion,
    claims: Claims,
    twins: Twin,
) -> Result<Finished> {
    let (key, size) = take(engine, actor, &version, &claims).await?;
    let grown = size.saturating_mul(GROWS_BY).max(GROWS_TO).min(MAX_BYTES.cast_unsigned());
    let limits = Limits { max_entries: MAX_ENTRIES.cast_unsigned(), max_bytes: grown, ..Limits::default() };
    let archive = read::archive(engine, &key, limits).await?;
    let wrong = match &archive {
        Ok(archive) => wrong_in(archive, &claims),
        Err(unfit) => FieldErrors::one("archive_hash", format!("This is no archive of a model: {unfit}")),
    };
    let files = archive.as_ref().map(finish::rows).unwrap_or_default();
    let (now, actor, id) = (engine.now(), actor.clone(), version.id);
    let ended = engine
        .db
        .write(move |tx| {
            let version = unfinished(tx, &actor, id)?;
            if version.object_key != key {
                return Err(lost(id));
            }
            if let (Ok(archive), true) = (&archive, wrong.0.is_empty()) {
                match twin(tx, &version, archive, claims.content_md5.is_some())? {
                    None => {}
                    Some(twin) if twins == Twin::Merged => {
                        return Ok(Ok(finish::merge(tx, &version, twin, now)?));
                    }
                    Some(twin) => return Err(Error::SameContent { existing: twin.id }),
                }
                // Addresses that are out there may still bring something.
                finish::discard_late(tx, &version, "arriving/", now)?;
                return Ok(Ok(finish::open(tx, version, archive, &files, now)?));
            }
            finish::fail(tx, version, &wrong.to_string(), now)?;
            Ok(Err(Error::from(wrong.clone())))
        })
        .await?;
    garbage::collect_later(engine);
    ended
}

/// Takes what has arrived to a key that no address leads to; answers it, and its size.
async fn take(
    engine: &Engine,
    actor: &Actor,
    version: &ModelVersion,
    claims: &Claims,
) -> Result<(String, u64)> {
    let from = arriving(version);
    let arrived = engine.objects.size(&from).await?;
    let there = match arrived {
        // A server that was killed had taken it.
        None if version.object_key != from => engine.objects.size(&version.object_key).await?,
        arrived => arrived,
    };
    let size = there.ok_or_else(|| Error::field("size", "Archive has not been uploaded"))?;
    if let Some(said) = claims.size.filter(|said| i64::try_from(size) != Ok(*said)) {
        return Err(Error::field(
            "size",
            format!("Uploaded file size is {size} bytes, expected {said} bytes"),
        ));
    }
    if arrived.is_none() {
        return Ok((version.object_key.clone(), size));
    }
    // Noted first: wherever a crash leaves the bytes, a repeat finds them.
    let to = format!("{}{}", prefix(version), fresh_key(engine));
    let (id, actor, key, now) = (version.id, actor.clone(), to.clone(), engine.now());
    engine
        .db
        .write(move |tx| {
            let mut version = unfinished(tx, &actor, id)?;
            if version.object_key != arriving(&version) {
                store::source::discard_object(tx, &version.object_key, now)?;
            }
            version.object_key.clone_from(&key);
            Ok::<_, Error>(store::model::version::save(tx, &version)?)
        })
        .await?;
    match engine.objects.rename(&from, &to).await {
        Err(ObjectsError::NotFound(_)) => Err(Error::field("size", "Archive has not been uploaded")),
        renamed => Ok(renamed.map(|()| (to, size))?),
    }
}

/// Another available version of the model with this content. `by_contents`: the client tells them apart by nothing else, so
/// that other names of the same contents make no other version.
fn twin(
    tx: &mut Tx,
    version: &ModelVersion,
    archive: &Inspected,
    by_contents: bool,
) -> Result<Option<ModelVersion>> {
    let same_tree = store::model::version::by_tree(tx, version.model_id, &archive.summary.tree_digest)?;
    let twin = match (same_tree, archive.content_md5.as_ref().filter(|_| by_contents)) {
        (Some(twin), _) => Some(twin),
        (None, Some(md5)) => {
            let filter = store::model::version::Filter {
                model_ids: vec![version.model_id],
                content_md5s: vec![md5.clone()],
                states: vec![State::Available],
                limit: 1,
                ..Default::default()
            };
            store::model::version::list(tx, &filter)?.pop()
        }
        (None, None) => None,
    };
    Ok(twin.filter(|twin| twin.id != version.id))
}

fn wrong_in(archive: &Inspected, claims: &Claims) -> FieldErrors {
    let size = i64::try_from(archive.archive_size).ok();
    differences(claims, size, Some(&archive.archive_md5), archive.content_md5.as_deref())
}

fn differences(
    claims: &Claims,
    size: Option<i64>,
    archive_md5: Option<&str>,
    content_md5: Option<&str>,
) -> FieldErrors {
    let mut errors = FieldErrors::default();
    if let Some(said) = claims.size.filter(|said| size != Some(*said)) {
        let size = size.unwrap_or(0);
        errors.add("size", format!("Uploaded file size is {size} bytes, expected {said} bytes"));
    }
    let mut hash = |field: &str, what: &str, is: Option<&str>, said: Option<&str>| {
        if let Some(said) = said.filter(|said| is != Some(*said)) {
            errors.add(field, format!("The {what} is {}, expected {said}", is.unwrap_or("not known")));
        }
    };
    hash("archive_hash", "MD5 of the uploaded archive", archive_md5, claims.archive_md5.as_deref());
    hash("hash", "MD5 of the archive's contents", content_md5, claims.content_md5.as_deref());
    errors
}

fn check(claims: Claims) -> Result<Claims> {
    let mut errors = FieldErrors::default();
    for (field, md5) in [("hash", &claims.content_md5), ("archive_hash", &claims.archive_md5)] {
        if md5.as_deref().is_some_and(|md5| !is_hex(md5, 32)) {
            errors.add(field, "must be an MD5 as 32 hexadecimal digits");
        }
    }
    let lowered = Claims {
        size: claims.size,
        content_md5: lower(claims.content_md5.as_ref()),
        archive_md5: lower(claims.archive_md5.as_ref()),
    };
    Ok(errors.finish(lowered)?)
}
