//! What the database promises, on both engines.

use std::{
    pin::pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use super::{
    migrate::{MIGRATIONS, Migration},
    *,
};
use crate::{both, params, testing::FreshPostgres};

mod kill;
mod values;

const TABLE: &str = "CREATE TABLE scratch (n BIGINT NOT NULL PRIMARY KEY, t TEXT)";

async fn with_table(db: &Db) {
    db.write(|tx| tx.batch(TABLE)).await.unwrap();
}

fn put(tx: &mut Tx<'_>, n: i64) -> Result<u64, Error> {
    tx.execute("INSERT INTO scratch (n) VALUES ($1)", params![n])
}

async fn numbers(db: &Db) -> Vec<i64> {
    let rows = db.read(|tx| tx.query("SELECT n FROM scratch ORDER BY n", &[])).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

/// Reads until the table holds these numbers.
async fn await_numbers(db: &Db, expected: &[i64]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        // A full queue is a reason to ask again.
        let rows = db.read(|tx| tx.query("SELECT n FROM scratch ORDER BY n", &[])).await.unwrap_or_default();
        let found: Vec<i64> = rows.iter().map(|row| row.get(0).unwrap()).collect();
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?} never became {expected:?}");
    }
}

/// Starts an operation and goes away before its answer.
fn start_and_leave(operation: impl Future<Output = Result<(), Error>>) {
    let mut operation = pin!(operation);
    if let Poll::Ready(done) = operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        done.unwrap();
    }
}

/// Keeps one writing thread busy until the sender is dropped; answers once it is.
async fn occupy(db: &Db) -> mpsc::Sender<()> {
    let (release, wait) = mpsc::channel::<()>();
    let (occupied, begun) = tokio::sync::oneshot::channel();
    let occupied = std::sync::Mutex::new(Some(occupied));
    start_and_leave(db.write(move |_| {
        if let Some(occupied) = occupied.lock().unwrap().take() {
            let _ = occupied.send(());
        }
        let _ = wait.recv();
        Ok(())
    }));
    begun.await.unwrap();
    release
}

both! {
    async fn what_was_written_is_read(db) {
        with_table(&db).await;
        db.write(|tx| put(tx, 1)).await.unwrap();
        assert_eq!(numbers(&db).await, [1]);
        db.check().await.unwrap();
        assert_eq!(db.queue_depth(), 0);
    }

    async fn a_closure_that_fails_leaves_nothing_behind(db) {
        with_table(&db).await;
        let failed = db.write(|tx| put(tx, 1).and(Err::<(), _>(Error::Sql("on second thought".into())))).await;
        assert_eq!(failed, Err(Error::Sql("on second thought".into())));
        assert_eq!(numbers(&db).await, [0_i64; 0]);
    }

    async fn a_closure_that_swallows_an_error_is_undone_all_the_same(db) {
        with_table(&db).await;
        let swallowed = db
            .write(|tx| {
                put(tx, 1)?;
                let first = put(tx, 1);
                assert_eq!(put(tx, 2), first, "after an error only the same error comes");
                Ok::<_, Error>(())
            })
            .await;
        assert!(swallowed.unwrap_err().is_unique_violation());
        assert_eq!(numbers(&db).await, [0_i64; 0]);
    }

    async fn a_panic_is_an_error_of_its_closure_only(db) {
        with_table(&db).await;
        for _ in 0..8 {
            let panicked: Result<(), _> = db
                .write(|tx| {
                    put(tx, 1)?;
                    panic!("out of {}", "cheese")
                })
                .await;
            assert_eq!(panicked, Err(Error::Panicked("out of cheese".into())));
        }
        db.write(|tx| put(tx, 2)).await.unwrap();
        assert_eq!(numbers(&db).await, [2]);
    }

    async fn a_read_changes_nothing(db) {
        with_table(&db).await;
        db.read(|tx| put(tx, 1)).await.unwrap_err();
        assert_eq!(numbers(&db).await, [0_i64; 0]);
    }

    async fn a_read_sees_one_state_of_the_database(db) {
        with_table(&db).await;
        let (written, wait) = mpsc::channel::<()>();
        let (begun, started) = tokio::sync::oneshot::channel();
        let begun = std::sync::Mutex::new(Some(begun));
        let count = |tx: &mut Tx<'_>| tx.query_one("SELECT count(*) FROM scratch", &[])?.get::<i64>(0);
        let reading = db.read(move |tx| {
            let before = count(tx)?;
            if let Some(begun) = begun.lock().unwrap().take() {
                begun.send(()).unwrap();
            }
            let _ = wait.recv();
            Ok::<_, Error>((before, count(tx)?))
        });
        let mut reading = pin!(reading);
        assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        started.await.unwrap();
        db.write(|tx| put(tx, 1)).await.unwrap();
        drop(written);
        assert_eq!(reading.await.unwrap(), (0, 0));
    }

    async fn a_failing_write_does_not_touch_those_beside_it(db) {
        with_table(&db).await;
        let release = occupy(&db).await;
        let writes: Vec<_> = (0..60)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(move |tx| {
                        put(tx, n)?;
                        match n % 4 {
                            1 => Err(Error::Sql("no".into())),
                            2 => put(tx, n).map(|_| ()),
                            3 => panic!("no"),
                            _ => Ok(()),
                        }
                    })
                    .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(release);
        for (n, write) in (0..).zip(writes) {
            assert_eq!(write.await.unwrap().is_ok(), n % 4 == 0, "{n}");
        }
        assert_eq!(numbers(&db).await, (0..60).step_by(4).collect::<Vec<_>>());
    }

    async fn a_caller_that_goes_away_neither_loses_nor_halves_its_write(db) {
        with_table(&db).await;
        let release = occupy(&db).await;
        start_and_leave(db.write(|tx| {
            put(tx, 1)?;
            put(tx, 2).map(|_| ())
        }));
        drop(release);
        await_numbers(&db, &[1, 2]).await;
    }

    async fn closing_does_what_waits_and_takes_no_more(db) {
        with_table(&db).await;
        let release = occupy(&db).await;
        for n in 0..100 {
            start_and_leave(db.write(move |tx| put(tx, n).map(|_| ())));
        }
        let mut closing = pin!(db.close());
        assert!(closing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let refused = db.write(|tx| put(tx, 100)).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(_)) && refused.is_temporary(), "{refused}");
        drop(release);
        closing.await;
        assert_eq!(db.queue_depth(), 0);
    }
}

/// Opens databases on each engine, again and again, for what `both!` cannot say.
enum Place {
    Folder(tempfile::TempDir),
    Server(FreshPostgres),
}

impl Place {
    /// A folder, and a PostgreSQL when there is one.
    fn all() -> Vec<Self> {
        let folder = Self::Folder(tempfile::tempdir().unwrap());
        std::iter::once(folder).chain(FreshPostgres::create().map(Self::Server)).collect()
    }

    fn open(&self, options: &Options, migrations: &'static [Migration]) -> Result<Db, Error> {
        match self {
            Self::Folder(folder) => Db::open_sqlite_with(&folder.path().join("test.db"), options, migrations),
            Self::Server(fresh) => {
                let url = fresh.url.clone();
                let options = options.clone();
                Db::open_postgres_with(&url, &options, migrations)
            }
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_full_queue_answers_busy_at_once() {
    for place in Place::all() {
        let db = place.open(&Options { threads: 1, queue: 2, ..Options::default() }, MIGRATIONS).unwrap();
        block_on(async {
            with_table(&db).await;
            let release = occupy(&db).await;
            start_and_leave(db.write(|tx| put(tx, 1).map(|_| ())));
            start_and_leave(db.write(|tx| put(tx, 2).map(|_| ())));
            assert_eq!(db.queue_depth(), 2);
            assert_eq!(db.write(|tx| put(tx, 3)).await, Err(Error::Busy));
            drop(release);
            await_numbers(&db, &[1, 2]).await;
            db.write(|tx| put(tx, 4)).await.unwrap();
            db.close().await;
        });
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    for place in Place::all() {
        let db = place.open(&Options::default(), MIGRATIONS).unwrap();
        block_on(async {
            with_table(&db).await;
            db.write(|tx| put(tx, 1)).await.unwrap();
        });
        // Not closed: the threads of the first are still there.
        let again = place.open(&Options::default(), MIGRATIONS).unwrap();
        block_on(async {
            assert_eq!(numbers(&again).await, [1]);
            db.close().await;
            again.write(|tx| put(tx, 2)).await.unwrap();
            assert_eq!(numbers(&again).await, [1, 2]);
            again.close().await;
        });
    }
}

const ONE: Migration = Migration { version: 1, name: "one", sql: "CREATE TABLE one (a TEXT)" };
const ONE_EDITED: Migration = Migration { sql: "CREATE TABLE one (a TEXT, b TEXT)", ..ONE };
const TWO: Migration = Migration { version: 2, name: "two", sql: "CREATE TABLE two (a BLOB)" };
const TWO_BROKEN: Migration =
    Migration { sql: "CREATE TABLE half (a TEXT); CREATE TABLE one (a TEXT)", ..TWO };

#[test]
fn a_database_follows_its_program_and_refuses_another() {
    for place in Place::all() {
        let open = |migrations| place.open(&Options::default(), migrations).map(|db| block_on(db.close()));
        open(&[ONE]).unwrap();
        open(&[ONE]).unwrap();
        open(&[ONE, TWO_BROKEN]).unwrap_err();
        open(&[ONE, TWO]).unwrap();
        let newer = open(&[ONE]).unwrap_err();
        assert_eq!(newer, Error::Newer { database: 2, binary: 1 });
        assert!(newer.to_string().contains("start the newer runyard"), "{newer}");
        let mismatch = open(&[ONE_EDITED, TWO]).unwrap_err();
        assert_eq!(mismatch, Error::Mismatch { version: 1, name: "one".into() });
        assert!(mismatch.to_string().contains("migration 1 (one)"), "{mismatch}");
        open(&[ONE, TWO]).unwrap();
    }
}

#[test]
fn a_broken_migration_leaves_nothing_behind() {
    for place in Place::all() {
        place.open(&Options::default(), &[ONE, TWO_BROKEN]).unwrap_err();
        let db = place.open(&Options::default(), &[ONE]).unwrap();
        block_on(async {
            db.read(|tx| tx.query("SELECT a FROM one", &[])).await.unwrap();
            db.read(|tx| tx.query("SELECT a FROM half", &[])).await.unwrap_err();
            db.close().await;
        });
    }
}

#[test]
fn servers_that_start_at_once_migrate_once() {
    for place in Place::all() {
        thread::scope(|scope| {
            let open = || place.open(&Options::default(), MIGRATIONS).map(|db| block_on(db.close()));
            let opened: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            for db in opened {
                db.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn a_write_goes_on_after_postgres_restarted() {
    let Some(fresh) = FreshPostgres::create() else { return };
    let db = Db::open_postgres(&fresh.url, &Options { threads: 2, ..Options::default() }).unwrap();
    block_on(with_table(&db));
    for n in 0..4 {
        block_on(db.write(move |tx| put(tx, n))).unwrap();
        fresh.disconnect_all();
    }
    // Lost within the transaction: it is run again.
    let url = fresh.url.clone();
    let lost = AtomicU32::new(0);
    let write = db.write(move |tx| {
        put(tx, 4)?;
        if lost.fetch_add(1, Ordering::Relaxed) == 0 {
            let backend = tx.query_one("SELECT pg_backend_pid()", &[])?.get::<i64>(0)?;
            let kill = format!("SELECT pg_terminate_backend({backend})");
            let end = || ::postgres::Client::connect(&url, ::postgres::NoTls)?.batch_execute(&kill);
            thread::scope(|scope| scope.spawn(end).join().unwrap()).unwrap();
        }
        put(tx, 5)?;
        Ok::<_, Error>(lost.load(Ordering::Relaxed))
    });
    assert_eq!(block_on(write).unwrap(), 2);
    assert_eq!(block_on(numbers(&db)), [0, 1, 2, 3, 4, 5]);
    block_on(db.close());
}

#[test]
fn transactions_that_deadlock_are_run_again_until_all_are_done() {
    let Some(fresh) = FreshPostgres::create() else { return };
    let db = Db::open_postgres(&fresh.url, &Options::default()).unwrap();
    block_on(async {
        with_table(&db).await;
        db.write(|tx| put(tx, 1).and(put(tx, 2))).await.unwrap();
        let met = Arc::new(Barrier::new(2));
        let change = |first: i64, second: i64| {
            let met = Arc::clone(&met);
            let attempt = AtomicU32::new(0);
            db.write(move |tx| {
                let add = "UPDATE scratch SET t = coalesce(t, '') || 'x' WHERE n = $1";
                tx.execute(add, params![first])?;
                if attempt.fetch_add(1, Ordering::Relaxed) == 0 {
                    met.wait();
                }
                tx.execute(add, params![second])
            })
        };
        let (one, two) = tokio::join!(change(1, 2), change(2, 1));
        assert_eq!((one, two), (Ok(1), Ok(1)));
        let rows = db.read(|tx| tx.query("SELECT t FROM scratch", &[])).await.unwrap();
        assert!(rows.iter().all(|row| row.get::<String>(0).unwrap() == "xx"), "{rows:?}");
        db.close().await;
    });
}

#[test]
fn a_postgres_that_is_not_there_is_said_to_be() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Db::open_postgres(&format!("postgres://nobody@{unused}/x"), &Options::default()).unwrap_err();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("refused")), "{error}");
    let error = Db::open_postgres("postgres://host:port/x", &Options::default()).unwrap_err();
    assert!(error.to_string().contains("postgres://user:password@host:5432/name"), "{error}");
}

#[test]
fn a_statement_that_runs_too_long_is_ended() {
    let Some(fresh) = FreshPostgres::create() else { return };
    let options = Options { statement_timeout_ms: 50, ..Options::default() };
    let db = Db::open_postgres(&fresh.url, &options).unwrap();
    let error = block_on(db.read(|tx| tx.query("SELECT pg_sleep(600)", &[]))).unwrap_err().to_string();
    assert!(error.contains("statement timeout"), "{error}");
    block_on(db.check()).unwrap();
    block_on(db.close());
}

#[test]
fn a_result_that_panics_when_it_is_dropped_does_not_stop_the_database() {
    struct Trap;
    impl Drop for Trap {
        fn drop(&mut self) {
            assert!(thread::current().name().is_none_or(|name| !name.starts_with("db-")), "trap");
        }
    }
    for place in Place::all() {
        let db = place.open(&Options { threads: 1, ..Options::default() }, MIGRATIONS).unwrap();
        block_on(async {
            with_table(&db).await;
            let release = occupy(&db).await;
            // Nobody takes the result, so the database's own thread drops it.
            let leave = async { db.write(|_| Ok::<_, Error>(Trap)).await.map(std::mem::forget) };
            start_and_leave(leave);
            let beside = db.write(|tx| put(tx, 1));
            drop(release);
            beside.await.unwrap();
            // Dropped between the closure and its answer.
            let lost = db.write(|tx| tx.query("nonsense", &[]).map(|_| Trap).or(Ok::<_, Error>(Trap))).await;
            assert!(matches!(lost, Err(Error::Unavailable(_))));
            db.write(|tx| put(tx, 2)).await.unwrap();
            assert_eq!(numbers(&db).await, [1, 2]);
            db.close().await;
        });
    }
}

#[test]
fn tls_is_spoken_when_it_is_asked_for() {
    // A server that says yes to TLS and then speaks no such thing: the client must have gone on to the handshake.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url =
        format!("postgres://nobody@localhost:{}/x?sslmode=verify-full", server.local_addr().unwrap().port());
    let heard = thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut client, _) = server.accept().unwrap();
        let mut request = [0; 8];
        client.read_exact(&mut request).unwrap();
        client.write_all(b"S").unwrap();
        let mut hello = [0; 3];
        client.read_exact(&mut hello).unwrap();
        (request, hello)
    });
    let error = Db::open_postgres(&url, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("ca-certificates"), "{error}");
    let (request, hello) = heard.join().unwrap();
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47], "a request for TLS");
    assert_eq!(hello[..2], [22, 3], "a TLS handshake");
}

#[test]
fn writes_that_wait_together_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let db = Db::open_sqlite(&path, &Options::default()).unwrap();
    block_on(with_table(&db));
    let mut shared = false;
    // A group also ends after some time, so on a slow machine not the first two may share one.
    for n in (0..).step_by(10).take_while(|n| *n < 1000) {
        let path = path.clone();
        let from_outside = db.write(move |tx| {
            let sql = format!("SELECT count(*) FROM scratch WHERE n = {n}");
            let inside = tx.query_one(&sql, &[])?.get::<i64>(0)?;
            let outside = rusqlite::Connection::open(&path).unwrap();
            Ok::<_, Error>((inside, outside.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()))
        });
        let seen = block_on(async {
            let release = occupy(&db).await;
            start_and_leave(db.write(move |tx| put(tx, n).map(|_| ())));
            start_and_leave(db.write(move |tx| put(tx, n).map(|_| ())));
            let mut from_outside = pin!(from_outside);
            assert!(from_outside.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(release);
            from_outside.await.unwrap()
        });
        shared = match seen {
            // The write before is executed, and not yet committed.
            (1, 0) => true,
            (1, 1) => continue,
            other => panic!("{other:?}"),
        };
        break;
    }
    assert!(shared, "no two writes ever shared a commit");
    block_on(db.close());
}

#[test]
fn a_full_disk_is_said_and_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(folder.path().join("test.db"), &Options::default()).unwrap();
    let fill = |n: i64| {
        db.write(move |tx| {
            let sql = "INSERT INTO scratch (n, t) VALUES ($1, $2)";
            tx.execute(sql, params![n, "x".repeat(100_000)])
        })
    };
    block_on(async {
        with_table(&db).await;
        let limit = |tx: &mut Tx<'_>, more: i64| {
            let pages: i64 = tx.query_one("PRAGMA page_count", &[])?.get(0)?;
            tx.query(&format!("PRAGMA max_page_count = {}", pages + more), &[])
        };
        db.write(move |tx| limit(tx, 30)).await.unwrap();
        let release = occupy(&db).await;
        let (one, two, three) = (fill(1), fill(2), db.write(|tx| put(tx, 3)));
        let all = async { tokio::join!(one, two, three) };
        let mut all = pin!(all);
        assert!(all.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(release);
        let (one, two, three) = all.await;
        assert_eq!((one, three), (Ok(1), Ok(1)));
        assert!(matches!(two, Err(Error::Full(_))), "{two:?}");
        db.write(move |tx| limit(tx, 1000)).await.unwrap();
        fill(4).await.unwrap();
        assert_eq!(numbers(&db).await, [1, 3, 4]);
        db.close().await;
    });
}

#[test]
fn a_checkpoint_empties_the_write_ahead_log() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(folder.path().join("test.db"), &Options::default()).unwrap();
    let log = || std::fs::metadata(folder.path().join("test.db-wal")).unwrap().len();
    block_on(async {
        with_table(&db).await;
        assert!(log() > 0);
        db.checkpoint().await.unwrap();
        assert_eq!(log(), 0);
        db.close().await;
    });
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    std::fs::write(&path, "dear diary, ".repeat(1000)).unwrap();
    let error = Db::open_sqlite(&path, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("notes.db") && error.contains("not a database"), "{error}");
}

#[test]
fn a_simulated_crash_strikes_before_or_after_the_commit() {
    let strike = Arc::new(std::sync::Mutex::new(None));
    let db = {
        let strike = Arc::clone(&strike);
        Db::inline_with(move |point| match *strike.lock().unwrap() {
            Some(at) if at == point => Err(Error::Sql("crash".into())),
            _ => Ok(()),
        })
        .unwrap()
    };
    // No runtime: a single poll is enough.
    fn now<T>(operation: impl Future<Output = T>) -> T {
        match pin!(operation).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("an inline database does not wait"),
        }
    }
    let write = |n| now(db.write(move |tx| put(tx, n)));
    now(with_table(&db));
    assert_eq!(write(1), Ok(1));
    *strike.lock().unwrap() = Some(Point::BeforeCommit);
    assert_eq!(write(2), Err(Error::Sql("crash".into())));
    *strike.lock().unwrap() = Some(Point::AfterCommit);
    assert_eq!(write(3), Err(Error::Sql("crash".into())));
    assert_eq!(now(numbers(&db)), [1, 3], "reads are never struck");
    *strike.lock().unwrap() = None;
    assert!(write(3).unwrap_err().is_unique_violation());
}
