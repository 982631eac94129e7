//! Frees files whose rows are gone. The rows of `garbage` are written with the deletion, so a crash leaves nothing behind.
//! While a backup is written no object is freed: it may be about to read it.

pub mod gc;
mod orphan;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::{FutureExt as _, StreamExt, TryStreamExt, stream};
use runyard_domain::{JobId, WorkerRunId};
use runyard_store::{self as store, Tx};

use crate::{Engine, Error, Result, corpus, file_set, model, oss, source};

/// How long an uploaded source may wait for its first run, in milliseconds.
const UNUSED_SOURCE_MS: i64 = 24 * 3600 * 1000;

/// Activities that are deleted in one transaction.
const ACTIVITIES_AT_ONCE: i64 = 5_000;

/// How soon it is tried again to free what could not be freed, at first and later.
const AGAIN_MIN: Duration = Duration::from_millis(200);
const AGAIN_MAX: Duration = Duration::from_mins(1);

/// Objects that are deleted at once.
const AT_ONCE: usize = 16;
/// Kinds of garbage that are objects.
const OBJECTS: [&str; 3] = ["object", "objects", "late_objects"];

/// Things that were freed, and the bytes that this gave back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many things.
    pub count: i64,
    /// Bytes.
    pub bytes: i64,
}

impl Freed {
    fn add(&mut self, bytes: i64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// Frees everything that was discarded and is due; answers the bytes freed. What cannot be freed now is tried again soon.
pub async fn collect(engine: &Engine) -> Result<i64> {
    Ok(collect_all(engine).await?.bytes)
}

async fn collect_all(engine: &Engine) -> Result<Freed> {
    let mut freed = Freed::default();
    let now = engine.now();
    let free_of_backups = engine.backup.try_read().ok();
    loop {
        let found = engine.db.read(move |tx| Ok::<_, Error>(store::source::garbage(tx, now, 100)?)).await?;
        let mut left = found.is_empty();
        for garbage in found {
            if free_of_backups.is_none() && OBJECTS.contains(&garbage.kind.as_str()) {
                left = true;
                continue;
            }
            match free(engine, &garbage).await {
                Ok(bytes) => freed.add(bytes),
                Err(error) => {
                    tracing::warn!(kind = garbage.kind, key = garbage.key, "could not free garbage: {error}");
                    left = true;
                    engine.signals.leave_garbage();
                }
            }
        }
        if left {
            return Ok(freed);
        }
    }
}

/// Tries again, for ever, to free what could not be freed: very soon at first, because most of it belongs to a runner that is
/// about to leave.
pub(crate) async fn collect_again(engine: Engine) {
    loop {
        engine.signals.garbage_left().await;
        let mut pause = AGAIN_MIN;
        loop {
            tokio::time::sleep(pause).await;
            let collected = collect(&engine).await;
            if collected.is_ok() && engine.signals.garbage_left().now_or_never().is_none() {
                break;
            }
            pause = (pause * 2).min(AGAIN_MAX);
        }
    }
}

/// Frees it without anybody waiting; what a crash leaves is freed at the next start.
pub(crate) fn collect_later(engine: &Engine) {
    let engine = engine.clone();
    tokio::spawn(async move {
        if let Err(error) = collect(&engine).await {
            tracing::warn!("could not free what was discarded: {error}");
        }
    });
}

/// How long a repeated create is recognised by its `Idempotency-Key`, in milliseconds.
const KEYS_KEPT_MS: i64 = 7 * 24 * 3600 * 1000;
/// How long expired and revoked tokens are kept, so that their holder is told why, in milliseconds.
const TOKENS_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

/// Discards what nobody needs any more (sources that were never used, deserted uploads and model versions, old keys and tokens), frees what was discarded
/// and what ended jobs left on this machine for longer than it is kept, and makes the database's log small again.
pub async fn sweep(engine: &Engine) -> Result<i64> {
    let now = engine.now();
    engine
        .db
        .write(move |tx| {
            for digest in store::source::forget_unused(tx, None, now.plus(-UNUSED_SOURCE_MS))? {
                store::source::discard_object(tx, &source::key(&digest), now)?;
            }
            file_set::desert(tx, now)?;
            model::expire(tx, now)?;
            oss::desert(tx, now)?;
            store::idempotency::prune(tx, now.plus(-KEYS_KEPT_MS))?;
            store::token::prune(tx, now.plus(-TOKENS_KEPT_MS))?;
            Ok::<_, Error>(())
        })
        .await?;
    let freed = collect(engine).await?;
    let kept = engine.options.keep;
    let jobs = gc::jobs(engine, kept.jobs_ms, false).await?;
    let environments = gc::environments(engine, kept.environments_ms, false).await?;
    engine.db.checkpoint().await?;
    Ok(freed + jobs.bytes + environments.bytes)
}

async fn free(engine: &Engine, garbage: &store::source::Garbage) -> Result<i64> {
    let freed = match garbage.kind.as_str() {
        "object" => return free_object(engine, garbage).await,
        "activities" => {
            free_activities(engine, &garbage.key).await?;
            0
        }
        "corpus" => {
            let id = garbage.key.parse().map_err(|error| Error::Internal(format!("garbage: {error}")))?;
            corpus::free(engine, id).await?;
            0
        }
        "objects" | "late_objects" => free_objects(engine, &garbage.key).await?,
        "upload" => {
            let (upload, key) = garbage.key.split_once(' ').unwrap_or((&garbage.key, ""));
            engine.objects.abort_multipart(key, upload).await?;
            0
        }
        executor => {
            let executor = engine.executor(executor)?;
            let job: JobId =
                garbage.key.parse().map_err(|error| Error::Internal(format!("garbage: {error}")))?;
            executor.delete(job).await.map_err(|error| Error::Busy(error.to_string()))?
        }
    };
    forget(engine, garbage).await?;
    Ok(freed)
}

async fn free_object(engine: &Engine, garbage: &store::source::Garbage) -> Result<i64> {
    // An upload of the same bytes takes this lock too: it must not find a file that is about to go.
    let _uploads = engine.uploads.lock().await;
    let wanted = garbage.clone();
    let still = engine.db.read(move |tx| Ok::<_, Error>(store::source::is_garbage(tx, &wanted)?)).await?;
    if !still {
        return Ok(0);
    }
    let freed = engine.objects.delete(&garbage.key).await? as i64;
    forget(engine, garbage).await?;
    Ok(freed)
}

/// Deletes the activities of a worker run that is gone, some at a time: others write between.
async fn free_activities(engine: &Engine, run: &str) -> Result<()> {
    let run: WorkerRunId = run.parse().map_err(|error| Error::Internal(format!("garbage: {error}")))?;
    loop {
        let some = move |tx: &mut Tx| store::activity::delete_some(tx, run, ACTIVITIES_AT_ONCE);
        if engine.db.write(some).await? < ACTIVITIES_AT_ONCE {
            return Ok(());
        }
    }
}

/// Frees all objects below a prefix. Nobody wants them again: the prefix has an id of its own in it.
async fn free_objects(engine: &Engine, prefix: &str) -> Result<i64> {
    let found = engine.objects.list(prefix).await?;
    let each = found.into_iter().map(|object| {
        let objects = engine.objects.clone();
        async move { objects.delete(&object.key).await }
    });
    let freed: Vec<u64> = stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(freed.into_iter().sum::<u64>() as i64)
}

async fn forget(engine: &Engine, garbage: &store::source::Garbage) -> Result<()> {
    let row = garbage.clone();
    engine.db.write(move |tx| Ok::<_, Error>(store::source::forget_garbage(tx, &row)?)).await
}
