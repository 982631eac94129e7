//! Makes the archives of datasets, one after the other, in the background: files, a SQLite database of the elements, all of it
//! packed. A build that was killed in the middle is begun again; one that was superseded or deleted can complete nothing.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures::stream;
use runyard_archive::{PackOptions, pack};
use runyard_domain::{DatasetId, ElementId, id::Series};
use runyard_store::{
    self as store, Tx,
    cache_file::{self, CacheFile},
    dataset::{Archive, build as rows},
};
use tokio::io::AsyncReadExt;

use super::{Dataset, State, Whole, change, files, state_conflict, whole};
use crate::{Actor, Engine, Error, Result, garbage};

/// How long a build belongs to a server that is not heard of, in milliseconds.
pub(super) const LEASE_MS: i64 = 30_000;
/// Members that are read at once.
const PAGE: i64 = 500;
/// Where builds are made, below the cache.
const FOLDER: &str = "builds";
/// How often the builder looks by the clock.
const LOOK: Duration = Duration::from_secs(1);
/// Largest archive, before compression: 1 TiB; entries of it.
const MAX_BYTES: u64 = 1 << 40;
const MAX_ENTRIES: u64 = 10_000_000;
/// Bytes that are sent to the object store at once.
const PIECE: usize = 1 << 20;

/// Asks for the archive of a dataset: it is `building` from now on, and then `complete`, or `error` with the reason.
///
/// # Errors
/// 409 when it is being built, or is complete; 422 when it has no elements.
pub async fn build(engine: &Engine, actor: &Actor, id: DatasetId) -> Result<Whole> {
    let task = engine.id(runyard_domain::id::uuid_v7).to_string();
    let changed = change(engine, actor, id, move |tx, dataset, _| {
        match dataset.state {
            State::Building => return Err(state_conflict(dataset, "build", "wait until it is complete")),
            State::Complete => {
                return Err(state_conflict(
                    dataset,
                    "build",
                    "open it again first, which deletes its archive",
                ));
            }
            State::Open | State::Error => {}
        }
        let sets = store::dataset::sets(tx, id)?;
        if sets.iter().all(|set| set.elements == 0) {
            return Err(Error::conflict(format!(
                "cannot build dataset `{}`: it has no elements; add some first",
                dataset.name
            )));
        }
        (dataset.state, dataset.error, dataset.task_id) = (State::Building, None, Some(task.clone()));
        rows::let_go(tx, id)?;
        Ok(())
    });
    let built = changed.await?.0;
    engine.signals.build();
    Ok(built)
}

/// Builds what is to be built, for ever: it may be dropped at any time, and the next one begins again what was not finished.
pub async fn run(engine: Engine) {
    let server = engine.options.server_id.clone();
    if let Err(error) = engine.db.write(move |tx| rows::let_go_all(tx, &server)).await {
        tracing::warn!("could not begin unfinished builds again, and tries later: {error}");
    }
    let _ = tokio::fs::remove_dir_all(engine.options.cache_dir.join(FOLDER)).await;
    loop {
        match next(&engine).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!("could not build a dataset, and tries again: {error}"),
        }
        tokio::select! {
            () = engine.signals.built() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Builds the next dataset that is to be built; `false`: there is none.
pub async fn next(engine: &Engine) -> Result<bool> {
    let Some(taken) = take(engine).await? else { return Ok(false) };
    finish(engine, taken).await
}

/// Takes the next dataset that is to be built.
pub(super) async fn take(engine: &Engine) -> Result<Option<Whole>> {
    let (now, server) = (engine.now(), engine.options.server_id.clone());
    let take = move |tx: &mut Tx| {
        let taken = rows::take(tx, &server, now, now.plus(LEASE_MS))?;
        taken.map(|dataset| whole(tx, dataset)).transpose()
    };
    engine.db.write(take).await
}

/// Builds what was taken.
pub(super) async fn finish(engine: &Engine, taken: Whole) -> Result<bool> {
    let task = taken.dataset.task_id.clone().unwrap_or_default();
    let made = {
        let keep = keep(engine, taken.dataset.id, &task);
        tokio::select! {
            made = make(engine, &taken, &task) => made,
            () = keep => {
                tracing::info!(dataset = %taken.dataset.id, "the build was superseded");
                return Ok(true);
            }
        }
    };
    let _ = tokio::fs::remove_dir_all(folder(engine, taken.dataset.id)).await;
    match made {
        Err(error @ Error::Busy(_)) => {
            // The build stays this server's, and is begun again.
            let id = taken.dataset.id;
            engine.db.write(move |tx| rows::let_go(tx, id)).await?;
            Err(error)
        }
        made => settle(engine, taken.dataset, task, made).await.map(|()| true),
    }
}

/// Renews the lease of a build until it is another's.
async fn keep(engine: &Engine, id: DatasetId, task: &str) {
    loop {
        tokio::time::sleep(Duration::from_millis(LEASE_MS.unsigned_abs() / 3)).await;
        let (until, server, task) =
            (engine.now().plus(LEASE_MS), engine.options.server_id.clone(), task.to_owned());
        let renewed = engine.db.write(move |tx| rows::renew(tx, id, &task, &server, until)).await;
        if matches!(renewed, Ok(false)) {
            return;
        }
    }
}

/// Writes the end of a build, if it is still this one; what was stored for nothing is freed.
async fn settle(engine: &Engine, dataset: Dataset, task: String, made: Result<Archive>) -> Result<()> {
    let (now, server, id) = (engine.now(), engine.options.server_id.clone(), dataset.id);
    let archive = made.map_err(|error| error.to_string());
    if let Err(error) = &archive {
        tracing::warn!(dataset = %id, "its archive could not be made: {error}");
    }
    engine
        .db
        .write(move |tx| {
            let Some(mut dataset) = rows::held(tx, id, &task, &server)? else {
                if let Ok(archive) = &archive {
                    store::source::discard_object(tx, &archive.key, now)?;
                }
                return Ok(());
            };
            match &archive {
                Ok(archive) => (dataset.state, dataset.archive) = (State::Complete, Some(archive.clone())),
                Err(error) => (dataset.state, dataset.error) = (State::Error, Some(error.clone())),
            }
            dataset.updated_at = now;
            rows::let_go(tx, id)?;
            Ok::<_, Error>(store::dataset::save(tx, &dataset)?)
        })
        .await?;
    garbage::collect(engine).await.map(drop)
}

fn folder(engine: &Engine, id: DatasetId) -> PathBuf {
    engine.options.cache_dir.join(FOLDER).join(id.to_string())
}

/// Makes the archive and stores it.
async fn make(engine: &Engine, taken: &Whole, task: &str) -> Result<Archive> {
    let id = taken.dataset.id;
    let folder = folder(engine, id);
    // What a killed build left.
    let _ = tokio::fs::remove_dir_all(&folder).await;
    let content = folder.join("content");
    let images = content.join(files::FOLDER);
    tokio::fs::create_dir_all(&images).await.map_err(|error| on_disk(&images, &error))?;
    let count = gather(engine, taken, task, &content).await?;
    let packed = folder.join(files::name(id));
    let (from, to) = (content, packed.clone());
    let done = blocking(move || {
        let file = std::fs::File::create(&to).map_err(|error| on_disk(&to, &error))?;
        let options =
            PackOptions { max_bytes: MAX_BYTES, max_entries: MAX_ENTRIES, ..PackOptions::default() };
        pack(&from, std::io::BufWriter::new(file), &options)
            .map_err(|error| Error::Internal(error.to_string()))
    })
    .await?;
    // A key of its own for every build and every server: one that was given up for dead, and goes on, touches no other's. A server
    // that begins its own build again writes over what it left.
    let server = &engine.options.server_id;
    let key = format!("{}{task}/{server}/{}", files::prefix(id), files::name(id));
    let stored = store_file(engine, &key, &packed).await?;
    if stored.sha256 != done.digest {
        return Err(Error::Internal("the archive changed on its way to the object store".to_owned()));
    }
    Ok(Archive { key, size: stored.size as i64, sha256: stored.sha256, files: count })
}

/// Writes the database and brings the images; answers how many of them there are.
async fn gather(engine: &Engine, taken: &Whole, task: &str, content: &Path) -> Result<i64> {
    let names: Vec<String> = taken.sets.iter().map(|set| set.name.clone()).collect();
    let start: runyard_domain::RunId =
        task.parse().map_err(|error| Error::Internal(format!("a build: {error}")))?;
    let (path, dataset, ids) = (content.join("db.sqlite"), taken.dataset.clone(), Series::after(start.0));
    let mut file = blocking(move || Ok(CacheFile::create(&path, &dataset, &names, ids)?)).await?;
    let (mut after, mut count) = (None::<(String, ElementId)>, 0);
    let mut brought = std::collections::HashSet::new();
    loop {
        let (id, from) = (taken.dataset.id, after.clone());
        let read = move |tx: &mut Tx| {
            let from = from.as_ref().map(|(set, element)| (set.as_str(), *element));
            let members = store::dataset::members(tx, id, None, from, PAGE)?;
            let last = members.last().map(|member| (member.set.clone(), member.element_id));
            let full = members.len() as i64 == PAGE;
            Ok::<_, Error>((cache_file::read(tx, members)?, last.filter(|_| full)))
        };
        let (page, last) = engine.db.read(read).await?;
        for image in &page.images {
            if brought.insert(image.id) && files::bring(engine, image, &content.join(files::FOLDER)).await? {
                count += 1;
            }
        }
        file = blocking(move || {
            file.write(&page)?;
            Ok(file)
        })
        .await?;
        let Some(last) = last else { break };
        after = Some(last);
    }
    blocking(move || Ok(file.finish()?)).await?;
    Ok(count)
}

async fn store_file(engine: &Engine, key: &str, path: &Path) -> Result<runyard_objects::Put> {
    let file = tokio::fs::File::open(path).await.map_err(|error| on_disk(path, &error))?;
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (bytes::Bytes::from(piece), file)))
    });
    Ok(engine.objects.put_stream(key, Box::pin(pieces), u64::MAX).await?)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal(format!("building a dataset: {error}")))?
}

fn on_disk(path: &Path, error: &std::io::Error) -> Error {
    Error::Internal(format!("{}: {error}", path.display()))
}
