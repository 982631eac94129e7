//! Objects that no row knows. Only what is named as this product names its objects is looked at, and nothing young: rows are
//! written before or soon after their object.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::UNIX_EPOCH,
};

use runyard_domain::{BucketObjectId, FileSetId, Millis, ModelVersionId, RunId, checkpoint::Status};
use runyard_objects::Listed;
use runyard_store::{self as store, Tx};

use crate::{Engine, Result};

/// Keys that are asked about in one transaction.
const AT_ONCE: usize = 1000;

/// `(key, bytes)` of objects that were stored before `before` and that no row knows.
pub(super) async fn find(engine: &Engine, before: Millis) -> Result<Vec<(String, i64)>> {
    let mut found = Vec::new();
    for prefix in ["sources", "runs", "models", "oss"] {
        let mut listed = engine.objects.list(prefix).await?;
        listed.retain(|object| stored_at(object) < before);
        for part in listed.chunks(AT_ONCE) {
            let part: Vec<(String, i64)> =
                part.iter().map(|object| (object.key.clone(), object.size as i64)).collect();
            found.extend(engine.db.read(move |tx| unknown(tx, &part)).await?);
        }
    }
    Ok(found)
}

fn stored_at(object: &Listed) -> Millis {
    let since = object.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn unknown(tx: &mut Tx, objects: &[(String, i64)]) -> Result<Vec<(String, i64)>> {
    let mut sets = HashMap::new();
    let mut found = Vec::new();
    for (key, size) in objects {
        let segments: Vec<&str> = key.split('/').collect();
        // What is not named by us is not ours to delete.
        let known = match segments[..] {
            ["sources", name] => match name.strip_suffix(".tar.zst") {
                Some(digest) if digest.len() == 64 => store::source::size(tx, digest)?.is_some(),
                _ => true,
            },
            ["runs", _, "checkpoints" | "artifacts", id, _, ..] => match id.parse() {
                Ok(id) => of_set(tx, &mut sets, id, key)?,
                Err(_) => true,
            },
            ["runs", run, "loose", _, ..] => match run.parse::<RunId>() {
                Ok(run) => store::run::get(tx, run)?.is_some(),
                Err(_) => true,
            },
            ["models", _, id, _, ..] => match id.parse::<ModelVersionId>() {
                Ok(id) => store::object::is_archive(tx, key, id)?,
                Err(_) => true,
            },
            ["oss", _, id, _] => match id.parse::<BucketObjectId>() {
                Ok(id) => store::oss::piece::is_one(tx, id, key)?,
                Err(_) => true,
            },
            _ => true,
        };
        if !known {
            found.push((key.clone(), *size));
        }
    }
    Ok(found)
}

/// Whether a checkpoint or an artifact has this file, or may still get it.
fn of_set(
    tx: &mut Tx,
    sets: &mut HashMap<FileSetId, Option<store::file_set::FileSet>>,
    id: FileSetId,
    key: &str,
) -> Result<bool> {
    let set = match sets.entry(id) {
        Entry::Occupied(found) => found.into_mut(),
        Entry::Vacant(place) => place.insert(store::file_set::get(tx, id)?),
    };
    let Some(set) = set else { return Ok(false) };
    Ok(match (set.status, key.strip_prefix(&set.key_prefix)) {
        (Status::Incomplete, _) => set.reason.is_none(),
        (Status::Complete, Some(path)) => !store::file_set::file::by_paths(tx, id, &[path])?.is_empty(),
        _ => false,
    })
}
