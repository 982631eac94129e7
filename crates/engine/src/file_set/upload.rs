//! Announces files of a set and says where to send them. Files go straight to where objects are: what is signed here
//! binds size and digest, so nothing else than what was announced can arrive.

pub(crate) mod check;

pub(crate) use check::{is_etag, is_hex};
use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use runyard_domain::{
    FileSetId,
    checkpoint::{Kind, MAX_FILES, MAX_SET_BYTES, Status, folders_above, part_size, parts},
};
use runyard_objects::{Error as ObjectsError, Signed};
use runyard_store::{
    self as store, Tx,
    file_set::file::{self as rows, File},
};

use super::{ADDRESS_S, AT_ONCE, FileSet, key, open};
use crate::{Actor, Engine, Error, Result};

/// A file to send.
#[derive(Debug, Clone, Default)]
pub struct NewFile {
    /// Relative to the set's folder.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Hex MD5; needed without parts where the object store wants that.
    pub md5: Option<String>,
    /// Hex SHA-256; of a file with parts it may be empty until the set is completed.
    pub sha256: String,
    /// Of a file above [`runyard_domain::checkpoint::WHOLE_BYTES`]: its parts.
    pub parts: Vec<NewPart>,
    /// Its permissions, for who keeps them: nine bits.
    pub mode: Option<i64>,
}

/// A part of a file to send.
#[derive(Debug, Clone, Default)]
pub struct NewPart {
    /// Bytes.
    pub size: i64,
    /// Hex MD5; needed where the object store wants that.
    pub md5: Option<String>,
    /// Hex SHA-256; needed where the object store wants that.
    pub sha256: Option<String>,
    /// What the object store answered, if it was sent.
    pub etag: Option<String>,
}

/// Where to send a file.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The file.
    pub path: String,
    /// It is stored.
    pub done: bool,
    /// Where to send it as a whole.
    pub put: Option<Signed>,
    /// What the parts belong to.
    pub upload: Option<String>,
    /// Where to send the parts.
    pub parts: Vec<UploadPart>,
}

/// Where to send a part.
#[derive(Debug, Clone)]
pub struct UploadPart {
    /// From 1.
    pub number: i64,
    /// Where it starts in the file.
    pub offset: i64,
    /// Bytes.
    pub size: i64,
    /// Where to send it; `None`: it was sent.
    pub put: Option<Signed>,
}

/// Announces files, and answers where to send each of them. May be repeated, for new addresses too.
///
/// # Errors
/// Wrong files by `files.N.field`; `file_changed` when a path was announced with other bytes before; `too_large` over
/// the limits of a set; `complete`, `abandoned` and `stale_epoch` when nothing can be added any more.
pub async fn upload(
    engine: &Engine,
    actor: &Actor,
    kind: Kind,
    id: FileSetId,
    files: Vec<NewFile>,
) -> Result<Vec<Upload>> {
    let files = check::check(files, engine.objects.checksum())?;
    let actor = actor.clone();
    let (set, announced) = engine
        .db
        .write(move |tx| {
            let (_, mut set) = open(tx, &actor, kind, id)?;
            let announced = announce(tx, &mut set, &files)?;
            Ok::<_, Error>((set, announced))
        })
        .await?;
    let set = &set;
    let each = announced.into_iter().map(|(file, known)| place(engine, set, file, known));
    stream::iter(each).buffered(AT_ONCE).try_collect().await
}

/// Writes down what is new; answers every file, and whether it was announced before.
pub(super) fn announce(tx: &mut Tx, set: &mut FileSet, files: &[File]) -> Result<Vec<(File, bool)>> {
    if set.status == Status::Complete {
        let message = format!("{} {} is complete: its files do not change any more", set.kind.word(), set.id);
        return Err(Error::Conflict { code: "complete", message });
    }
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let found = rows::by_paths(tx, set.id, &paths)?;
    let mut known: HashMap<String, File> = found.into_iter().map(|file| (file.path.clone(), file)).collect();
    let (mut answer, mut fresh) = (Vec::with_capacity(files.len()), Vec::new());
    for file in files {
        match known.remove(&file.path) {
            None => {
                fresh.push(file.clone());
                answer.push((file.clone(), false));
            }
            Some(before) => answer.push((told_again(tx, set, before, file)?, true)),
        }
    }
    if fresh.is_empty() {
        return Ok(answer);
    }
    check_folders(tx, set, &fresh)?;
    set.files += fresh.len() as i64;
    set.size += fresh.iter().map(|file| file.size).sum::<i64>();
    if set.files > MAX_FILES || set.size > MAX_SET_BYTES {
        let (kind, files, size) = (set.kind.word(), set.files, set.size);
        return Err(Error::TooLarge(format!(
            "that makes {files} files of {size} bytes: a {kind} has at most {MAX_FILES} files of {MAX_SET_BYTES} \
             bytes in all; pack small files together"
        )));
    }
    rows::insert(tx, set.id, &fresh)?;
    store::file_set::save(tx, set)?;
    Ok(answer)
}

/// The file that was announced before, with the `ETag`s and digests that are new; refused when it is not the same any
/// more.
fn told_again(tx: &mut Tx, set: &FileSet, mut before: File, now: &File) -> Result<File> {
    let same =
        |before: &Option<String>, now: &Option<String>| now.is_none() || before.is_none() || now == before;
    // What is stored as a whole has none, however large.
    let whole = before.parts.is_empty() || now.parts.is_empty();
    let same_parts = (whole || before.parts.len() == now.parts.len())
        && before
            .parts
            .iter()
            .zip(&now.parts)
            .all(|(before, now)| same(&before.md5, &now.md5) && same(&before.sha256, &now.sha256));
    let either_unknown = before.sha256.is_empty() || now.sha256.is_empty();
    let same_bytes = before.size == now.size && (either_unknown || before.sha256 == now.sha256);
    if !same_bytes || !same_parts || !same(&before.md5, &now.md5) {
        return Err(Error::Conflict {
            code: "file_changed",
            message: format!(
                "`{}` was announced with other bytes before: a {} whose files change while it is uploaded is torn; \
                 abandon it, and save it again",
                now.path,
                set.kind.word()
            ),
        });
    }
    if before.sha256.is_empty() && !now.sha256.is_empty() {
        rows::set_sha256(tx, set.id, &now.path, &now.sha256)?;
        before.sha256.clone_from(&now.sha256);
    }
    let mut news = before.parts.is_empty() && !now.parts.is_empty();
    if news {
        before.parts.clone_from(&now.parts);
    }
    for (part, now) in before.parts.iter_mut().zip(&now.parts) {
        if now.etag.is_some() && part.etag != now.etag {
            part.etag.clone_from(&now.etag);
            news = true;
        }
        let was = (part.md5.is_some(), part.sha256.is_some());
        part.md5 = part.md5.take().or_else(|| now.md5.clone());
        part.sha256 = part.sha256.take().or_else(|| now.sha256.clone());
        news |= was != (part.md5.is_some(), part.sha256.is_some());
    }
    before.md5 = before.md5.take().or_else(|| now.md5.clone());
    if news {
        rows::set_parts(tx, set.id, &before)?;
    }
    Ok(before)
}

/// No path is a file and a folder.
fn check_folders(tx: &mut Tx, set: &FileSet, fresh: &[File]) -> Result<()> {
    let refuse = |path: &str| {
        let message = format!("`{path}` is a file and a folder: announce files only, each by its own path");
        Err(Error::field("files", message))
    };
    let paths: Vec<&str> = fresh.iter().map(|file| file.path.as_str()).collect();
    if let Some(path) = rows::folders_among(tx, set.id, &paths)?.first() {
        return refuse(path);
    }
    let folders: HashSet<&str> = paths.iter().copied().flat_map(folders_above).collect();
    if let Some(path) = paths.iter().find(|path| folders.contains(*path)) {
        return refuse(path);
    }
    let folders: Vec<&str> = folders.into_iter().collect();
    rows::by_paths(tx, set.id, &folders)?.first().map_or(Ok(()), |file| refuse(&file.path))
}

/// Where to send one file.
async fn place(engine: &Engine, set: &FileSet, file: File, known: bool) -> Result<Upload> {
    let key = key(set, &file.path);
    let mut upload =
        Upload { path: file.path.clone(), done: false, put: None, upload: None, parts: Vec::new() };
    if known && engine.objects.size(&key).await? == Some(file.size.cast_unsigned()) {
        upload.done = true;
        return Ok(upload);
    }
    let Some(part_size) = part_size(file.size) else {
        let sum = check::checksum(engine.objects.checksum(), file.md5.as_ref(), Some(&file.sha256))?;
        upload.put = Some(engine.objects.presign_put(&key, file.size.cast_unsigned(), sum, ADDRESS_S)?);
        return Ok(upload);
    };
    if let Some(begun) = &file.upload
        && let Some(parts) = sign_parts(engine, &key, begun, &file)?
    {
        return Ok(Upload { upload: Some(begun.clone()), parts, ..upload });
    }
    let file = begin(engine, set, &key, part_size, file).await?;
    let begun = file.upload.as_deref().unwrap_or_default();
    upload.parts = sign_parts(engine, &key, begun, &file)?.ok_or_else(|| {
        Error::Busy(format!("the upload of `{}` ended meanwhile: announce it once more", file.path))
    })?;
    upload.upload = file.upload;
    Ok(upload)
}

/// Where to send the parts; `None`: the upload is gone.
fn sign_parts(engine: &Engine, key: &str, upload: &str, file: &File) -> Result<Option<Vec<UploadPart>>> {
    let (objects, mut answer) = (&engine.objects, Vec::with_capacity(file.parts.len()));
    for (number, ((offset, size), part)) in (1..).zip(parts(file.size).zip(&file.parts)) {
        let mut put = None;
        if part.etag.is_none() {
            let sum = check::checksum(objects.checksum(), part.md5.as_ref(), part.sha256.as_ref())?;
            match objects.presign_part(key, upload, number, size.cast_unsigned(), sum, ADDRESS_S) {
                Ok(signed) => put = Some(signed),
                Err(ObjectsError::NoUpload { .. }) => return Ok(None),
                Err(other) => return Err(other.into()),
            }
        }
        answer.push(UploadPart { number, offset, size, put });
    }
    Ok(Some(answer))
}

/// Begins an upload in parts and notes it; when another request was faster, its upload counts.
async fn begin(engine: &Engine, set: &FileSet, key: &str, part_size: i64, mut file: File) -> Result<File> {
    let upload = engine.objects.begin_multipart(key, part_size.cast_unsigned()).await?;
    let lost = file.upload.replace(upload.clone());
    file.parts.iter_mut().for_each(|part| part.etag = None);
    let (id, kind, object, now) = (set.id, set.kind, key.to_owned(), engine.now());
    engine
        .db
        .write(move |tx| {
            if rows::set_upload(tx, id, &file.path, lost.as_deref(), &upload)? {
                rows::set_parts(tx, id, &file)?;
                return Ok(file.clone());
            }
            store::source::discard_upload(tx, &object, &upload, now)?;
            let other = rows::by_paths(tx, id, &[&file.path])?.pop();
            other.ok_or_else(|| Error::not_found(kind.word(), id))
        })
        .await
}
