//! Writing an object: staged, hashed on the way, made durable, then renamed into place.

use std::{
    fs::File,
    io::Write,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use crate::{Error, Put, blocking, folder::Folder, hex};

/// Chunks are gathered to about this size before they go to the disk.
const BATCH_BYTES: usize = 1 << 20;

/// Bytes on their way; dropped without [`Staged::publish`], they leave nothing behind.
pub(crate) struct Staged {
    file: StagedFile,
    handle: File,
    hash: Sha256,
    size: u64,
}

/// Removes the staged file when it goes. After a publish the name is gone already, and this does nothing.
struct StagedFile {
    folder: Arc<Folder>,
    name: String,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        self.folder.remove_staged(&self.name);
    }
}

/// Takes in the whole stream, at most `limit` bytes.
pub(crate) async fn stage<S, E>(folder: &Arc<Folder>, stream: S, limit: u64) -> Result<Staged, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let folder = Arc::clone(folder);
    // The disk writes one batch while the next one is gathered.
    let mut writing = tokio::task::spawn_blocking(move || Staged::create(folder));
    let mut stream = pin!(stream);
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    let mut size: u64 = 0;
    loop {
        let chunk = match stream.next().await {
            Some(Ok(chunk)) => Some(chunk),
            Some(Err(error)) => return Err(Error::Interrupted(error.into())),
            None => None,
        };
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            size += chunk.len() as u64;
            if size > limit {
                return Err(Error::TooLarge { limit });
            }
            batch_bytes += chunk.len();
            batch.push(chunk);
        }
        if ended || batch_bytes >= BATCH_BYTES {
            let mut staged = joined(writing.await)?;
            let full = std::mem::take(&mut batch);
            batch_bytes = 0;
            writing = tokio::task::spawn_blocking(move || staged.append(&full).map(|()| staged));
        }
        if ended {
            return joined(writing.await);
        }
    }
}

fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Staged {
    fn create(folder: Arc<Folder>) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // The time keeps apart processes that share the folder from machines of their own (same pid).
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{nanos}-{}-{count}", std::process::id());
        let handle = folder.create_staged(&name)?;
        Ok(Self { file: StagedFile { folder, name }, handle, hash: Sha256::new(), size: 0 })
    }

    fn append(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        for chunk in chunks {
            let written = self.handle.write_all(chunk);
            written.map_err(|error| self.file.folder.fail("store", &self.file.name, error))?;
            self.hash.update(chunk);
            self.size += chunk.len() as u64;
        }
        Ok(())
    }

    /// Makes the bytes the object that `name` says, given their digest.
    pub(crate) async fn publish(self, name: impl FnOnce(&str) -> String) -> Result<Put, Error> {
        let Self { file, handle, hash, size } = self;
        let sha256 = hex(&hash.finalize());
        let put = Put { key: name(&sha256), size, sha256 };
        blocking(move || {
            handle.sync_all().map_err(|error| file.folder.fail("store", &put.key, error))?;
            file.folder.publish(&file.name, &put.key)?;
            Ok(put)
        })
        .await
    }
}

pub(crate) async fn put_exactly<S, E>(_: &Arc<Folder>, _: &str, _: u64, _: [u8; 16], _: S) -> Result<(), Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
{
    Err(Error::Unavailable("signed writes come with the next commit".into()))
}
