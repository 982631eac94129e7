use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::stream;
use runyard_domain::{
    JobId, Millis,
    resources::{Demand, Resources},
    token::Scope,
};
use runyard_executors::{self as executors, Capacity, Executor, Job, Observation};

use super::*;
use crate::{Actor, tests::Stopped};

fn admin() -> Actor {
    Actor { token_id: None, name: "ann".to_owned(), scope: Scope::Admin }
}

async fn put(engine: &Engine, key: &str) {
    let bytes = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"12345"))]);
    engine.objects.put_stream(key, bytes, 100).await.unwrap();
}

/// As if it had been stored some time ago.
fn age(folder: &Path, key: &str, age: Duration) {
    let file = fs::File::options().write(true).open(folder.join(key)).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn of(freed: &[(gc::Kind, Freed)], kind: gc::Kind) -> Freed {
    freed.iter().find(|(own, _)| *own == kind).unwrap().1
}

#[tokio::test]
async fn objects_that_no_row_knows_go_after_a_day_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Stopped::default());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    clock.0.store(now, std::sync::atomic::Ordering::Relaxed);
    let engine = crate::tests::engine(clock, folder.path());
    let digest = |n: u8| format!("{n:064x}");
    let id = runyard_domain::FileSetId::new(Millis(now), [1; 10]);
    let run = runyard_domain::RunId::new(Millis(now), [2; 10]);
    let known = source::key(&digest(1));
    let orphans = [
        source::key(&digest(2)),
        format!("runs/{run}/checkpoints/{id}/a"),
        format!("runs/{run}/loose/a"),
        format!("models/{run}/{id}/archive.tar.zst"),
    ];
    let young = source::key(&digest(3));
    let strange = ["sources/notes.txt", "runs/x", "elsewhere/a", "models/x/y/z"];
    for key in orphans.iter().map(String::as_str).chain(strange).chain([known.as_str(), young.as_str()]) {
        put(&engine, key).await;
        if key != young {
            age(folder.path(), key, Duration::from_hours(25));
        }
    }
    let kept = digest(1);
    engine
        .db
        .write(move |tx| Ok::<_, Error>(store::source::insert(tx, &kept, 5, Millis(now))?))
        .await
        .unwrap();

    let dry = gc::Wanted { dry_run: true, ..gc::Wanted::default() };
    let found = gc::run(&engine, &admin(), dry).await.unwrap();
    assert_eq!(of(&found, gc::Kind::Orphans), Freed { count: 4, bytes: 20 });
    assert!(orphans.iter().all(|key| folder.path().join(key).exists()), "nothing was freed");
    let freed = gc::run(&engine, &admin(), gc::Wanted::default()).await.unwrap();
    assert_eq!(of(&freed, gc::Kind::Orphans), Freed { count: 4, bytes: 20 });
    assert!(orphans.iter().all(|key| !folder.path().join(key).exists()));
    assert!(strange.iter().all(|key| folder.path().join(key).exists()));
    assert!(folder.path().join(&known).exists() && folder.path().join(&young).exists());
    let again = gc::run(&engine, &admin(), gc::Wanted::default()).await.unwrap();
    assert!(again.iter().all(|(_, freed)| *freed == Freed::default()), "{again:?}");
}

#[tokio::test]
async fn sources_that_nothing_refers_to_go_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Stopped::default());
    let engine = crate::tests::engine(clock.clone(), folder.path());
    let digest = "a".repeat(64);
    put(&engine, &source::key(&digest)).await;
    engine
        .db
        .write(move |tx| Ok::<_, Error>(store::source::insert(tx, &digest, 5, Millis(0))?))
        .await
        .unwrap();
    let freed = gc::run(&engine, &admin(), gc::Wanted::default()).await.unwrap();
    assert_eq!(of(&freed, gc::Kind::Sources), Freed::default(), "it is young");
    clock.0.store(UNUSED_SOURCE_MS + 1, std::sync::atomic::Ordering::Relaxed);
    let dry = gc::Wanted { dry_run: true, ..gc::Wanted::default() };
    for wanted in [dry, gc::Wanted::default()] {
        let freed = gc::run(&engine, &admin(), wanted).await.unwrap();
        assert_eq!(of(&freed, gc::Kind::Sources), Freed { count: 1, bytes: 5 });
    }
}

/// A job whose runner is about to leave, but has not left.
struct Leaving(std::sync::atomic::AtomicUsize);

#[async_trait::async_trait]
impl Executor for Leaving {
    fn name(&self) -> &'static str {
        "local"
    }

    fn check(&self, _: &Demand, _: &Resources) -> std::result::Result<(), String> {
        Ok(())
    }

    fn capacity(&self) -> Capacity {
        Capacity::default()
    }

    async fn submit(&self, _: &Job) -> std::result::Result<(), executors::Error> {
        Ok(())
    }

    async fn poll(&self, jobs: &[Arc<Job>], _: Millis) -> Vec<Observation> {
        jobs.iter().map(|_| Observation::Absent).collect()
    }

    async fn terminate(&self, _: &Job, _: Millis) -> std::result::Result<bool, executors::Error> {
        Ok(false)
    }

    async fn kill(&self, _: &Job) -> std::result::Result<(), executors::Error> {
        Ok(())
    }

    async fn release(&self, _: JobId) -> std::result::Result<(), executors::Error> {
        Ok(())
    }

    async fn delete(&self, _: JobId) -> std::result::Result<i64, executors::Error> {
        match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 => Err(executors::Error::Unavailable("it still has a runner".to_owned())),
            _ => Ok(7),
        }
    }

    async fn changed(&self) {}
}

#[tokio::test]
async fn what_a_runner_still_holds_is_freed_soon_after_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = crate::tests::engine(Arc::default(), folder.path());
    let executor = Arc::new(Leaving(0.into()));
    Arc::get_mut(&mut engine.0).unwrap().executors.push(executor.clone());
    let again = tokio::spawn(collect_again(engine.clone()));
    let job = JobId::new(Millis(1), [1; 10]);
    let discard = move |tx: &mut Tx| Ok::<_, Error>(store::source::discard_job(tx, "local", job, Millis(0))?);
    engine.db.write(discard).await.unwrap();
    assert_eq!(collect(&engine).await.unwrap(), 0, "it has a runner");
    let began = tokio::time::Instant::now();
    let left = async || {
        engine.db.read(|tx| Ok::<_, Error>(store::source::garbage(tx, Millis(1), 9)?)).await.unwrap()
    };
    while !left().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed() < Duration::from_mins(1), "it is not tried again");
    }
    assert_eq!(executor.0.load(std::sync::atomic::Ordering::Relaxed), 3);
    again.abort();
}
