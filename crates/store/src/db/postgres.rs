//! PostgreSQL: some threads, each with a connection of its own that it makes again when it was lost.

use std::{
    collections::HashMap,
    error::Error as _,
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use postgres::{
    Client, Config, NoTls, Statement,
    config::SslMode,
    error::SqlState,
    fallible_iterator::FallibleIterator,
    types::{IsNull, ToSql, Type, to_sql_checked},
};
use tokio::sync::mpsc;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Error, Options, Row, Rule, Tx, Value,
    migrate::{self, Migration},
    task::{self, Job, Queue, Task, Verdict},
    tx,
};

/// How often a task is run when others are in the way or the connection is lost.
const ATTEMPTS: u32 = 10;
/// After a failed connect, tasks fail at once for so long: each would wait for the same.
const DOWN: Duration = Duration::from_millis(500);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 512;

/// Connects, brings the tables up to date, and starts the threads; the receiver ends when all of them have.
pub(super) fn open(
    url: &str,
    options: &Options,
    migrations: &'static [Migration],
    queue: &Arc<Queue>,
) -> Result<mpsc::Receiver<()>, Error> {
    let connector = Connector::new(url, options)?;
    let (ended, all_ended) = mpsc::channel(1);
    let (migrated, outcome) = std_mpsc::channel();
    for n in 0..options.threads.max(1) {
        let mut worker = Worker { number: n, connector: connector.clone(), session: None, down: None };
        let (jobs, ended, migrated) = (Arc::clone(queue), ended.clone(), migrated.clone());
        // The blocking client must be made, used and dropped outside of any runtime: on this thread.
        let run = move || {
            if n == 0 {
                let _ = migrated.send(migrate::run(migrations, |task| worker.transact(task, true)));
            }
            drop(migrated);
            task::keep_going(|| worker.work(&jobs));
            drop((worker, ended));
        };
        let spawned = thread::Builder::new().name(format!("db-{n}")).spawn(run);
        spawned.map_err(|e| Error::Unavailable(format!("cannot start a thread: {e}")))?;
        if n == 0 {
            let outcome =
                outcome.recv().unwrap_or_else(|_| Err(Error::Unavailable("its thread has ended".into())));
            if let Err(error) = outcome {
                queue.close();
                return Err(error);
            }
        }
    }
    Ok(all_ended)
}

/// How to connect.
#[derive(Clone)]
struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    setup: String,
}

impl Connector {
    fn new(url: &str, options: &Options) -> Result<Self, Error> {
        // Here `require` verifies certificate and name already, so these ask for nothing more.
        let url = url.replace("sslmode=verify-full", "sslmode=require");
        let url = url.replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(|e| {
            let why = with_causes(&e);
            Error::Sql(format!("{why}: a database is given as postgres://user:password@host:5432/name"))
        })?;
        if config.get_application_name().is_none() {
            config.application_name("runyard");
        }
        // A host that vanishes without a word must not hold a thread for ever.
        config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(5)));
        config.keepalives_idle(Duration::from_secs(30));
        config.tcp_user_timeout(Duration::from_secs(30));
        let tls = (config.get_ssl_mode() == SslMode::Require).then(tls).transpose()?;
        let setup = format!(
            "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = 60000; \
             SET client_min_messages = warning",
            options.statement_timeout_ms
        );
        Ok(Self { config, tls, setup })
    }

    fn connect(&self) -> Result<Session, Error> {
        let client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        let client = client.map_err(|e| Error::Unavailable(with_causes(&e)))?;
        let mut session = Session { client, statements: HashMap::new() };
        session.batch(&self.setup)?;
        Ok(session)
    }
}

/// TLS that trusts what the machine trusts (`SSL_CERT_FILE` names another set of authorities).
fn tls() -> Result<MakeRustlsConnect, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::Unavailable(
            "sslmode asks for TLS, but this machine trusts no certificate authority: install ca-certificates, \
             or name a file with SSL_CERT_FILE"
                .into(),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Unavailable(format!("TLS: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// A thread's work and its connection.
struct Worker {
    number: usize,
    connector: Connector,
    session: Option<Session>,
    down: Option<(Instant, Error)>,
}

impl Worker {
    fn work(&mut self, queue: &Queue) {
        // What a panic may have left is not to be trusted.
        self.session = None;
        while let Some(job) = queue.pop() {
            match job {
                Job::Task { mut task, write } => {
                    let outcome = self.transact(&mut *task, write);
                    task.answer(outcome);
                }
                Job::Checkpoint(reply) => {
                    let _ = reply.send(Ok(()));
                }
            }
        }
    }

    /// Runs a task in a transaction. `Ok`: its result stands, and was committed if it is one to keep.
    fn transact(&mut self, task: &mut dyn Task, write: bool) -> Result<(), Error> {
        for attempt in 1.. {
            match self.session()?.attempt(task, write) {
                Outcome::Answer => return Ok(()),
                Outcome::Again(Some(error)) if attempt == ATTEMPTS => return Err(error),
                Outcome::Again(None) if attempt == ATTEMPTS => return Ok(()),
                Outcome::Again(_) => {
                    // Not in step with the other threads, or the same ones collide again.
                    let pause = u64::from(attempt * attempt) + self.number as u64;
                    thread::sleep(Duration::from_millis(pause));
                }
                Outcome::Fail(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The connection, made again when it was lost.
    fn session(&mut self) -> Result<&mut Session, Error> {
        let session = match self.session.take() {
            Some(session) if !session.client.is_closed() => session,
            _ => {
                if let Some((since, error)) = &self.down
                    && since.elapsed() < DOWN
                {
                    return Err(error.clone());
                }
                let session = self.connector.connect();
                self.down = session.as_ref().err().map(|error| (Instant::now(), error.clone()));
                session?
            }
        };
        Ok(self.session.insert(session))
    }
}

/// How an attempt at a task went.
enum Outcome {
    /// The task's result stands.
    Answer,
    /// Nothing was done; another attempt may go better. Without an error the task holds one.
    Again(Option<Error>),
    /// The engine failed.
    Fail(Error),
}

/// A connection and its prepared statements.
pub(super) struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Session {
    fn attempt(&mut self, task: &mut dyn Task, write: bool) -> Outcome {
        let begin =
            if write { "BEGIN READ WRITE" } else { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" };
        if let Err(error) = self.batch(begin) {
            return if error.is_worth_retrying() {
                Outcome::Again(Some(error))
            } else {
                Outcome::Fail(error)
            };
        }
        let verdict = task.attempt(&mut Tx::new(tx::Connection::Postgres(self)));
        if verdict == Verdict::Keep {
            return match self.batch("COMMIT") {
                Err(error @ Error::Conflict(_)) => Outcome::Again(Some(error)),
                // A lost connection does not say whether the commit arrived.
                Err(error) if write => Outcome::Fail(error),
                _ => Outcome::Answer,
            };
        }
        // When this fails the connection is lost, and the transaction with it.
        let _ = self.batch("ROLLBACK");
        if verdict == Verdict::Again { Outcome::Again(None) } else { Outcome::Answer }
    }

    pub(super) fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let statement = self.prepare(sql, params)?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|value| value as _).collect();
        let result = self.client.execute(&statement, &params);
        result.map_err(|e| self.error(&e))
    }

    pub(super) fn query_each(
        &mut self,
        sql: &str,
        params: &[Value],
        each: &mut dyn FnMut(Row) -> bool,
    ) -> Result<(), Error> {
        let statement = self.prepare(sql, params)?;
        let result = read_rows(&mut self.client, &statement, params, each);
        result.map_err(|e| match e {
            ReadError::Engine(e) => self.error(&e),
            ReadError::Column(e) => e,
        })
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        let result = self.client.batch_execute(sql);
        result.map_err(|e| self.error(&e))
    }

    fn prepare(&mut self, sql: &str, params: &[Value]) -> Result<Statement, Error> {
        let statement = if let Some(statement) = self.statements.get(sql) {
            statement.clone()
        } else {
            let statement = self.client.prepare(sql).map_err(|e| self.error(&e))?;
            if self.statements.len() >= STATEMENTS {
                self.statements.clear();
            }
            self.statements.insert(sql.to_owned(), statement.clone());
            statement
        };
        tx::check_count(sql, statement.params().len(), params.len())?;
        Ok(statement)
    }

    fn error(&mut self, error: &postgres::Error) -> Error {
        let Some(db) = error.as_db_error() else {
            let lost = self.client.is_closed()
                || error.is_closed()
                || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            let text = with_causes(error);
            return if lost { Error::Unavailable(text) } else { Error::Sql(text) };
        };
        let text = format!("{} ({})", db.message(), db.code().code());
        let broken = |rule| Error::Constraint { rule, message: db.message().to_owned() };
        match db.code() {
            code if *code == SqlState::UNIQUE_VIOLATION => broken(Rule::Unique),
            code if *code == SqlState::FOREIGN_KEY_VIOLATION => broken(Rule::ForeignKey),
            code if code.code().starts_with("23") => broken(Rule::Value),
            code if *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::T_R_DEADLOCK_DETECTED =>
            {
                Error::Conflict(text)
            }
            // Another server changed a table under a prepared statement.
            code if *code == SqlState::INVALID_SQL_STATEMENT_NAME
                || (*code == SqlState::FEATURE_NOT_SUPPORTED && text.contains("cached plan")) =>
            {
                self.statements.clear();
                Error::Conflict(text)
            }
            code if *code == SqlState::DISK_FULL => Error::Full(text),
            // 57P..: shut down or starting; 08...: connection; 53300: too many connections.
            code if code.code().starts_with("57P")
                || code.code().starts_with("08")
                || *code == SqlState::TOO_MANY_CONNECTIONS =>
            {
                Error::Unavailable(text)
            }
            _ => Error::Sql(text),
        }
    }
}

/// What stops the reading of rows.
enum ReadError {
    Engine(postgres::Error),
    Column(Error),
}

fn read_rows(
    client: &mut Client,
    statement: &Statement,
    params: &[Value],
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<(), ReadError> {
    let mut rows = client.query_raw(statement, params).map_err(ReadError::Engine)?;
    while let Some(row) = rows.next().map_err(ReadError::Engine)? {
        let values = (0..row.len()).map(|i| column(&row, i)).collect::<Result<_, _>>()?;
        if !each(Row(values)) {
            break;
        }
    }
    Ok(())
}

fn column(row: &postgres::Row, i: usize) -> Result<Value, ReadError> {
    let column = &row.columns()[i];
    Ok(match *column.type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(i).map_err(ReadError::Engine)?.into(),
        Type::INT4 => row.try_get::<_, Option<i32>>(i).map_err(ReadError::Engine)?.into(),
        Type::BOOL => row.try_get::<_, Option<bool>>(i).map_err(ReadError::Engine)?.into(),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(i).map_err(ReadError::Engine)?.into(),
        Type::TEXT | Type::VARCHAR | Type::NAME => {
            row.try_get::<_, Option<String>>(i).map_err(ReadError::Engine)?.into()
        }
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i).map_err(ReadError::Engine)?.into(),
        Type::VOID => Value::Null,
        ref other => {
            let text =
                format!("column {} has the type {other}: cast it to BIGINT or the like", column.name());
            return Err(ReadError::Column(Error::Sql(text)));
        }
    })
}

/// Adapts to the type that PostgreSQL found for the placeholder.
impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(v), &Type::INT8) => v.to_sql(ty, out),
            (Self::Int(v), &Type::INT4) => i32::try_from(*v)?.to_sql(ty, out),
            (Self::Int(v), &Type::FLOAT8) => (*v as f64).to_sql(ty, out),
            (Self::Int(v), &Type::BOOL) => (*v != 0).to_sql(ty, out),
            (Self::Real(v), &Type::FLOAT8) => v.to_sql(ty, out),
            (Self::Text(v), &Type::TEXT | &Type::VARCHAR | &Type::NAME) => v.to_sql(ty, out),
            (Self::Bytes(v), &Type::BYTEA) => v.to_sql(ty, out),
            _ => Err(format!("{self:?} is not of the type {ty}: cast the placeholder").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// An error with all that caused it, in one line.
fn with_causes(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
