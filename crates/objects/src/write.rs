//! Writing an object in a folder: staged, hashed on the way, made durable, then renamed into place.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::{Error, Put, blocking, folder::Folder, hex};

/// Chunks are gathered to about this size before they go to the disk.
const BATCH_BYTES: usize = 1 << 20;

/// Bytes that are written to a file from an offset on, hashed meanwhile.
pub(crate) struct Body<Hash> {
    pub(crate) file: File,
    pub(crate) hash: Hash,
    pub(crate) size: u64,
    offset: u64,
}

/// Bytes on their way; dropped without being published, they leave nothing behind.
pub(crate) struct Staged<Hash> {
    file: StagedFile,
    body: Body<Hash>,
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
pub(crate) async fn stage<S, E>(folder: &Arc<Folder>, stream: S, limit: u64) -> Result<Staged<Sha256>, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let folder = Arc::clone(folder);
    fill(move || Staged::create(folder), Staged::append, stream, limit, &Notify::new()).await
}

/// Makes exactly the bytes that were announced the object `key`; others are not stored.
pub(crate) async fn put_exactly<S, E>(
    folder: &Arc<Folder>,
    key: &str,
    size: u64,
    md5: [u8; 16],
    stream: S,
) -> Result<(), Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let folder = Arc::clone(folder);
    let staged: Staged<Md5> =
        fill(move || Staged::create(folder), Staged::append, stream, size, &Notify::new()).await?;
    check(size, &md5, &staged.body)?;
    let (Staged { file, body }, key) = (staged, key.to_owned());
    blocking(move || publish(&file, &body.file, &key)).await
}

/// Whether what came is what was announced.
pub(crate) fn check(said: u64, md5: &[u8; 16], body: &Body<Md5>) -> Result<(), Error> {
    if body.size < said {
        return Err(Error::TooSmall { said, got: body.size });
    }
    let digest = body.hash.clone().finalize();
    if digest[..] == md5[..] { Ok(()) } else { Err(Error::WrongDigest { said: hex(md5), got: hex(&digest) }) }
}

/// Passes the stream to `append` in batches, on the threads that wait for the disk: it writes one batch while the
/// next one is gathered. Never two at once, and also when this is dropped the sink goes only after its last batch.
pub(crate) async fn fill<T, S, E>(
    open: impl FnOnce() -> Result<T, Error> + Send + 'static,
    append: fn(&mut T, &[Bytes]) -> Result<(), Error>,
    stream: S,
    limit: u64,
    stop: &Notify,
) -> Result<T, Error>
where
    T: Send + 'static,
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut writing = tokio::task::spawn_blocking(open);
    let mut stream = pin!(stream);
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    let mut size: u64 = 0;
    loop {
        let chunk = tokio::select! {
            biased;
            () = stop.notified() => return Err(Error::Superseded),
            chunk = stream.next() => chunk,
        };
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            let chunk = chunk.map_err(|error| Error::Interrupted(error.into()))?;
            size += chunk.len() as u64;
            if size > limit {
                return Err(Error::TooLarge { limit });
            }
            batch_bytes += chunk.len();
            batch.push(chunk);
        }
        if ended || batch_bytes >= BATCH_BYTES {
            let mut sink = joined(writing.await)?;
            let full = std::mem::take(&mut batch);
            batch_bytes = 0;
            writing = tokio::task::spawn_blocking(move || append(&mut sink, &full).map(|()| sink));
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

/// A name that no other write under way has.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // The time keeps apart processes that share the place from machines of their own (same pid).
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{nanos}-{}-{count}", std::process::id())
}

impl<Hash: Digest + Send> Body<Hash> {
    pub(crate) fn new(file: File, offset: u64) -> Self {
        Self { file, hash: Hash::new(), size: 0, offset }
    }

    /// Writes and hashes the chunks, each on a thread of its own: of the two, neither waits for the other.
    pub(crate) fn append(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        let (file, hash, mut at) = (&self.file, &mut self.hash, self.offset + self.size);
        std::thread::scope(|threads| {
            threads.spawn(move || chunks.iter().for_each(|chunk| hash.update(chunk)));
            for chunk in chunks {
                file.write_all_at(chunk, at)?;
                at += chunk.len() as u64;
            }
            Ok::<_, io::Error>(())
        })?;
        self.size = at - self.offset;
        Ok(())
    }
}

impl<Hash: Digest + Send> Staged<Hash> {
    fn create(folder: Arc<Folder>) -> Result<Self, Error> {
        let name = unique_name();
        let body = Body::new(folder.create_staged(&name)?, 0);
        Ok(Self { file: StagedFile { folder, name }, body })
    }

    fn append(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        self.body.append(chunks).map_err(|error| self.file.folder.fail("store", &self.file.name, error))
    }
}

impl Staged<Sha256> {
    /// Makes the bytes the object that `name` says, given their digest.
    pub(crate) async fn publish(self, name: impl FnOnce(&str) -> String) -> Result<Put, Error> {
        let Self { file, body } = self;
        let sha256 = hex(&body.hash.finalize());
        let put = Put { key: name(&sha256), size: body.size, sha256 };
        blocking(move || publish(&file, &body.file, &put.key).map(|()| put)).await
    }
}

fn publish(file: &StagedFile, handle: &File, key: &str) -> Result<(), Error> {
    handle.sync_all().map_err(|error| file.folder.fail("store", key, error))?;
    file.folder.publish(&file.name, key)
}
