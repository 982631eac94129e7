use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::stream;
use runyard_domain::{Millis, token::Scope};

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
