//! Frees everything that nobody needs, and says how much of what: what was deleted, sources and objects that nothing refers
//! to, and what jobs that have ended left on this machine. Asked to, it only says what it would free.

use std::collections::HashSet;

use runyard_domain::{JobId, Millis};
use runyard_executors::Leftover;
use runyard_store as store;

use super::{Freed, UNUSED_SOURCE_MS, collect_all, orphan};
use crate::{Actor, Engine, Error, Result, file_set, model, oss, project, source};

/// An object is an orphan only when it is older, in milliseconds: who writes one notes it before or soon after.
const ORPHAN_MS: i64 = 24 * 3600 * 1000;

/// How long is kept what jobs leave on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Folders of jobs that have ended and whose every byte is on the server, in milliseconds.
    pub jobs_ms: i64,
    /// Virtual environments that no job has used since, in milliseconds.
    pub environments_ms: i64,
}

impl Default for Keep {
    /// Long enough to look into a job's folder, and for next month's runs to find their environment.
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 3600 * 1000;
        Self { jobs_ms: 7 * DAY_MS, environments_ms: 30 * DAY_MS }
    }
}

/// What to free.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Free nothing, only say what would be.
    pub dry_run: bool,
    /// Another age than the server's.
    pub jobs_ms: Option<i64>,
    /// Another age than the server's.
    pub environments_ms: Option<i64>,
}

/// A kind of things that are freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was deleted, and not freed at once.
    Deleted,
    /// Sources that nothing refers to.
    Sources,
    /// Objects that no row knows.
    Orphans,
    /// Folders of jobs.
    Jobs,
    /// Virtual environments.
    Environments,
}

impl Kind {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Sources => "sources",
            Self::Orphans => "orphans",
            Self::Jobs => "jobs",
            Self::Environments => "environments",
        }
    }
}

/// Frees what nobody needs; answers how much by kind.
///
/// # Errors
/// 403 for whoever is not an admin; 409 while a backup is under way, which may need all of it.
pub async fn run(engine: &Engine, actor: &Actor, wanted: Wanted) -> Result<Vec<(Kind, Freed)>> {
    project::admin(actor, "free what nobody needs")?;
    if !wanted.dry_run && engine.backup.try_read().is_err() {
        return Err(Error::conflict("a backup is under way: nothing is freed until it has ended"));
    }
    let keep = engine.options.keep;
    let jobs_ms = wanted.jobs_ms.unwrap_or(keep.jobs_ms);
    let environments_ms = wanted.environments_ms.unwrap_or(keep.environments_ms);
    Ok(vec![
        (Kind::Deleted, deleted(engine, wanted.dry_run).await?),
        (Kind::Sources, sources(engine, wanted.dry_run).await?),
        (Kind::Orphans, orphans(engine, wanted.dry_run).await?),
        (Kind::Jobs, jobs(engine, jobs_ms, wanted.dry_run).await?),
        (Kind::Environments, environments(engine, environments_ms, wanted.dry_run).await?),
    ])
}

/// What was deleted, and uploads that nobody goes on with.
async fn deleted(engine: &Engine, dry_run: bool) -> Result<Freed> {
    let now = engine.now();
    if !dry_run {
        let give_up = move |tx: &mut store::Tx<'_>| {
            file_set::desert(tx, now)?;
            model::expire(tx, now)?;
            oss::desert(tx, now)
        };
        engine.db.write(give_up).await?;
        return collect_all(engine).await;
    }
    let all = i64::from(i32::MAX);
    let due = engine.db.read(move |tx| Ok::<_, Error>(store::source::garbage(tx, now, all)?)).await?;
    let mut found = Freed::default();
    for garbage in due {
        let bytes = match garbage.kind.as_str() {
            "upload" => 0,
            "object" => engine.objects.size(&garbage.key).await?.unwrap_or(0) as i64,
            "objects" | "late_objects" => {
                engine.objects.list(&garbage.key).await?.iter().map(|object| object.size as i64).sum()
            }
            executor => match (engine.executor(executor), garbage.key.parse()) {
                (Ok(executor), Ok(job)) => executor.size(&Leftover::Job(job)).await.unwrap_or(0),
                _ => 0,
            },
        };
        found.add(bytes);
    }
    Ok(found)
}

async fn sources(engine: &Engine, dry_run: bool) -> Result<Freed> {
    let now = engine.now();
    let before = now.plus(-UNUSED_SOURCE_MS);
    if dry_run {
        let unused = engine.db.read(move |tx| Ok::<_, Error>(store::source::unused(tx, before)?)).await?;
        return Ok(Freed { count: unused.len() as i64, bytes: unused.iter().map(|(_, size)| size).sum() });
    }
    engine
        .db
        .write(move |tx| {
            for digest in store::source::forget_unused(tx, None, before)? {
                store::source::discard_object(tx, &source::key(&digest), now)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    collect_all(engine).await
}

/// Objects that no row knows, as a crash or a restored database leaves them.
pub(crate) async fn orphans(engine: &Engine, dry_run: bool) -> Result<Freed> {
    let now = engine.now();
    let found = orphan::find(engine, now.plus(-ORPHAN_MS)).await?;
    if dry_run {
        return Ok(Freed { count: found.len() as i64, bytes: found.iter().map(|(_, size)| size).sum() });
    }
    for part in found.chunks(1000) {
        let keys: Vec<String> = part.iter().map(|(key, _)| key.clone()).collect();
        engine
            .db
            .write(move |tx| {
                let mut note = |key: &String| store::source::discard_object(tx, key, now);
                Ok::<_, Error>(keys.iter().try_for_each(&mut note)?)
            })
            .await?;
    }
    collect_all(engine).await
}

/// Folders of jobs that have ended, are delivered and have been so for longer than they are kept.
pub(super) async fn jobs(engine: &Engine, keep_ms: i64, dry_run: bool) -> Result<Freed> {
    let of_job = |leftover: &Leftover| match leftover {
        Leftover::Job(job) => Some(*job),
        Leftover::Environment(_) => None,
    };
    let old = old(engine, keep_ms).await;
    let jobs: Vec<JobId> = old.iter().filter_map(|(_, leftover)| of_job(leftover)).collect();
    let needed = engine.db.read(move |tx| Ok::<_, Error>(store::job::still_needed(tx, &jobs)?)).await?;
    let needed: HashSet<JobId> = needed.into_iter().collect();
    let ended = |leftover: &Leftover| of_job(leftover).is_some_and(|job| !needed.contains(&job));
    Ok(free(engine, old.into_iter().filter(|(_, leftover)| ended(leftover)), dry_run).await)
}

/// Virtual environments that no job uses, and has used for longer than they are kept.
pub(super) async fn environments(engine: &Engine, keep_ms: i64, dry_run: bool) -> Result<Freed> {
    let old = old(engine, keep_ms).await;
    let shared = old.into_iter().filter(|(_, leftover)| matches!(leftover, Leftover::Environment(_)));
    Ok(free(engine, shared, dry_run).await)
}

/// What executors keep that nobody uses, and has used within this time; by the executor's place.
async fn old(engine: &Engine, keep_ms: i64) -> Vec<(usize, Leftover)> {
    let before: Millis = engine.now().plus(-keep_ms);
    let mut found = Vec::new();
    for (place, executor) in engine.executors.iter().enumerate() {
        match executor.kept().await {
            Ok(kept) => {
                let old = kept.into_iter().filter(|kept| !kept.in_use && kept.since <= before);
                found.extend(old.map(|kept| (place, kept.what)));
            }
            Err(error) => tracing::warn!("cannot look for what jobs left: {error}"),
        }
    }
    found
}

/// Frees each; what cannot be freed now is tried again next time.
async fn free(engine: &Engine, leftovers: impl Iterator<Item = (usize, Leftover)>, dry_run: bool) -> Freed {
    let mut freed = Freed::default();
    for (place, leftover) in leftovers {
        let executor = &engine.executors[place];
        let bytes = match &leftover {
            any if dry_run => executor.size(any).await.map(Some),
            Leftover::Job(job) => executor.delete(*job).await.map(Some),
            Leftover::Environment(name) => executor.delete_environment(name).await,
        };
        match bytes {
            Ok(Some(bytes)) => freed.add(bytes),
            // Somebody began to use it.
            Ok(None) => {}
            Err(error) => tracing::warn!("could not free what jobs left: {error}"),
        }
    }
    freed
}
