//! Databases and records for tests and benches: the same test runs on SQLite and on PostgreSQL, as two tests.
//!
//! PostgreSQL is where `RUNYARD_TEST_POSTGRES` points (a URL whose role may create databases). When it is not set those
//! tests have nothing to run on and pass, unless `RUNYARD_TEST_REQUIRE_POSTGRES=1` says that this must not happen.

use std::{
    collections::BTreeMap,
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use runyard_domain::{
    BlueprintId, Millis, ProjectId, RunId, TokenId,
    metric::Point,
    resources::{Gpu, Resources},
    run::{Kind, Life, Retries, Run, Spec, Status},
    token::Scope,
};
use serde_json::json;

use crate::{
    blueprint::Blueprint,
    db::{Db, Dialect, Error, Options, Tx, Value},
    params,
    project::Project,
    run,
    token::Token,
};

/// Makes two tests, `name::sqlite` and `name::postgres`, of each `async fn name(db) { .. }`.
#[macro_export]
macro_rules! both {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            async fn $name($db: $crate::Db) $body

            mod $name {
                #[test]
                fn sqlite() {
                    $crate::testing::on_sqlite(super::$name);
                }

                #[test]
                fn postgres() {
                    $crate::testing::on_postgres(super::$name);
                }
            }
        )*
    };
}

/// Runs a test on a new SQLite database in a folder of its own.
pub fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(Db) -> F) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open_sqlite(folder.path().join("test.db"), &Options::default()).expect("a sqlite database");
    drive(db, test);
}

/// Runs a test on a new PostgreSQL database, where there is a PostgreSQL.
pub fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(Db) -> F) {
    if let Some(fresh) = FreshPostgres::create() {
        let db = Db::open_postgres(&fresh.url, &Options::default()).expect("a postgres database");
        drive(db, test);
    }
}

/// Runs a test with a runtime, and closes the database whatever came of it.
fn drive<F: Future<Output = ()>>(db: Db, test: impl FnOnce(Db) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(db.clone()))));
    runtime.block_on(db.close());
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// A new, empty PostgreSQL database; dropped with this value.
pub struct FreshPostgres {
    /// What [`Db::open_postgres`] takes.
    pub url: String,
    admin_url: String,
    name: String,
}

impl FreshPostgres {
    /// Creates it; `None`: no PostgreSQL was named, and none is required.
    pub fn create() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Ok(admin_url) = env::var("RUNYARD_TEST_POSTGRES") else {
            let required = env::var("RUNYARD_TEST_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "RUNYARD_TEST_POSTGRES must name a postgres:// server whose role may create databases"
            );
            return None;
        };
        let name = format!("runyard_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let url = with_database(&admin_url, &name);
        administer(
            &admin_url,
            &format!("CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'UTF8'"),
        );
        Some(Self { url, admin_url, name })
    }

    /// Ends all connections to the database, as a restart of the server would.
    pub fn disconnect_all(&self) {
        let of = &self.name;
        administer(
            &self.admin_url,
            &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{of}'"),
        );
    }
}

impl Drop for FreshPostgres {
    fn drop(&mut self) {
        administer(&self.admin_url, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// Runs SQL as the administrator, on a thread of its own: the blocking client must not meet a runtime.
fn administer(url: &str, sql: &str) {
    let run = || postgres::Client::connect(url, postgres::NoTls)?.batch_execute(sql);
    let done = thread::scope(|scope| scope.spawn(run).join().expect("no panic"));
    if let Err(error) = done {
        // Not a panic while another is under way: that would end the test program.
        assert!(thread::panicking(), "{sql}: {error:?}");
    }
}

/// `postgres://user@host/database?options` with another database.
fn with_database(url: &str, name: &str) -> String {
    let (address, options) = url.split_once('?').unwrap_or((url, ""));
    let scheme = address.find("://").map_or(0, |at| at + 3);
    let end = address[scheme..].find('/').map_or(address.len(), |at| scheme + at);
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{}/{name}{mark}{options}", &address[..end])
}

/// Run number `n` of a project, called `run n`, which has completed.
pub fn run(n: u64, created_at: Millis, project_id: ProjectId) -> Run {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    let retries = Retries { left: 0, on: Vec::new() };
    Run {
        id: RunId::new(created_at, random),
        project_id,
        user_id: "ann".into(),
        created_at,
        name: format!("run {n}"),
        version: "1".into(),
        kind: Kind::Training,
        blueprint_id: None,
        task_type: None,
        config: json!({"lr": 0.001, "epochs": 20, "seed": n}),
        resources: Resources::default(),
        spec: Spec { command: vec!["python".into(), "train.py".into()], ..Spec::default() },
        executor: "local".into(),
        priority: 0,
        labels: BTreeMap::new(),
        notes: None,
        progress: Vec::new(),
        progress_updated_at: None,
        life: Life { status: Status::JobCompleted, has_job: true, ..Life::new(retries) },
        status_updated_at: created_at,
        exit: None,
        sequence: 1,
    }
}

/// Writes runs as they are (also such as have ended), many at once; beyond this no different from [`run::insert`].
pub fn insert_runs(tx: &mut Tx, runs: &[Run]) -> Result<(), Error> {
    let rows: Vec<_> = runs.iter().map(|run| run::inserted(run, "none")).collect::<Result<_, _>>()?;
    insert_rows(tx, "runs", &run::INSERTED, &rows)?;
    let labels = runs.iter().flat_map(|run| run.labels.iter().map(|(key, value)| (run.id, key, value)));
    let labels: Vec<_> = labels.map(|(id, key, value)| [id.into(), key.into(), value.into()]).collect();
    insert_rows(tx, "run_labels", &["run_id", "key", "value"], &labels)
}

/// Writes rows, many to a statement.
fn insert_rows<const N: usize>(
    tx: &mut Tx,
    table: &str,
    columns: &[&str; N],
    rows: &[[Value; N]],
) -> Result<(), Error> {
    let mut place = 0;
    let mut row = || {
        let places: Vec<String> = (0..N)
            .map(|_| {
                place += 1;
                format!("${place}")
            })
            .collect();
        format!("({})", places.join(", "))
    };
    let places: Vec<String> = (0..200).map(|_| row()).collect();
    for part in rows.chunks(places.len()) {
        let sql = format!(
            "INSERT INTO {table} ({}) VALUES {}",
            columns.join(", "),
            places[..part.len()].join(", ")
        );
        tx.execute(&sql, part.as_flattened())?;
    }
    Ok(())
}

/// How the engine executes [`run::list`] with this filter, line by line.
pub fn explain_runs(tx: &mut Tx, filter: &run::Filter) -> Result<Vec<String>, Error> {
    let (sql, values) = run::list_query(tx.dialect(), filter);
    let (explain, column) = match tx.dialect() {
        Dialect::Sqlite => ("EXPLAIN QUERY PLAN", 3),
        Dialect::Postgres => ("EXPLAIN (ANALYZE, BUFFERS)", 0),
    };
    tx.query(&format!("{explain} {sql}"), &values)?.iter().map(|row| row.get(column)).collect()
}

/// What PostgreSQL does by itself some minutes after many rows were written.
pub fn vacuum_postgres(url: &str) {
    administer(url, "VACUUM ANALYZE");
}

/// Writes points of metrics the plain way, one row for each: what packs are compared with. Makes the table when it is not
/// there.
pub fn insert_points(tx: &mut Tx, run: RunId, tag: &str, points: &[Point]) -> Result<(), Error> {
    tx.execute(
        "CREATE TABLE IF NOT EXISTS plain_points (run_id TEXT NOT NULL, tag TEXT NOT NULL, step BIGINT NOT NULL,
             created_at BIGINT NOT NULL, value DOUBLE PRECISION, PRIMARY KEY (run_id, tag, step))",
        &[],
    )?;
    for point in points {
        tx.execute(
            "INSERT INTO plain_points (run_id, tag, step, created_at, value) VALUES ($1, $2, $3, $4, $5)",
            params![run, tag, point.step, point.at, point.value.as_f64()],
        )?;
    }
    Ok(())
}

/// Project number `n`, called `project n`.
pub fn project(n: u8) -> Project {
    Project {
        id: ProjectId::new(Millis(n.into()), [n; 10]),
        name: format!("project {n}"),
        description: "of the tests".into(),
        created_at: Millis(n.into()),
    }
}

/// Token number `n`, called `token n`.
pub fn token(n: u8, scope: Scope) -> Token {
    Token {
        id: TokenId::new(Millis(n.into()), [n; 10]),
        name: format!("token {n}"),
        scope,
        hash: format!("{n:064x}"),
        created_at: Millis(n.into()),
        expires_at: None,
        revoked_at: None,
        access_key: None,
    }
}

/// Blueprint number `n` of a project, called `blueprint n`, with something in every field.
pub fn blueprint(n: u8, project_id: ProjectId) -> Blueprint {
    Blueprint {
        id: BlueprintId::new(Millis(n.into()), [n; 10]),
        project_id,
        name: format!("blueprint {n}"),
        version: "1".into(),
        description: "of the tests".into(),
        image: Some("localhost/digits:1".into()),
        command: vec!["python".into(), "train.py".into()],
        config_schema: json!({"type": "object", "properties": {"lr": {"type": "number"}}}),
        task_types: vec!["classification".into()],
        resources: Some(Resources {
            gpu: Some(Gpu { count: 1, kind: "any".into() }),
            memory: Some("2Gi".into()),
            ..Resources::default()
        }),
        source: Some(format!("{n:064x}")),
        requirements: vec!["scikit-learn".into()],
        env: BTreeMap::from([("A".into(), "b".into())]),
        created_at: Millis(n.into()),
        user_id: "ann".into(),
        deleted_at: None,
    }
}

/// How many rows a table has.
pub fn count(tx: &mut Tx, table: &str) -> Result<i64, Error> {
    tx.query_one(&format!("SELECT count(*) FROM {table}"), &[])?.get(0)
}
