//! Jobs outlive the server; a server outlives anything that happens to a runner.

use std::fs;

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, Setup, processes, wait_until};

/// Counts to `last` and waits at `gate` in the middle.
fn counter(server: &Server, last: u32) -> (String, std::path::PathBuf) {
    let gate = server.home().join("gate");
    let script = format!(
        "for i in $(seq 1 {last}); do echo $i; if test $i -eq 3; then until test -e {}; do sleep 0.05; done; fi; done; exit 5",
        gate.display()
    );
    (script, gate)
}

fn counted(last: u32) -> String {
    (1..=last).map(|n| n.to_string() + "\n").collect()
}

#[test]
fn a_job_goes_on_while_the_server_is_dead_and_is_found_by_the_next_one() {
    let mut server = Server::start();
    let (script, gate) = counter(&server, 5000);
    let id = server.submit(&[], &script);
    server.wait_for_output(&id, "3\n");
    let job = server.job(&id);
    let program = processes::program(server.data(), &job).expect("a program");
    server.kill();
    fs::write(&gate, "").unwrap();
    wait_until("the program ends without a server", SOON, || !processes::is_alive(program));
    // On another port: the runner finds it.
    server.restart();
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.run(&id)["exit"]["code"], 5);
    assert_eq!(server.output(&id), counted(5000));
    assert_eq!((server.job(&id), &server.run(&id)["epoch"]), (job, &serde_json::json!(1)));
    assert_eq!(fs::read(server.job_folder(&id).join("starts")).unwrap().len(), 1, "one runner, once");
}

#[test]
fn a_running_job_is_watched_again_after_a_kill_and_a_restart_on_the_same_port() {
    let mut server = Server::start();
    let (script, gate) = counter(&server, 10);
    let id = server.submit(&[], &script);
    server.wait_for_output(&id, "3\n");
    for _ in 0..3 {
        server.kill();
        server.restart_on_same_port();
        assert_eq!(server.status(&id), Status::JobRunning);
    }
    fs::write(&gate, "").unwrap();
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.output(&id), counted(10));
    assert!(!server.history(&id).contains(&"job_unknown".to_owned()), "{:?}", server.history(&id));
}

#[test]
fn a_server_that_is_ended_well_stops_no_job() {
    let mut server = Server::start();
    let (script, gate) = counter(&server, 10);
    let id = server.submit(&[], &script);
    server.wait_for_output(&id, "3\n");
    let job = server.job(&id);
    let program = processes::program(server.data(), &job).expect("a program");
    let following =
        server.start_cli(&["run", "--name", "followed", "--", "sh", "-c", "echo begun; sleep 3; exit 6"]);
    following.wait_for_stdout("begun");
    server.stop();
    assert!(processes::is_alive(program), "the program goes on");
    assert!(!server.data().join("server.json").exists(), "an ended server is not announced");
    server.cli(&["ls"]).refused(1, &["no server runs on", "runyard serve"]);
    server.restart();
    fs::write(&gate, "").unwrap();
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.output(&id), counted(10));
    let output = following.end();
    assert_eq!(output.code, 6, "who follows finds the server again: {}", output.stderr);
    assert!(
        output.stderr.contains("lost sight") && output.stderr.contains("the server is back"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_run_that_was_waiting_when_the_server_died_starts_after_it_is_back() {
    let mut server = Setup::default().args(&["--cpu", "1"]).start();
    let (script, gate) = counter(&server, 3);
    let blocker = server.submit(&[], &script);
    server.wait_for_output(&blocker, "3\n");
    let waiting = server.submit(&[], "echo at last");
    server.kill();
    server.restart();
    fs::write(&gate, "").unwrap();
    assert_eq!(server.wait_for_end(&blocker), Status::JobFailed);
    assert_eq!(server.wait_for_end(&waiting), Status::JobCompleted);
    assert_eq!(server.output(&waiting), "at last\n");
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let mut server = Server::start();
    let ids: Vec<String> = (0..5).map(|_| server.submit(&[], "true")).collect();
    server.kill();
    server.restart();
    for id in &ids {
        assert_eq!(server.wait_for_end(id), Status::JobCompleted);
    }
}

#[test]
fn a_killed_runner_is_a_failure_with_its_reason_and_nothing_is_left_running() {
    let server = Server::start();
    let id = server.submit(&[], "setsid sleep 300 & echo running; sleep 300");
    server.wait_for_output(&id, "running");
    let job = server.job(&id);
    let runner = processes::runner(server.data(), &job).expect("a runner");
    let others = processes::of_job(server.data(), &job);
    assert!(others.len() >= 3, "{others:?}");
    processes::sigkill(runner);
    server.wait_for_status(&id, Status::JobFailed);
    assert_eq!(server.reason(&id), "RunnerKilled");
    assert_eq!(server.output(&id), "running\n");
    wait_until("nothing of the job lives", SOON, || processes::of_job(server.data(), &job).is_empty());
}

#[test]
fn a_lost_job_is_retried_when_that_was_asked_for() {
    let server = Server::start();
    let mark = server.home().join("mark");
    let mark = mark.display();
    let id = server.submit(
        &["--retries", "1", "--retry-on", "lost"],
        &format!("if test -e {mark}; then exit 0; fi; touch {mark}; echo first; sleep 300"),
    );
    server.wait_for_output(&id, "first");
    processes::sigkill(processes::runner(server.data(), &server.job(&id)).expect("a runner"));
    server.cli(&["wait", &id]).ok();
    assert_eq!(server.run(&id)["epoch"], 2);
    let jobs = server.get(&format!("/runs/{id}/jobs"));
    assert!(jobs.as_array().unwrap().iter().any(|job| job["exit"]["reason"] == "RunnerKilled"), "{jobs:#}");
}

#[test]
fn a_runner_that_dies_while_the_server_is_away_is_told_by_the_next_server() {
    let mut server = Server::start();
    let id = server.submit(&[], "echo running; sleep 300");
    server.wait_for_output(&id, "running");
    let job = server.job(&id);
    server.kill();
    processes::sigkill(processes::runner(server.data(), &job).expect("a runner"));
    server.restart();
    server.wait_for_status(&id, Status::JobFailed);
    assert_eq!(server.reason(&id), "RunnerKilled");
}
