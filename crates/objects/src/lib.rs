//! Bytes in a folder or an object store.
//!
//! Keys are `/`-separated relative names ([`check_key`]). A write is durable and whole, or not visible at all.

use std::{ops::Range, path::PathBuf, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures::stream::BoxStream;

mod folder;
mod key;
mod read;
mod write;

use folder::Folder;
pub use key::check_key;

/// The bytes of an object, in order.
pub type ByteStream = BoxStream<'static, Result<Bytes, Error>>;

/// What went wrong with an object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("there is no object `{0}`")]
    NotFound(String),
    /// The stream was longer than the caller allowed; nothing was stored.
    #[error("more than {limit} bytes were sent: the limit is {limit}")]
    TooLarge {
        /// The largest size that was allowed, in bytes.
        limit: u64,
    },
    /// The key cannot name an object.
    #[error("`{key}` cannot name an object: {reason}")]
    InvalidKey {
        /// The key, cut when it is long.
        key: String,
        /// What is wrong with it, and what a key looks like.
        reason: String,
    },
    /// The disk is full, or a quota is used up.
    #[error("no space is left in {}: free some, or give the server a larger disk", .0.display())]
    NoSpace(PathBuf),
    /// The sender's stream failed before its end; nothing was stored.
    #[error("the bytes stopped coming: {0}")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, with its path.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The object's key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Hex SHA-256 of the bytes.
    pub sha256: String,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was stored.
    pub modified: SystemTime,
}

/// A store of objects. Clones share it.
#[derive(Debug, Clone)]
pub struct Objects {
    folder: Arc<Folder>,
}

impl Objects {
    /// Objects as files below `path`, which is made when it is missing. What writers left half done is removed
    /// once nobody can be writing it any more.
    pub fn open_folder(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self { folder: Arc::new(Folder::open(path.into())?) })
    }

    /// Stores what the stream brings under `key`, in place of what was there. When this answers `Ok` the bytes
    /// are on disk; when it fails, or is dropped, `key` is as it was.
    pub async fn put_stream<S, E>(&self, key: &str, stream: S, limit: u64) -> Result<Put, Error>
    where
        S: futures::Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        check_key(key)?;
        let staged = write::stage(&self.folder, stream, limit).await?;
        staged.publish(|_| key.to_owned()).await
    }

    /// Like [`Objects::put_stream`], under the name that the content gives: `{prefix}{hex SHA-256}{suffix}`, such
    /// as `sources/2c26...e7ae.tar.zst` with the prefix `sources/`.
    pub async fn put_stream_hashed<S, E>(
        &self,
        prefix: &str,
        suffix: &str,
        stream: S,
        limit: u64,
    ) -> Result<Put, Error>
    where
        S: futures::Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let name = |digest: &str| format!("{prefix}{digest}{suffix}");
        check_key(&name(&"0".repeat(64)))?;
        let staged = write::stage(&self.folder, stream, limit).await?;
        staged.publish(name).await
    }

    /// The object's size and its bytes. They stay the same when the object is replaced or deleted meanwhile.
    pub async fn get_stream(&self, key: &str) -> Result<(u64, ByteStream), Error> {
        self.get_range(key, 0..u64::MAX).await
    }

    /// The size of the whole object, and the part of `range` that exists (nothing past its end).
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<(u64, ByteStream), Error> {
        check_key(key)?;
        read::open(&self.folder, key, range).await
    }

    /// The object's size; `None` when there is no such object.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        match self.get_range(key, 0..0).await {
            Ok((size, _)) => Ok(Some(size)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the object; answers the bytes freed: 0 when there was none. May be repeated.
    pub async fn delete(&self, key: &str) -> Result<u64, Error> {
        check_key(key)?;
        let (folder, key) = (Arc::clone(&self.folder), key.to_owned());
        blocking(move || folder.delete(&key)).await
    }

    /// All objects below `prefix` (`sources`, `jobs/42`; empty: all), sorted by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix).to_owned();
        if !prefix.is_empty() {
            check_key(&prefix)?;
        }
        let folder = Arc::clone(&self.folder);
        blocking(move || folder.list(&prefix)).await
    }
}

/// Runs what waits for the disk on a thread of its own; it goes on to its end when the caller is dropped.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
