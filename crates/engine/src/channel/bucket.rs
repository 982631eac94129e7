//! Addresses in this server's own buckets: whether a project may read or write there.

use runyard_domain::{ProjectId, channel::Place};
use runyard_store::{self as store, Tx, channel::Link, oss::object::After};

use super::inputs::{ADDRESS_S, InputFile, below, gone};
use crate::{Engine, Error, Result, oss};

/// Whether there is something to read; else why not.
pub(super) fn readable(
    tx: &mut Tx,
    project: ProjectId,
    place: &Place,
) -> Result<std::result::Result<(), String>> {
    let Place { bucket, key } = place;
    let Some(found) = store::oss::by_name(tx, bucket)?.filter(|bucket| bucket.project_id == project) else {
        return Ok(Err(format!("there is no bucket `{bucket}` in this project")));
    };
    if !place.is_prefix() {
        if store::oss::object::current(tx, found.id, key)?.is_some() {
            return Ok(Ok(()));
        }
        let folder = format!("{key}/");
        let is_folder = !store::oss::object::list(tx, found.id, &folder, After::This(""), 1)?.is_empty();
        return Ok(Err(if is_folder {
            format!("`oss://{bucket}/{key}` is a folder: write `/` behind it")
        } else {
            format!("there is no object `{key}` in the bucket `{bucket}`")
        }));
    }
    if store::oss::object::list(tx, found.id, key, After::This(""), 1)?.is_empty() {
        return Ok(Err(format!("nothing in the bucket `{bucket}` is below `{key}`")));
    }
    Ok(Ok(()))
}

/// Whether the project may write to a bucket: to its own, and to one that nobody has yet.
pub(super) fn writable(
    tx: &mut Tx,
    project: ProjectId,
    bucket: &str,
) -> Result<std::result::Result<(), String>> {
    Ok(match store::oss::by_name(tx, bucket)? {
        Some(found) if found.project_id != project => {
            Err(format!("the bucket `{bucket}` belongs to another project: name another one"))
        }
        _ => Ok(()),
    })
}

/// Objects at the place of an input, by path, after `path_after`.
pub(super) async fn files(
    engine: &Engine,
    link: &Link,
    place: Place,
    path_after: Option<String>,
    limit: i64,
) -> Result<Vec<InputFile>> {
    let (project, Place { bucket, key }) = (link.project_id, &place);
    let found = if place.is_prefix() {
        let after = path_after.map(|after| format!("{key}{after}")).unwrap_or_default();
        oss::channel::list(engine, project, bucket, key, &after, limit).await
    } else if path_after.is_some() {
        return Ok(Vec::new());
    } else {
        oss::channel::find(engine, project, bucket, key).await.map(|object| vec![object])
    };
    let found = match found {
        Err(Error::NotFound { .. } | Error::Forbidden(_)) => return Err(gone(link)),
        found => found?,
    };
    let mut files = Vec::with_capacity(found.len());
    for object in found {
        let path = below(&object.key, key).to_owned();
        let read = oss::channel::sign_get(engine, &object, ADDRESS_S).await?;
        let (size, sha256) = (object.size, object.sha256.unwrap_or_default());
        files.push(InputFile { path, size, sha256, mode: None, read });
    }
    Ok(files)
}
