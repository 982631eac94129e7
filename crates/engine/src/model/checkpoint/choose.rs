//! Which files of a checkpoint become a model: what its catalog file names, or everything when there is none. What it names is
//! a path inside of the checkpoint and nothing else.

use futures::TryStreamExt;
use runyard_archive::model::StreamFile;
use runyard_domain::{FieldErrors, checkpoint::check_path};
use runyard_store::{self as store, file_set::file::File};
use serde_json::Value;

use super::CATALOG_FILE;
use crate::{Engine, Error, Result, file_set::FileSet};

/// Largest catalog file.
const MAX_CATALOG: i64 = 200 << 10;
/// Files that are read from the database at once.
const PAGE: i64 = 10_000;

/// What becomes of the checkpoint.
pub(super) struct Chosen {
    pub(super) files: Vec<StreamFile>,
    /// What the catalog file says.
    pub(super) config: Option<Value>,
}

pub(super) async fn choose(engine: &Engine, set: &FileSet) -> Result<Chosen> {
    let id = set.id;
    let all = engine
        .db
        .read(move |tx| {
            let mut all: Vec<File> = Vec::new();
            loop {
                let after = all.last().map(|file| file.path.clone());
                let page = store::file_set::file::page(tx, id, after.as_deref(), PAGE)?;
                if page.is_empty() {
                    return Ok::<_, Error>(all);
                }
                all.extend(page);
            }
        })
        .await?;
    let catalog = match all.iter().find(|file| file.path == CATALOG_FILE) {
        Some(file) => Some(read(engine, set, file).await?),
        None => None,
    };
    let wanted = match &catalog {
        Some(catalog) => named(catalog, &all)?,
        None => all.iter().collect(),
    };
    let stream = |file: &File| StreamFile {
        path: file.path.clone(),
        executable: false,
        size: file.size.cast_unsigned(),
    };
    Ok(Chosen { files: wanted.into_iter().map(stream).collect(), config: catalog })
}

/// The catalog file as JSON.
async fn read(engine: &Engine, set: &FileSet, file: &File) -> Result<Value> {
    if file.size > MAX_CATALOG {
        return Err(wrong(format!("has {} bytes: at most {MAX_CATALOG} are read", file.size)));
    }
    let (_, stream) = engine.objects.get_stream(&format!("{}{CATALOG_FILE}", set.key_prefix)).await?;
    let pieces: Vec<bytes::Bytes> = stream.try_collect().await?;
    let read: serde_json::Result<Value> = serde_json::from_slice(&pieces.concat());
    match read {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(wrong("is no JSON object".to_owned())),
        Err(error) => Err(wrong(format!("is not JSON: {error}"))),
    }
}

/// The files that `copy_key_suffixes` names, each by its path or that of a folder above it; and the catalog file itself.
fn named<'a>(catalog: &Value, all: &'a [File]) -> Result<Vec<&'a File>> {
    let Some(suffixes) = catalog["copy_key_suffixes"].as_array() else {
        return Err(wrong("has no list `copy_key_suffixes`: name the files that make the model".to_owned()));
    };
    let mut errors = FieldErrors::default();
    let mut paths = Vec::with_capacity(suffixes.len());
    for (index, suffix) in suffixes.iter().enumerate() {
        let at = format!("copy_key_suffixes.{index}");
        let Some(suffix) = suffix.as_str() else {
            errors.add(at, format!("{CATALOG_FILE} names {suffix}, which is no text"));
            continue;
        };
        let path = suffix.trim_end_matches('/');
        if let Err(error) = check_path(path) {
            errors.add(at, format!("{CATALOG_FILE} leads out of the checkpoint: {error}"));
            continue;
        }
        let below = format!("{path}/");
        if !all.iter().any(|file| file.path == path || file.path.starts_with(&below)) {
            errors.add(at, format!("{CATALOG_FILE} names `{path}`, which is not in the checkpoint"));
        }
        paths.push((path, below));
    }
    errors.finish(())?;
    let is_named = |file: &&File| {
        file.path == CATALOG_FILE
            || paths.iter().any(|(path, below)| file.path == *path || file.path.starts_with(below))
    };
    Ok(all.iter().filter(is_named).collect())
}

fn wrong(message: String) -> Error {
    Error::Invalid { fields: FieldErrors::one(CATALOG_FILE, message) }
}
