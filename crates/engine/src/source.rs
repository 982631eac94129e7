//! Sources: packed folders of code, stored once per content.

pub(crate) mod gather;

use bytes::Bytes;
use futures::Stream;
use runyard_objects::ByteStream;
use runyard_store as store;

pub use gather::{Gathered, gather};

use crate::{Actor, Engine, Error, Result};

/// Largest packed source, in bytes.
pub const MAX_BYTES: i64 = 512 << 20;

/// A stored source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Hex SHA-256 of the packed bytes.
    pub digest: String,
    /// Packed bytes.
    pub size: i64,
}

/// Where the object of a source is.
pub(crate) fn key(digest: &str) -> String {
    format!("sources/{digest}.tar.zst")
}

/// Stores a source under the digest of its bytes. The same bytes again change nothing.
pub async fn put<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    engine: &Engine,
    actor: &Actor,
    bytes: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
) -> Result<Source> {
    if matches!(actor.scope, runyard_domain::token::Scope::Run(..)) {
        return Err(Error::Forbidden("the token of a run cannot upload sources".to_owned()));
    }
    // A slow upload must not keep garbage from being freed: only its last step takes the lock.
    let put = engine.objects.put_stream_hashed("sources/", ".tar.zst", bytes, MAX_BYTES as u64).await?;
    let _uploads = engine.uploads.lock().await;
    let source = Source { digest: put.sha256, size: put.size as i64 };
    if engine.objects.size(&key(&source.digest)).await?.is_none() {
        return Err(Error::Busy("the source was deleted while it was uploaded: upload it again".to_owned()));
    }
    let (row, now) = (source.clone(), engine.now());
    engine
        .db
        .write(move |tx| {
            store::source::insert(tx, &row.digest, row.size, now)?;
            let wanted = store::source::Garbage { kind: "object".to_owned(), key: key(&row.digest) };
            Ok::<_, Error>(store::source::forget_garbage(tx, &wanted)?)
        })
        .await?;
    Ok(source)
}

/// Whether a source is there, and how large it is.
pub async fn head(engine: &Engine, digest: &str) -> Result<Source> {
    let wanted = digest.to_owned();
    let size = engine.db.read(move |tx| Ok::<_, Error>(store::source::size(tx, &wanted)?)).await?;
    match size {
        Some(size) => Ok(Source { digest: digest.to_owned(), size }),
        None => Err(Error::not_found("source", digest)),
    }
}

/// The bytes of a source.
pub async fn get(engine: &Engine, digest: &str) -> Result<(Source, ByteStream)> {
    let source = head(engine, digest).await?;
    let (_, stream) = engine.objects.get_stream(&key(digest)).await?;
    Ok((source, stream))
}
