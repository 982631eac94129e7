//! Buckets as channels of runs: what a runner reads and writes there goes straight to where objects are, by signed addresses.
//! What a run writes is in the bucket all at once, when everything was sent.

use futures::{StreamExt, TryStreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use runyard_domain::{BucketObjectId, Millis, ProjectId, checkpoint::parts as cut};
use runyard_objects::{EXPIRES_MAX_S, GetAs, Signed};
use runyard_store::{self as store, Tx, file_set::file::File, oss::object::After};
use sha2::Sha256;

use super::{
    ADDRESS_S, Bucket, Object, PARTS_MAX, Piece, bucket, discard, multipart::sum, object_key, of_project,
    place, put::type_of, readable, replace, writable,
};
use crate::{
    Engine, Error, Result,
    file_set::{
        complete::SentFile,
        upload::{NewFile, Upload, UploadPart, check, is_hex},
    },
    garbage,
};

/// Objects that are asked about at once.
const AT_ONCE: usize = 16;
/// Missing files that a refusal names.
const NAMED: usize = 20;

/// The object under a key of a bucket that the project may read.
///
/// # Errors
/// [`Error::NotFound`] of a bucket or an object; [`Error::Forbidden`] when the bucket is of another project.
pub async fn find(engine: &Engine, project: ProjectId, bucket: &str, key: &str) -> Result<Object> {
    Ok(super::read::find(engine, &of_project(project), bucket, key).await?.1)
}

/// Objects whose keys begin with `prefix`, by key, behind the key `after`.
///
/// # Errors
/// As [`find`], but that there may be none.
pub async fn list(
    engine: &Engine,
    project: ProjectId,
    bucket: &str,
    prefix: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Object>> {
    if [prefix, after].into_iter().any(|text| text.contains('\0')) {
        return Err(Error::field("prefix", "must have no zero byte"));
    }
    let (bucket, prefix, after) = (bucket.to_owned(), prefix.to_owned(), after.to_owned());
    engine
        .db
        .read(move |tx| {
            let bucket = readable(tx, &of_project(project), &bucket)?;
            Ok(store::oss::object::list(tx, bucket.id, &prefix, After::This(&after), limit)?)
        })
        .await
}

/// Where to read the object, for so many seconds, ranges included.
///
/// # Errors
/// [`Error::NotFound`] when it was replaced or deleted meanwhile.
pub async fn sign_get(engine: &Engine, object: &Object, expires_in_s: i64) -> Result<Signed> {
    let id = object.id;
    let pieces = engine.db.read(move |tx| store::oss::piece::list(tx, id, 0, 2)).await?;
    match &pieces[..] {
        [] => Err(Error::not_found("object", &object.key)),
        [piece] => {
            let name = object.key.rsplit('/').next().map(str::to_owned);
            let get = GetAs { name, content_type: Some("application/octet-stream".to_owned()) };
            Ok(engine.objects.presign_get(&piece.object_key, expires_in_s, &get)?)
        }
        // No store knows that they are one.
        _ => own_address(engine, object.id, expires_in_s),
    }
}

/// An address of this server that leads to an object in several pieces.
fn own_address(engine: &Engine, id: BucketObjectId, expires_in_s: i64) -> Result<Signed> {
    let Some(url) = engine.options.url.get() else {
        return Err(Error::Busy("the server does not listen yet: try again in a moment".to_owned()));
    };
    let expires_at = engine.now().plus(expires_in_s.clamp(0, EXPIRES_MAX_S) * 1000);
    let signature = crate::idempotent::hex(&mac(engine, id, expires_at).finalize().into_bytes());
    let url = format!(
        "{}/oss-objects/{id}?expires={}&signature={signature}",
        url.trim_end_matches('/'),
        expires_at.0
    );
    Ok(Signed { url, method: "GET", headers: Vec::new(), expires_at })
}

/// The object that an address of [`sign_get`] leads to.
///
/// # Errors
/// [`Error::Forbidden`] when it was not signed here, or has expired; [`Error::NotFound`] when the object is gone.
pub async fn by_address(
    engine: &Engine,
    id: BucketObjectId,
    expires_at: Millis,
    signature: &str,
) -> Result<Object> {
    let bytes: Option<Vec<u8>> = (0..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok())
        .collect();
    let right = bytes.is_some_and(|bytes| mac(engine, id, expires_at).verify_slice(&bytes).is_ok());
    if !right {
        return Err(Error::Forbidden(
            "this address was not signed by this server, or was altered: ask for a new one".to_owned(),
        ));
    }
    if expires_at <= engine.now() {
        return Err(Error::Forbidden("this address has expired: ask for a new one".to_owned()));
    }
    let found = engine.db.read(move |tx| store::oss::object::get(tx, id)).await?;
    found.filter(|object| object.current).ok_or_else(|| Error::not_found("object", id))
}

fn mac(engine: &Engine, id: BucketObjectId, expires_at: Millis) -> Hmac<Sha256> {
    let mut mac =
        <Hmac<Sha256>>::new_from_slice(&engine.options.key).expect("an HMAC takes a key of any length");
    // The key signs other things too: none of them begins like this.
    mac.update(format!("oss object {id} {}", expires_at.0).as_bytes());
    mac
}

/// Announces files that are to be in a bucket, each under `prefix` and its path; answers where to send them. `source` says
/// who sends (one text for a job's channel): a repeat finds what has arrived, and a file with other bytes takes its place.
/// Of a file with parts, the `ETag`s need not be kept.
///
/// # Errors
/// Wrong files by `files.N.field`; [`Error::Forbidden`] when the bucket is of another project.
pub async fn begin_put(
    engine: &Engine,
    project: ProjectId,
    (bucket, prefix): (&str, &str),
    source: &str,
    files: Vec<NewFile>,
) -> Result<Vec<Upload>> {
    let files = check::check(files, engine.objects.checksum())?;
    for file in &files {
        object_key(&format!("{prefix}{}", file.path))?;
    }
    let bucket = bucket::ensure(engine, &of_project(project), bucket).await?;
    let (now, series) = (engine.now(), engine.series());
    let (prefix, source) = (prefix.to_owned(), source.to_owned());
    let planned = engine
        .db
        .write(move |tx| {
            let mut series = series.clone();
            if !store::oss::lock(tx, bucket.id)? {
                return Err(Error::not_found("bucket", &bucket.name));
            }
            let mut planned = Vec::with_capacity(files.len());
            for file in &files {
                let key = format!("{prefix}{}", file.path);
                let id = BucketObjectId(series.take());
                planned.push((file.clone(), plan(tx, &bucket, &source, key, file, id, now)?));
            }
            Ok::<_, Error>(planned)
        })
        .await?;
    garbage::collect_later(engine);
    let each = planned.into_iter().map(|(file, (object, pieces))| place_file(engine, file, object, pieces));
    stream::iter(each).buffered(AT_ONCE).try_collect().await
}

/// The object that a file is to become, and its pieces: those of an earlier announcement when the bytes are the same.
fn plan(
    tx: &mut Tx,
    bucket: &Bucket,
    source: &str,
    key: String,
    file: &File,
    id: BucketObjectId,
    now: Millis,
) -> Result<(Object, Vec<Piece>)> {
    let sha256 = Some(file.sha256.clone()).filter(|sha256| !sha256.is_empty());
    let same = |object: &Object| {
        let known = object.sha256.is_none() || sha256.is_none() || object.sha256 == sha256;
        object.source.as_deref() == Some(source) && object.size == file.size && known
    };
    let done =
        store::oss::object::current(tx, bucket.id, &key)?.filter(|done| same(done) && sha256.is_some());
    if let Some(done) = done {
        let pieces = store::oss::piece::list(tx, done.id, 0, PARTS_MAX)?;
        return Ok((done, pieces));
    }
    if let Some(begun) = store::oss::object::by_source(tx, bucket.id, source, &key)? {
        if same(&begun) {
            let pieces = store::oss::piece::list(tx, begun.id, 0, PARTS_MAX)?;
            return Ok((begun, pieces));
        }
        discard(tx, &begun, now)?;
    }
    let sizes: Vec<i64> =
        if file.parts.is_empty() { vec![file.size] } else { cut(file.size).map(|(_, size)| size).collect() };
    let etag = file.md5.clone().unwrap_or_else(|| file.sha256.chars().take(32).collect());
    let object = Object {
        id,
        bucket_id: bucket.id,
        key,
        current: false,
        of_type: type_of(sizes.len()).to_owned(),
        source: Some(source.to_owned()),
        size: file.size,
        etag: etag.to_ascii_uppercase(),
        sha256,
        crc64: None,
        headers: [("content-type".to_owned(), "application/octet-stream".to_owned())].into(),
        modified_at: now,
    };
    store::oss::object::insert(tx, &object)?;
    let mut pieces = Vec::with_capacity(sizes.len());
    for (number, size) in (1..).zip(sizes) {
        let md5 = match file.parts.get(number as usize - 1) {
            Some(part) => part.md5.clone(),
            None => file.md5.clone(),
        };
        let piece = Piece {
            object_id: id,
            number,
            object_key: format!("{}/{number}", place(bucket.id, id)),
            size,
            etag: md5.unwrap_or_default().to_ascii_uppercase(),
            crc64: None,
            modified_at: now,
        };
        store::oss::piece::put(tx, &piece)?;
        pieces.push(piece);
    }
    Ok((object, pieces))
}

/// Where to send what has not arrived.
async fn place_file(engine: &Engine, file: File, object: Object, pieces: Vec<Piece>) -> Result<Upload> {
    let mut upload =
        Upload { path: file.path, done: object.current, put: None, upload: None, parts: Vec::new() };
    if object.current {
        return Ok(upload);
    }
    let objects = &engine.objects;
    let (mut offset, mut missing) = (0, false);
    for (at, piece) in pieces.iter().enumerate() {
        let size = piece.size.cast_unsigned();
        let there = objects.size(&piece.object_key).await? == Some(size);
        let (md5, sha256) = match file.parts.get(at) {
            Some(part) => (part.md5.as_ref(), part.sha256.as_ref()),
            None => (file.md5.as_ref(), Some(&file.sha256)),
        };
        let sum = check::checksum(objects.checksum(), md5, sha256)?;
        let put =
            (!there).then(|| objects.presign_put(&piece.object_key, size, sum, ADDRESS_S)).transpose()?;
        missing |= put.is_some();
        if file.parts.is_empty() {
            upload.put = put;
        } else {
            upload.parts.push(UploadPart { number: piece.number, offset, size: piece.size, put });
        }
        offset += piece.size;
    }
    upload.done = !missing;
    if upload.done {
        upload.parts.clear();
    } else if !upload.parts.is_empty() {
        upload.upload = Some(object.id.to_string());
    }
    Ok(upload)
}

/// Puts files that were announced and sent in their places, all in one step. May be repeated.
///
/// # Errors
/// `incomplete` names files that are not there; `files.N.path` when one was never announced.
pub async fn commit_put(
    engine: &Engine,
    project: ProjectId,
    (bucket, prefix): (&str, &str),
    source: &str,
    files: Vec<SentFile>,
) -> Result<()> {
    for (index, file) in files.iter().enumerate() {
        if file.sha256.as_deref().is_some_and(|sha256| !is_hex(sha256, 64)) {
            let field = format!("files.{index}.sha256");
            return Err(Error::field(&field, "must be a SHA-256 as 64 hexadecimal digits"));
        }
    }
    let sent = begun(engine, project, bucket, prefix, source, &files).await?;
    let mut looks = Vec::with_capacity(sent.len());
    for (object, pieces) in &sent {
        looks.push(absent(engine, object, pieces));
    }
    let looked: Vec<Option<String>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    let missing: Vec<String> = looked.into_iter().flatten().collect();
    if !missing.is_empty() {
        let named = missing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Error::Conflict {
            code: "incomplete",
            message: format!("{} of the files were not sent: {named}; send them first", missing.len()),
        });
    }
    let (bucket, now) = (bucket.to_owned(), engine.now());
    engine
        .db
        .write(move |tx| {
            let bucket = writable(tx, &of_project(project), &bucket)?;
            store::oss::lock(tx, bucket.id)?;
            for ((object, pieces), file) in sent.iter().zip(&files) {
                let Some(mut object) = store::oss::object::lock(tx, object.id)? else {
                    return Err(Error::conflict(format!("`{}` was announced again meanwhile", object.key)));
                };
                if object.current {
                    continue;
                }
                replace(tx, &bucket, &object.key, false, now)?;
                let sha256 = file.sha256.as_ref().map(|sha256| sha256.to_ascii_lowercase());
                finish(&mut object, pieces, sha256)?;
                (object.current, object.modified_at) = (true, now);
                store::oss::object::save(tx, &object)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    garbage::collect_later(engine);
    Ok(())
}

/// What is known of a whole object that was sent by address.
fn finish(object: &mut Object, pieces: &[Piece], sha256: Option<String>) -> Result<()> {
    object.sha256 = object.sha256.take().or(sha256);
    if pieces.len() > 1 {
        if pieces.iter().all(|piece| !piece.etag.is_empty()) {
            sum(object, pieces)?;
        } else {
            let digits: String = object.sha256.iter().flat_map(|sha256| sha256.chars()).take(32).collect();
            object.etag = format!("{}-{}", digits.to_ascii_uppercase(), pieces.len());
        }
    }
    Ok(())
}

/// What the source announced (or has in place already), for each file in order.
async fn begun(
    engine: &Engine,
    project: ProjectId,
    bucket: &str,
    prefix: &str,
    source: &str,
    files: &[SentFile],
) -> Result<Vec<(Object, Vec<Piece>)>> {
    let keys: Vec<String> = files.iter().map(|file| format!("{prefix}{}", file.path)).collect();
    let (bucket, source) = (bucket.to_owned(), source.to_owned());
    engine
        .db
        .read(move |tx| {
            let bucket = writable(tx, &of_project(project), &bucket)?;
            let mut found = Vec::with_capacity(keys.len());
            for (index, key) in keys.iter().enumerate() {
                let begun = store::oss::object::by_source(tx, bucket.id, &source, key)?;
                let object = match begun {
                    Some(begun) => Some(begun),
                    None => store::oss::object::current(tx, bucket.id, key)?
                        .filter(|object| object.source.as_deref() == Some(&*source)),
                };
                let Some(object) = object else {
                    let field = format!("files.{index}.path");
                    return Err(Error::field(&field, format!("`{key}` was never announced")));
                };
                let pieces = store::oss::piece::list(tx, object.id, 0, PARTS_MAX)?;
                found.push((object, pieces));
            }
            Ok(found)
        })
        .await
}

/// The key, if a piece of the object has not arrived.
async fn absent(engine: &Engine, object: &Object, pieces: &[Piece]) -> Result<Option<String>> {
    if object.current {
        return Ok(None);
    }
    for piece in pieces {
        if engine.objects.size(&piece.object_key).await? != Some(piece.size.cast_unsigned()) {
            return Ok(Some(format!("`{}`", object.key)));
        }
    }
    Ok(None)
}
