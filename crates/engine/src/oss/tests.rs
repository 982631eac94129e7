//! What happens to buckets and their objects, on both databases and objects in a folder.

mod channels;
mod garbage;
mod multipart;
mod objects;

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use runyard_domain::RunId;
use runyard_store::{Db, both};

use super::{
    list::{After, Entry, Wanted},
    put::NewObject,
    *,
};
use crate::{
    Engine,
    tests::{Stopped, engine_on},
};

/// An engine with the project `default` and a clock that is moved by hand.
struct Yard {
    engine: Engine,
    clock: Arc<Stopped>,
    admin: Actor,
    project: ProjectId,
    folder: tempfile::TempDir,
}

impl Yard {
    async fn on(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        clock.0.store(1_700_000_000_000, Ordering::Relaxed);
        let engine = engine_on(db, clock.clone(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        let project = crate::project::get(&engine, &admin, "default").await.unwrap().id;
        Self { engine, clock, admin, project, folder }
    }

    fn later(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// Another project, and who has a token of it.
    async fn stranger(&self) -> Actor {
        let name = "other".to_owned();
        let made = crate::project::create(&self.engine, &self.admin, name, String::new(), None).await;
        of_project(made.unwrap().id)
    }

    async fn put(&self, key: &str, text: &'static str) -> Object {
        put::put(&self.engine, &self.admin, new(key), bytes(text)).await.unwrap()
    }

    async fn read(&self, key: &str) -> String {
        self.range(key, 0..u64::MAX).await
    }

    async fn range(&self, key: &str, range: std::ops::Range<u64>) -> String {
        let (_, object) = read::find(&self.engine, &self.admin, "data", key).await.unwrap();
        let found = read::read(&self.engine, &object, range).await.unwrap();
        String::from_utf8(found.try_collect::<Vec<_>>().await.unwrap().concat()).unwrap()
    }

    /// Bytes of everything that is stored for buckets.
    async fn stored(&self) -> u64 {
        crate::garbage::collect(&self.engine).await.unwrap();
        self.engine.objects.list("oss").await.unwrap().iter().map(|object| object.size).sum()
    }

    async fn names(&self, prefix: &str, delimiter: &str, after: After, limit: usize) -> (Vec<String>, bool) {
        let (bucket, prefix, delimiter) = ("data".to_owned(), prefix.to_owned(), delimiter.to_owned());
        let wanted = Wanted { bucket, prefix, delimiter, after, limit };
        let page = list::list(&self.engine, &self.admin, wanted).await.unwrap();
        let shown = |entry: &Entry| match entry {
            Entry::Object(object) => object.key.clone(),
            Entry::Prefix(prefix) => format!("[{prefix}]"),
        };
        (page.entries.iter().map(shown).collect(), page.truncated)
    }
}

fn new(key: &str) -> NewObject {
    NewObject { bucket: "data".into(), key: key.into(), ..NewObject::default() }
}

fn bytes(text: &'static str) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin {
    stream::iter([Ok(Bytes::from_static(text.as_bytes()))])
}

fn start() -> After {
    After::Key(String::new())
}
