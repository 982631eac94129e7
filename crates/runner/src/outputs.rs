//! Keeps what a program wrote to its output channels, whatever became of it: before its end is told, so that a run that is
//! completed has its outputs. What cannot be kept is the run's failure, with the reason.

use std::{
    io,
    path::Path,
    rc::Rc,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use runyard_domain::{
    channel::{ARTIFACT, Place, Uri},
    job::{Exit, Reason, folder},
};
use runyard_objects::{Error as ObjectsError, Objects};
use tokio::io::AsyncReadExt;

use crate::{
    job::Job,
    s3,
    server::Refusal,
    uploads::{
        self,
        find::{self, Found},
    },
};

/// Files that are sent at the same time.
const AT_ONCE: usize = 4;
/// Bytes that are read from a file at once.
const CHUNK: usize = 256 << 10;

/// Brings all outputs to where they belong; answers the exit as it is then. Only a newer job is an error. May be repeated by
/// the next runner: what has arrived is not sent again, or replaces itself.
pub(crate) async fn bring(job: &Rc<Job>, mut exit: Exit) -> Result<Exit, Refusal> {
    if job.spec.outputs.is_empty() || !job.folder.has(folder::LAUNCHED) {
        return Ok(exit);
    }
    let mut failed = Vec::new();
    for (channel, uri) in &job.spec.outputs {
        if let Err(why) = one(job, channel, uri.as_deref()).await? {
            let why = format!("output `{channel}` could not be kept: {why}");
            job.output.note(&why);
            failed.push(why);
        }
    }
    if failed.is_empty() {
        return Ok(exit);
    }
    let why = failed.join("; ");
    exit.message = Some(match exit.message.take() {
        // A later runner may have found the same once more.
        Some(message) if message.contains(&why) => message,
        Some(message) => format!("{message}; {why}"),
        None => why,
    });
    if exit.reason == Reason::Completed {
        exit.reason = Reason::OutputFailed;
    }
    if let Err(error) = job.folder.write(folder::EXIT, &exit) {
        tracing::warn!(%error, "the exit record is only in memory");
    }
    Ok(exit)
}

/// One output; the inner error is why it cannot be kept.
async fn one(job: &Rc<Job>, channel: &str, uri: Option<&str>) -> Result<Result<(), String>, Refusal> {
    let files = match found(job, channel).await {
        Ok(files) => files,
        Err(why) => return Ok(Err(why)),
    };
    if files.is_empty() {
        return Ok(Ok(()));
    }
    match uri.map(Uri::parse_output) {
        None => uploads::keep_output(job, channel, files).await,
        Some(Ok(Uri::Oss(_))) => uploads::send_output(job, channel, files).await,
        Some(Ok(Uri::S3(place))) => Ok(to_s3(job, channel, &place, &files).await),
        Some(Ok(other)) => Ok(Err(format!("nothing can be written to `{other}`"))),
        Some(Err(error)) => Ok(Err(error.to_string())),
    }
}

/// The files of an output; one that cannot be sent is a reason to keep none silently.
async fn found(job: &Job, channel: &str) -> Result<Vec<Found>, String> {
    let (ml, folder) = (job.folder.ml(), format!("{ARTIFACT}{channel}"));
    let work = move || find::rest(&ml, &folder, &[]);
    let (files, beyond) =
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))?;
    match beyond.into_iter().next() {
        Some(one) => Err(format!("`{}`: {}", one.path, one.reason)),
        None => Ok(files),
    }
}

async fn to_s3(job: &Job, channel: &str, place: &Place, files: &[Found]) -> Result<(), String> {
    let objects = s3::open(job, &place.bucket)?;
    let (objects, title) = (&objects, format!("output `{channel}`"));
    let title = title.as_str();
    let each = files.iter().map(|file| async move {
        let key = format!("{}{}", place.key, file.path);
        put(job, title, objects, &key, file).await
    });
    stream::iter(each).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

/// Sends one file, which must be the same before and after.
async fn put(job: &Job, title: &str, objects: &Objects, key: &str, file: &Found) -> Result<(), String> {
    let open = || {
        let file = file.clone();
        async move {
            let opened = tokio::task::spawn_blocking(move || find::open(&file)).await;
            opened.unwrap_or_else(|error| Err(error.to_string()))
        }
    };
    let (_, before) = open().await?;
    let unread: Arc<Mutex<Option<String>>> = Arc::default();
    let sent = s3::insist(job, title, async || {
        let (handle, _) = open().await.map_err(ObjectsError::Protocol)?;
        objects.put_stream(key, pieces(handle, Arc::clone(&unread)), before.size).await
    });
    sent.await.map_err(|why| unread.lock().ok().and_then(|mut unread| unread.take()).unwrap_or(why))?;
    let (_, after) = open().await?;
    if after != before {
        return Err(format!("`{}` changed while it was sent: something still writes to it", file.path));
    }
    Ok(())
}

/// The bytes of a file. What is wrong with the file is no trouble of the store: it is kept apart.
fn pieces(
    file: std::fs::File,
    unread: Arc<Mutex<Option<String>>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let file = tokio::fs::File::from_std(file);
    stream::unfold((file, false), move |(mut file, ended)| {
        let unread = Arc::clone(&unread);
        async move {
            if ended {
                return None;
            }
            let mut buffer = vec![0; CHUNK];
            match file.read(&mut buffer).await {
                Ok(0) => None,
                Ok(read) => {
                    buffer.truncate(read);
                    Some((Ok(Bytes::from(buffer)), (file, false)))
                }
                Err(error) => {
                    if let Ok(mut unread) = unread.lock() {
                        *unread = Some(format!("a file cannot be read: {error}"));
                    }
                    Some((Err(error), (file, true)))
                }
            }
        }
    })
    .boxed()
}

/// Makes the folders of all outputs, so that a program finds them.
pub(crate) fn make_folders(ml: &Path, job: &Job) -> io::Result<()> {
    job.spec
        .outputs
        .keys()
        .try_for_each(|channel| std::fs::create_dir_all(ml.join(format!("{ARTIFACT}{channel}"))))
}
