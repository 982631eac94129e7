//! Says where to send the parts of an archive, and writes down which have arrived. Size and digest of each part are bound by
//! its address, so nothing else than what was said can arrive.

use std::collections::HashSet;

use runyard_domain::{
    ChecksumKind, FieldErrors, ModelVersionId,
    model::{MAX_ASKED, MAX_PARTS},
};
use runyard_objects::{Checksum, Error as ObjectsError, Signed};
use runyard_store as store;

use super::{
    ADDRESS_S, ModelVersion, Part,
    begin::is_hex,
    changing::{discard_upload, fresh_key, prefix, unfinished},
};
use crate::{Actor, Engine, Error, Result, file_set::upload::is_etag};

/// A part to send.
#[derive(Debug, Clone, Default)]
pub struct NewPart {
    /// From 1.
    pub number: i64,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256.
    pub sha256: Option<String>,
    /// Hex MD5.
    pub md5: Option<String>,
}

/// Answers where to send each of the parts, by number, and notes those that have arrived.
///
/// # Errors
/// Wrong parts by `parts.N.field`; `no_upload` when the object store has lost what had arrived: begin the version again.
pub async fn parts(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    parts: Vec<NewPart>,
    sent: Vec<Part>,
) -> Result<Vec<(i64, Signed)>> {
    let sums = check(engine.objects.checksum(), &parts, &sent)?;
    let (now, reader) = (engine.now(), actor.clone());
    let sizes: Vec<i64> = parts.iter().map(|part| part.size).collect();
    let version = engine
        .db
        .write(move |tx| {
            let mut version = unfinished(tx, &reader, id)?;
            let most = version.part_size.ok_or_else(in_one_piece)?;
            check_sizes(&sizes, most)?;
            store::model::content::put_parts(tx, id, &sent)?;
            version.updated_at = now;
            store::model::version::save(tx, &version)?;
            Ok::<_, Error>(version)
        })
        .await?;
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let sign = |version: &ModelVersion| {
        let upload = version.upload.as_deref().unwrap_or_default();
        let each = parts.iter().zip(&sums).map(|(part, sum)| {
            let size = part.size.cast_unsigned();
            let key = &version.object_key;
            let signed = engine.objects.presign_part(key, upload, part.number, size, *sum, ADDRESS_S)?;
            Ok((part.number, signed))
        });
        each.collect::<Result<Vec<_>, ObjectsError>>()
    };
    if version.upload.is_some() {
        match sign(&version) {
            Err(ObjectsError::NoUpload { .. }) => {}
            signed => return Ok(signed?),
        }
    }
    let version = open(engine, actor, version).await?;
    Ok(sign(&version)?)
}

/// Begins an upload in parts and notes it, in place of one that the object store has lost; when another request was faster,
/// its upload counts.
async fn open(engine: &Engine, actor: &Actor, version: ModelVersion) -> Result<ModelVersion> {
    let part_size = version.part_size.ok_or_else(in_one_piece)?.cast_unsigned();
    let key = format!("{}{}", prefix(&version), fresh_key(engine));
    let upload = engine.objects.begin_multipart(&key, part_size).await?;
    let (now, actor) = (engine.now(), actor.clone());
    let opened = engine
        .db
        .write(move |tx| {
            let mut now_there = unfinished(tx, &actor, version.id)?;
            if now_there.upload != version.upload {
                store::source::discard_upload(tx, &key, &upload, now)?;
                return Ok((now_there, false));
            }
            let lost = !store::model::content::parts(tx, version.id)?.is_empty();
            discard_upload(tx, &now_there, now)?;
            (now_there.object_key, now_there.upload) = (key.clone(), Some(upload.clone()));
            store::model::version::save(tx, &now_there)?;
            Ok::<_, Error>((now_there, lost))
        })
        .await?;
    match opened {
        (version, false) => Ok(version),
        (version, true) => Err(lost(version.id)),
    }
}

/// What had arrived is gone.
pub(super) fn lost(id: ModelVersionId) -> Error {
    let message = format!(
        "what had arrived of model version {id} is gone from the object store: begin it again, and send all parts"
    );
    Error::Conflict { code: "no_upload", message }
}

fn in_one_piece() -> Error {
    Error::conflict("the archive of this version is not sent in parts: send it where its begin said, or begin another version".to_owned())
}

fn check(kind: ChecksumKind, parts: &[NewPart], sent: &[Part]) -> Result<Vec<Checksum>> {
    let mut errors = FieldErrors::default();
    if parts.len() > MAX_ASKED {
        errors.add("parts", format!("has {} parts: ask for at most {MAX_ASKED} at a time", parts.len()));
    }
    let mut sums = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let at = |field: &str| format!("parts.{index}.{field}");
        if !(1..=MAX_PARTS).contains(&part.number) {
            errors.add(at("number"), format!("{} is not from 1 to {MAX_PARTS}", part.number));
        }
        let sum = match kind {
            ChecksumKind::Md5 => &part.md5,
            ChecksumKind::Sha256 => &part.sha256,
        };
        match sum.as_deref().and_then(|text| Checksum::from_hex(kind, text)) {
            Some(sum) => sums.push(sum),
            None => errors.add(
                at(kind.word()),
                format!(
                    "must be the {} of the part as {} hexadecimal digits: it is what objects of this server are checked by",
                    kind.title(),
                    kind.digits()
                ),
            ),
        }
    }
    check_sent("sent", sent, &mut errors);
    Ok(errors.finish(sums)?)
}

fn check_sizes(sizes: &[i64], most: i64) -> Result<()> {
    let mut errors = FieldErrors::default();
    for (index, size) in sizes.iter().enumerate() {
        if !(1..=most).contains(size) {
            let message =
                format!("{size} is not from 1 to {most} bytes, which each part but the last one has");
            errors.add(format!("parts.{index}.size"), message);
        }
    }
    Ok(errors.finish(())?)
}

/// Whether these can be parts that have arrived.
pub(super) fn check_sent(path: &str, sent: &[Part], errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for (index, part) in sent.iter().enumerate() {
        let at = |field: &str| format!("{path}.{index}.{field}");
        if !(1..=MAX_PARTS).contains(&part.number) {
            errors.add(at("number"), format!("{} is not from 1 to {MAX_PARTS}", part.number));
        }
        if !seen.insert(part.number) {
            errors.add(at("number"), format!("part {} is named twice", part.number));
        }
        if part.size < 1 {
            errors.add(at("size"), format!("{} is no size of a part: it has at least 1 byte", part.size));
        }
        if part.sha256.as_deref().is_some_and(|text| !is_hex(text, 64)) {
            errors.add(at("sha256"), "must be a SHA-256 as 64 hexadecimal digits");
        }
        if part.md5.as_deref().is_some_and(|text| !is_hex(text, 32)) {
            errors.add(at("md5"), "must be an MD5 as 32 hexadecimal digits");
        }
        if !is_etag(&part.etag) {
            errors.add(at("etag"), "must be the `ETag` that the part was answered with");
        }
    }
}
