//! Stopping: SIGTERM now, SIGKILL at the deadline, and the stop decides the outcome.

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, Setup, processes, wait_until};

/// Says that it is ready, and exits with 0 when it is asked to end.
const OBEDIENT: &str =
    "trap 'echo saving; exit 0' TERM; echo ready; while :; do sleep 0.05; done 2>/dev/null";
/// Cannot be asked to end, and neither can its child.
const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 1; done";

#[test]
fn a_program_that_exits_0_after_sigterm_was_terminated_and_not_completed() {
    let server = Server::start();
    let id = server.submit(&["--name", "good"], OBEDIENT);
    server.wait_for_output(&id, "ready");
    let said = server.cli(&["stop", "good", "--grace", "30s"]).ok().stderr;
    assert!(said.contains("30") && said.contains("runyard wait"), "{said}");
    assert_eq!(server.cli(&["wait", "good"]).code, 130);
    assert_eq!(server.status(&id), Status::JobTerminated);
    assert_eq!(server.output(&id), "ready\nsaving\n");
    let run = server.run(&id);
    assert_eq!(run["exit"]["code"], 0, "what the program said is kept: {run:#}");
    let history = server.history(&id);
    let asked = history.iter().position(|status| status == "run_stop_requested");
    assert!(asked.is_some() && history.last().unwrap() == "job_terminated", "{history:?}");
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_at_the_deadline_with_all_that_it_started() {
    let server = Server::start();
    let id = server.submit(&[], &format!("setsid sh -c 'trap \"\" TERM; sleep 100' & {STUBBORN}"));
    server.wait_for_output(&id, "ready");
    let job = server.job(&id);
    server.cli(&["stop", &id, "--grace", "1s"]).ok();
    assert_eq!(server.wait_for_end(&id), Status::JobTerminated);
    assert_eq!(server.run(&id)["exit"]["signal"], 9);
    wait_until("nothing of the job lives", SOON, || processes::of_job(server.data(), &job).is_empty());
}

#[test]
fn a_second_stop_shortens_the_grace_and_cannot_lengthen_it() {
    let server = Server::start();
    let id = server.submit(&[], STUBBORN);
    server.wait_for_output(&id, "ready");
    server.cli(&["stop", &id]).ok();
    server.wait_for_status(&id, Status::JobTerminating);
    server.cli(&["stop", &id, "--grace", "1s"]).ok();
    // Whatever this one says comes too late to help the program.
    let late = server.cli(&["stop", &id, "--grace", "1h"]);
    assert!(late.code == 0 || late.stderr.contains("job_terminated"), "{late:?}");
    assert_eq!(server.wait_for_end(&id), Status::JobTerminated);
}

#[test]
fn a_run_that_waits_for_room_is_stopped_before_it_ever_starts() {
    let server = Setup::default().args(&["--cpu", "1"]).start();
    let blocker = server.submit(&[], OBEDIENT);
    server.wait_for_output(&blocker, "ready");
    let waiting = server.submit(&[], "echo never");
    server.wait_for_status(&waiting, Status::JobPending);
    let folder = server.job_folder(&waiting);
    server.cli(&["stop", &waiting, "--grace", "1h"]).ok();
    assert_eq!(server.wait_for_end(&waiting), Status::JobTerminated);
    assert_eq!(server.reason(&waiting), "NeverStarted");
    server.cli(&["stop", &blocker, "--grace", "1m"]).ok();
    server.wait_for_end(&blocker);
    let after = server.submit(&[], "true");
    assert_eq!(server.wait_for_end(&after), Status::JobCompleted, "the room is free again");
    assert!(!folder.join("launched").exists(), "the stopped run was never launched");
    assert_eq!(server.output(&waiting), "");
}

#[test]
fn a_whole_list_of_runs_is_stopped_at_once() {
    let server = Server::start();
    let runs: Vec<String> = (0..3).map(|_| server.submit(&["--cpu", "250m"], OBEDIENT)).collect();
    for id in &runs {
        server.wait_for_output(id, "ready");
    }
    let mut args = vec!["stop", "--output", "quiet", "--grace", "1m"];
    args.extend(runs.iter().map(String::as_str));
    assert_eq!(server.cli(&args).ok().stdout.lines().collect::<Vec<_>>(), runs);
    assert!(runs.iter().all(|id| server.wait_for_end(id) == Status::JobTerminated));
}

#[test]
fn ctrl_c_asks_on_a_terminal_and_detaches_without_one() {
    let server = Server::start();
    let following = server.start_cli(&["run", "--name", "left", "--", "sh", "-c", OBEDIENT]);
    following.wait_for_stdout("ready");
    following.signal(nix::sys::signal::Signal::SIGINT);
    let output = following.end();
    assert_eq!(output.code, 130, "{}", output.stderr);
    assert!(
        output.stderr.contains("the run goes on") && output.stderr.contains("runyard stop"),
        "{}",
        output.stderr
    );
    let id = server.get("/runs")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.status(&id), Status::JobRunning, "nobody said stop");
    server.cli(&["stop", &id, "--grace", "1m"]).ok();
    server.wait_for_end(&id);

    let mut terminal = std::process::Command::new("python3");
    terminal.args(["-c", ON_A_TERMINAL]).arg(runyard_tests::binary()).arg(OBEDIENT);
    terminal.env("RUNYARD_DATA", server.data()).env_remove("RUNYARD_URL").env_remove("RUNYARD_TOKEN");
    let output = runyard_tests::Cli::spawn(terminal).end();
    assert_eq!(output.code, 130, "a stopped run: {}", output.stdout);
    assert!(output.stdout.contains("[s]top it"), "{}", output.stdout);
    assert_eq!(server.get("/runs")[0]["status"], "job_terminated");
}

/// Follows a run on a terminal, presses Ctrl-C when its program is ready, and answers the question with `s`.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys
binary, script = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(binary, [binary, "run", "--name", "asked", "--", "sh", "-c", script])
seen, answers = b"", [(b"ready", b"\x03"), (b"[s]top it", b"s\n")]
while True:
    try:
        seen += os.read(terminal, 4096)
    except OSError:
        break
    if answers and answers[0][0] in seen:
        os.write(terminal, answers.pop(0)[1])
sys.stdout.write(seen.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
