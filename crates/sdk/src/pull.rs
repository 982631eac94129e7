//! Brings a model version into a folder: extracted while it is downloaded, every digest verified, there as a whole or not
//! at all. Never touches a folder that holds something else.

use std::{
    io::{self, Read},
    path::Path,
    pin::pin,
};

use bytes::{Buf as _, Bytes};
use futures::{Stream, StreamExt as _};
use runyard_archive::{
    extract,
    model::{self, Expected, ModelLimits},
};
use runyard_client::{Client, Error as ClientError};
use runyard_wire::model::ModelVersion;
use tokio::sync::mpsc;

use crate::{Error, error::blocking, publish};

/// Pieces of the download that wait for the extraction.
const WAITING: usize = 16;

/// What came of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// It was brought.
    New,
    /// The folder held exactly this version.
    There,
}

/// Brings an available version into `folder`, which must be missing, empty, or hold the version already. `progress` hears of
/// the bytes of the archive as they come. When `stop` ends first, nothing is left.
pub async fn pull(
    client: &Client,
    version: &ModelVersion,
    folder: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
    stop: impl Future<Output = ()> + Send,
) -> Result<Pulled, Error> {
    let id = usable(version)?;
    if is_taken(folder)? {
        return holds(folder, version).await;
    }
    let (_, download) = client.fetch_model_archive(id).await?;
    let (giving, pieces) = mpsc::channel(WAITING);
    let expected =
        Expected { archive_sha256: version.archive_sha256.clone(), tree_digest: version.tree_digest.clone() };
    let (place, limits) = (folder.to_owned(), limits(version));
    let extracting = tokio::task::spawn_blocking(move || {
        let reader = Pieces { pieces, piece: Bytes::new() };
        model::extract_model(reader, &place, &limits, &expected)
    });
    let brought = tokio::select! {
        brought = bring(download, &giving, progress) => brought,
        () = stop => Err(Error::Stopped),
    };
    if brought.is_err() {
        // What was extracted so far must not look like all of it.
        let _ = giving.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
    }
    drop(giving);
    let extracted =
        extracting.await.map_err(|error| Error::Local { what: "extracting ended", cause: error.into() })?;
    brought?;
    extracted?;
    Ok(Pulled::New)
}

fn usable(version: &ModelVersion) -> Result<&str, Error> {
    let id = version.id.as_deref().unwrap_or_default();
    match version.state.as_deref() {
        Some("available") => Ok(id),
        state => {
            let reason = version.reason.as_deref().or(state).unwrap_or("its state is not known");
            Err(Error::Unavailable { id: id.to_owned(), reason: reason.to_owned() })
        }
    }
}

/// Whether there is anything at the place already.
fn is_taken(folder: &Path) -> Result<bool, Error> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_symlink() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Error::Local { what: "cannot look into the folder", cause: error })
        }
        Err(_) => Err(Error::Occupied(folder.to_owned())),
    }
}

/// Whether what is in the folder is the version, bit by bit.
async fn holds(folder: &Path, version: &ModelVersion) -> Result<Pulled, Error> {
    let own = folder.to_owned();
    let found = blocking(move || model::survey(&own, &publish::limits()).and_then(|all| model::digest(&all)));
    match found.await? {
        Ok(summary) if Some(&summary.tree_digest) == version.tree_digest.as_ref() => Ok(Pulled::There),
        _ => Err(Error::Occupied(folder.to_owned())),
    }
}

/// As much as the version says, and not a byte more.
fn limits(version: &ModelVersion) -> extract::Limits {
    let limits = publish::limits();
    let size = version.size.and_then(|size| u64::try_from(size).ok());
    ModelLimits { max_bytes: size.unwrap_or(limits.max_bytes), ..limits }.reading()
}

/// Hands on what comes. Ends early when nobody takes it any more: then the extraction says why.
async fn bring(
    download: impl Stream<Item = Result<Bytes, ClientError>>,
    giving: &mpsc::Sender<io::Result<Bytes>>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), Error> {
    let mut download = pin!(download);
    while let Some(piece) = download.next().await {
        let piece = piece?;
        let bytes = piece.len() as u64;
        if giving.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
        progress(bytes);
    }
    Ok(())
}

/// Pieces of a download as something to read.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
