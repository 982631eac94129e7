//! Completes a set: only once the object store has every file in the size that was announced. Size and digest were bound
//! when the bytes were sent, so a file that is there in its size is the file that was announced.

use std::collections::HashMap;

use runyard_domain::{
    FieldErrors, FileSetId,
    checkpoint::{Kind, Status},
};
use runyard_objects::Error as ObjectsError;
use runyard_store::{
    self as store, Tx,
    file_set::file::{self as rows, File},
};

use super::{
    FileSet, incomplete, key, open, owned, retain,
    upload::{is_etag, is_hex},
};
use crate::{Actor, Engine, Error, Result, garbage};

/// Missing files that a refusal names.
const NAMED: usize = 20;

/// What the server was not told before of a file that went in parts.
#[derive(Debug, Clone, Default)]
pub struct SentFile {
    /// The file.
    pub path: String,
    /// Of each part; none: nothing new.
    pub etags: Vec<String>,
    /// Hex SHA-256 of all of it.
    pub sha256: Option<String>,
}

/// Completes a set; from here on it can be read. May be repeated.
///
/// # Errors
/// `incomplete` names files that are not there, or whose SHA-256 was never said.
pub async fn complete(
    engine: &Engine,
    actor: &Actor,
    kind: Kind,
    id: FileSetId,
    sent: Vec<SentFile>,
) -> Result<FileSet> {
    let reader = actor.clone();
    let (set, in_parts) = engine
        .db
        .write(move |tx| {
            let (_, set) = owned(tx, &reader, kind, id)?;
            if set.status == Status::Complete {
                return Ok((set, Vec::new()));
            }
            let (_, set) = open(tx, &reader, kind, id)?;
            let mut in_parts = rows::in_parts(tx, id)?;
            let named: Vec<&str> = sent.iter().map(|file| file.path.as_str()).collect();
            let found = rows::by_paths(tx, id, &named)?;
            check_named(&named, &found)?;
            merge(&mut in_parts, &sent)?;
            learn(tx, id, &sent, &found)?;
            Ok::<_, Error>((set, in_parts))
        })
        .await?;
    if set.status == Status::Complete {
        return Ok(set);
    }
    let stored = stored(engine, &set, &in_parts).await?;
    let missing = missing(engine, &set, stored).await?;
    if let Some(message) = missing {
        return Err(incomplete(message));
    }
    let (set, freed) = finish(engine, actor, set).await?;
    if freed {
        // The sender need not wait for what retention deletes; what a crash leaves is freed at the next start.
        let engine = engine.clone();
        tokio::spawn(async move {
            if let Err(error) = garbage::collect(&engine).await {
                tracing::warn!("could not free what retention deleted: {error}");
            }
        });
    }
    Ok(set)
}

/// Every path that the request names is one of the set.
fn check_named(named: &[&str], found: &[File]) -> Result<()> {
    let mut errors = FieldErrors::default();
    for (index, path) in named.iter().enumerate() {
        if !found.iter().any(|file| file.path == *path) {
            let path: String = path.chars().take(200).collect();
            errors.add(format!("files.{index}.path"), format!("`{path}` was never announced"));
        }
    }
    Ok(errors.finish(())?)
}

/// Adds the `ETag`s of the request to those that are known.
fn merge(in_parts: &mut [File], sent: &[SentFile]) -> Result<()> {
    let mut errors = FieldErrors::default();
    for (index, SentFile { path, etags, .. }) in sent.iter().enumerate() {
        let Some(file) = in_parts.iter_mut().find(|file| file.path == *path) else { continue };
        if etags.is_empty() {
            continue;
        }
        if etags.len() != file.parts.len() || !etags.iter().all(|etag| is_etag(etag)) {
            let message = format!("must be the `ETag`s of all {} parts, in order", file.parts.len());
            errors.add(format!("files.{index}.etags"), message);
            continue;
        }
        for (part, etag) in file.parts.iter_mut().zip(etags) {
            part.etag = Some(etag.clone());
        }
    }
    Ok(errors.finish(())?)
}

/// Notes digests that the request says for the first time.
fn learn(tx: &mut Tx, id: FileSetId, sent: &[SentFile], found: &[File]) -> Result<()> {
    let mut errors = FieldErrors::default();
    for (index, file) in sent.iter().enumerate() {
        let Some(sha256) = file.sha256.as_ref().map(|text| text.to_ascii_lowercase()) else { continue };
        let known = found.iter().find(|known| known.path == file.path).map_or("", |known| &known.sha256);
        if !is_hex(&sha256, 64) {
            errors.add(format!("files.{index}.sha256"), "must be a SHA-256 as 64 hexadecimal digits");
        } else if known.is_empty() {
            rows::set_sha256(tx, id, &file.path, &sha256)?;
        } else if known != sha256 {
            let message = format!("`{}` was announced with the SHA-256 {known}, not {sha256}", file.path);
            return Err(Error::Conflict { code: "file_changed", message });
        }
    }
    Ok(errors.finish(())?)
}

/// Joins what went in parts; answers the sizes of all objects of the set by path.
async fn stored(engine: &Engine, set: &FileSet, in_parts: &[File]) -> Result<HashMap<String, i64>> {
    let mut sizes = HashMap::new();
    for object in engine.objects.list(&set.key_prefix).await? {
        if let Some(path) = object.key.strip_prefix(&set.key_prefix) {
            sizes.insert(path.to_owned(), i64::try_from(object.size).unwrap_or(i64::MAX));
        }
    }
    for file in in_parts.iter().filter(|file| file.parts.iter().all(|part| part.etag.is_some())) {
        if sizes.get(&file.path) != Some(&file.size) && join(engine, set, file).await? {
            sizes.insert(file.path.clone(), file.size);
        }
    }
    Ok(sizes)
}

/// Makes the parts of a file an object. `false`: the upload was lost, and has to begin anew.
async fn join(engine: &Engine, set: &FileSet, file: &File) -> Result<bool> {
    let (object, upload) = (key(set, &file.path), file.upload.as_deref().unwrap_or_default());
    let parts: Vec<(i64, String)> =
        (1..).zip(file.parts.iter().filter_map(|part| part.etag.clone())).collect();
    match engine.objects.complete_multipart(&object, upload, &parts).await {
        Ok(()) => Ok(engine.objects.size(&object).await? == Some(file.size.cast_unsigned())),
        Err(ObjectsError::NoUpload { .. }) => {
            let (id, file) = (set.id, file.clone());
            engine.db.write(move |tx| Ok::<_, Error>(rows::lose_upload(tx, id, &file)?)).await?;
            Ok(false)
        }
        Err(ObjectsError::InvalidPart(_)) => {
            // Parts that are not what was said are sent once more.
            let (id, mut file) = (set.id, file.clone());
            file.parts.iter_mut().for_each(|part| part.etag = None);
            engine.db.write(move |tx| Ok::<_, Error>(rows::set_parts(tx, id, &file)?)).await?;
            Ok(false)
        }
        Err(other) => Err(other.into()),
    }
}

/// What is missing, in a sentence.
async fn missing(engine: &Engine, set: &FileSet, stored: HashMap<String, i64>) -> Result<Option<String>> {
    let id = set.id;
    let (count, missing, unsaid) = engine
        .db
        .read(move |tx| {
            let (mut count, mut missing) = (0, Vec::new());
            rows::sizes(tx, id, |path, size| {
                count += 1;
                match stored.get(&path) {
                    Some(&there) if there == size => {}
                    Some(&there) => missing.push(format!("`{path}` ({there} of {size} bytes)")),
                    None => missing.push(format!("`{path}`")),
                }
            })?;
            Ok::<_, Error>((count, missing, rows::without_sha256(tx, id, NAMED as i64)?))
        })
        .await?;
    let kind = set.kind.word();
    if count == 0 {
        return Ok(Some(format!("the {kind} has no files: announce them, and send them")));
    }
    if count != set.files {
        return Ok(Some(format!(
            "files of the {kind} were announced meanwhile: complete it once all are sent"
        )));
    }
    if missing.is_empty() {
        let named = unsaid.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
        let message =
            format!("the SHA-256 of {named} was never said: say it with the request that completes");
        return Ok((!unsaid.is_empty()).then_some(message));
    }
    let more =
        if missing.len() > NAMED { format!(" and {} more", missing.len() - NAMED) } else { String::new() };
    let named = missing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    Ok(Some(format!(
        "{} of {count} files are not there: {named}{more}; announce them again, and send them",
        missing.len()
    )))
}

/// Says that the set is complete, and deletes what its run does not keep; whether that freed anything.
async fn finish(engine: &Engine, actor: &Actor, verified: FileSet) -> Result<(FileSet, bool)> {
    let (now, actor) = (engine.now(), actor.clone());
    let done = engine
        .db
        .write(move |tx| {
            let (run, mut set) = open(tx, &actor, verified.kind, verified.id)?;
            if set.status == Status::Complete {
                return Ok((set, false));
            }
            if set.files != verified.files {
                let kind = set.kind.word();
                return Err(incomplete(format!(
                    "files of the {kind} were announced meanwhile: complete it once all are sent"
                )));
            }
            (set.status, set.status_updated_at) = (Status::Complete, now);
            store::file_set::save(tx, &set)?;
            rows::forget_parts(tx, set.id)?;
            let freed = set.kind == Kind::Checkpoint && retain::apply(tx, &run, now)?;
            Ok((set, freed))
        })
        .await?;
    engine.signals.changed(done.0.run_id);
    Ok(done)
}
