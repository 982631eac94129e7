//! SQLite: one thread that writes, several writes to a commit, and threads that only read.

use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, ToSql, ffi,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::mpsc;

use super::{
    Error, Hook, Options, Point, Row, Rule, Tx, Value, filesystem,
    migrate::{self, Migration},
    task::{self, Job, Queue, Task, Verdict},
    tx,
};

/// Writes that share one commit, at most: so many, and begun within so long.
const GROUP: usize = 256;
const GROUP_TIME: Duration = Duration::from_millis(10);
/// How often a task is run when others are in the way.
const ATTEMPTS: u32 = 3;
/// How long a connection waits for another one.
const BUSY: Duration = Duration::from_secs(5);
/// Between two looks where SQLite itself does not wait.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Opens the file, brings it up to date, and starts the threads; the receiver ends when all of them have.
pub(super) fn open(
    path: &Path,
    options: &Options,
    migrations: &'static [Migration],
    reads: &Arc<Queue>,
    writes: &Arc<Queue>,
) -> Result<mpsc::Receiver<()>, Error> {
    if !options.allow_network_filesystem {
        filesystem::check(path)?;
    }
    let writer = connect(path)?;
    migrate::run(migrations, |task| transact(&writer, task, true, &|_| Ok(())))?;
    let mut readers = Vec::new();
    for _ in 0..options.threads.max(1) {
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true).map_err(|e| error(&e))?;
        readers.push(reader);
    }
    let (ended, all_ended) = mpsc::channel(1);
    for (n, reader) in readers.into_iter().enumerate() {
        let (queue, ended) = (Arc::clone(reads), ended.clone());
        spawn(format!("db-read-{n}"), move || {
            task::keep_going(|| read_all(&reader, &queue));
            drop((reader, ended));
        })?;
    }
    let queue = Arc::clone(writes);
    spawn("db-write".into(), move || {
        task::keep_going(|| write_all(&writer, &queue));
        drop((writer, ended));
    })?;
    Ok(all_ended)
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let spawned = thread::Builder::new().name(name).spawn(run);
    spawned.map(drop).map_err(|e| Error::Unavailable(format!("cannot start a thread: {e}")))
}

/// A database in memory, up to date.
pub(super) fn in_memory(migrations: &'static [Migration]) -> Result<Connection, Error> {
    let connection = Connection::open_in_memory().map_err(|e| error(&e))?;
    prepare_connection(&connection)?;
    migrate::run(migrations, |task| transact(&connection, task, true, &|_| Ok(())))?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let open = || -> Result<Connection, Error> {
        let connection = Connection::open_with_flags(path, flags).map_err(|e| error(&e))?;
        prepare_connection(&connection)?;
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
            .map_err(|e| error(&e))?;
        if mode != "wal" {
            return Err(Error::Sql(format!("no write-ahead log here, only the journal mode `{mode}`")));
        }
        Ok(connection)
    };
    // While another connection turns the log on for the first time, SQLite says so instead of waiting.
    let until = Instant::now() + BUSY;
    let opened = loop {
        match open() {
            Err(Error::Conflict(_)) if Instant::now() < until => thread::sleep(BUSY_PAUSE),
            opened => break opened,
        }
    };
    opened.map_err(|e| match e {
        Error::Sql(text) => Error::Sql(format!("{}: {text}", path.display())),
        Error::Unavailable(text) => Error::Unavailable(format!("{}: {text}", path.display())),
        other => other,
    })
}

fn prepare_connection(connection: &Connection) -> Result<(), Error> {
    connection.set_prepared_statement_cache_capacity(256);
    connection.busy_timeout(BUSY).map_err(|e| error(&e))?;
    batch(
        connection,
        "PRAGMA foreign_keys = ON;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 1000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -4096;
         PRAGMA temp_store = MEMORY;",
    )
}

fn read_all(connection: &Connection, queue: &Queue) {
    roll_back(connection);
    while let Some(job) = queue.pop() {
        if let Job::Task { task, write } = job {
            run(connection, task, write, &|_| Ok(()));
        }
    }
}

fn write_all(connection: &Connection, queue: &Queue) {
    roll_back(connection);
    while let Some(job) = queue.pop() {
        match job {
            Job::Task { task, .. } => group(connection, task, queue),
            Job::Checkpoint(reply) => {
                let _ = reply.send(batch(connection, "PRAGMA wal_checkpoint(TRUNCATE)"));
            }
        }
    }
}

/// Runs a task in a transaction of its own and answers it.
pub(super) fn run(connection: &Connection, mut task: Box<dyn Task>, write: bool, hook: &Hook) {
    let outcome = transact(connection, &mut *task, write, hook);
    task.answer(outcome);
}

/// Runs the first task and what else waits, commits once, then answers all: a commit costs a sync to disk, which they share.
/// Those behind the first are each in a savepoint, which costs memory for every page that they change: a large write takes so
/// long that it is the only one. When the transaction as a whole is lost, each is run again on its own.
fn group(connection: &Connection, first: Box<dyn Task>, queue: &Queue) {
    if let Err(error) = batch(connection, "BEGIN IMMEDIATE") {
        // Another program holds the file: each of those that wait would find the same, and as slowly.
        std::iter::once(first)
            .chain(std::iter::from_fn(|| queue.pop_task()))
            .for_each(|task| task.answer(Err(error.clone())));
        return;
    }
    let begun = Instant::now();
    let (mut done, mut again) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    let mut outcome = Ok(());
    while let Some(mut task) = next {
        let alone = done.is_empty() && again.is_empty();
        match if alone { attempt(connection, &mut *task) } else { savepoint(connection, &mut *task) } {
            Ok(Verdict::Keep | Verdict::Undo) => done.push(task),
            Ok(Verdict::Again) => again.push(task),
            Err(error) => {
                again.push(task);
                outcome = Err(error);
                break;
            }
        }
        let full = done.len() + again.len() >= GROUP || begun.elapsed() >= GROUP_TIME;
        next = if full { None } else { queue.pop_task() };
    }
    match outcome.and_then(|()| batch(connection, "COMMIT")) {
        Ok(()) => done.into_iter().for_each(|task| task.answer(Ok(()))),
        Err(error) => {
            tracing::warn!(%error, "a group of writes was lost, each is run again on its own");
            roll_back(connection);
            // Also those that failed: they may have failed because of a write that is undone now.
            again.splice(0..0, done);
        }
    }
    for task in again {
        run(connection, task, true, &|_| Ok(()));
    }
}

/// Runs the first task of a transaction, which is begun anew when it is undone; an error says that the transaction is lost.
fn attempt(connection: &Connection, task: &mut dyn Task) -> Result<Verdict, Error> {
    let verdict = task.attempt(&mut Tx::new(tx::Connection::Sqlite(connection)));
    if connection.is_autocommit() {
        return Err(Error::Sql("sqlite gave the transaction up".into()));
    }
    if verdict != Verdict::Keep {
        batch(connection, "ROLLBACK; BEGIN IMMEDIATE")?;
    }
    Ok(verdict)
}

/// Runs a task in a savepoint; an error says that the whole transaction is lost.
fn savepoint(connection: &Connection, task: &mut dyn Task) -> Result<Verdict, Error> {
    batch(connection, "SAVEPOINT task")?;
    let verdict = task.attempt(&mut Tx::new(tx::Connection::Sqlite(connection)));
    if connection.is_autocommit() {
        return Err(Error::Sql("sqlite gave the transaction up".into()));
    }
    match verdict {
        Verdict::Keep => batch(connection, "RELEASE task")?,
        Verdict::Undo | Verdict::Again => batch(connection, "ROLLBACK TO task; RELEASE task")?,
    }
    Ok(verdict)
}

/// Runs a task in a transaction of its own. `Ok`: its result stands, and was committed if it is one to keep.
fn transact(connection: &Connection, task: &mut dyn Task, write: bool, hook: &Hook) -> Result<(), Error> {
    for attempt in 1.. {
        batch(connection, if write { "BEGIN IMMEDIATE" } else { "BEGIN" })?;
        let verdict = task.attempt(&mut Tx::new(tx::Connection::Sqlite(connection)));
        if verdict == Verdict::Keep {
            let committed = before(write, hook).and_then(|()| batch(connection, "COMMIT"));
            if committed.is_err() {
                roll_back(connection);
            } else if write {
                return hook(Point::AfterCommit);
            }
            return committed;
        }
        roll_back(connection);
        if verdict == Verdict::Undo || attempt == ATTEMPTS {
            break;
        }
    }
    Ok(())
}

fn before(write: bool, hook: &Hook) -> Result<(), Error> {
    if write { hook(Point::BeforeCommit) } else { Ok(()) }
}

fn roll_back(connection: &Connection) {
    // SQLite ends a transaction by itself after some errors.
    if !connection.is_autocommit()
        && let Err(error) = batch(connection, "ROLLBACK")
    {
        tracing::error!(%error, "cannot roll back");
    }
}

pub(super) fn execute(connection: &Connection, sql: &str, params: &[Value]) -> Result<u64, Error> {
    let mut statement = prepare(connection, sql, params)?;
    statement.raw_execute().map(|changed| changed as u64).map_err(|e| error(&e))
}

pub(super) fn query_each(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<(), Error> {
    let mut statement = prepare(connection, sql, params)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|e| error(&e))? {
        let values = (0..columns).map(|i| value(row.get_ref(i).map_err(|e| error(&e))?));
        if !each(Row(values.collect::<Result<_, _>>()?)) {
            break;
        }
    }
    Ok(())
}

pub(super) fn batch(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.execute_batch(sql).map_err(|e| error(&e))
}

fn prepare<'c>(
    connection: &'c Connection,
    sql: &str,
    params: &[Value],
) -> Result<CachedStatement<'c>, Error> {
    let mut statement = connection.prepare_cached(&numbered(sql)).map_err(|e| error(&e))?;
    tx::check_count(sql, statement.parameter_count(), params.len())?;
    for (i, value) in params.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, value).map_err(|e| error(&e))?;
    }
    Ok(statement)
}

/// `?1` for `$1`: SQLite takes `$1` for a name, and looks names up one by one, which is slow when there are thousands.
fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut quoted = false;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        quoted ^= c == '\'';
        let place = c == '$' && !quoted && chars.peek().is_some_and(char::is_ascii_digit);
        out.push(if place { '?' } else { c });
    }
    out
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(v) => ValueRef::Integer(*v),
            Self::Real(v) => ValueRef::Real(*v),
            Self::Text(v) => ValueRef::Text(v.as_bytes()),
            Self::Bytes(v) => ValueRef::Blob(v),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(v) => Value::Int(v),
        ValueRef::Real(v) => Value::Real(v),
        ValueRef::Text(v) => {
            let text = str::from_utf8(v).map_err(|e| Error::Sql(format!("a text in the database: {e}")))?;
            Value::Text(text.to_owned())
        }
        ValueRef::Blob(v) => Value::Bytes(v.to_vec()),
    })
}

fn error(error: &rusqlite::Error) -> Error {
    let text = error.to_string();
    let Some(failure) = error.sqlite_error() else {
        return Error::Sql(text);
    };
    match failure.code {
        ErrorCode::ConstraintViolation => {
            let rule = match failure.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_ROWID => Rule::Unique,
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Rule::ForeignKey,
                _ => Rule::Value,
            };
            Error::Constraint { rule, message: text }
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Conflict(text),
        ErrorCode::DiskFull => Error::Full(text),
        ErrorCode::CannotOpen => Error::Unavailable(text),
        _ => Error::Sql(text),
    }
}
