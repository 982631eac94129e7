//! Objects that come in parts: any sizes, any order, any number at once. A part is an object of its own from the start, so
//! completing joins rows and moves no byte.

use std::ops::Range;

use bytes::Bytes;
use futures::Stream;
use runyard_domain::BucketObjectId;
use runyard_objects::{PUT_MAX, combine_crc64, md5};
use runyard_store::{self as store, Tx};

use super::{
    Bucket, MULTIPART, Object, PARTS_MAX, Piece, bucket, discard, place,
    put::{self, NewObject, check, check_md5, etag},
    read, readable, replace, writable,
};
use crate::{Actor, Engine, Error, Result, garbage};

/// An upload, as clients name it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Name of the bucket.
    pub bucket: String,
    /// The key that it is for.
    pub key: String,
    /// Its id.
    pub id: String,
}

/// Begins an upload; answers what is to become the object.
///
/// # Errors
/// As [`put::put`].
pub async fn begin(engine: &Engine, actor: &Actor, new: NewObject) -> Result<Object> {
    check(&new)?;
    let bucket = bucket::ensure(engine, actor, &new.bucket).await?;
    let upload = Object {
        id: engine.id(BucketObjectId::new),
        bucket_id: bucket.id,
        key: new.key,
        current: false,
        of_type: MULTIPART.to_owned(),
        source: None,
        size: 0,
        etag: String::new(),
        sha256: None,
        crc64: None,
        headers: new.headers,
        modified_at: engine.now(),
    };
    engine
        .db
        .write(move |tx| {
            if !store::oss::lock(tx, bucket.id)? {
                return Err(Error::not_found("bucket", &bucket.name));
            }
            store::oss::object::insert(tx, &upload)?;
            Ok(upload.clone())
        })
        .await
}

/// Stores a part, in place of the one that had its number.
///
/// # Errors
/// [`Error::NotFound`] of the upload; `wrong_digest`; `number` when it is none.
pub async fn put_part<S, E>(
    engine: &Engine,
    actor: &Actor,
    upload: &Upload,
    number: i64,
    md5: Option<[u8; 16]>,
    bytes: S,
) -> Result<Piece>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if !(1..=PARTS_MAX).contains(&number) {
        return Err(Error::field(
            "number",
            format!("there is no part {number}: they are numbered from 1 to {PARTS_MAX}"),
        ));
    }
    let begun = find(engine, actor, upload).await?;
    // A key that no earlier attempt at this part has: what that one wrote may be part of the object by now.
    let attempt = engine.id(BucketObjectId::new);
    let key = format!("{}/{number}-{attempt}", place(begun.bucket_id, begun.id));
    let summed = engine.objects.put_stream_summed(&key, bytes, PUT_MAX).await?;
    if let Err(wrong) = check_md5(md5, &summed) {
        engine.objects.delete(&key).await?;
        return Err(wrong);
    }
    let piece = put::piece(engine, begun.id, number, &summed);
    let now = engine.now();
    let noted = engine
        .db
        .write(move |tx| {
            let Some(mut upload) = store::oss::object::lock(tx, begun.id)?.filter(|upload| !upload.current)
            else {
                // It was completed or given up meanwhile.
                store::source::discard_object(tx, &piece.object_key, now)?;
                return Ok(None);
            };
            let replaced = store::oss::piece::get(tx, upload.id, number)?;
            if let Some(old) = &replaced {
                store::source::discard_object(tx, &old.object_key, now)?;
            }
            store::oss::piece::put(tx, &piece)?;
            upload.modified_at = now;
            store::oss::object::save(tx, &upload)?;
            Ok::<_, Error>(Some((piece.clone(), replaced.is_some())))
        })
        .await?;
    let Some((piece, replaced)) = noted else {
        garbage::collect_later(engine);
        return Err(gone(&upload.id));
    };
    if replaced {
        garbage::collect_later(engine);
    }
    Ok(piece)
}

/// Stores bytes of an object as a part.
///
/// # Errors
/// As [`put_part`], and `range` when the object has no such bytes.
pub async fn copy_part(
    engine: &Engine,
    actor: &Actor,
    upload: &Upload,
    number: i64,
    source: &Object,
    range: Option<Range<u64>>,
) -> Result<Piece> {
    let range = range.unwrap_or(0..source.size.cast_unsigned());
    if range.end > source.size.cast_unsigned() {
        let message = format!("`{}` has {} bytes: choose a range of those", source.key, source.size);
        return Err(Error::field("range", message));
    }
    let bytes = read::read(engine, source, range).await?;
    put_part(engine, actor, upload, number, None, bytes).await
}

/// Makes the parts, by number and `ETag` (`None`: all that are there), the object under the key. May be repeated.
///
/// # Errors
/// `invalid_part` and `invalid_part_order`; [`Error::NotFound`] of the upload; `file_exists`.
pub async fn complete(
    engine: &Engine,
    actor: &Actor,
    upload: &Upload,
    parts: Option<Vec<(i64, String)>>,
    forbid_overwrite: bool,
) -> Result<Object> {
    let (actor, upload, now) = (actor.clone(), upload.clone(), engine.now());
    let object = engine
        .db
        .write(move |tx| {
            let bucket = writable(tx, &actor, &upload.bucket)?;
            store::oss::lock(tx, bucket.id)?;
            let mut object = of_upload(tx, &bucket, &upload, true)?;
            if object.current {
                // An earlier call did it, and its answer was lost.
                return Ok::<_, Error>(object);
            }
            let pieces = chosen(tx, &object, parts.as_deref(), now)?;
            replace(tx, &bucket, &object.key, forbid_overwrite, now)?;
            sum(&mut object, &pieces)?;
            (object.current, object.modified_at) = (true, now);
            store::oss::object::save(tx, &object)?;
            Ok(object)
        })
        .await?;
    garbage::collect_later(engine);
    Ok(object)
}

/// Gives the upload up, and frees its parts.
///
/// # Errors
/// [`Error::NotFound`] when there is none.
pub async fn abort(engine: &Engine, actor: &Actor, upload: &Upload) -> Result<()> {
    let (actor, upload, now) = (actor.clone(), upload.clone(), engine.now());
    engine
        .db
        .write(move |tx| {
            let bucket = writable(tx, &actor, &upload.bucket)?;
            let object = of_upload(tx, &bucket, &upload, true)?;
            if object.current { Err(gone(&upload.id)) } else { discard(tx, &object, now) }
        })
        .await?;
    garbage::collect_later(engine);
    Ok(())
}

/// The upload, and its parts behind a number; one more than `limit` when there are more.
///
/// # Errors
/// [`Error::NotFound`] when there is no such upload (any more).
pub async fn parts(
    engine: &Engine,
    actor: &Actor,
    upload: &Upload,
    after: i64,
    limit: i64,
) -> Result<(Object, Vec<Piece>)> {
    let begun = find(engine, actor, upload).await?;
    let id = begun.id;
    let pieces = engine.db.read(move |tx| store::oss::piece::list(tx, id, after, limit + 1)).await?;
    Ok((begun, pieces))
}

/// Uploads of a bucket by key and id, behind a key, or behind an upload of that key; one more than `limit` when there are
/// more.
///
/// # Errors
/// [`Error::NotFound`] of the bucket, [`Error::Forbidden`].
pub async fn uploads(
    engine: &Engine,
    actor: &Actor,
    bucket: &str,
    prefix: &str,
    (key, id): (&str, &str),
    limit: i64,
) -> Result<Vec<Object>> {
    if [prefix, key, id].into_iter().any(|text| text.contains('\0')) {
        return Err(Error::field("prefix", "must have no zero byte"));
    }
    let (actor, bucket, prefix) = (actor.clone(), bucket.to_owned(), prefix.to_owned());
    // Behind a key alone: behind all uploads of it.
    let (key, id) =
        (key.to_owned(), if id.is_empty() && !key.is_empty() { "~".to_owned() } else { id.to_owned() });
    engine
        .db
        .read(move |tx| {
            let bucket = readable(tx, &actor, &bucket)?;
            Ok(store::oss::object::uploads(tx, bucket.id, &prefix, (&key, &id), limit + 1)?)
        })
        .await
}

async fn find(engine: &Engine, actor: &Actor, upload: &Upload) -> Result<Object> {
    let (actor, upload) = (actor.clone(), upload.clone());
    engine
        .db
        .read(move |tx| {
            let bucket = writable(tx, &actor, &upload.bucket)?;
            let object = of_upload(tx, &bucket, &upload, false)?;
            if object.current { Err(gone(&upload.id)) } else { Ok(object) }
        })
        .await
}

/// The upload, or the object that came of it; with `lock` held until the end of the transaction.
fn of_upload(tx: &mut Tx, bucket: &Bucket, upload: &Upload, lock: bool) -> Result<Object> {
    let id: BucketObjectId = upload.id.parse().map_err(|_| gone(&upload.id))?;
    let found = if lock { store::oss::object::lock(tx, id)? } else { store::oss::object::get(tx, id)? };
    let own = |object: &Object| {
        (object.bucket_id, &object.key, &object.source) == (bucket.id, &upload.key, &None)
            && (!object.current || object.of_type == MULTIPART)
    };
    found.filter(own).ok_or_else(|| gone(&upload.id))
}

fn gone(id: &str) -> Error {
    Error::not_found("upload", id)
}

/// The parts that are to be the object; the others go.
fn chosen(
    tx: &mut Tx,
    object: &Object,
    wanted: Option<&[(i64, String)]>,
    now: runyard_domain::Millis,
) -> Result<Vec<Piece>> {
    let there = store::oss::piece::list(tx, object.id, 0, PARTS_MAX)?;
    let Some(wanted) = wanted else {
        return if there.is_empty() {
            Err(no_part("nothing was uploaded yet".to_owned()))
        } else {
            Ok(there)
        };
    };
    if wanted.is_empty() {
        return Err(no_part("no part was named: an upload has at least one".to_owned()));
    }
    if let Some(two) = wanted.windows(2).find(|two| two[0].0 >= two[1].0) {
        let message = format!("part {} follows part {}: name each part once, by number", two[1].0, two[0].0);
        return Err(Error::Conflict { code: "invalid_part_order", message });
    }
    let mut parts = wanted.iter().peekable();
    let mut pieces = Vec::with_capacity(wanted.len());
    for piece in there {
        match parts.peek() {
            Some((number, etag)) if *number == piece.number => {
                if !etag.trim_matches('"').eq_ignore_ascii_case(&piece.etag) {
                    let message = format!("part {number} has the ETag \"{}\": send it again", piece.etag);
                    return Err(no_part(message));
                }
                parts.next();
                pieces.push(piece);
            }
            _ => {
                store::oss::piece::delete(tx, object.id, piece.number)?;
                store::source::discard_object(tx, &piece.object_key, now)?;
            }
        }
    }
    match parts.next() {
        Some((number, _)) => Err(no_part(format!("part {number} is not there: send it first"))),
        None => Ok(pieces),
    }
}

fn no_part(message: String) -> Error {
    Error::Conflict { code: "invalid_part", message }
}

/// Size and digests of the whole.
pub(super) fn sum(object: &mut Object, pieces: &[Piece]) -> Result<()> {
    let mut size: i64 = 0;
    let (mut md5s, mut crc64) = (Vec::with_capacity(pieces.len()), Some(0));
    for piece in pieces {
        size = size
            .checked_add(piece.size)
            .ok_or_else(|| Error::TooLarge("the parts make more bytes than an object can have".to_owned()))?;
        crc64 = crc64.zip(piece.crc64).map(|(all, own)| combine_crc64(all, own, piece.size.cast_unsigned()));
        let md5 = runyard_objects::Checksum::from_hex(runyard_objects::ChecksumKind::Md5, &piece.etag);
        match md5 {
            Some(runyard_objects::Checksum::Md5(md5)) => md5s.push(md5),
            _ => return Err(Error::Internal(format!("`{}` was stored as an ETag", piece.etag))),
        }
    }
    (object.size, object.crc64) = (size, crc64);
    object.etag = format!("{}-{}", etag(md5(&md5s)), md5s.len());
    Ok(())
}
