//! Backups from outside: taken of a server that works, restored elsewhere; what is interrupted or damaged leaves nothing.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
};

use runyard_domain::run::Status;
use runyard_tests::{Cli, SOON, Server, Setup, Wire, processes, wait_until};
use serde_json::json;

use super::checkpoints::{complete, content, counts, files_below};

/// `runyard restore FILE --data DIR`.
fn restore(file: &Path, data: &Path, more: &[&str]) -> runyard_tests::Output {
    let file = file.display().to_string();
    Cli::start(data, &[&["restore", file.as_str()], more].concat(), None).end()
}

/// How many points of a tag the server has.
fn points(server: &Server, run: &str, tag: &str) -> usize {
    let csv = server.cli(&["metrics", run, "--tag", tag, "--output", "csv"]).ok().stdout;
    csv.lines().count() - 1
}

/// Writes points to a run until it is told to end; counts those that were acknowledged.
fn write_points(
    server: &Server,
    run: &str,
    end: &Arc<AtomicBool>,
) -> (thread::JoinHandle<()>, Arc<AtomicI64>) {
    let (client, run, end) = (server.client(), run.to_owned(), Arc::clone(end));
    let acknowledged = Arc::new(AtomicI64::new(0));
    let count = Arc::clone(&acknowledged);
    let writer = thread::spawn(move || {
        let mut step = 0;
        while !end.load(Ordering::SeqCst) {
            let metrics = (step..step + 100).map(|step| {
                let value = json!(f64::from(step as i32) / 7.0);
                let tag = "load".to_owned();
                runyard_wire::metric::NewMetric { tag, global_step: step, value, created_at: None }
            });
            let body = runyard_wire::metric::PostMetrics {
                run_id: run.clone(),
                job_id: None,
                metrics: metrics.collect(),
            };
            runyard_tests::block_on(client.post_metrics(&body))
                .expect("a server that is backed up takes writes");
            step += 100;
            count.store(step, Ordering::SeqCst);
        }
    });
    (writer, acknowledged)
}

/// A server at work, backed up, killed and restored elsewhere: everything that was acknowledged before the backup is there.
fn what_was_acknowledged_is_restored(mut server: Server) {
    let trained = counts(&server, &["--name", "counts"], "3");
    assert_eq!(server.wait_for_end(&trained), Status::JobCompleted);
    let busy = server.submit(
        &["--name", "busy"],
        "trap 'exit 0' TERM; echo told before; while :; do sleep 0.05; done 2>/dev/null",
    );
    server.wait_for_output(&busy, "told before");
    let end = Arc::new(AtomicBool::new(false));
    let (writer, acknowledged) = write_points(&server, &busy, &end);
    wait_until("points are written", SOON, || acknowledged.load(Ordering::SeqCst) >= 1000);

    let file = server.home().join("backup");
    let before = acknowledged.load(Ordering::SeqCst);
    let said = server.cli(&["backup", &file.display().to_string()]).ok().stderr;
    assert!(said.contains("backed up") && said.contains("key and admin token"), "{said}");
    wait_until("writes go on", SOON, || acknowledged.load(Ordering::SeqCst) > before);
    end.store(true, Ordering::SeqCst);
    writer.join().expect("every write was taken");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    server.kill();

    let data = server.home().join("elsewhere");
    let said = restore(&file, &data, &[]).ok().stderr;
    assert!(said.contains("restored") && said.contains("runyard serve --data"), "{said}");
    let restored = Setup::default().data(&data).start();
    assert_eq!(restored.token(), server.token());
    assert!(points(&restored, "busy", "load") as i64 >= before, "{before} were acknowledged");
    assert_eq!(points(&restored, "counts", "loss"), 3);
    assert_eq!(restored.output(&busy), "told before\n");
    assert_eq!(restored.output(&trained), "fresh\nsaved 3\n");
    assert_eq!(restored.history(&trained).last().map(String::as_str), Some("job_completed"));
    assert_eq!(complete(&restored, &trained), [3, 2, 1]);
    // Every byte is checked on its way.
    let pulled = server.home().join("pulled");
    restored.cli(&["checkpoint", "pull", "counts@2", &pulled.display().to_string()]).ok();
    assert_eq!(content(&pulled.join("weights")), vec![2; 100_000]);
    assert_eq!(content(&pulled.join("deep/state")), b"state 2");
    // It is a server like any other.
    let again = restored.submit(&[], "echo on");
    assert_eq!(restored.wait_for_end(&again), Status::JobCompleted);
    processes::end_all(server.data());
}

#[test]
fn what_was_acknowledged_before_a_backup_is_restored() {
    what_was_acknowledged_is_restored(Server::start());
}

#[test]
fn a_backup_of_postgres_is_restored_into_sqlite() {
    if let Some(server) = Setup::default().start_on_postgres() {
        what_was_acknowledged_is_restored(server);
    }
}

#[test]
fn a_backup_of_sqlite_is_restored_into_an_empty_postgres_and_into_no_other() {
    let Some(database) = runyard_store::testing::FreshPostgres::create() else { return };
    let server = Server::start();
    let run = counts(&server, &["--name", "counts"], "2");
    server.wait_for_end(&run);
    let file = server.home().join("backup");
    server.cli(&["backup", &file.display().to_string()]).ok();
    let data = server.home().join("elsewhere");
    restore(&file, &data, &["--database", &database.url]).ok();
    let restored = Setup::default().data(&data).args(&["--database", &database.url]).start();
    assert_eq!(restored.client().url(), restored.url());
    assert_eq!(complete(&restored, &run), [2, 1]);
    assert_eq!(restored.get("/system")["database"], "postgres");
    drop(restored);
    let other = server.home().join("other");
    restore(&file, &other, &["--database", &database.url]).refused(1, &["not empty", "name an empty one"]);
    assert!(!other.exists());
}

#[test]
fn an_interrupted_backup_leaves_no_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("backup");
    let name = file.display().to_string();
    // Servers that break off, and one that sends something else.
    for (answer, words) in [
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", &["backup"][..]),
        ("content-length: 1000\r\n\r\nhello", &["backup"]),
        ("content-length: 5\r\n\r\nhello", &["no whole backup"]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            socket.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).unwrap();
        });
        let args = ["backup", &name, "--url", &url, "--token", "ryd_any"];
        let output = Cli::start(home.path(), &args, None).end();
        server.join().unwrap();
        assert_eq!(output.code, 1, "{}", output.stderr);
        assert!(words.iter().all(|word| output.stderr.contains(word)), "{}", output.stderr);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{answer}");
    }
}

#[test]
fn what_is_there_is_not_replaced_by_a_backup_or_a_restore() {
    let server = Server::start();
    let file = server.home().join("backup");
    let name = file.display().to_string();
    server.cli(&["backup", &name]).ok();
    server.cli(&["backup", &name]).refused(2, &["is there already", "--force"]);
    server.cli(&["backup", &name, "--force"]).ok();
    let shown = server.cli(&["backup", &name, "--force", "--output", "json"]).ok().json();
    assert!(shown["rows"].as_u64().unwrap() >= 2, "{shown}");
    assert_eq!(shown["bucket"], json!(null));
    let before = server.state();
    restore(&file, server.data(), &[]).refused(1, &["is not empty", "--data DIR"]);
    assert_eq!(server.state(), before);

    let data = server.home().join("elsewhere");
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / 2);
    let half = server.home().join("half");
    fs::write(&half, &bytes).unwrap();
    restore(&half, &data, &[]).refused(1, &["no whole backup", "nothing was restored"]);
    restore(&server.home().join("nowhere"), &data, &[]).refused(1, &["nowhere"]);
    assert!(!data.exists());

    let create =
        ["token", "create", "ann", "--scope", "project", "--project", "default", "--output", "quiet"];
    let secret = server.cli(&create).ok().stdout.trim().to_owned();
    for (method, path) in [("GET", "/api/v2/backup"), ("POST", "/api/v2/gc")] {
        let answer = server.call_as(&secret, method, path).send();
        answer.refused(403, "forbidden", &["only an admin token"]);
    }
}

#[test]
fn a_server_that_is_killed_within_a_backup_leaves_no_file_and_is_backed_up_the_next_time() {
    let mut server = Server::start();
    // More than what the machine keeps between two programs.
    let run = server.submit(&["--name", "large"], "head -c 50000000 /dev/zero > $RUNYARD_ML/output/large");
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let file = server.home().join("backup");
    let (name, token) = (file.display().to_string(), server.token());
    let wire = Wire::to(&server);
    wire.hold_answers_after(100_000);
    let backup = server.start_cli(&["backup", &name, "--url", wire.url(), "--token", &token]);
    wire.wait_until_held();
    // Meanwhile nothing that the backup may need is freed, and there is one backup at a time.
    server.cli(&["gc"]).refused(1, &["a backup is under way"]);
    server.cli(&["artifact", "rm", "--yes", "large/output"]).ok();
    assert_eq!(
        files_below(&server.data().join("objects/runs")).len(),
        1,
        "the backup may be about to read it"
    );
    server.kill();
    wire.release();
    let output = backup.end();
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(!file.exists() && !server.home().join("backup.partial").exists());
    server.restart();
    server.cli(&["backup", &name]).ok();
    let data = server.home().join("elsewhere");
    restore(&file, &data, &[]).ok();
    let objects = server.data().join("objects/runs");
    wait_until("what waited for the backup is freed", SOON, || files_below(&objects).is_empty());
}

#[test]
fn without_a_server_a_backup_says_how_to_make_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("backup").display().to_string();
    Cli::start(&home.path().join("data"), &["backup", &file], None)
        .end()
        .refused(1, &["no server runs on", "runyard serve"]);
}
