//! Packs objects of a bucket into a source: the code of a run as it is now, whatever is written to the bucket later.

use std::io;

use futures::{StreamExt, stream};
use runyard_archive::model::{Checksum, PartOptions, StreamFile, pack_streams};
use runyard_domain::channel::Place;
use tokio::{runtime::Handle, sync::mpsc};

use super::{MAX_BYTES, Source, put};
use crate::{
    Actor, Engine, Error, Result,
    model::pipe,
    oss::{
        Object,
        list::{self, After, Entry, Wanted},
        read,
    },
};

/// Most files of a source.
const FILES_MAX: usize = 100_000;
/// Bytes that are handed on at once.
const PIECE: u64 = 1 << 20;
/// Pieces that wait to be stored.
const WAITING: usize = 4;

/// A file of a source and the object that it is made of.
struct Member {
    file: StreamFile,
    object: Object,
}

/// The objects below a prefix, or the one object with this key, as a source. File modes are not known: nothing is executable.
///
/// # Errors
/// `source` when there is nothing, too much, or a key that cannot be a file; [`Error::NotFound`] of the bucket.
pub async fn gather(engine: &Engine, actor: &Actor, place: &Place) -> Result<Source> {
    let members = members(engine, actor, place).await?;
    if members.is_empty() {
        let message = format!("there is no object at oss://{}/{}: upload the code first", place.bucket, place.key);
        return Err(Error::field("source", message));
    }
    let bytes: u64 = members.iter().map(|member| member.file.size).sum();
    if bytes > MAX_BYTES.cast_unsigned() {
        let message = format!("holds {bytes} bytes, and {MAX_BYTES} are the most: data belongs into input channels");
        return Err(Error::field("source", message));
    }
    let (sender, mut pieces) = mpsc::channel::<io::Result<bytes::Bytes>>(WAITING);
    let packing = tokio::task::spawn_blocking({
        let (engine, runtime) = (engine.clone(), Handle::current());
        move || pack(&engine, &runtime, &members, &sender)
    });
    let stream = stream::poll_fn(move |context| pieces.poll_recv(context)).boxed();
    let stored = put(engine, actor, stream).await;
    let packed = packing.await.map_err(|error| Error::Internal(format!("packing did not end: {error}")))?;
    match packed {
        Err(runyard_archive::model::Error::Refused { path, why }) => {
            Err(Error::field("source", format!("`{path}` cannot be a file of the source: {why}")))
        }
        Err(_) if stored.is_ok() => Err(Error::Internal("a source was stored that was not packed".to_owned())),
        // What could not be stored says more than that nobody took what was packed.
        _ => stored,
    }
}

fn pack(
    engine: &Engine,
    runtime: &Handle,
    members: &[Member],
    sender: &mpsc::Sender<io::Result<bytes::Bytes>>,
) -> Result<(), runyard_archive::model::Error> {
    let files: Vec<StreamFile> = members.iter().map(|member| member.file.clone()).collect();
    let by_path: std::collections::HashMap<&str, &Object> =
        members.iter().map(|member| (member.file.path.as_str(), &member.object)).collect();
    let open = |file: &StreamFile| {
        let object = by_path.get(file.path.as_str()).ok_or_else(|| io::Error::other("there is no such object"))?;
        let opened = runtime.block_on(read::read(engine, object, 0..file.size));
        let stream = opened.map_err(|error| io::Error::other(error.to_string()))?;
        let _entered = runtime.enter();
        Ok(pipe(stream).0)
    };
    let hand_on = |part: runyard_archive::model::Part| {
        sender.blocking_send(Ok(part.bytes)).map_err(|_| io::Error::other("the source cannot be stored"))
    };
    let packed = pack_streams(&files, open, PartOptions { part_size: PIECE, checksum: Checksum::Sha256 }, hand_on);
    if packed.is_err() {
        // The end of the stream must not be taken for the end of an archive.
        let _ = sender.blocking_send(Err(io::Error::other("the objects could not be packed")));
    }
    packed.map(drop)
}

/// The object with this key; else all below it, by their paths.
async fn members(engine: &Engine, actor: &Actor, place: &Place) -> Result<Vec<Member>> {
    if !place.is_prefix() {
        match read::find(engine, actor, &place.bucket, &place.key).await {
            Ok((_, object)) => return Ok(vec![member(place.name().to_owned(), object)]),
            Err(Error::NotFound { noun: "object", .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let prefix = match place.is_prefix() {
        true => place.key.clone(),
        false => format!("{}/", place.key),
    };
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
