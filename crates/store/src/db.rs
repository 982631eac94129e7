//! The database: closures over a transaction, run on the database's own threads, on SQLite or PostgreSQL.
//!
//! A caller may go away at any await: what it sent is done wholly or not at all. Nothing here reads a clock for data.

mod bulk;
mod conditions;
mod error;
mod filesystem;
mod migrate;
mod postgres;
mod sqlite;
mod task;
#[cfg(test)]
mod tests;
mod tx;
mod value;

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

pub(crate) use self::migrate::tables;
pub use self::{
    conditions::Conditions,
    error::{Error, Rule},
    filesystem::network_filesystem,
    tx::{Dialect, Tx},
    value::{FromValue, Row, Value},
};
use self::{
    migrate::{MIGRATIONS, Migration},
    task::{Job, Queue, Work},
};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// SQLite: reading threads beside the one that writes. PostgreSQL: threads, each with one connection.
    pub threads: usize,
    /// Operations that may wait (SQLite: for reading and for writing each); one more is [`Error::Busy`].
    pub queue: usize,
    /// PostgreSQL ends a statement that runs longer, in milliseconds.
    pub statement_timeout_ms: u32,
    /// Lets SQLite's file lie on a network filesystem, where locks may not hold and the database may be lost.
    pub allow_network_filesystem: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 4, queue: 1024, statement_timeout_ms: 30_000, allow_network_filesystem: false }
    }
}

/// Where a simulated crash may strike: see [`Db::inline_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Everything was executed, nothing committed: an error undoes the write.
    BeforeCommit,
    /// The write is durable: an error only keeps the caller from knowing.
    AfterCommit,
}

/// Decides whether a write goes on at a [`Point`].
type Hook = dyn Fn(Point) -> Result<(), Error> + Send + Sync;

/// A database. Clones are handles of the same one; when the last is dropped, what is queued is done and the threads end.
#[derive(Clone)]
pub struct Db {
    engine: Arc<Engine>,
}

enum Engine {
    Threads {
        dialect: Dialect,
        reads: Arc<Queue>,
        writes: Arc<Queue>,
        // Every thread holds a sender of it, so it ends when all of them have.
        ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
    },
    Inline {
        connection: Mutex<rusqlite::Connection>,
        hook: Box<Hook>,
    },
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Self::Threads { reads, writes, .. } = self {
            reads.close();
            writes.close();
        }
    }
}

impl Db {
    /// Opens (or creates) a SQLite database and brings its tables up to date. Blocks.
    ///
    /// # Errors
    /// [`Error::NetworkFilesystem`], [`Error::Newer`], [`Error::Mismatch`], or what SQLite says.
    pub fn open_sqlite(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        Self::open_sqlite_with(path.as_ref(), options, MIGRATIONS)
    }

    fn open_sqlite_with(
        path: &Path,
        options: &Options,
        migrations: &'static [Migration],
    ) -> Result<Self, Error> {
        let (reads, writes) = (Arc::new(Queue::new(options.queue)), Arc::new(Queue::new(options.queue)));
        let ended = sqlite::open(path, options, migrations, &reads, &writes)?;
        Ok(Self::over(Engine::Threads { dialect: Dialect::Sqlite, reads, writes, ended: ended.into() }))
    }

    /// Connects to a PostgreSQL database (`postgres://user:password@host/name`, `sslmode=require` for TLS) and brings
    /// its tables up to date. Blocks.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Newer`], [`Error::Mismatch`], or what PostgreSQL says.
    pub fn open_postgres(url: &str, options: &Options) -> Result<Self, Error> {
        Self::open_postgres_with(url, options, MIGRATIONS)
    }

    fn open_postgres_with(
        url: &str,
        options: &Options,
        migrations: &'static [Migration],
    ) -> Result<Self, Error> {
        let queue = Arc::new(Queue::new(options.queue));
        let ended = postgres::open(url, options, migrations, &queue)?;
        let (reads, writes) = (Arc::clone(&queue), queue);
        Ok(Self::over(Engine::Threads { dialect: Dialect::Postgres, reads, writes, ended: ended.into() }))
    }

    /// As [`Db::open_sqlite`], brought up to migration `version` and no further: for rows that were written then. Blocks.
    pub fn open_sqlite_at(path: impl AsRef<Path>, options: &Options, version: i64) -> Result<Self, Error> {
        Self::open_sqlite_with(path.as_ref(), options, migrations_until(version)?)
    }

    /// As [`Db::open_postgres`], brought up to migration `version` and no further. Blocks.
    pub fn open_postgres_at(url: &str, options: &Options, version: i64) -> Result<Self, Error> {
        Self::open_postgres_with(url, options, migrations_until(version)?)
    }

    /// A SQLite database in memory whose closures run on the caller's thread: deterministic, needs no runtime.
    pub fn inline() -> Result<Self, Error> {
        Self::inline_with(|_| Ok(()))
    }

    /// As [`Db::inline`], with a hook asked at the points of every write where a server might be killed.
    pub fn inline_with(
        hook: impl Fn(Point) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let connection = Mutex::new(sqlite::in_memory(MIGRATIONS)?);
        Ok(Self::over(Engine::Inline { connection, hook: Box::new(hook) }))
    }

    fn over(engine: Engine) -> Self {
        Self { engine: Arc::new(engine) }
    }

    /// Runs `closure` in a transaction that sees one state of the database and can change nothing.
    pub async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.submit(closure, false)?.await.unwrap_or_else(|_| Err(thread_gone().into()))
    }

    /// Runs `closure` in a transaction: committed, and durable, when this answers `Ok`; undone when the closure fails.
    /// It may run several times (conflicts, a lost connection), so its only effects are on `tx` and in its result.
    ///
    /// On SQLite writes come one after the other. On PostgreSQL others may commit between two statements: lock what you
    /// decide upon ([`Dialect::for_update`]), or decide in the statement that writes.
    pub async fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.submit(closure, true)?.await.unwrap_or_else(|_| Err(thread_gone().into()))
    }

    fn submit<T, E, F>(&self, closure: F, write: bool) -> Result<oneshot::Receiver<Result<T, E>>, Error>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (work, answer) = Work::new(closure);
        match &*self.engine {
            Engine::Threads { reads, writes, .. } => {
                let queue = if write { writes } else { reads };
                queue.push(Job::Task { task: work, write })?;
            }
            Engine::Inline { connection, hook } => {
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                sqlite::run(&connection, work, write, hook);
            }
        }
        Ok(answer)
    }

    /// Whether the database answers, now.
    pub async fn check(&self) -> Result<(), Error> {
        self.read(|tx| tx.query_one("SELECT 1", &[]).map(|_| ())).await
    }

    /// The engine, where SQL must differ.
    pub fn dialect(&self) -> Dialect {
        match &*self.engine {
            Engine::Threads { dialect, .. } => *dialect,
            Engine::Inline { .. } => Dialect::Sqlite,
        }
    }

    /// The engine, for people: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match self.dialect() {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgres",
        }
    }

    /// How many operations wait for a thread.
    pub fn queue_depth(&self) -> usize {
        match &*self.engine {
            Engine::Threads { reads, writes, .. } if Arc::ptr_eq(reads, writes) => writes.len(),
            Engine::Threads { reads, writes, .. } => reads.len() + writes.len(),
            Engine::Inline { .. } => 0,
        }
    }

    /// SQLite: moves the write-ahead log into the database and makes it small again; for quiet hours. Elsewhere nothing.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        match &*self.engine {
            Engine::Threads { dialect: Dialect::Sqlite, writes, .. } => {
                let (reply, answer) = oneshot::channel();
                writes.push(Job::Checkpoint(reply))?;
                answer.await.unwrap_or_else(|_| Err(thread_gone()))
            }
            _ => Ok(()),
        }
    }

    /// Takes no more operations, does those that wait, and ends when the database's threads have. Repeatable.
    pub fn close(&self) -> impl Future<Output = ()> + use<'_> {
        if let Engine::Threads { reads, writes, .. } = &*self.engine {
            reads.close();
            writes.close();
        }
        async {
            if let Engine::Threads { ended, .. } = &*self.engine {
                while ended.lock().await.recv().await.is_some() {}
            }
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// Number of the newest migration.
pub(crate) fn newest_migration() -> i64 {
    MIGRATIONS.len() as i64
}

fn migrations_until(version: i64) -> Result<&'static [Migration], Error> {
    let until = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(..version));
    until.ok_or(Error::Newer { database: version, binary: newest_migration() })
}

fn thread_gone() -> Error {
    Error::Unavailable("its thread has ended".into())
}
