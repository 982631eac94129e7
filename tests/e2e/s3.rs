//! Objects in a bucket: the real binary against a real S3 protocol server that checks every signature. What it takes is
//! what a folder takes; a store that is away is waited for, one that refuses is named.

use runyard_domain::run::Status;
use runyard_tests::{Cli, SOON, Server, Setup, s3::Store, wait_until};

use super::checkpoints::{COUNTS, checkpoints, complete, content, counts, submit};

/// `runyard serve` on a new folder, which is expected to fail.
fn serve(objects: &str, secret: &str) -> runyard_tests::Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = runyard_tests::cli::command(&home.path().join("data"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--objects", objects]);
    command.env("AWS_ACCESS_KEY_ID", "me").env("AWS_SECRET_ACCESS_KEY", secret);
    Cli::spawn(command).end()
}

#[test]
fn checkpoints_and_artifacts_live_in_the_bucket_and_go_with_their_run() {
    let store = Store::start();
    let mut server = store.setup().start();
    let script = "cd $RUNYARD_ML; echo plot > output/plot; exec python3 -c \"$0\" 3";
    let source = server.home().join("code");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("main.py"), COUNTS).unwrap();
    let source = source.display().to_string();
    let run = submit(&server, &["--name", "counts", "--source", &source], &["sh", "-c", script, COUNTS]);
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted, "{}", server.output(&run));
    assert_eq!(complete(&server, &run), [3, 2, 1]);
    // The source, two files for each checkpoint, and the artifact; nothing is in the data folder.
    assert_eq!(store.objects().len(), 1 + 3 * 2 + 1, "{:?}", store.objects());
    assert!(super::checkpoints::files_below(&server.data().join("objects")).is_empty());
    assert!(store.objects().iter().all(|path| path.to_string_lossy().contains("/models/team/")));

    // After a restart of both, the next job goes on from what the bucket has.
    server.restart();
    server.cli(&["restart", "counts"]).ok();
    server.wait_for_output(&run, "resumed at 3 state 3");
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let home = server.home();
    let at = |name: &str| home.join(name).display().to_string();
    server.cli(&["checkpoint", "pull", "counts@2", &at("second")]).ok();
    assert_eq!(content(&home.join("second/weights")), vec![2; 100_000]);
    server.cli(&["artifact", "pull", "counts/output", &at("output")]).ok();
    assert_eq!(content(&home.join("output/plot")), b"plot\n");

    // A backup says that the bucket is not in it.
    let said = server.cli(&["backup", &at("backup")]).ok().stderr;
    assert!(said.contains("s3://models/team/ are not in it"), "{said}");

    let said = server.cli(&["checkpoint", "rm", "--yes", "counts@2"]).ok().stderr;
    assert!(said.contains("freed 97.7 KiB"), "{said}");
    server.cli(&["rm", "--yes", "counts"]).ok();
    wait_until("the bucket is empty", SOON, || store.objects().is_empty());
}

#[test]
fn a_store_that_is_away_is_waited_for_and_nothing_is_lost() {
    let mut store = Store::start();
    let server = store.setup().start();
    let gate = server.home().join("gate");
    let script = format!("until test -e {}; do sleep 0.05; done; exec python3 -c \"$0\" 2", gate.display());
    let run = submit(&server, &["--name", "counts"], &["sh", "-c", &script, COUNTS]);
    server.wait_for_status(&run, Status::JobRunning);
    store.go_away();
    std::fs::write(&gate, "").unwrap();
    server.wait_for_output(&run, "saved 2");
    // The program has ended long since; its run has not, because there is something to bring.
    wait_until("the wait is said", 2 * SOON, || server.output(&run).contains("waits and is tried again"));
    assert_eq!(server.status(&run), Status::JobRunning);
    assert!(complete(&server, &run).is_empty());
    assert_eq!(server.call_as("", "GET", "/readyz").send().status, 200, "the server itself is well");
    server.cli(&["run", "--source", "examples/digits", "--", "true"]).refused(1, &["object store"]);

    store.come_back();
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    assert_eq!(complete(&server, &run), [2, 1]);
    assert!(checkpoints(&server, &run).iter().all(|checkpoint| checkpoint["reason"].is_null()));

    // What is deleted while the store is away is freed once it is back.
    store.go_away();
    server.cli(&["checkpoint", "rm", "--yes", "counts@1"]).ok();
    assert_eq!(complete(&server, &run), [2]);
    let pulled = server.home().join("pulled").display().to_string();
    server.cli(&["checkpoint", "pull", "counts", &pulled]).refused(1, &["the same command goes on"]);
    store.come_back();
    let freed = server.cli(&["gc"]).ok();
    assert!(freed.stdout.contains("97.7 KiB"), "{}", freed.stdout);
    server.cli(&["checkpoint", "pull", "counts", &pulled]).ok();
    assert_eq!(store.objects().len(), 2, "{:?}", store.objects());
}

#[test]
fn a_server_starts_while_its_store_is_away() {
    let mut store = Store::start();
    let mut server = store.setup().start();
    let run = counts(&server, &["--name", "counts"], "1");
    server.wait_for_end(&run);
    store.go_away();
    server.restart();
    assert_eq!(complete(&server, &run), [1]);
    store.come_back();
    let pulled = server.home().join("pulled").display().to_string();
    server.cli(&["checkpoint", "pull", "counts", &pulled]).ok();
}

#[test]
fn a_store_that_refuses_is_named_with_what_to_look_at() {
    let store = Store::start();
    serve(&store.place("models/team"), "wrong")
        .refused(1, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "127.0.0.1"]);
    serve(&store.place("modles/team"), "s3cret").refused(1, &["`modles`", "create it"]);
    serve("s3://models?endpoint=nowhere", "s3cret").refused(1, &["s3://BUCKET/PREFIX"]);
    serve(&store.place("models/team"), "").refused(1, &["AWS_SECRET_ACCESS_KEY"]);
    let server: Server = Setup::default().start();
    assert_eq!(server.get("/system")["database"], "sqlite", "and without a bucket all is well");
}
