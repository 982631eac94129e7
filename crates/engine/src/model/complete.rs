//! Completes a version: its parts become one object, which is read once and held against what was said. From then on it can be
//! used, and not before.

use runyard_archive::{Limits, model::Inspected};
use runyard_domain::{
    FieldErrors, ModelVersionId,
    model::{MAX_ENTRIES, MAX_PARTS},
};
use runyard_objects::Error as ObjectsError;
use runyard_store as store;

use super::{
    ModelVersion, Part, State,
    begin::is_hex,
    changing::{available, failed, locked, unfinished},
    finish::{self, Finished, twin_of},
    parts::{check_sent, lost},
    reaches, read,
    verify::{join, wait},
};
use crate::{Actor, Engine, Error, Result, garbage};

/// What the sender says of the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Every part, in order.
    pub parts: Vec<Part>,
    /// Bytes of the archive.
    pub archive_size: i64,
    /// Hex SHA-256 of the archive.
    pub archive_sha256: String,
    /// Hex SHA-256 over paths, modes and contents.
    pub tree_digest: String,
}

/// How far a version is that was completed.
#[derive(Debug, Clone)]
pub enum Completed {
    /// It is available, or another one has its content.
    Done(Box<Finished>),
    /// It is being read.
    Reading(Box<ModelVersion>),
}

/// Completes a version. May be repeated, also to go on waiting while a large archive is read.
///
/// # Errors
/// `archive_differs` says what is otherwise than was said, and the version has failed; `no_upload` and `invalid_part` when the
/// object store lacks parts; `available` and `failed` when it was completed with other values.
pub async fn complete(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    mut said: Said,
) -> Result<Completed> {
    check(&said)?;
    said.archive_sha256.make_ascii_lowercase();
    said.tree_digest.make_ascii_lowercase();
    let (now, reader, told) = (engine.now(), actor.clone(), said.clone());
    let version = engine
        .db
        .write(move |tx| {
            let mut version = match locked(tx, &reader, id) {
                Err(Error::NotFound { .. }) => return twin(tx, &reader, id, &told),
                found => found?,
            };
            if version.state == State::Created {
                check_parts(&version, &told)?;
                if version.upload.is_none() {
                    return Err(lost(id));
                }
                store::model::content::put_parts(tx, id, &told.parts)?;
                version.updated_at = now;
                store::model::version::save(tx, &version)?;
            }
            Ok(version)
        })
        .await?;
    match version.state {
        State::Available => return repeated(id, version, &said),
        State::Error => return Err(failed(&version)),
        State::Created => {}
    }
    let (actor, telling, pending) = (actor.clone(), said.clone(), version.clone());
    let under_way = join(engine, id, |engine| async move { verify(&engine, &actor, pending, telling).await });
    match wait(engine, under_way).await {
        None => Ok(Completed::Reading(Box::new(version))),
        Some(finished) => {
            let finished = finished?;
            // Whoever else asked may have said something else.
            match repeated(id, finished.version.clone(), &said)? {
                Completed::Done(_) => Ok(Completed::Done(Box::new(finished))),
                reading @ Completed::Reading(_) => Ok(reading),
            }
        }
    }
}

/// A version that is not there any more, because another one had its content.
fn twin(tx: &mut store::Tx, actor: &Actor, id: ModelVersionId, said: &Said) -> Result<ModelVersion> {
    let found = twin_of(tx, id)?.filter(|twin| {
        reaches(actor, twin.project_id) && twin.tree_digest.as_deref() == Some(&*said.tree_digest)
    });
    found.ok_or_else(|| Error::not_found("model version", id))
}

/// The answer to a request that was answered before: the same, if it says the same.
fn repeated(asked: ModelVersionId, version: ModelVersion, said: &Said) -> Result<Completed> {
    let existing = version.id != asked;
    let same_archive = version.archive_sha256.as_deref() == Some(&*said.archive_sha256)
        && version.archive_size == Some(said.archive_size);
    // Another archive of the same content is fine where that was there before.
    if version.tree_digest.as_deref() != Some(&*said.tree_digest) || !(existing || same_archive) {
        return Err(available(version.id));
    }
    Ok(Completed::Done(Box::new(Finished { version, existing, note: None })))
}

/// Puts the archive together, reads it, and ends the version's wait one way or the other.
async fn verify(engine: &Engine, actor: &Actor, version: ModelVersion, said: Said) -> Result<Finished> {
    put_together(engine, actor, &version, &said).await?;
    let there = engine.objects.size(&version.object_key).await?;
    let there = there.ok_or_else(|| lost(version.id))?;
    let archive = if i64::try_from(there) == Ok(said.archive_size) {
        let limits = Limits {
            max_entries: MAX_ENTRIES.cast_unsigned(),
            max_bytes: version.size.unwrap_or(0).cast_unsigned(),
            ..Limits::default()
        };
        read::archive(engine, &version.object_key, limits).await?
    } else {
        Err(format!("it has {there} bytes, and {} were said", said.archive_size))
    };
    let (archive, wrong) = match archive {
        Ok(archive) => {
            let wrong = differences(&archive, &said);
            (Some(archive), wrong)
        }
        Err(unfit) => (None, Some(unfit)),
    };
    let (now, actor, key) = (engine.now(), actor.clone(), version.object_key.clone());
    let files = archive.as_ref().map(finish::rows).unwrap_or_default();
    let finished = engine
        .db
        .write(move |tx| {
            let version = unfinished(tx, &actor, version.id)?;
            if version.object_key != key {
                return Err(lost(version.id));
            }
            match (&archive, &wrong) {
                (Some(archive), None) => Ok(Ok(finish::publish(tx, version, archive, &files, now)?)),
                (_, wrong) => {
                    let reason = wrong.as_deref().unwrap_or_default();
                    let message =
                        format!("the archive is not what was said: {reason}; begin the version again");
                    finish::fail(tx, version, &message, now)?;
                    Ok(Err(Error::Conflict { code: "archive_differs", message }))
                }
            }
        })
        .await?;
    if !matches!(&finished, Ok(fresh) if !fresh.existing) {
        garbage::collect_later(engine);
    }
    finished
}

/// Makes the parts one object. What the object store does not know is sent once more.
async fn put_together(engine: &Engine, actor: &Actor, version: &ModelVersion, said: &Said) -> Result<()> {
    let Some(upload) = version.upload.clone() else { return Err(lost(version.id)) };
    let parts: Vec<(i64, String)> = said.parts.iter().map(|part| (part.number, part.etag.clone())).collect();
    let error = match engine.objects.complete_multipart(&version.object_key, &upload, &parts).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let gone = matches!(error, ObjectsError::NoUpload { .. });
    if !gone && !matches!(error, ObjectsError::InvalidPart(_)) {
        return Err(error.into());
    }
    let (id, actor) = (version.id, actor.clone());
    engine
        .db
        .write(move |tx| {
            let mut version = unfinished(tx, &actor, id)?;
            if version.upload.as_deref() == Some(&*upload) {
                store::model::content::forget_parts(tx, id)?;
                version.upload = version.upload.filter(|_| !gone);
                store::model::version::save(tx, &version)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    Err(if gone { lost(id) } else { error.into() })
}

/// What is otherwise than was said, in a sentence.
fn differences(archive: &Inspected, said: &Said) -> Option<String> {
    let each = [
        ("SHA-256 of the archive", &archive.archive_sha256, &said.archive_sha256),
        ("tree digest", &archive.summary.tree_digest, &said.tree_digest),
    ];
    let wrong = each.into_iter().filter(|(_, is, said)| is != said);
    let wrong: Vec<String> = wrong
        .map(|(what, is, said)| {
            format!(
                "its {what} is {is}, and {said} was said",
                what = what.trim_end_matches(" of the archive")
            )
        })
        .collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

fn check(said: &Said) -> Result<()> {
    let mut errors = FieldErrors::default();
    for (field, digest) in [("archive_sha256", &said.archive_sha256), ("tree_digest", &said.tree_digest)] {
        if !is_hex(digest, 64) {
            errors.add(field, "must be a SHA-256 as 64 hexadecimal digits");
        }
    }
    check_sent("parts", &said.parts, &mut errors);
    let count = i64::try_from(said.parts.len()).unwrap_or(i64::MAX);
    if !(1..=MAX_PARTS).contains(&count) {
        errors.add("parts", format!("has {count} parts: an archive has 1 to {MAX_PARTS}"));
    }
    if !(1..).zip(&said.parts).all(|(number, part): (i64, _)| part.number == number) {
        errors.add("parts", "must be all parts in order, from number 1");
    }
    let sum: i64 = said.parts.iter().map(|part| part.size).fold(0, i64::saturating_add);
    if sum != said.archive_size {
        errors.add("archive_size", format!("is {}, and the parts have {sum} bytes", said.archive_size));
    }
    Ok(errors.finish(())?)
}

/// Only the last part is smaller than the others.
fn check_parts(version: &ModelVersion, said: &Said) -> Result<()> {
    let size = version.part_size.unwrap_or(0);
    let mut errors = FieldErrors::default();
    let last = said.parts.len().saturating_sub(1);
    for (index, part) in said.parts.iter().enumerate() {
        if part.size > size || (index < last && part.size != size) {
            let message = format!("{} bytes are not {size}, which each part but the last one has", part.size);
            errors.add(format!("parts.{index}.size"), message);
        }
    }
    Ok(errors.finish(())?)
}
