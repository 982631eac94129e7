//! Stores objects: what comes as one stream, and copies. The bytes are durable before a row says that they are there.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use runyard_domain::BucketObjectId;
use runyard_objects::{Error as ObjectsError, PUT_MAX, Summed};
use runyard_store as store;

use super::{
    Bucket, MULTIPART, NORMAL, Object, PARTS_MAX, Piece, bucket, object_key, place, readable, replace,
};
use crate::{Actor, Engine, Error, Result, garbage};

/// Bytes of all headers of an object.
const HEADERS_MAX: usize = 8 << 10;
/// Pieces that are copied at the same time.
const COPIED_AT_ONCE: usize = 4;

/// What is said of an object before its bytes.
#[derive(Debug, Clone, Default)]
pub struct NewObject {
    /// Name of the bucket; made if it is not there.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Headers that are answered with it, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The bytes' MD5, if it was said.
    pub md5: Option<[u8; 16]>,
    /// Nothing may be there already.
    pub forbid_overwrite: bool,
}

/// Stores an object in place of what was under its key.
///
/// # Errors
/// `bucket`, `key` and `headers` when they cannot be so; `wrong_digest` when other bytes came; `file_exists`.
pub async fn put<S, E>(engine: &Engine, actor: &Actor, new: NewObject, bytes: S) -> Result<Object>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    check(&new)?;
    let bucket = bucket::ensure(engine, actor, &new.bucket).await?;
    let id = engine.id(BucketObjectId::new);
    let piece_key = format!("{}/1", place(bucket.id, id));
    let summed = engine.objects.put_stream_summed(&piece_key, bytes, PUT_MAX).await?;
    if let Err(wrong) = check_md5(new.md5, &summed) {
        engine.objects.delete(&piece_key).await?;
        return Err(wrong);
    }
    let piece = piece(engine, id, 1, &summed);
    let object = Object {
        id,
        bucket_id: bucket.id,
        key: new.key,
        current: true,
        of_type: NORMAL.to_owned(),
        source: None,
        size: piece.size,
        etag: piece.etag.clone(),
        sha256: Some(summed.put.sha256),
        crc64: piece.crc64,
        headers: new.headers,
        modified_at: piece.modified_at,
    };
    install(engine, bucket, object, vec![piece], new.forbid_overwrite).await
}

/// Stores a copy of an object, with its headers or with others. Copying an object onto itself changes its headers.
///
/// # Errors
/// As [`put`]; [`Error::NotFound`] when there is nothing to copy.
pub async fn copy(
    engine: &Engine,
    actor: &Actor,
    source: &Object,
    new: NewObject,
    with_headers: bool,
) -> Result<Object> {
    check(&new)?;
    let bucket = bucket::ensure(engine, actor, &new.bucket).await?;
    let (id, now, of) = (engine.id(BucketObjectId::new), engine.now(), source.id);
    let pieces = engine.db.read(move |tx| store::oss::piece::list(tx, of, 0, PARTS_MAX)).await?;
    if pieces.is_empty() {
        return Err(Error::not_found("object", &source.key));
    }
    let own = place(bucket.id, id);
    let copied = pieces.into_iter().map(|piece| {
        let (objects, to) = (engine.objects.clone(), format!("{own}/{}", piece.number));
        async move {
            objects.copy(&piece.object_key, &to).await?;
            Ok::<_, ObjectsError>(Piece { object_id: id, object_key: to, modified_at: now, ..piece })
        }
    });
    let pieces: Vec<Piece> = match stream::iter(copied).buffered(COPIED_AT_ONCE).try_collect().await {
        // Somebody deleted it meanwhile.
        Err(ObjectsError::NotFound(_)) => return Err(Error::not_found("object", &source.key)),
        copied => copied?,
    };
    let headers = if with_headers { source.headers.clone() } else { new.headers };
    let object = Object {
        id,
        bucket_id: bucket.id,
        key: new.key,
        source: None,
        headers,
        modified_at: now,
        ..source.clone()
    };
    install(engine, bucket, object, pieces, new.forbid_overwrite).await
}

/// The object that is to be copied.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`].
pub async fn source(engine: &Engine, actor: &Actor, bucket: &str, key: &str) -> Result<Object> {
    let (actor, bucket, key) = (actor.clone(), bucket.to_owned(), key.to_owned());
    engine
        .db
        .read(move |tx| {
            let bucket = readable(tx, &actor, &bucket)?;
            store::oss::object::current(tx, bucket.id, &key)?.ok_or_else(|| Error::not_found("object", &key))
        })
        .await
}

/// A piece that has been stored now.
pub(super) fn piece(engine: &Engine, object: BucketObjectId, number: i64, summed: &Summed) -> Piece {
    Piece {
        object_id: object,
        number,
        object_key: summed.put.key.clone(),
        size: i64::try_from(summed.put.size).unwrap_or(i64::MAX),
        etag: etag(summed.md5),
        crc64: Some(summed.crc64),
        modified_at: engine.now(),
    }
}

/// An MD5 in the words of OSS.
pub(super) fn etag(md5: [u8; 16]) -> String {
    runyard_objects::Checksum::Md5(md5).hex().to_ascii_uppercase()
}

pub(super) fn check_md5(said: Option<[u8; 16]>, summed: &Summed) -> Result<()> {
    match said.filter(|said| *said != summed.md5) {
        None => Ok(()),
        Some(said) => Err(Error::Conflict {
            code: "wrong_digest",
            message: format!(
                "the bytes have the MD5 {} instead of {}, which was announced: nothing was stored",
                etag(summed.md5),
                etag(said)
            ),
        }),
    }
}

pub(super) fn check(new: &NewObject) -> Result<()> {
    object_key(&new.key)?;
    let length: usize = new.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if length > HEADERS_MAX {
        let message = format!("the headers of an object have {length} bytes: at most {HEADERS_MAX} are kept");
        return Err(Error::field("headers", message));
    }
    Ok(())
}

/// Puts the object in its place. Bytes that nobody will refer to are freed.
async fn install(
    engine: &Engine,
    bucket: Bucket,
    object: Object,
    pieces: Vec<Piece>,
    forbid: bool,
) -> Result<Object> {
    let (now, keys) = (engine.now(), pieces.iter().map(|piece| piece.object_key.clone()).collect::<Vec<_>>());
    let installed = engine
        .db
        .write(move |tx| {
            let replaced = replace(tx, &bucket, &object.key, forbid, now)?;
            store::oss::object::insert(tx, &object)?;
            for piece in &pieces {
                store::oss::piece::put(tx, piece)?;
            }
            Ok((object.clone(), replaced))
        })
        .await;
    match installed {
        Ok((object, replaced)) => {
            if replaced {
                garbage::collect_later(engine);
            }
            Ok(object)
        }
        Err(refused @ (Error::NotFound { .. } | Error::Conflict { .. })) => {
            for key in keys {
                engine.objects.delete(&key).await?;
            }
            Err(refused)
        }
        // Perhaps it was done: what no row knows is found by the daily look for orphans.
        Err(other) => Err(other),
    }
}

/// The name of the type of an object that has so many pieces.
pub(super) fn type_of(pieces: usize) -> &'static str {
    if pieces == 1 { NORMAL } else { MULTIPART }
}
