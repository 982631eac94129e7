use std::sync::{Arc, OnceLock, atomic::AtomicI64, atomic::Ordering};

use runyard_domain::RunId;
use runyard_objects::{FolderSigning, Location};

use super::*;

/// A clock that stands still, or goes where it is told.
#[derive(Default)]
pub(crate) struct Stopped(pub(crate) AtomicI64);

impl Clock for Stopped {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemClock.fill(bytes);
    }
}

/// An engine in memory, with objects in a folder whose addresses it signs.
pub(crate) fn engine(clock: Arc<Stopped>, folder: &std::path::Path) -> Engine {
    engine_on(Db::inline().unwrap(), clock, folder)
}

/// The same on a database of its own.
pub(crate) fn engine_on(db: Db, clock: Arc<Stopped>, folder: &std::path::Path) -> Engine {
    let url = Arc::new(OnceLock::from("http://127.0.0.1:7878".to_owned()));
    let signing = FolderSigning { key: [0; 32], url: Arc::clone(&url) };
    let objects = Location::Folder { path: folder.to_owned(), signing };
    Engine::new(Parts {
        db,
        objects: Objects::open(&objects).unwrap(),
        executors: Vec::new(),
        clock,
        signals: Signals::default(),
        options: Options {
            url,
            server_file: None,
            cache_dir: folder.to_owned(),
            server_id: "test".to_owned(),
            key: [0; 32],
            max_log_bytes: log::DEFAULT_MAX_BYTES,
            instance_types: runyard_domain::instance_type::built_in(),
            keep: garbage::gc::Keep::default(),
        },
        waiting: std::sync::Mutex::default(),
        last_id: std::sync::Mutex::default(),
        uploads: tokio::sync::Mutex::default(),
        models: model::Verifications::default(),
        backup: Arc::default(),
    })
}

#[test]
fn ids_sort_by_creation_within_a_millisecond_and_when_the_clock_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Stopped::default());
    let engine = engine(clock.clone(), folder.path());
    let mut ids = Vec::new();
    for now in [1_000_000, 1_000_001, 999_000] {
        clock.0.store(now, Ordering::Relaxed);
        ids.extend((0..6_000).map(|_| engine.id(RunId::new).to_string()));
    }
    assert!(ids.is_sorted_by(|one, next| one < next));
}
