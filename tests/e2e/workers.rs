//! Workers from outside: several processes work through elements, are killed, fail, are stopped, restarted and tried again.

use std::{fmt::Write as _, fs, path::Path};

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, wait_until};
use serde_json::{Value, json};

/// A worker with nothing but the standard library: claims, classifies and commits over HTTP. Elements whose names begin with
/// `bad` fail; those that begin with `poison` kill it.
const WORKER: &str = r#"
import json, os, signal, sys, time, urllib.request
base = os.environ["RUNYARD_URL"] + "/api/v2/worker_runs/" + os.environ["RUNYARD_WORKER_RUN_ID"]
holder, process = os.environ["RUNYARD_WORKER_HOLDER"], os.environ["RUNYARD_WORKER_PROCESS"]
def post(verb, body):
    headers = {"authorization": "Bearer " + os.environ["RUNYARD_TOKEN"], "content-type": "application/json"}
    request = urllib.request.Request(base + "/" + verb, json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request))["data"]
done = 0
while True:
    answer = post("claim", {"holder": holder, "limit": int(os.environ["RUNYARD_WORKER_BATCH"])})
    items = []
    for one in answer["claimed"]:
        if one["name"].startswith("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        if one["name"].startswith("slow") and not os.path.exists(os.environ["GO"]):
            print("waiting", flush=True)
            while not os.path.exists(os.environ["GO"]):
                time.sleep(0.02)
        item = {"element_id": one["element_id"], "attempt": one["attempt"], "state": "processed",
                "results": {"classifications": [{"class": "seen", "confidence": 1.0}]}}
        if one["name"].startswith("bad") and not os.path.exists(os.environ["GO"]):
            item = {**item, "state": "error", "error": "cannot read " + one["name"], "results": {}}
        items.append(item)
    if items:
        outcomes = post("commit", {"items": items})
        done += sum(one["outcome"] == "accepted" for one in outcomes)
        print(f"{process} committed {len(items)}", flush=True)
    elif answer["left"] == 0:
        break
    else:
        time.sleep(0.05)
print(f"{process} is done with {done}")
"#;

/// A server with a corpus of elements with these names, and the worker beside it.
fn books(names: impl IntoIterator<Item = String>) -> Server {
    let server = Server::start();
    server.cli(&["corpus", "create", "books"]).ok();
    let mut lines = String::new();
    for name in names {
        writeln!(lines, "{}", json!({"type": "page", "name": name})).unwrap();
    }
    let path = server.home().join("pages.jsonl");
    fs::write(&path, lines).unwrap();
    server.cli(&["element", "import", path.to_str().unwrap(), "--corpus", "books"]).ok();
    fs::create_dir(server.home().join("code")).unwrap();
    fs::write(server.home().join("code/worker.py"), WORKER).unwrap();
    server
}

fn go(server: &Server) -> String {
    server.home().join("go").display().to_string()
}

/// `runyard worker run` with more options.
fn start(server: &Server, options: &[&str]) -> runyard_tests::Output {
    let (code, go) = (server.home().join("code"), format!("GO={}", go(server)));
    let mut args =
        vec!["worker", "run", "--corpus", "books", "--source", code.to_str().unwrap(), "--env", &go];
    args.extend(["--cpu", "100m"]);
    args.extend(options);
    args.extend(["--", "python3", "worker.py"]);
    server.cli(&args)
}

fn detached(server: &Server, options: &[&str]) -> String {
    let args = [options, &["--detach", "--output", "quiet"]].concat();
    start(server, &args).ok().stdout.trim().to_owned()
}

fn counts(server: &Server, run: &str) -> Value {
    server.get(&format!("/worker_runs/{run}"))["counts"].clone()
}

#[test]
fn several_processes_work_through_a_corpus_and_each_element_has_one_result() {
    let server = books((0..500).map(|n| format!("p{n}")));
    let said = start(&server, &["--type", "page", "-n", "4", "--batch", "20", "--run-name", "reader"]).ok();
    for n in 0..4 {
        assert!(said.stdout.contains(&format!("{n} is done with")), "{}", said.stdout);
    }
    assert!(said.stderr.contains("500 elements of books"), "{}", said.stderr);
    assert!(said.stderr.contains("elements: 500 processed, 0 failed"), "{}", said.stderr);
    let shown = server.cli(&["worker", "show", "reader", "--output", "json"]).ok().json();
    assert_eq!(shown["counts"], json!({"queued": 0, "started": 0, "processed": 500, "error": 0}));
    let corpus = server.get("/corpora")[0]["id"].as_str().unwrap().to_owned();
    let elements = server.get(&format!("/elements?corpus_id={corpus}&limit=1000&with=classifications"));
    let each =
        elements.as_array().unwrap().iter().map(|one| one["classifications"].as_array().unwrap().len());
    assert_eq!((each.clone().count(), each.filter(|count| *count == 1).count()), (500, 500));
    assert!(server.cli(&["worker", "ls"]).ok().stdout.contains("reader"));
    assert!(
        server
            .cli(&["worker", "errors", "reader"])
            .ok()
            .stderr
            .contains("no element of this worker run has failed")
    );
}

#[test]
fn what_failed_is_said_with_its_message_and_tried_again() {
    let server = books((0..20).map(|n| if n % 10 == 3 { format!("bad{n}") } else { format!("p{n}") }));
    let said = start(&server, &["-n", "2", "--run-name", "reader"]).ok();
    assert!(
        said.stderr.contains("18 processed, 2 failed") && said.stderr.contains("runyard worker errors"),
        "{}",
        said.stderr
    );
    let errors = server.cli(&["worker", "errors", "reader"]).ok().stdout;
    assert!(errors.contains("cannot read bad3") && errors.contains("cannot read bad13"), "{errors}");
    fs::write(go(&server), "").unwrap();
    let retried = server
        .cli(&["worker", "retry", "reader", "--state", "error", "--restart", "--output", "json"])
        .ok()
        .json();
    assert_eq!((&retried["queued"], &retried["restarted"]), (&json!(2), &json!(true)));
    let run = retried["worker_run_id"].as_str().unwrap();
    server.wait_for_status(run, Status::JobCompleted);
    assert_eq!(counts(&server, run), json!({"queued": 0, "started": 0, "processed": 20, "error": 0}));
}

#[test]
fn a_run_of_which_everything_failed_has_failed() {
    let server = books((0..3).map(|n| format!("bad{n}")));
    let said = start(&server, &["--run-name", "reader"]);
    said.refused(1, &["all of 3 elements failed", "runyard worker errors"]);
}

#[test]
fn a_poisoned_element_is_set_aside_and_the_others_are_done() {
    let server = books((0..30).map(|n| if n == 7 { "poison".to_owned() } else { format!("p{n}") }));
    let run = detached(&server, &["-n", "2", "--batch", "5", "--max-attempts", "2"]);
    server.wait_for_status(&run, Status::JobCompleted);
    assert_eq!(counts(&server, &run), json!({"queued": 0, "started": 0, "processed": 29, "error": 1}));
    let errors = server.cli(&["worker", "errors", &run]).ok().stdout;
    assert!(errors.contains("poison") && errors.contains("set aside after 2 attempts"), "{errors}");
    assert!(server.output(&run).contains("was ended by SIGKILL: started again"), "{}", server.output(&run));
}

#[test]
fn a_stopped_run_goes_on_with_what_is_left() {
    let server = books((0..40).map(|n| if n < 20 { format!("p{n}") } else { format!("slow{n}") }));
    let run = detached(&server, &["-n", "2", "--batch", "10"]);
    wait_until("both wait", SOON, || server.output(&run).matches("waiting").count() == 2);
    server.cli(&["stop", &run, "--grace", "10s"]).ok();
    server.wait_for_status(&run, Status::JobTerminated);
    assert_eq!(counts(&server, &run), json!({"queued": 20, "started": 0, "processed": 20, "error": 0}));
    fs::write(go(&server), "").unwrap();
    server.cli(&["restart", &run]).ok();
    server.wait_for_status(&run, Status::JobCompleted);
    assert_eq!(counts(&server, &run)["processed"], 40);
    let committed = server.output(&run);
    assert!(committed.contains("committed 10"), "{committed}");
}

#[test]
fn only_what_is_selected_is_worked_through() {
    let server = books((0..10).map(|n| format!("p{n}")));
    let ids = server.cli(&["element", "ls", "--corpus", "books", "--output", "quiet"]).ok().stdout;
    let some: String = ids.lines().take(3).fold(String::new(), |text, id| text + id + "\n");
    let file = server.home().join("ids");
    fs::write(&file, some).unwrap();
    let run = detached(&server, &["--ids", file.to_str().unwrap()]);
    server.wait_for_status(&run, Status::JobCompleted);
    assert_eq!(counts(&server, &run)["processed"], 3);
    let rest = detached(&server, &["--without-results-of", &run]);
    server.wait_for_status(&rest, Status::JobCompleted);
    assert_eq!(counts(&server, &rest)["processed"], 7);
    start(&server, &["--corpus", "nowhere"]).refused(2, &["--corpus"]);
    start(&server, &["--set", "letters:train"]).refused(1, &["no dataset `letters`"]);
    start(&server, &["--set", "letters"]).refused(2, &["DATASET:NAME"]);
    fs::write(&file, "x\n").unwrap();
    start(&server, &["--ids", file.to_str().unwrap()]).refused(2, &["line 1: `x` is not an element id"]);
    server.cli(&["worker", "show", "nobody"]).refused(1, &["nobody"]);
    assert!(Path::new(&file).exists());
}
