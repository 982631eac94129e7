//! Writing an object in a folder: staged, hashed on the way, made durable, then renamed into place.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{FileExt, MetadataExt as _},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use runyard_domain::ChecksumKind;
use tokio::sync::Notify;

use crate::{Checksum, Error, Put, SignedPut, Size, blocking, checksum::Hash, folder::Folder};

/// Chunks are gathered to about this size before they go to the disk.
const BATCH_BYTES: usize = 1 << 20;
/// A file is read in pieces of this size.
const READ_BYTES: usize = 256 << 10;
/// A file is copied in pieces of this size.
const COPY_BYTES: u64 = 32 << 20;

/// Bytes that are written to a file from an offset on, hashed meanwhile.
pub(crate) struct Body {
    pub(crate) file: File,
    pub(crate) hash: Hash,
    pub(crate) size: u64,
    offset: u64,
}

/// Bytes on their way; dropped without being published, they leave nothing behind.
pub(crate) struct Staged {
    file: StagedFile,
    body: Body,
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
    let open = move || Staged::create(folder, ChecksumKind::Sha256);
    fill(open, Staged::append, stream, limit, &Notify::new()).await
}

/// Makes a copy of the file the object, if the file is left alone meanwhile. The kernel copies while another thread hashes.
pub(crate) fn copy(folder: Arc<Folder>, source: &File, key: String) -> Result<Option<Put>, Error> {
    let Ok(before) = stamp(source) else { return Ok(None) };
    let size = before.0;
    let Staged { file, mut body } = Staged::create(folder, ChecksumKind::Sha256)?;
    let hash = &mut body.hash;
    let to = &body.file;
    let copy = || {
        let mut done = 0;
        while done < size {
            let copied = io::copy(&mut source.take(COPY_BYTES.min(size - done)), &mut &*to)?;
            if copied == 0 {
                break;
            }
            // The disk begins to write while the rest is copied. Advice that is not taken costs time only.
            let (from, length) = (done.cast_signed(), copied.cast_signed());
            let _ = posix_fadvise(to, from, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            done += copied;
        }
        to.sync_all().map(|()| done)
    };
    let (hashed, copied) = if size <= BATCH_BYTES as u64 {
        (hash_file(source, size, hash), copy())
    } else {
        std::thread::scope(|threads| {
            let hashing = threads.spawn(move || hash_file(source, size, hash));
            let copied = copy();
            (hashing.join().unwrap_or_else(|broken| std::panic::resume_unwind(broken)), copied)
        })
    };
    // Whoever cannot be read any more is not what it was, and no fault of ours.
    if !hashed.is_ok_and(|hashed| hashed == size) || !stamp(source).is_ok_and(|now| now == before) {
        return Ok(None);
    }
    if copied.map_err(|error| file.folder.fail("store", &key, error))? != size {
        return Ok(None);
    }
    let put = Put { sha256: body.hash.finish().hex(), size, key };
    publish(&file, &body.file, &put.key).map(|()| Some(put))
}

/// What changes with the bytes of a file.
fn stamp(file: &File) -> io::Result<(u64, i64, i64)> {
    let found = file.metadata()?;
    Ok((found.len(), found.mtime(), found.mtime_nsec()))
}

/// Hashes the first `size` bytes; answers how many there were.
fn hash_file(file: &File, size: u64, hash: &mut Hash) -> io::Result<u64> {
    let mut buffer = vec![0; READ_BYTES];
    let mut done = 0;
    while done < size {
        let wanted = READ_BYTES.min(usize::try_from(size - done).unwrap_or(READ_BYTES));
        match file.read_at(&mut buffer[..wanted], done) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&buffer[..read]);
                done += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The digest that a PUT is answered with: the one that is bound, or, as an S3 store would, MD5.
pub(crate) fn kind_of(put: &SignedPut) -> ChecksumKind {
    put.checksum.map_or(ChecksumKind::Md5, |checksum| checksum.kind())
}

/// Makes the bytes that were signed the object; others are not stored.
pub(crate) async fn put_whole<S, E>(
    folder: &Arc<Folder>,
    put: &SignedPut,
    stream: S,
) -> Result<Checksum, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (folder, kind) = (Arc::clone(folder), kind_of(put));
    let open = move || Staged::create(folder, kind);
    let staged = fill(open, Staged::append, stream, put.size.limit(), &Notify::new()).await?;
    let checksum = check(put, &staged.body)?;
    let (Staged { file, body }, key) = (staged, put.key.clone());
    blocking(move || publish(&file, &body.file, &key)).await?;
    Ok(checksum)
}

/// The digest of what came, if that is what was signed.
pub(crate) fn check(put: &SignedPut, body: &Body) -> Result<Checksum, Error> {
    if let Size::Exactly(said) = put.size
        && body.size < said
    {
        return Err(Error::TooSmall { said, got: body.size });
    }
    let got = body.hash.clone().finish();
    match put.checksum {
        Some(said) if said != got => {
            Err(Error::WrongDigest { kind: said.kind(), said: said.hex(), got: got.hex() })
        }
        _ => Ok(got),
    }
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

impl Body {
    pub(crate) fn new(file: File, kind: ChecksumKind, offset: u64) -> Self {
        Self { file, hash: Hash::new(kind), size: 0, offset }
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

impl Staged {
    fn create(folder: Arc<Folder>, kind: ChecksumKind) -> Result<Self, Error> {
        let name = unique_name();
        let body = Body::new(folder.create_staged(&name)?, kind, 0);
        Ok(Self { file: StagedFile { folder, name }, body })
    }

    fn append(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        self.body.append(chunks).map_err(|error| self.file.folder.fail("store", &self.file.name, error))
    }

    /// Makes the bytes the object that `name` says, given their SHA-256.
    pub(crate) async fn publish(self, name: impl FnOnce(&str) -> String) -> Result<Put, Error> {
        let Self { file, body } = self;
        let sha256 = body.hash.finish().hex();
        let put = Put { key: name(&sha256), size: body.size, sha256 };
        blocking(move || publish(&file, &body.file, &put.key).map(|()| put)).await
    }
}

fn publish(file: &StagedFile, handle: &File, key: &str) -> Result<(), Error> {
    handle.sync_all().map_err(|error| file.folder.fail("store", key, error))?;
    file.folder.publish(&file.name, key)
}
