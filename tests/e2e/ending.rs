//! How jobs end by themselves, and what follows: time limit, memory, retries, restarts. The reason is always told.

use runyard_domain::run::Status;
use runyard_tests::{Server, Setup};
use serde_json::{Value, json};

#[test]
fn a_program_that_takes_too_long_is_ended_and_the_reason_says_so() {
    let server = Server::start();
    let id = server.submit(&["--max-run-time", "1s"], "echo begun; sleep 100");
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.reason(&id), "TimeLimitExceeded");
    assert_eq!(server.output(&id), "begun\n");
}

#[test]
fn a_program_that_wants_too_much_memory_is_said_to_have_been_oom_killed() {
    let server = Server::start();
    if !enforces_memory(&server) {
        return;
    }
    let hungry =
        "exec python3 -c 'import time\nkeep = [bytearray(64 << 20) for _ in range(8)]\ntime.sleep(60)'";
    let output = server.cli(&["run", "--name", "hungry", "--memory", "128Mi", "--", "sh", "-c", hungry]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("OOMKilled") && output.stderr.contains("128Mi"), "{}", output.stderr);
    let runs = server.get("/runs");
    assert_eq!(runs[0]["exit"]["reason"], "OOMKilled");
    let id = runs[0]["id"].as_str().unwrap();
    server.cli(&["restart", id, "--memory", "2Gi", "--cpu", "500m"]).ok();
    server.wait_for_status(id, Status::JobRunning);
    assert_eq!(server.run(id)["resources"], json!({"cpu": "500m", "memory": "2Gi"}));
    server.cli(&["stop", id, "--grace", "1s"]).ok();
    server.wait_for_end(id);
}

/// Whether this machine lets us limit memory, which `doctor` knows.
fn enforces_memory(server: &Server) -> bool {
    let checks = server.cli(&["doctor", "--output", "json"]).ok().json();
    let mut checks = checks.as_array().unwrap().iter();
    checks.find(|check| check["name"] == "memory limit").expect("a check of memory")["level"] == "ok"
}

#[test]
fn a_failed_run_is_retried_as_often_as_was_said_and_no_more() {
    let server = Server::start();
    let count = server.home().join("count");
    let count = count.display();
    let third = server.submit(
        &["--retries", "2", "--retry-on", "failed"],
        &format!("echo x >> {count}; echo try $(wc -l < {count}); test $(wc -l < {count}) -eq 3"),
    );
    let never = server.submit(&["--retries", "1"], "echo no; exit 9");
    let other = server.submit(&["--retries", "1", "--retry-on", "oom,lost"], "exit 9");
    server.cli(&["wait", &third]).ok();
    assert_eq!(server.run(&third)["epoch"], 3);
    let again = server.history(&third).iter().filter(|status| *status == "run_restart_requested").count();
    assert_eq!((again, server.output(&third).as_str()), (2, "try 3\n"));
    assert_eq!(server.cli(&["logs", &third, "--job", "1"]).ok().stdout, "try 1\n");
    let jobs = server.get(&format!("/runs/{third}/jobs"));
    let ended = |job: &Value| (job["epoch"].as_i64().unwrap(), job["exit"]["code"].as_i64().unwrap());
    assert_eq!(jobs.as_array().unwrap().iter().map(ended).collect::<Vec<_>>(), [(3, 0), (2, 1), (1, 1)]);
    assert_eq!(server.cli(&["wait", &never]).code, 9);
    assert_eq!(server.run(&never)["epoch"], 2);
    assert_eq!(server.cli(&["wait", &other]).code, 9);
    assert_eq!(server.run(&other)["epoch"], 1, "another kind of failure is not retried");
}

#[test]
fn a_restart_is_a_new_job_of_the_same_run_with_other_resources() {
    let server = Setup::default().args(&["--cpu", "2"]).start();
    let id = server.submit(&["--name", "again", "--cpu", "500m"], "echo $OMP_NUM_THREADS cores; exit 2");
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    let first = server.job(&id);
    assert_eq!(server.output(&id), "1 cores\n");
    server.cli(&["restart", "again", "--cpu", "2", "--memory", "512Mi"]).ok();
    assert_eq!(server.cli(&["wait", "again"]).code, 2);
    let run = server.run(&id);
    assert_eq!(run["resources"], json!({"cpu": "2", "memory": "512Mi"}));
    assert_eq!(run["epoch"], 2);
    assert_ne!(server.job(&id), first);
    assert_eq!(server.output(&id), "2 cores\n");
    assert_eq!(server.cli(&["logs", "again", "--job", "1"]).ok().stdout, "1 cores\n");
}

#[test]
fn a_program_that_cannot_be_launched_is_told_with_advice() {
    let server = Server::start();
    let source = server.home().join("code");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("train.py"), "print()").unwrap();
    let output = server.cli(&["run", "--source", source.to_str().unwrap(), "--", "train.py"]);
    assert_eq!(output.code, 1);
    for word in ["LaunchFailed", "`train.py` was not found", "`python train.py`"] {
        assert!(output.stderr.contains(word), "`{word}` is not in:\n{}", output.stderr);
    }
}

#[test]
fn what_a_program_leaves_behind_is_ended_with_it() {
    let server = Server::start();
    let id = server.submit(&[], "sleep 100 & setsid sleep 100 & echo done");
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
    assert_eq!(server.output(&id), "done\n");
    // That nothing is left is looked at when the server is dropped.
}
