//! The main road: submit, follow, and read what a run wrote; every view of it agrees. On SQLite and on PostgreSQL.

use std::fs;

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, Setup, wait_for};
use serde_json::json;

/// Prints, reports, and returns 0; every line at once.
const PROGRAM: &str = r#"
import json, os, sys

config = json.load(open(os.environ["RUNYARD_CONFIG"]))
with open(os.environ["RUNYARD_RECORDS"], "a") as records:
    for step in range(1, config["steps"] + 1):
        print("step", step, flush=True)
        print("careful", step, file=sys.stderr, flush=True)
        metrics = [{"tag": "train/loss", "global_step": step, "value": 1 / step}]
        if step == config["steps"]:
            metrics.append({"tag": "val/accuracy", "global_step": step, "value": 0.875})
            metrics.append({"tag": "val/strange", "global_step": step, "value": "NaN"})
        progress = [{"operation": "train", "value": step, "final_value": config["steps"], "units": "steps"}]
        print(json.dumps({"metrics": metrics}), file=records, flush=True)
        print(json.dumps({"progress": progress}), file=records, flush=True)
print(os.environ["GREETING"], os.getcwd().endswith("usercode"))
"#;

/// The statuses of a run that went well.
const WELL: [&str; 6] =
    ["run_created", "job_created", "job_submitted", "job_pending", "job_running", "job_completed"];

#[test]
fn a_run_goes_from_submit_to_result() {
    main_road(&Server::start());
}

#[test]
fn a_run_goes_from_submit_to_result_on_postgresql() {
    let Some(server) = Setup::default().start_on_postgres() else { return };
    assert_eq!(server.get("/system")["database"], "postgres");
    main_road(&server);
    assert!(!server.data().join("runyard.db").exists(), "nothing is kept in SQLite beside PostgreSQL");
}

fn main_road(server: &Server) {
    let source = server.home().join("code");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("train.py"), PROGRAM).unwrap();
    let source = source.to_str().unwrap();
    let output = server
        .cli(&[
            "run",
            "--name",
            "road",
            "--source",
            source,
            "--config",
            r#"{"steps": 2, "lr": 1}"#,
            "--set",
            "steps=3",
            "--env",
            "GREETING=hello",
            "--label",
            "team=vision",
            "--notes",
            "a note",
            "--cpu",
            "500m",
            "--memory",
            "256Mi",
            "--max-run-time",
            "1h",
            "--",
            "python3",
            "train.py",
        ])
        .ok();
    let printed = "step 1\ncareful 1\nstep 2\ncareful 2\nstep 3\ncareful 3\nhello True\n";
    assert_eq!(output.stdout, printed, "stdout and stderr in the order of the program, and nothing else");
    for said in ["job_running", "job_completed", "train 3/3 steps (100%)", "val/accuracy", "0.875", "next:"] {
        assert!(output.stderr.contains(said), "`{said}` is not in:\n{}", output.stderr);
    }

    let runs = server.cli(&["ls", "--output", "json"]).ok().json();
    let run = &runs[0];
    let id = run["id"].as_str().unwrap();
    assert_eq!((runs.as_array().unwrap().len(), &run["name"]), (1, &json!("road")));
    assert_eq!(run["status"], "job_completed");
    assert_eq!(run["config"], json!({"steps": 3, "lr": 1}));
    assert_eq!(run["resources"], json!({"cpu": "500m", "memory": "256Mi"}));
    assert_eq!((&run["labels"], &run["notes"]), (&json!({"team": "vision"}), &json!("a note")));
    assert_eq!((&run["exit"]["reason"], &run["exit"]["code"]), (&json!("Completed"), &json!(0)));
    assert_eq!(run["user_id"], "admin");
    assert_eq!(server.history(id), WELL);
    assert_eq!(server.output(id), printed);
    assert_eq!(server.cli(&["logs", "road"]).ok().stdout, printed);

    let points = server.cli(&["metrics", "road", "--tag", "train/loss", "--output", "json"]).ok().json();
    let steps: Vec<_> =
        points.as_array().unwrap().iter().map(|point| (&point["global_step"], &point["value"])).collect();
    assert_eq!(steps, [(&json!(1), &json!(1.0)), (&json!(2), &json!(0.5)), (&json!(3), &json!(1.0 / 3.0))]);
    let csv = server.cli(&["metrics", "road", "--tag", "val/accuracy", "--output", "csv"]).ok().stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "tag,global_step,value,created_at,job_id");
    assert!(lines.len() == 2 && lines[1].starts_with("val/accuracy,3,0.875,"), "{csv}");
    let csv = server.cli(&["metrics", "road", "--tag", "val/strange", "--output", "csv"]).ok().stdout;
    assert!(csv.contains("val/strange,3,NaN,"), "{csv}");
}

#[test]
fn run_exits_with_the_programs_code() {
    let server = Server::start();
    let output = server.cli(&["run", "--name", "seven", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((output.code, output.stdout.as_str()), (7, "out\nerr\n"), "{}", output.stderr);
    assert!(output.stderr.contains("Error (exit code 7)"), "{}", output.stderr);
    let output = server.cli(&["run", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.code, 128 + 9, "{}", output.stderr);
    let id = server.cli(&["ls", "-n", "1", "--output", "quiet"]).ok().stdout;
    assert_eq!(server.reason(id.trim()), "Signaled");
}

#[test]
fn submit_does_not_follow_and_wait_does() {
    let server = Server::start();
    let gate = server.home().join("gate");
    let script = format!("until test -e {}; do sleep 0.05; done; exit 3", gate.display());
    let id = server.submit(&["--name", "patient"], &script);
    server.wait_for_status(&id, Status::JobRunning);
    let output = server.cli(&["wait", "patient", "--timeout", "1s"]);
    assert_eq!(output.code, 124, "{}", output.stderr);
    let waiting = server.start_cli(&["wait", "patient"]);
    fs::write(gate, "").unwrap();
    let output = waiting.end();
    assert_eq!(output.code, 3, "{}", output.stderr);
    assert!(output.stdout.contains("job_failed"), "{}", output.stdout);
    assert_eq!(server.history(&id).last().unwrap(), "job_failed");
}

#[test]
fn a_program_gets_all_that_the_job_contract_promises() {
    let server = Server::start();
    let script = "echo $RUN_ID $RUNYARD_RUN_ID $RUNYARD_URL $REQUESTED_GPU_COUNT [$CUDA_VISIBLE_DEVICES] $OMP_NUM_THREADS; \
        cat $RUNYARD_CONFIG; pwd; ls -d $RUNYARD_ML/output/checkpoints $RUNYARD_ML/input/data; \
        echo [$RUNYARD_DATABASE$RUNYARD_DATA]";
    let id = server.submit(&["--cpu", "2"], script);
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
    let output = server.output(&id);
    let ml = server.job_folder(&id).join("ml");
    let ml = ml.display();
    let url = server.url();
    assert_eq!(
        output,
        format!("{id} {id} {url} 0 [] 2\n{{}}{ml}/usercode\n{ml}/input/data\n{ml}/output/checkpoints\n[]\n")
    );
}

#[test]
fn a_run_token_lets_the_program_call_the_api_about_its_own_run_only() {
    let server = Server::start();
    let other = server.submit(&[], "true");
    let script = format!(
        r#"python3 - <<'END'
import json, os, urllib.request, urllib.error
def call(method, path, body=None):
    headers = {{"Authorization": "Bearer " + os.environ["RUNYARD_TOKEN"], "Content-Type": "application/json"}}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["RUNYARD_URL"] + path, data, headers, method=method)
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
run = "/api/v2/runs/" + os.environ["RUN_ID"]
point = {{"tag": "own", "global_step": 1, "value": 2.5}}
print(call("GET", run), call("POST", "/api/v2/metrics", {{"run_id": os.environ["RUN_ID"], "metrics": [point]}}))
print(call("GET", "/api/v2/runs/{other}"), call("POST", "/api/v2/projects", {{"name": "mine"}}))
END"#
    );
    let id = server.submit(&[], &script);
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "{}", server.output(&id));
    let output = server.output(&id);
    let answers: Vec<&str> = output.split_whitespace().collect();
    assert!(matches!(answers[..], ["200", "200", "403", "403"]), "{output}");
    assert_eq!(server.get(&format!("/metrics?run_id={id}&tag=own"))[0]["value"], 2.5);
}

#[test]
fn the_runner_reports_what_a_job_uses() {
    let server = Server::start();
    let id = server.submit(&[], "trap 'exit 0' TERM; while :; do sleep 0.05; done 2>/dev/null");
    let last = |tag: &str| {
        let points = server.get(&format!("/metrics?run_id={id}&tag={tag}"));
        points.as_array()?.last()?["value"].as_f64()
    };
    for tag in ["system/memory_bytes", "system/cpu_cores", "system/processes"] {
        let value = wait_for(&format!("a sample of {tag}"), SOON, || last(tag));
        assert!(value > 0.0 && value < 1e12, "{tag} {value}");
    }
    server.cli(&["stop", &id, "--grace", "1m"]).ok();
    server.wait_for_end(&id);
    let shown = server.cli(&["show", &id]).ok().stdout;
    assert!(!shown.contains("system/"), "they are not what the program reported: {shown}");
}
