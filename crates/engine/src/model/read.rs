//! Reads an archive once, from where objects are, and says what is in it. What is wrong with the archive and what is wrong
//! with the way to it are told apart: only the first is the sender's fault.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use runyard_archive::{
    Limits, extract,
    model::{Inspected, inspect},
};
use runyard_objects::{ByteStream, Error as ObjectsError};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{Engine, Error, Result};

/// Pieces that wait to be read.
const WAITING: usize = 16;

/// What an archive is; or why it is no archive of a model.
pub(super) type Archive = std::result::Result<Inspected, String>;

/// Reads the object to its end.
pub(super) async fn archive(engine: &Engine, key: &str, limits: Limits) -> Result<Archive> {
    let (_, stream) = engine.objects.get_stream(key).await?;
    let (pipe, pump) = pipe(stream);
    let scratch = scratch(engine)?;
    let inspected = tokio::task::spawn_blocking(move || inspect(pipe, &limits, Some(&scratch))).await;
    let inspected =
        inspected.map_err(|error| Error::Internal(format!("reading an archive did not end: {error}")))?;
    match (inspected, pump.await) {
        (Ok(inspected), _) => Ok(Ok(inspected)),
        (Err(_), Ok(Err(broken))) => Err(broken.into()),
        (Err(extract::Error::Write { path, cause }), _) => {
            Err(Error::Busy(format!("cannot write {} to read an archive: {cause}", path.display())))
        }
        (Err(unfit), _) => Ok(Err(unfit.to_string())),
    }
}

/// Where files without a name go while an archive is read.
fn scratch(engine: &Engine) -> Result<PathBuf> {
    let folder = engine.options.cache_dir.clone();
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::Busy(format!("cannot make {}: {error}", folder.display())))?;
    Ok(folder)
}

/// The bytes of a stream as they come, for who can only wait for them. The task ends with the stream, or with the pipe.
pub(super) fn pipe(mut stream: ByteStream) -> (Pipe, JoinHandle<Result<(), ObjectsError>>) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let pump = tokio::spawn(async move {
        while let Some(piece) = stream.next().await {
            let (piece, ended) = match piece {
                Ok(piece) => (Ok(piece), Ok(())),
                Err(error) => (Err(io::Error::other(error.to_string())), Err(error)),
            };
            if sender.send(piece).await.is_err() {
                break;
            }
            ended?;
        }
        Ok(())
    });
    (Pipe { pieces, current: Bytes::new() }, pump)
}

/// See [`pipe`]. To be read on a thread that may block.
pub(super) struct Pipe {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let read = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}
