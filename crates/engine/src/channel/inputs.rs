//! What a job brings before its program starts: every input with what it leads to, and the files behind it with addresses
//! to read them. Never decides anew what an address means.

use runyard_domain::{
    FileSetId, JobId,
    channel::{Direction, Kind, Uri},
    checkpoint::Status,
};
use runyard_objects::{GetAs, Signed};
use runyard_store::{
    self as store, Tx,
    channel::Link,
    file_set::{FileSet, file as rows},
};

use super::bucket;
use crate::{Actor, Engine, Error, Result, job::seen};

/// How long an address to read a file lives, in seconds.
pub(super) const ADDRESS_S: i64 = 3600;
/// Files of one answer at most, each with an address.
const MAX_PAGE: i64 = 1_000;

/// An input, as a job brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The channel's name.
    pub channel: String,
    /// What was asked for.
    pub uri: String,
    /// What it leads to.
    pub kind: Kind,
    /// Id of that, or the digest of an upload.
    pub target_id: Option<String>,
    /// A set of a dataset, an address in an S3 store, or the file of an upload; empty: all of it.
    pub place: String,
    /// The channel has this one file, and nothing else.
    pub file: Option<String>,
}

/// A file of an input.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Below the channel's folder; one that is empty or ends with `/` stands for a folder.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256; empty: nobody said it.
    pub sha256: String,
    /// Its permissions, if they are known.
    pub mode: Option<i64>,
    /// Where to read it for the next hour.
    pub read: Signed,
}

/// The inputs of a job, by name.
///
/// # Errors
/// `stale_epoch` when the run has a newer job.
pub async fn inputs(engine: &Engine, actor: &Actor, job: JobId) -> Result<Vec<Input>> {
    let actor = actor.clone();
    let links = engine
        .db
        .read(move |tx| {
            let (run, _) = seen(tx, &actor, job)?;
            Ok::<_, Error>(store::channel::of_run(tx, run.id)?)
        })
        .await?;
    let inputs = links.into_iter().filter(|link| link.direction == Direction::Input);
    Ok(inputs.map(input).collect())
}

fn input(link: Link) -> Input {
    let file = single(&link).map(str::to_owned);
    let Link { channel, uri, kind, target_id, place, .. } = link;
    Input { channel, uri, kind, target_id, place, file }
}

/// The name of the only file that is meant.
fn single(link: &Link) -> Option<&str> {
    let name = match link.kind {
        // After the bucket; a bucket alone is all of it.
        Kind::S3 | Kind::Oss => link.place.splitn(4, '/').nth(3).unwrap_or_default(),
        Kind::Artifact | Kind::Checkpoint | Kind::Upload => link.place.as_str(),
        Kind::Model | Kind::Dataset => "",
    };
    name.rsplit('/').next().filter(|name| !name.is_empty())
}

/// Files of an input that this server keeps one by one, by path, after `path_after`; none after the last.
///
/// # Errors
/// `gone` when what the input leads to was deleted since the run was submitted; 422 for an input that has no such files.
pub async fn files(
    engine: &Engine,
    actor: &Actor,
    job: JobId,
    channel: String,
    path_after: Option<String>,
    limit: i64,
) -> Result<Vec<InputFile>> {
    let (actor, limit) = (actor.clone(), limit.clamp(1, MAX_PAGE));
    let wanted = channel.clone();
    let link = engine
        .db
        .read(move |tx| {
            let (run, _) = seen(tx, &actor, job)?;
            Ok::<_, Error>(store::channel::get(tx, run.id, Direction::Input, &wanted)?)
        })
        .await?;
    let link = link.ok_or_else(|| Error::not_found("input", &channel))?;
    match link.kind {
        Kind::Artifact | Kind::Checkpoint => of_set(engine, link, path_after, limit).await,
        Kind::Oss => match Uri::parse(&link.place) {
            Ok(Uri::Oss(place)) => bucket::files(engine, &link, place, path_after, limit).await,
            _ => Err(gone(&link)),
        },
        Kind::Upload | Kind::S3 | Kind::Model | Kind::Dataset => {
            let message = format!("input `{channel}` is a {}: it has no files of its own", link.kind.word());
            Err(Error::field("channel", message))
        }
    }
}

async fn of_set(
    engine: &Engine,
    link: Link,
    path_after: Option<String>,
    limit: i64,
) -> Result<Vec<InputFile>> {
    let id: FileSetId =
        link.target_id.as_deref().and_then(|id| id.parse().ok()).ok_or_else(|| gone(&link))?;
    let place = link.place.clone();
    let (set, found) = engine
        .db
        .read(move |tx| {
            let set = store::file_set::get(tx, id)?.filter(|set| set.status == Status::Complete);
            let set = set.ok_or_else(|| gone(&link))?;
            let found = page(tx, &set, &link.place, path_after.as_deref(), limit)?;
            Ok::<_, Error>((set, found))
        })
        .await?;
    let one = |file: rows::File| {
        let key = format!("{}{}", set.key_prefix, file.path);
        let read = engine.objects.presign_get(&key, ADDRESS_S, &GetAs::default())?;
        let path = below(&file.path, &place).to_owned();
        Ok(InputFile { path, size: file.size, sha256: file.sha256, mode: file.mode, read })
    };
    found.into_iter().map(one).collect()
}

/// Files at a place of a set; `path_after` is below that place.
fn page(
    tx: &mut Tx,
    set: &FileSet,
    place: &str,
    path_after: Option<&str>,
    limit: i64,
) -> Result<Vec<rows::File>> {
    if place.is_empty() {
        return Ok(rows::page(tx, set.id, path_after, limit)?);
    }
    if place.ends_with('/') {
        let after = path_after.map(|after| format!("{place}{after}"));
        return Ok(rows::page_below(tx, set.id, place, after.as_deref(), limit)?);
    }
    if path_after.is_some() {
        return Ok(Vec::new());
    }
    Ok(rows::by_paths(tx, set.id, &[place])?)
}

/// What a path is called in the channel of a place: below its folder, or its own name.
pub(super) fn below<'a>(path: &'a str, place: &str) -> &'a str {
    let folder = place.rfind('/').map_or("", |at| &place[..=at]);
    path.strip_prefix(folder).unwrap_or(path)
}

pub(super) fn gone(link: &Link) -> Error {
    let message = format!(
        "input `{}` leads to {}, which was deleted since the run was submitted: submit the run again",
        link.channel, link.uri
    );
    Error::Conflict { code: "gone", message }
}
