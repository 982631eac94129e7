//! Which runs start when there is not room for all: resources, priority, age; and what can never start.

use std::fs;

use runyard_domain::run::Status;
use runyard_tests::{Server, Setup};
use serde_json::json;

/// A server that offers one core.
fn one_core() -> Server {
    Setup::default().args(&["--cpu", "1", "--memory", "1Gi"]).start()
}

#[test]
fn two_runs_of_one_core_on_one_core_run_one_after_the_other() {
    let server = one_core();
    let lock = server.home().join("lock");
    let lock = lock.display();
    let alone = format!("mkdir {lock} || exit 9; sleep 0.3; rmdir {lock}");
    let first = server.submit(&["--cpu", "1"], &alone);
    let second = server.submit(&["--cpu", "1"], &alone);
    assert_eq!(server.wait_for_end(&first), Status::JobCompleted);
    assert_eq!(server.wait_for_end(&second), Status::JobCompleted);
}

#[test]
fn two_runs_of_half_a_core_run_side_by_side() {
    let server = one_core();
    let met = server.home();
    let meet = |own: &str, other: &str| {
        let met = met.display();
        format!("touch {met}/{own}; until test -e {met}/{other}; do sleep 0.05; done")
    };
    let first = server.submit(&["--cpu", "500m"], &meet("a", "b"));
    let second = server.submit(&["--cpu", "500m"], &meet("b", "a"));
    assert_eq!(server.wait_for_end(&first), Status::JobCompleted);
    assert_eq!(server.wait_for_end(&second), Status::JobCompleted);
    let free = server.get("/system/resources");
    assert_eq!(
        (&free[0]["cpu_milli_total"], &free[0]["memory_bytes_total"]),
        (&json!(1000), &json!(1 << 30))
    );
}

#[test]
fn the_higher_priority_goes_first_and_then_the_older_run() {
    let server = one_core();
    let (gate, order) = (server.home().join("gate"), server.home().join("order"));
    let blocker = server.submit(&[], &format!("until test -e {}; do sleep 0.05; done", gate.display()));
    server.wait_for_status(&blocker, Status::JobRunning);
    let say = |name: &str| format!("echo {name} >> {}", order.display());
    let runs = [
        server.submit(&["--priority", "-5"], &say("low")),
        server.submit(&[], &say("older")),
        server.submit(&[], &say("younger")),
        server.submit(&["--priority", "7"], &say("high")),
    ];
    for run in &runs {
        server.wait_for_status(run, Status::JobPending);
    }
    assert_eq!(server.get("/system/resources")[0]["jobs_pending"], 4);
    assert_eq!(server.get("/system/resources")[0]["cpu_milli_free"], 0);
    fs::write(gate, "").unwrap();
    for run in &runs {
        assert_eq!(server.wait_for_end(run), Status::JobCompleted);
    }
    assert_eq!(fs::read_to_string(order).unwrap(), "high\nolder\nyounger\nlow\n");
}

#[test]
fn what_this_machine_can_never_satisfy_fails_at_once_with_the_reason() {
    let server = one_core();
    for (options, words) in [
        (["--cpu", "2"], ["cpu", "2"]),
        (["--memory", "3Gi"], ["memory", "1Gi"]),
        (["--gpu", "1"], ["gpu", "1"]),
    ] {
        let output = server.cli(&[&["run"], &options[..], &["--", "true"]].concat());
        assert_eq!(output.code, 1, "{}", output.stderr);
        assert!(output.stderr.contains("job_create_failed"), "{}", output.stderr);
        for word in words {
            assert!(output.stderr.to_lowercase().contains(&word.to_lowercase()), "{word}: {}", output.stderr);
        }
    }
    let run = &server.get("/runs")[0];
    let id = run["id"].as_str().unwrap();
    assert_eq!(server.history(id), ["run_created", "job_create_failed"]);
    let show = server.cli(&["show", id]).ok().stdout;
    assert!(show.to_lowercase().contains("gpu"), "{show}");
    server.cli(&["rm", id, "--yes"]).ok();
}
