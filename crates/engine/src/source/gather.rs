//! Packs objects of a bucket into a source: the code of a run as it is now, whatever is written to the bucket later.

use std::collections::HashMap;

use futures::{FutureExt, TryStreamExt};
use runyard_archive::model::StreamFile;
use runyard_domain::channel::Place;

use super::{MAX_BYTES, Source, put};
use crate::{
    Actor, Engine, Error, Result,
    model::{Open, packing},
    oss::{
        Object,
        list::{self, After, Entry, Wanted},
        read,
    },
};

/// Where Python programs say what they need.
const REQUIREMENTS: &str = "requirements.txt";
/// Longest one.
const REQUIREMENTS_MAX: u64 = 256 << 10;
/// Most files of a source.
const FILES_MAX: usize = 100_000;

/// A file of a source and the object that it is made of.
pub(crate) struct Member {
    pub(crate) file: StreamFile,
    pub(crate) object: Object,
}

/// A source, and what its author says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// The source.
    pub source: Source,
    /// What is in the file `requirements.txt` at its root, where there is one.
    pub requirements: Option<String>,
}

/// The objects below a prefix, or the one object with this key, as a source. File modes are not known: nothing is executable.
///
/// # Errors
/// `source` when there is nothing, too much, or a key that cannot be a file; [`Error::NotFound`] of the bucket.
pub async fn gather(engine: &Engine, actor: &Actor, place: &Place) -> Result<Gathered> {
    let members = members(engine, actor, place).await?;
    let requirements = requirements(engine, &members).await?;
    if members.is_empty() {
        let message =
            format!("there is no object at oss://{}/{}: upload the code first", place.bucket, place.key);
        return Err(Error::field("source", message));
    }
    let bytes: u64 = members.iter().map(|member| member.file.size).sum();
    if bytes > MAX_BYTES.cast_unsigned() {
        let message =
            format!("has {bytes} bytes, and {MAX_BYTES} are the most: data belongs into input channels");
        return Err(Error::field("source", message));
    }
    let files = members.iter().map(|member| member.file.clone()).collect();
    let (stream, packing) = packing(files, opener(engine, members));
    let stored = put(engine, actor, stream).await;
    let packed = packing.await.map_err(|error| Error::Internal(format!("packing did not end: {error}")))?;
    match packed {
        Err(runyard_archive::model::Error::Refused { path, why }) => {
            Err(Error::field("source", format!("`{path}` cannot be a file of the source: {why}")))
        }
        Err(error) if stored.is_ok() => {
            Err(Error::Internal(format!("a source was stored that was not packed: {error}")))
        }
        // What could not be stored says more than that nobody took what was packed.
        _ => Ok(Gathered { source: stored?, requirements }),
    }
}

/// What the source's own list of requirements says. One that is too long for a list is read by pip alone.
async fn requirements(engine: &Engine, members: &[Member]) -> Result<Option<String>> {
    let list = members.iter().find(|member| member.file.path == REQUIREMENTS);
    let Some(list) = list.filter(|list| list.file.size <= REQUIREMENTS_MAX) else { return Ok(None) };
    let stream = read::read(engine, &list.object, 0..list.file.size).await?;
    let pieces: Vec<bytes::Bytes> = stream.try_collect().await?;
    Ok(Some(String::from_utf8_lossy(&pieces.concat()).into_owned()))
}

/// Opens the object of each member by the path of its file.
pub(crate) fn opener(engine: &Engine, members: Vec<Member>) -> Open {
    let engine = engine.clone();
    let by_path: HashMap<String, Object> =
        members.into_iter().map(|member| (member.file.path, member.object)).collect();
    Box::new(move |file| {
        let (engine, object) = (engine.clone(), by_path.get(&file.path).cloned());
        let absent = Error::not_found("object", &file.path);
        let size = file.size;
        async move { read::read(&engine, &object.ok_or(absent)?, 0..size).await }.boxed()
    })
}

/// The object with this key; else all below it, by their paths.
pub(crate) async fn members(engine: &Engine, actor: &Actor, place: &Place) -> Result<Vec<Member>> {
    if !place.is_prefix() {
        match read::find(engine, actor, &place.bucket, &place.key).await {
            Ok((_, object)) => return Ok(vec![member(place.name().to_owned(), object)]),
            Err(Error::NotFound { noun: "object", .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let prefix = if place.is_prefix() { place.key.clone() } else { format!("{}/", place.key) };
    let mut members = Vec::new();
    let mut after = After::Key(String::new());
    loop {
        let wanted = Wanted {
            bucket: place.bucket.clone(),
            prefix: prefix.clone(),
            delimiter: String::new(),
            after: after.clone(),
            limit: list::PAGE_MAX,
        };
        let page = list::list(engine, actor, wanted).await?;
        if let Some(last) = page.entries.last() {
            after = After::Key(last.name().to_owned());
        }
        for entry in page.entries {
            let Entry::Object(object) = entry else { continue };
            let path = object.key.strip_prefix(&prefix).unwrap_or_default().to_owned();
            // Keys that end with `/` are the folders of other tools.
            if !path.is_empty() && !path.ends_with('/') {
                members.push(member(path, *object));
            }
        }
        if members.len() > FILES_MAX {
            return Err(Error::field("source", format!("holds more than {FILES_MAX} files")));
        }
        if !page.truncated {
            return Ok(members);
        }
    }
}

fn member(path: String, object: Object) -> Member {
    Member { file: StreamFile { path, executable: false, size: object.size.cast_unsigned() }, object }
}

#[cfg(test)]
mod tests;
