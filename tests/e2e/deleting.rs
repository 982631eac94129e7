//! Deleting deletes: rows, folders, sources; and says how much it freed. What is active stays.

use std::{fs, path::Path};

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, wait_until};

/// All files below a folder, but not those that are being written.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

fn source(server: &Server, name: &str) -> String {
    let folder = server.home().join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("main.sh"), format!("echo {name}; head -c 300000 /dev/zero > big")).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn deleting_a_run_frees_its_rows_its_folder_and_its_source_and_says_how_much() {
    let server = Server::start();
    let source = source(&server, "code");
    for name in ["first", "second"] {
        server.cli(&["run", "--name", name, "--source", &source, "--", "sh", "main.sh"]).ok();
    }
    let objects = server.data().join("objects");
    assert_eq!(files(&objects).len(), 1, "the same source is stored once");
    let first = server.get("/runs?name_ilike=first")[0]["id"].as_str().unwrap().to_owned();
    let folder = server.job_folder(&first);
    let freed = server.cli(&["rm", "first", "--yes", "--output", "json"]).ok().json();
    assert!(freed[0]["freed_bytes"].as_i64().unwrap() > 300_000, "{freed}");
    assert_eq!(freed[0]["id"], first.as_str());
    wait_until("the job's folder is gone", SOON, || !folder.exists());
    assert_eq!(files(&objects).len(), 1, "another run needs the source");
    for path in ["", "/events", "/logs", "/jobs", "/progress"] {
        let answer = server.call("GET", &format!("/api/v2/runs/{first}{path}")).send();
        answer.refused(404, "not_found", &[first.as_str()]);
    }
    let said = server.cli(&["rm", "second", "--yes"]).ok().stderr;
    assert!(said.contains("freed") && said.contains("KiB"), "{said}");
    wait_until("the source is gone", SOON, || files(&objects).is_empty());
    assert_eq!(server.get("/runs"), serde_json::json!([]));
    server.cli(&["show", "second"]).refused(1, &["`second`", "runyard ls"]);
}

#[test]
fn an_active_run_is_not_deleted_unless_it_may_be_stopped() {
    let server = Server::start();
    let id = server
        .submit(&["--name", "busy"], "trap 'exit 0' TERM; echo on; while :; do sleep 0.05; done 2>/dev/null");
    server.wait_for_output(&id, "on");
    server.cli(&["rm", "busy", "--yes"]).refused(1, &[&id, "has not ended", "runyard stop", "--force"]);
    let answer = server.call("DELETE", &format!("/api/v2/runs/{id}")).send();
    answer.refused(409, "conflict", &["job_running", "runyard stop"]);
    assert_eq!(server.status(&id), Status::JobRunning);
    let folder = server.job_folder(&id);
    server.cli(&["rm", "busy", "--yes", "--force"]).ok();
    wait_until("the job's folder is gone", SOON, || !folder.exists());
    assert_eq!(server.get("/runs"), serde_json::json!([]));
}

#[test]
fn without_a_terminal_to_ask_on_nothing_is_deleted() {
    let server = Server::start();
    let id = server.submit(&["--name", "kept"], "true");
    server.wait_for_end(&id);
    let refused = server.cli(&["rm", "kept"]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 1);
}
