//! Secrets and access keys from outside: what is kept, who gets it, and that it is nowhere else.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, cli, sha256, wait_until};
use serde_json::json;

/// No other word of any test.
const VALUE: &str = "h4nter2-Zq7-swordfish-topsecret";

/// `runyard secret set NAME -`, with the value on standard input.
fn set(server: &Server, name: &str, value: &str) -> String {
    let mut command = cli::command(server.data());
    command.args(["secret", "set", name, "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{value}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said + &String::from_utf8(output.stdout).unwrap()
}

/// The files below a folder that have this text in them.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with(&path, text));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

/// A program that says that it has the value, in a way that tells it to nobody; and then tells everybody.
const TELLS: &str = "printf %s \"$HF_TOKEN\" | sha256sum; echo \"mine is <$HF_TOKEN>\"; env | grep HF_; \
                     printf '%s' \"$HF_TOKEN\" | cut -c1-8; echo \"to stderr $HF_TOKEN\" >&2";

#[test]
fn the_value_of_a_secret_reaches_the_program_and_is_nowhere_else() {
    let mut server = Server::start();
    assert!(!set(&server, "hf", VALUE).contains(VALUE));
    let told = server.submit(&["--secret", "HF_TOKEN=hf"], TELLS);
    assert_eq!(server.wait_for_end(&told), Status::JobCompleted);
    let output = server.output(&told);
    assert!(output.contains(&sha256(VALUE)), "the program got another value: {output}");
    for line in ["mine is <***>\n", "HF_TOKEN=***\n", "h4nter2-\n", "to stderr ***\n"] {
        assert!(output.contains(line), "{line} is not in {output}");
    }
    assert_eq!(server.run(&told)["spec"]["secrets"], json!({"HF_TOKEN": "hf"}));

    // One during which the server is killed, and one that never starts.
    let gate = server.home().join("gate");
    let waits = format!("echo began; until test -e {}; do sleep 0.05; done; {TELLS}", gate.display());
    let outlives = server.submit(&["--secret", "HF_TOKEN=hf"], &waits);
    server.wait_for_output(&outlives, "began");
    let spec = server.job_folder(&outlives).join("spec.json");
    assert_eq!(fs::metadata(&spec).unwrap().permissions().mode() & 0o777, 0o600);
    wait_until("of all files the spec of the job alone has the value, while it runs", SOON, || {
        files_with(&server.home(), VALUE) == [spec.clone()]
    });
    let cores = server.get("/system/resources")[0]["cpu_milli_total"].as_i64().unwrap();
    let all = format!("{cores}m");
    let never = server.submit(&["--secret", "HF_TOKEN=hf", "--cpu", &all], TELLS);
    server.wait_for_status(&never, Status::JobPending);
    server.kill();
    server.restart();
    server.cli(&["stop", &never]).ok();
    assert_eq!(server.wait_for_end(&never), Status::JobTerminated);
    fs::write(gate, "").unwrap();
    assert_eq!(server.wait_for_end(&outlives), Status::JobCompleted);
    assert!(server.output(&outlives).contains(&sha256(VALUE)));

    let backup = server.home().join("backup");
    server.cli(&["backup", &backup.display().to_string()]).ok();
    for path in ["/secrets", "/runs", "/system", "/tokens"] {
        let answer = server.call("GET", &format!("/api/v2{path}")).send();
        assert!(!answer.text.contains(VALUE), "{path}: {}", answer.text);
    }
    for run in [&told, &outlives, &never] {
        for path in ["", "/events", "/jobs", "/logs", "/lineage", "/metrics"] {
            let answer = server.call("GET", &format!("/api/v2/runs/{run}{path}")).send();
            assert!(!answer.text.contains(VALUE), "{path}: {}", answer.text);
        }
    }
    wait_until("no file has the value any more", SOON, || {
        // The data folder, the server's log, and the backup.
        files_with(&server.home(), VALUE).is_empty()
    });
    server.stop();
    assert_eq!(files_with(&server.home(), VALUE), Vec::<PathBuf>::new(), "after the end of the server");
}

#[test]
fn secrets_are_set_listed_and_deleted_by_name() {
    let server = Server::start();
    let file = server.home().join("token");
    fs::write(&file, "from a file\n").unwrap();
    server.cli(&["secret", "set", "from-file", "--from-file", &file.display().to_string()]).ok();
    server.cli(&["secret", "set", "plain", "value of it"]).ok();
    let listed = server.cli(&["secret", "ls", "--output", "json"]).ok();
    let names: Vec<String> = listed
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["from-file", "plain"]);
    assert!(!listed.stdout.contains("value of it"), "{}", listed.stdout);
    let script = "printf '%s|%s' \"$A\" \"$B\" | sha256sum";
    let run = server.submit(&["--secret", "A=from-file", "--secret", "B=plain"], script);
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    assert!(server.output(&run).contains(&sha256("from a file|value of it")), "{}", server.output(&run));
    server.cli(&["secret", "rm", "plain"]).refused(2, &["Delete plain?", "--yes"]);
    server.cli(&["secret", "rm", "plain", "--yes"]).ok();
    server.cli(&["secret", "rm", "plain", "--yes"]).refused(1, &["there is no secret `plain`"]);

    // What the run names is gone: it cannot start again, and says why.
    server.cli(&["restart", &run]).ok();
    assert_eq!(server.wait_for_end(&run), Status::JobCreateFailed);
    let events = server.cli(&["events", &run, "--output", "json"]).ok().stdout;
    assert!(events.contains("the secret `plain` was deleted"), "{events}");
}

#[test]
fn a_secret_that_cannot_be_is_refused_with_what_can() {
    let server = Server::start();
    server
        .cli(&["run", "--secret", "HF=nope", "--", "true"])
        .refused(1, &["spec.secrets.HF", "there is no secret `nope`", "runyard secret set nope"]);
    assert_eq!(server.cli(&["ls", "--output", "quiet"]).ok().stdout, "");
    server.cli(&["secret", "set", "a b", "x"]).refused(2, &["`a b` is no name of a secret"]);
    server.cli(&["secret", "set", "empty", ""]).refused(2, &["is empty"]);
    server.cli(&["secret", "set", "x", "y", "--from-file", "z"]).refused(2, &["--from-file"]);
    server
        .cli(&["secret", "set", "x", "--from-file", "/nowhere"])
        .refused(2, &["cannot read --from-file /nowhere"]);
    server.cli(&["secret", "set", "x", "y", "--project", "nobody"]).refused(1, &["no project `nobody`"]);
    set(&server, "hf", VALUE);
    server
        .cli(&["run", "--secret", "HF=hf", "--env", "HF=x", "--", "true"])
        .refused(1, &["`HF` is a variable in `env` too"]);
    server.cli(&["run", "--secret", "RUNYARD_TOKEN=hf", "--", "true"]).refused(1, &["set by Runyard"]);
    server.cli(&["run", "--secret", "HF", "--", "true"]).refused(2, &["`HF` is no KEY=VALUE"]);
}

#[test]
fn an_access_key_is_shown_once_and_revoked_like_any_token() {
    let server = Server::start();
    let shown = server.cli(&["token", "create", "--name", "pai", "--access-key"]).ok();
    let word = |label: &str| {
        let line = shown.stdout.lines().find_map(|line| line.strip_prefix(label)).unwrap();
        line.trim().to_owned()
    };
    let (id, secret) = (word("access key id"), word("access key secret"));
    assert!(id.starts_with("RYD") && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let listed = server.cli(&["token", "ls"]).ok().stdout;
    assert!(listed.contains(&id) && !listed.contains(&secret), "{listed}");
    assert_eq!(files_with(&server.home(), &secret), Vec::<PathBuf>::new());
    // It is a token too, of the project `default` alone.
    let own = server.cli(&["project", "ls", "--output", "quiet", "--token", &secret]).ok().stdout;
    assert_eq!(own.lines().count(), 1, "{own}");
    server.cli(&["token", "revoke", "pai"]).ok();
    server.cli(&["ls", "--token", &secret]).refused(1, &["revoked"]);
    let quiet =
        server.cli(&["token", "create", "ci", "--scope", "admin", "--access-key", "--output", "quiet"]).ok();
    assert_eq!(quiet.stdout.split_whitespace().count(), 2, "{}", quiet.stdout);
    server.cli(&["token", "create", "--access-key"]).refused(2, &["<NAME>"]);
    server.cli(&["token", "create", "a", "--name", "b", "--scope", "admin"]).refused(2, &["--name"]);
    server.cli(&["token", "create", "a"]).refused(2, &["--scope"]);
}
