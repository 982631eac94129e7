//! Brings the inputs of a job to `input/data/<channel>/`. May be interrupted at any point and done again: what is there and
//! right is kept, and what was half done is never taken for whole.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use runyard_archive::{Limits, extract};
use runyard_client::Error;
use runyard_domain::{
    channel::{Kind, Place, Uri},
    checkpoint::{MAX_FILES, check_path},
};
use runyard_objects::{Error as ObjectsError, Objects};
use runyard_wire::channel::Input;
use tokio::io::AsyncWriteExt;

use crate::{
    job::Job,
    s3,
    stage::{self, Failure},
};

const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Objects that are read at the same time.
const AT_ONCE: usize = 4;
/// Largest archive of a dataset, extracted: as large as the server lets one become.
const DATASET: Limits = Limits { max_entries: 10_000_000, max_bytes: 1 << 40, window_log_max: 27 };
/// What an object is called until it is whole.
const UNFINISHED: &str = "runyard-part";

/// An input that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brought {
    pub(crate) channel: String,
    /// The only file of the channel; `None`: its folder is what counts.
    pub(crate) file: Option<String>,
}

/// Brings all inputs, one after the other.
pub(crate) async fn bring(job: &Job) -> Result<Vec<Brought>, Failure> {
    if job.spec.inputs.is_empty() {
        return Ok(Vec::new());
    }
    let id = job.spec.job_id.to_string();
    let inputs = insist(job, async || job.server.client().api().inputs(&id).await).await;
    let inputs = inputs.map_err(|why| Failure::staging(format!("the inputs cannot be brought: {why}")))?;
    let mut brought = Vec::with_capacity(inputs.len());
    for input in inputs {
        let said = |why: String| {
            Failure::staging(format!("input `{}` ({}) cannot be brought: {why}", input.channel, input.uri))
        };
        // The server checked them; a name that leads elsewhere would be a fault of it.
        check_path(&input.channel).map_err(|error| said(error.to_string()))?;
        let folder = folder(&job.folder.ml(), &input.channel);
        one(job, &input, &folder).await.map_err(said)?;
        brought.push(Brought { channel: input.channel, file: input.file });
    }
    Ok(brought)
}

/// Where an input is.
pub(crate) fn folder(ml: &Path, channel: &str) -> PathBuf {
    ml.join("input/data").join(channel)
}

async fn one(job: &Job, input: &Input, folder: &Path) -> Result<(), String> {
    let target = || input.target_id.clone().ok_or_else(|| "the server does not say what it is".to_owned());
    match Kind::from_word(&input.kind) {
        Some(Kind::Artifact | Kind::Checkpoint | Kind::Oss) => {
            let id = job.spec.job_id.to_string();
            let fetch = async || job.server.client().api().fetch_input(&id, &input.channel, folder).await;
            insist(job, fetch).await.map(drop)
        }
        Some(Kind::Model) => model(job, &target()?, folder).await,
        Some(Kind::Dataset) => dataset(job, &target()?, &input.place, folder).await,
        Some(Kind::Upload) => upload(job, &target()?, &input.place, folder).await,
        Some(Kind::S3) => match Uri::parse(&input.place) {
            Ok(Uri::S3(place)) => from_s3(job, &input.channel, &place, folder).await,
            _ => Err(format!("`{}` is no address in an S3 store", input.place)),
        },
        None => Err(format!("this runner does not know what a {} is", input.kind)),
    }
}

/// Calls the server until there is an answer that means something.
async fn insist<T>(job: &Job, call: impl AsyncFn() -> Result<T, Error>) -> Result<T, String> {
    let mut pause = PAUSE_MIN;
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.code() == Some("stale_epoch") {
            job.supersede();
        }
        let local = matches!(error, Error::Local { .. } | Error::Damaged(_));
        if local || error.status().is_some_and(|status| status < 500) && !error.is_transient() {
            return Err(error.to_string());
        }
        tracing::debug!(%error, "an input cannot be fetched now: trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        job.server.find_again();
    }
}

async fn model(job: &Job, id: &str, folder: &Path) -> Result<(), String> {
    let mut pause = PAUSE_MIN;
    loop {
        let version = insist(job, async || job.server.client().api().model_version(id).await).await?;
        let client = job.server.client().api();
        // A stop drops all of this.
        let pulled = runyard_sdk::pull(&client, &version, folder, &|_| {}, std::future::pending()).await;
        match pulled {
            Ok(_) => return Ok(()),
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "a model cannot be fetched now: trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                job.server.find_again();
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn dataset(job: &Job, id: &str, set: &str, folder: &Path) -> Result<(), String> {
    let packed = beside(folder, "packed");
    make(folder.parent().unwrap_or(folder))?;
    let pull = async || job.server.client().api().pull_dataset(id, &packed, &|_| {}).await;
    let dataset = insist(job, pull).await?;
    let place = folder.to_owned();
    let said = serde_json::json!({"dataset": dataset.name, "id": dataset.id, "set": set});
    let set = (!set.is_empty()).then(|| said.to_string());
    blocking(move || {
        let whole = unpack(&packed, &place, &DATASET)?;
        // The archive is of the whole dataset; its database says which elements are in which set.
        if let Some(said) = set {
            let path = whole.join("set.json");
            fs::write(&path, said).map_err(failed("write", &path))?;
        }
        put_in_place(&whole, &place)?;
        let _ = fs::remove_file(&packed);
        Ok(())
    })
    .await
}

async fn upload(job: &Job, digest: &str, file: &str, folder: &Path) -> Result<(), String> {
    let packed = beside(folder, "packed");
    make(folder.parent().unwrap_or(folder))?;
    stage::fetch(job, digest, &packed).await.map_err(|failure| failure.message)?;
    let (place, file) = (folder.to_owned(), file.to_owned());
    blocking(move || {
        let whole = unpack(&packed, &place, &Limits::default())?;
        if file.is_empty() {
            put_in_place(&whole, &place)?;
        } else {
            let from = whole.join(&file);
            if !from.symlink_metadata().is_ok_and(|found| found.is_file()) {
                return Err(format!("there is no file `{file}` in the upload"));
            }
            let name = Path::new(&file).file_name().unwrap_or_default();
            remove(&place)?;
            make(&place)?;
            let to = place.join(name);
            fs::rename(&from, &to).map_err(failed("place", &to))?;
            remove(&whole)?;
        }
        let _ = fs::remove_file(&packed);
        Ok(())
    })
    .await
}

/// Extracts an archive beside its place; answers where.
fn unpack(packed: &Path, place: &Path, limits: &Limits) -> Result<PathBuf, String> {
    let whole = beside(place, "partial");
    remove(&whole)?;
    let file = File::open(packed).map_err(failed("read", packed))?;
    extract(io::BufReader::new(file), &whole, limits).map_err(|error| error.to_string())?;
    Ok(whole)
}

fn put_in_place(whole: &Path, place: &Path) -> Result<(), String> {
    remove(place)?;
    fs::rename(whole, place).map_err(failed("place", place))
}

/// A name that no channel has: those begin with a letter, a digit or `_`.
fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{what}"))
}

async fn from_s3(job: &Job, channel: &str, place: &Place, folder: &Path) -> Result<(), String> {
    let objects = s3::open(job, &place.bucket)?;
    make(folder)?;
    let title = format!("input `{channel}`");
    if !place.is_prefix() {
        return object(job, &title, &objects, &place.key, folder, place.name()).await;
    }
    let listed = s3::insist(job, &title, async || objects.list(&place.key).await).await?;
    if listed.is_empty() {
        return Err(format!("nothing in the bucket `{}` is below `{}`", place.bucket, place.key));
    }
    if listed.len() as i64 > MAX_FILES {
        return Err(format!("it has more than {MAX_FILES} objects: pack them into archives"));
    }
    let (objects, title) = (&objects, title.as_str());
    let each = listed.iter().map(|found| async move {
        let path = found.key.strip_prefix(&place.key).unwrap_or(&found.key);
        check_path(path).map_err(|error| error.to_string())?;
        object(job, title, objects, &found.key, folder, path).await
    });
    stream::iter(each).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

/// Brings one object to `path` below the folder.
async fn object(
    job: &Job,
    title: &str,
    objects: &Objects,
    key: &str,
    folder: &Path,
    path: &str,
) -> Result<(), String> {
    let to = folder.join(path);
    make(to.parent().unwrap_or(folder))?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = to.with_file_name(format!(".{name}.{UNFINISHED}"));
    s3::insist(job, title, async || fetch(objects, key, &unfinished).await).await?;
    fs::rename(&unfinished, &to).map_err(failed("place", &to))
}

/// Writes an object to a file from its start.
async fn fetch(objects: &Objects, key: &str, to: &Path) -> Result<(), ObjectsError> {
    let io = |source| ObjectsError::Io { what: format!("write {}", to.display()), source };
    let (size, mut bytes) = objects.get_stream(key).await?;
    let mut file = tokio::fs::File::create(to).await.map_err(io)?;
    let mut written = 0;
    while let Some(piece) = bytes.next().await {
        let piece = piece?;
        file.write_all(&piece).await.map_err(io)?;
        written += piece.len() as u64;
    }
    file.flush().await.map_err(io)?;
    if written != size {
        return Err(ObjectsError::Unavailable(format!("`{key}` came with {written} of {size} bytes")));
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(failed("make", folder))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("delete", folder)(error)),
        _ => Ok(()),
    }
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("cannot {verb} `{path}`: {error}")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}
