//! Backups: everything that a server keeps, in one file that is written while it works. What was acknowledged before the
//! backup began is in it; nothing in it refers to what is not. Never stops a writer.
//!
//! The rows are those of one transaction, portable between the databases. The objects that they refer to follow; until
//! they are read nothing frees them (`Parts::backup`). Objects in a bucket are not in it: such a store outlives
//! machines, and has its own tools.

mod pipe;
mod restore;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use runyard_archive::bundle::{self, Writer};
use runyard_objects::Objects;
use runyard_store::{self as store, Tx, dump};
use serde::{Deserialize, Serialize};
use tokio::{runtime::Handle, sync::OwnedRwLockWriteGuard};

use crate::{Actor, Engine, Error, Result, file_set::loose, garbage, project, source};
use pipe::{Pipe, Streamed};
pub use restore::{Error as RestoreError, Restore, Restored, inspect, restore};

/// Raised when a reader of today could not read what is written.
const FORMAT: i64 = 1;
/// Bytes of a piece of the rows.
const ROWS_PIECE: usize = 4 << 20;
/// How long a backup waits until what is being freed is gone.
const HOLD_PATIENCE: Duration = Duration::from_secs(20);
/// Missing objects that are named.
const MISSING_NAMED: usize = 1000;

/// Names of the pieces.
const HEAD: &str = "backup.json";
const TAIL: &str = "end.json";
const ROWS: &str = "rows/";
const OBJECTS: &str = "objects/";
const MISSING: &str = "missing";
/// Files of the data folder that only its owner may read.
const PRIVATE: [&str; 2] = ["key", "token"];

/// What a backup is of; its first piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the format.
    pub format: i64,
    /// Version of the program that wrote it.
    pub version: String,
    /// Newest migration of its database.
    pub schema: i64,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// The bucket that has the objects; `None`: they are in the backup.
    pub bucket: Option<String>,
}

/// What is in a backup; its last piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Rows.
    pub rows: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of the objects.
    pub bytes: u64,
    /// Objects that rows refer to and that were not there.
    pub missing: u64,
}

/// Backs the server up: the bytes of the file, as they come. An error in the stream means that there is no backup.
///
/// # Errors
/// 403 for whoever is not an admin; 409 while another backup is under way.
pub async fn write(
    engine: &Engine,
    actor: &Actor,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
    project::admin(actor, "back the server up")?;
    let waiting = Arc::clone(&engine.backup).write_owned();
    let Ok(hold) = tokio::time::timeout(HOLD_PATIENCE, waiting).await else {
        return Err(Error::conflict(
            "another backup is under way, or what was deleted is being freed: wait until that has ended",
        ));
    };
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let engine = engine.clone();
    tokio::spawn(async move {
        if let Err(error) = send(&engine, Pipe::new(sender.clone(), Handle::current()), hold).await {
            tracing::warn!("a backup was given up: {error}");
            let broken = Err(io::Error::other(error.to_string()));
            let _ = tokio::time::timeout(HOLD_PATIENCE, sender.send(broken)).await;
        }
        drop(sender);
        // What waited for the backup.
        if let Err(error) = garbage::collect(&engine).await {
            tracing::warn!("could not free garbage: {error}");
        }
    });
    Ok(futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    }))
}

/// Writes the whole backup. The hold ends with it.
async fn send(engine: &Engine, out: Pipe, hold: OwnedRwLockWriteGuard<()>) -> Result<()> {
    let folder = engine.options.cache_dir.clone();
    std::fs::create_dir_all(&folder).map_err(|error| fault(&folder, &error))?;
    let notes = || tempfile::tempfile_in(&folder).map_err(|error| fault(&folder, &error));
    let keys = Arc::new(notes()?);
    let begun = Mutex::new(Some((Writer::new(out, notes()?), Arc::clone(&keys))));
    let head = head(engine);
    let private = private(engine)?;
    let (writer, rows) = engine
        .db
        .read(move |tx| {
            // The engine may want to run this again, but what was sent was sent.
            let (mut writer, keys) =
                begun.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
                    Error::Busy("the database was lost within the backup: make it again".to_owned())
                })?;
            let head = Head { schema: dump::version(tx)?, ..head.clone() };
            piece(&mut writer, HEAD, &json(&head)?)?;
            for (name, bytes) in &private {
                piece(&mut writer, name, bytes)?;
            }
            let rows = snapshot(tx, &mut writer)?;
            if head.bucket.is_none() {
                note_keys(tx, &keys)?;
            }
            Ok::<_, Error>((writer, rows))
        })
        .await?;
    let (objects, handle) = (engine.objects.clone(), Handle::current());
    let rest = move || rest(writer, &keys, rows, &objects, &handle);
    let done = tokio::task::spawn_blocking(rest).await;
    drop(hold);
    done.map_err(|error| Error::Internal(format!("the backup broke off: {error}")))?
}

fn head(engine: &Engine) -> Head {
    Head {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: 0,
        created_at: engine.now().0,
        database: engine.db.kind().to_owned(),
        bucket: engine.objects.bucket().map(|(bucket, prefix)| format!("s3://{bucket}/{prefix}")),
    }
}

/// The data folder's own secrets.
fn private(engine: &Engine) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let Some(data) = engine.options.server_file.as_deref().and_then(Path::parent) else {
        return Ok(Vec::new());
    };
    let read = |name| {
        let path: PathBuf = data.join(name);
        std::fs::read(&path).map(|bytes| (name, bytes)).map_err(|error| fault(&path, &error))
    };
    PRIVATE.into_iter().map(read).collect()
}

/// Writes the rows as this transaction sees them.
fn snapshot(tx: &mut Tx, writer: &mut Writer<Pipe>) -> Result<u64> {
    let pieces = Pieces { writer, waiting: Vec::new(), number: 0 };
    bundle::pack(pieces, |out| dump::write(tx, out)).map_err(|error| match error {
        dump::Error::Database(error) => error.into(),
        other => Error::Internal(other.to_string()),
    })
}

/// Notes the size and the key of every object that rows refer to, line by line.
fn note_keys(tx: &mut Tx, keys: &File) -> Result<()> {
    let mut out = BufWriter::new(keys);
    let mut note = |key: &str, size: i64| writeln!(out, "{size} {key}").map_err(io_fault);
    store::object::sources(tx, |digest, size| note(&source::key(&digest), size))?;
    store::object::files(tx, |key, size| note(&key, size))?;
    store::object::archives(tx, |key, size| note(&key, size))?;
    store::object::datasets(tx, |key, size| note(&key, size))?;
    store::object::loose(tx, |run, path, size| note(&loose::key(run, path), size))?;
    store::object::pieces(tx, |key, size| note(&key, size))?;
    out.flush().map_err(io_fault)
}

/// Writes the objects and the end.
fn rest(
    mut writer: Writer<Pipe>,
    mut keys: &File,
    rows: u64,
    objects: &Objects,
    handle: &Handle,
) -> Result<()> {
    let mut tail = Tail { rows, objects: 0, bytes: 0, missing: 0 };
    let mut missing = String::new();
    keys.rewind().map_err(io_fault)?;
    for line in BufReader::new(keys).lines() {
        let line = line.map_err(io_fault)?;
        let (size, key) = line.split_once(' ').unwrap_or_default();
        let there = match handle.block_on(objects.get_stream(key)) {
            Ok((there, stream)) if there.to_string() == size => Some((there, stream)),
            Ok(_) | Err(runyard_objects::Error::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some((size, stream)) = there else {
            tracing::warn!(key, "rows refer to an object that is not there: the backup is without it");
            if tail.missing < MISSING_NAMED as u64 {
                missing.push_str(key);
                missing.push('\n');
            }
            tail.missing += 1;
            continue;
        };
        let content = Streamed::new(stream, handle.clone());
        writer.piece(&format!("{OBJECTS}{key}"), size, content).map_err(broken)?;
        tail.objects += 1;
        tail.bytes += size;
    }
    piece(&mut writer, MISSING, missing.as_bytes())?;
    piece(&mut writer, TAIL, &json(&tail)?)?;
    writer.finish().map_err(broken)?.flush().map_err(io_fault)
}

/// Cuts the rows into pieces whose size is known.
struct Pieces<'w> {
    writer: &'w mut Writer<Pipe>,
    waiting: Vec<u8>,
    number: u64,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= ROWS_PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let name = format!("{ROWS}{:06}", self.number);
        let size = self.waiting.len() as u64;
        self.writer.piece(&name, size, self.waiting.as_slice()).map_err(io::Error::other)?;
        self.waiting.clear();
        self.number += 1;
        Ok(())
    }
}

fn piece(writer: &mut Writer<Pipe>, name: &str, bytes: &[u8]) -> Result<()> {
    writer.piece(name, bytes.len() as u64, bytes).map_err(broken)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(format!("cannot write a backup: {error}")))
}

fn broken(error: bundle::Error) -> Error {
    Error::Internal(error.to_string())
}

fn io_fault(error: io::Error) -> Error {
    Error::Internal(error.to_string())
}

fn fault(path: &Path, error: &io::Error) -> Error {
    Error::Internal(format!("{}: {error}", path.display()))
}

/// Reads all of a small piece.
fn small(content: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(bytes)
}
