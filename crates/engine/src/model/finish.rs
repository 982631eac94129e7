//! How a verification ends: the version is available, or it failed, or another one has the content. One transaction each,
//! with the model locked, so that of two publishers of one content exactly one makes a version.

use runyard_archive::model::Inspected;
use runyard_domain::{Millis, ModelVersionId};
use runyard_store::{self as store, Tx, model::content::File};

use super::{
    ModelVersion, State,
    changing::{discard, expired, prefix},
    tag,
};
use crate::{Error, Result};

/// The scope of the keys under which a version that went finds the one that has its content.
const TWINS: &str = "model version";

/// A version whose archive was verified, or the one that had its content before.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The version.
    pub version: ModelVersion,
    /// It was there before.
    pub existing: bool,
    /// What a person should know.
    pub note: Option<String>,
}

/// Makes the version available with what its archive turned out to be. Another one with the same tree keeps the content: then
/// this one goes, with its bytes.
pub(super) fn publish(
    tx: &mut Tx,
    version: ModelVersion,
    archive: &Inspected,
    files: &[File],
    now: Millis,
) -> Result<Finished> {
    match store::model::version::by_tree(tx, version.model_id, &archive.summary.tree_digest)? {
        Some(twin) if twin.id != version.id => merge(tx, &version, twin, now),
        _ => open(tx, version, archive, files, now),
    }
}

/// The version is available from here on.
pub(super) fn open(
    tx: &mut Tx,
    mut version: ModelVersion,
    archive: &Inspected,
    files: &[File],
    now: Millis,
) -> Result<Finished> {
    let summary = &archive.summary;
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    (version.state, version.available_at, version.updated_at) = (State::Available, Some(now), now);
    version.tree_digest = Some(summary.tree_digest.clone());
    version.content_md5.clone_from(&archive.content_md5);
    version.archive_sha256 = Some(archive.archive_sha256.clone());
    version.archive_md5 = Some(archive.archive_md5.clone());
    version.archive_size = Some(signed(archive.archive_size));
    (version.size, version.files) = (Some(signed(summary.size)), Some(signed(summary.files)));
    (version.upload, version.part_size) = (None, None);
    let (wanted, move_tag) = (version.tag.take(), std::mem::take(&mut version.move_tag));
    let mut note = None;
    if let Some(wanted) = wanted {
        match tag::give(tx, &mut version, &wanted, move_tag) {
            // Somebody took it since this version was begun: that is no reason to lose the content.
            Err(Error::Conflict { code: "tag_exists", message }) => {
                note = Some(format!("the version has no tag: {message}"));
            }
            given => given?,
        }
    }
    store::model::content::forget_parts(tx, version.id)?;
    store::model::content::insert_files(tx, version.id, files)?;
    store::model::version::save(tx, &version)?;
    Ok(Finished { version, existing: false, note })
}

/// The version and its bytes go: another one has the content. Whoever repeats the request is led there.
pub(super) fn merge(
    tx: &mut Tx,
    version: &ModelVersion,
    mut twin: ModelVersion,
    now: Millis,
) -> Result<Finished> {
    let before = twin.tag.clone();
    let wanted = version.tag.as_deref();
    let note = match tag::give_existing(tx, &mut twin, wanted, version.move_tag) {
        Err(Error::Conflict { code: "tag_exists", message }) => Some(message),
        given => given?,
    };
    if twin.tag != before {
        twin.updated_at = now;
        store::model::version::save(tx, &twin)?;
    }
    discard(tx, version, now)?;
    store::model::version::delete(tx, version.id)?;
    let (gone, twin_id) = (version.id.to_string(), twin.id.to_string());
    let key = store::idempotency::Key { scope: TWINS, key: &gone, request_hash: "", resource_id: &twin_id };
    store::idempotency::claim(tx, &key, now)?;
    Ok(Finished { version: twin, existing: true, note })
}

/// The version that has the content of one that went.
pub(super) fn twin_of(tx: &mut Tx, gone: ModelVersionId) -> Result<Option<ModelVersion>> {
    let Some(id) = store::idempotency::find(tx, TWINS, &gone.to_string())? else { return Ok(None) };
    let id = id.parse().map_err(|error| Error::Internal(format!("idempotency: {error}")))?;
    Ok(store::model::version::get(tx, id)?)
}

/// The version failed: it stays as a row that says why, its bytes go, and the same publish may begin a new one.
pub(super) fn fail(tx: &mut Tx, mut version: ModelVersion, reason: &str, now: Millis) -> Result<()> {
    discard(tx, &version, now)?;
    version.state = State::Error;
    version.reason = Some(reason.chars().take(1000).collect());
    (version.source_key, version.upload, version.updated_at) = (None, None, now);
    Ok(store::model::version::save(tx, &version)?)
}

/// Notes as garbage what may still arrive below a part of the version's prefix.
pub(super) fn discard_late(tx: &mut Tx, version: &ModelVersion, below: &str, now: Millis) -> Result<()> {
    let place = format!("{}{below}", prefix(version));
    Ok(store::source::discard_objects(tx, &place, now, Some(expired(now)))?)
}

/// What is in an archive, as rows.
pub(super) fn rows(archive: &Inspected) -> Vec<File> {
    let row = |entry: &runyard_archive::model::Entry| File {
        path: entry.path.clone(),
        kind: entry.kind.as_str().to_owned(),
        size: i64::try_from(entry.size).unwrap_or(i64::MAX),
        sha256: entry.sha256.clone(),
    };
    archive.summary.entries.iter().map(row).collect()
}
