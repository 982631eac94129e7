//! Bad input on the command line: the exit code is 2 for a wrong command and 1 for a wrong wish, the answer says what to
//! do, and nothing is written.

use std::fs;

use runyard_tests::Server;

#[test]
fn a_wrong_command_line_is_answered_with_the_right_one() {
    let server = Server::start();
    let before = server.state();
    for (args, words) in [
        (&["sumbit"][..], &["'sumbit'", "'submit'"][..]),
        (&["ls", "--limt", "3"], &["--limt", "'--limit'"]),
        (&["ls", "-n", "1001"], &["1001", "1..=1000"]),
        (&["ls", "--status", "gone"], &["gone", "job_running"]),
        (&["run", "--memory", "5GB", "--", "true"], &["5GB", "5Gi"]),
        (&["run", "--cpu", "-1", "--", "true"], &["-1"]),
        (&["run", "--gpu", "0", "--", "true"], &["COUNT"]),
        (&["run", "--env", "NOVALUE", "--", "true"], &["KEY=VALUE"]),
        (&["run", "--max-run-time", "soon", "--", "true"], &["soon"]),
        (&["run", "--retry-on", "bored", "--retries", "1", "--", "true"], &["bored", "failed, oom, lost"]),
        (&["run"], &["nothing to run", "-- python train.py"]),
        (&["run", "--source", "/nonexistent/code", "--", "true"], &["/nonexistent/code", "No such file"]),
        (&["run", "--config", "nonexistent.json", "--", "true"], &["nonexistent.json"]),
        (&["run", "--config", "[1]", "--", "true"], &["--config"]),
        (&["run", "--config", "{\"a\":", "--", "true"], &["--config is no JSON"]),
        (&["stop", "x", "--grace", "-5s"], &["-5s"]),
        (&["stop", "x", "--grace", "0s"], &["0"]),
        (&["ls", "--output", "yaml"], &["yaml", "json"]),
    ] {
        let output = server.cli(args);
        assert!(output.stdout.is_empty(), "{args:?}: {}", output.stdout);
        output.refused(2, words);
    }
    assert_eq!(server.state(), before, "nothing is written");
}

#[test]
fn what_is_not_there_is_named_with_where_to_look() {
    let server = Server::start();
    let before = server.state();
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (args, words) in [
        (&["show", "nobody"][..], &["`nobody`", "runyard ls"][..]),
        (&["logs", id], &[id]),
        (&["stop", "nobody"], &["`nobody`"]),
        (&["restart", "nobody"], &["`nobody`"]),
        (&["wait", "nobody"], &["`nobody`"]),
        (&["rm", "nobody", "--yes"], &["`nobody`"]),
        (&["submit", "--blueprint", "nothing"], &["`nothing`", "runyard blueprint ls"]),
        (&["submit", "--project", "nowhere", "--", "true"], &["nowhere"]),
        (&["ls", "--project", "nowhere"], &["nowhere"]),
        (&["project", "show", "nowhere"], &["nowhere"]),
        (&["project", "rm", "nowhere", "--yes"], &["nowhere"]),
        (&["token", "revoke", "nobody"], &["`nobody`", "runyard token ls"]),
        (&["ls", "--name", "_\\"], &["backslash"]),
    ] {
        server.cli(args).refused(1, words);
    }
    assert_eq!(server.state(), before, "nothing is written");
}

#[test]
fn a_name_of_several_runs_is_answered_with_all_of_them() {
    let server = Server::start();
    let ids = [server.submit(&["--name", "twin"], "true"), server.submit(&["--name", "twin"], "true")];
    server.cli(&["show", "twin"]).refused(1, &["2 runs", &ids[0], &ids[1], "--newest"]);
    let shown = server.cli(&["show", "twin", "--newest", "--output", "quiet"]).ok().stdout;
    assert_eq!(shown.trim(), ids[1]);
    for id in &ids {
        server.wait_for_end(id);
    }
}

#[test]
fn an_absent_server_and_a_wrong_token_say_what_to_do() {
    let server = Server::start();
    let elsewhere = server.home().join("elsewhere");
    let none = runyard_tests::Cli::start(&elsewhere, &["ls"], None).end();
    none.refused(1, &["no server runs on", "runyard serve", "RUNYARD_URL"]);
    assert!(!elsewhere.exists(), "asking makes no folder");
    server
        .cli(&["ls", "--url", "http://127.0.0.1:9", "--token", "x"])
        .refused(1, &["127.0.0.1:9", "runyard serve"]);
    server.cli(&["ls", "--token", "wrong"]).refused(1, &["token", "runyard token create"]);
    let url = server.url();
    let other = runyard_tests::Cli::start(&elsewhere, &["ls", "--url", url], None).end();
    other.refused(1, &["no token for", url, "RUNYARD_TOKEN"]);
    let token = server.token();
    let both = ["ls", "--output", "json", "--url", url, "--token", &token];
    assert_eq!(runyard_tests::Cli::start(&elsewhere, &both, None).end().ok().stdout, "[]\n");
}

#[test]
fn a_source_that_cannot_be_packed_is_refused_whole() {
    let server = Server::start();
    let source = server.home().join("code");
    fs::create_dir(&source).unwrap();
    let before = server.state();
    let file = source.join("train.py");
    fs::write(&file, "").unwrap();
    server
        .cli(&["run", "--source", file.to_str().unwrap(), "--", "true"])
        .refused(2, &["train.py", "no folder"]);
    assert_eq!(server.state(), before, "nothing is written");
}
