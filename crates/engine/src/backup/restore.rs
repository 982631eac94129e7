//! Reads backups: checks one, or makes a data folder of it. The folder appears whole, with every digest checked, or not at
//! all: it is made beside its place and renamed. Never touches what is there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::stream;
use runyard_archive::bundle;
use runyard_objects::Objects;
use runyard_store::{self as store, Db, dump};
use tokio::{runtime::Handle, sync::mpsc};

use super::{FORMAT, HEAD, Head, MISSING, OBJECTS, PRIVATE, ROWS, TAIL, Tail, small};
use crate::open::write_private;

/// Packed rows, until they are loaded.
const SPOOL: &str = "rows.zst";
/// As the server calls it.
const LOCK: &str = "lock";
/// Bytes that are handed on at once.
const CHUNK: usize = 256 << 10;

/// Why a backup cannot be restored. Nothing was changed, unless the sentence says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is somebody's.
    #[error("the folder {} is not empty: restore into a new one, with --data DIR", .0.display())]
    NotEmpty(PathBuf),
    /// Somebody else restores into it.
    #[error("another restore into {} is under way: wait until it has ended", .0.display())]
    Held(PathBuf),
    /// A newer program wrote the backup.
    #[error(
        "{} was written by runyard {version}, which is newer than this one: restore it with that version", path.display()
    )]
    Newer {
        /// The backup.
        path: PathBuf,
        /// Who wrote it.
        version: String,
    },
    /// The backup is not what was written.
    #[error("{} is no whole backup: {why}; nothing was restored, take another one", path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system refused.
    #[error("cannot use {}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// The database refused.
    #[error("the rows cannot be restored: {0}")]
    Database(String),
    /// An object cannot be stored.
    #[error("the objects cannot be restored: {0}")]
    Objects(#[from] runyard_objects::Error),
}

/// What to restore, and where to.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The backup.
    pub file: PathBuf,
    /// The data folder to make.
    pub data: PathBuf,
    /// `postgres://...`, an empty database; `None`: SQLite in the folder.
    pub database: Option<String>,
    /// Put SQLite on a network filesystem all the same.
    pub allow_network_filesystem: bool,
}

/// What was restored, or found in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What it is of.
    pub head: Head,
    /// What is in it.
    pub tail: Tail,
    /// Objects that were not there when it was made; the first thousand.
    pub missing: Vec<String>,
}

/// Reads a backup from end to end and checks every digest. Blocks.
pub fn inspect(file: &Path) -> Result<Restored, Error> {
    read(file, |_, _| Ok(()))
}

/// Makes a data folder of a backup.
pub async fn restore(wanted: Restore) -> Result<Restored, Error> {
    let staged = staged(&wanted.data)?;
    let lock = stage(&wanted.data, &staged)?;
    let restored = fill(&wanted, &staged).await.and_then(|restored| {
        publish(&staged, &wanted.data)?;
        Ok(restored)
    });
    drop(lock);
    if restored.is_err() {
        // What is left is found and removed by the next restore.
        let _ = fs::remove_dir_all(&staged);
    }
    restored
}

/// Where the folder is made: beside its place, so that a rename is enough.
fn staged(data: &Path) -> Result<PathBuf, Error> {
    let entries = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => true,
        Err(error) => return Err(file_error(data)(error)),
    };
    if entries {
        return Err(Error::NotEmpty(data.to_owned()));
    }
    let mut name = data.file_name().map(std::ffi::OsStr::to_owned).ok_or_else(|| {
        file_error(data)(io::Error::new(io::ErrorKind::InvalidInput, "it is no name for a new folder"))
    })?;
    name.push(".restoring");
    Ok(data.with_file_name(name))
}

/// Makes the folder beside, locked. What a killed restore left there goes.
fn stage(data: &Path, staged: &Path) -> Result<File, Error> {
    let fault = file_error(staged);
    if staged.exists() {
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(staged.join(LOCK));
        match lock.map_err(&fault)?.try_lock() {
            Ok(()) => fs::remove_dir_all(staged).map_err(&fault)?,
            Err(TryLockError::WouldBlock) => return Err(Error::Held(data.to_owned())),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
    }
    if let Some(parent) = staged.parent() {
        fs::create_dir_all(parent).map_err(file_error(parent))?;
    }
    DirBuilder::new().mode(0o700).create(staged).map_err(&fault)?;
    let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(staged.join(LOCK));
    let lock = lock.map_err(&fault)?;
    lock.try_lock().map_err(|_| Error::Held(data.to_owned()))?;
    Ok(lock)
}

async fn fill(wanted: &Restore, staged: &Path) -> Result<Restored, Error> {
    let (file, folder) = (wanted.file.clone(), staged.to_owned());
    let objects = Objects::open_folder(staged.join("objects"))?;
    let handle = Handle::current();
    let unpack = move || {
        let spool = folder.join(SPOOL);
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&spool);
        let mut rows = opened.map_err(file_error(&spool))?;
        let restored = read(&file, |name, content| {
            if name.starts_with(ROWS) {
                io::copy(content, &mut rows).map(drop).map_err(file_error(&spool))
            } else if PRIVATE.contains(&name) {
                let path = folder.join(name);
                let bytes = small(content).map_err(file_error(&file))?;
                write_private(&path, &bytes).map_err(file_error(&path))
            } else if let Some(key) = name.strip_prefix(OBJECTS) {
                put(&objects, key, content, &handle)
            } else {
                Ok(())
            }
        })?;
        rows.sync_all().map_err(file_error(&spool))?;
        Ok(restored)
    };
    let restored = blocking(unpack).await?;
    load(wanted, staged, &restored).await?;
    fs::remove_file(staged.join(SPOOL)).map_err(file_error(staged))?;
    Ok(restored)
}

/// Stores one object, whole and durable.
fn put(objects: &Objects, key: &str, content: &mut dyn Read, handle: &Handle) -> Result<(), Error> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(2);
    let (objects, key) = (objects.clone(), key.to_owned());
    let bytes = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|bytes| (bytes, receiver))
    });
    let putting = handle.spawn(async move { objects.put_stream(&key, Box::pin(bytes), u64::MAX).await });
    let mut buffer = vec![0; CHUNK];
    loop {
        let chunk = content.read(&mut buffer);
        let end = matches!(chunk, Ok(0));
        let chunk = chunk.map(|read| Bytes::copy_from_slice(&buffer[..read]));
        let broken = chunk.is_err();
        // Whoever takes no more says why below.
        if end || sender.blocking_send(chunk).is_err() || broken {
            break;
        }
    }
    drop(sender);
    match handle.block_on(putting) {
        Ok(put) => Ok(put.map(drop)?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Loads the rows into a new database, which is as old as they are, and brings it up to date.
async fn load(wanted: &Restore, staged: &Path, restored: &Restored) -> Result<(), Error> {
    let database = |error: store::Error| match error {
        store::Error::Newer { .. } => {
            Error::Database("the database has newer tables already: name an empty one".to_owned())
        }
        other => Error::Database(other.to_string()),
    };
    let options = store::Options {
        allow_network_filesystem: wanted.allow_network_filesystem,
        ..store::Options::default()
    };
    let (url, path, schema) = (wanted.database.clone(), staged.join("runyard.db"), restored.head.schema);
    let open = move |version: i64| -> Result<Db, store::Error> {
        match &url {
            Some(url) => Db::open_postgres_at(url, &options, version),
            None => Db::open_sqlite_at(&path, &options, version),
        }
    };
    let (db, open) = blocking(move || Ok((open(schema), open))).await?;
    let db = db.map_err(database)?;
    let spool = staged.join(SPOOL);
    let rows = db
        .write(move |tx| {
            let packed = File::open(&spool).map_err(dump::Error::from)?;
            let mut rows = bundle::unpack(packed).map_err(dump::Error::from)?;
            dump::load(tx, &mut rows)
        })
        .await
        .map_err(|error| Error::Database(error.to_string()));
    let moved = if rows.is_ok() { db.checkpoint().await.map_err(database) } else { Ok(()) };
    db.close().await;
    rows?;
    moved?;
    let newest = blocking(move || open(dump::newest()).map_err(database)).await?;
    newest.close().await;
    Ok(())
}

/// Puts the folder in its place, on disk.
fn publish(staged: &Path, data: &Path) -> Result<(), Error> {
    let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all()).map_err(file_error(path));
    sync(staged)?;
    fs::rename(staged, data).map_err(file_error(data))?;
    sync(data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Reads a backup; hands what is neither its first nor its last piece to `each`.
fn read(
    path: &Path,
    mut each: impl FnMut(&str, &mut dyn Read) -> Result<(), Error>,
) -> Result<Restored, Error> {
    let fault = file_error(path);
    let damaged = |why: String| Error::Damaged { path: path.to_owned(), why };
    let input = File::open(path).map_err(&fault)?;
    let notes = tempfile::tempfile().map_err(&fault)?;
    let (mut head, mut tail, mut missing) = (None, None, Vec::new());
    let wrong =
        |name: &str, error: serde_json::Error| damaged(format!("its `{name}` cannot be read: {error}"));
    bundle::read(input, notes, |name, _, content| {
        if head.is_none() {
            let bytes = small(content).map_err(&fault)?;
            if name != HEAD {
                return Err(Stop::Ours(damaged(format!("it begins with `{name}`"))));
            }
            let read: Head = serde_json::from_slice(&bytes).map_err(|error| wrong(name, error))?;
            if read.format > FORMAT || read.schema > dump::newest() {
                return Err(Stop::Ours(Error::Newer { path: path.to_owned(), version: read.version }));
            }
            head = Some(read);
        } else if tail.is_some() {
            return Err(Stop::Ours(damaged(format!("`{name}` follows its end"))));
        } else if name == TAIL {
            let bytes = small(content).map_err(&fault)?;
            tail = Some(serde_json::from_slice(&bytes).map_err(|error| wrong(name, error))?);
        } else if name == MISSING {
            let lines = String::from_utf8_lossy(&small(content).map_err(&fault)?).into_owned();
            missing = lines.lines().map(str::to_owned).collect();
        } else if name.starts_with(ROWS) || name.starts_with(OBJECTS) || PRIVATE.contains(&name) {
            each(name, content)?;
        } else {
            return Err(Stop::Ours(damaged(format!("nobody knows its `{name}`"))));
        }
        Ok(())
    })
    .map_err(|stop| match stop {
        Stop::Ours(error) => error,
        Stop::Bundle(bundle::Error::Io(cause)) => fault(cause),
        Stop::Bundle(error) => damaged(error.to_string()),
    })?;
    match (head, tail) {
        (Some(head), Some(tail)) => Ok(Restored { head, tail, missing }),
        _ => Err(damaged("it has no end".to_owned())),
    }
}

/// What ends the reading of a backup.
enum Stop {
    Ours(Error),
    Bundle(bundle::Error),
}

impl From<bundle::Error> for Stop {
    fn from(error: bundle::Error) -> Self {
        Self::Bundle(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |cause| Error::File { path: path.clone(), cause }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
