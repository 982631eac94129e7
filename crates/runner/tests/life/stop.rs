//! How a program is stopped: grace, deadline, time limit, and stops that come before the launch.

use std::{fs, process::Command};

use nix::{sys::signal::Signal, unistd::getsid};
use runyard_domain::job::{Reason, Stream, folder};

use crate::bench::{Bench, IGNORES_TERM, SAVES_ON_TERM, alive, until};

#[test]
fn a_stop_gives_the_program_time_to_save() {
    let bench = Bench::shell(SAVES_ON_TERM);
    let runner = bench.runner();
    bench.until_logged("ready");
    bench.order_stop(60_000);
    runner.signal(Signal::SIGTERM);
    runner.wait();
    let state = bench.server.state();
    let exit = state.exit.clone().unwrap();
    assert_eq!((exit.reason, exit.code), (Reason::Completed, Some(0)));
    assert!(state.text(Stream::Logs).contains("saved"));
    assert!(state.heartbeats.contains(&true), "the server was told that the program is terminating");
}

#[test]
fn a_runner_is_out_of_the_session_of_whoever_started_it_before_its_program_is_launched() {
    let bench = Bench::shell("echo ready; sleep 600");
    let runner = bench.runner();
    bench.until_logged("ready");
    assert_eq!(getsid(Some(runner.pid())), Ok(runner.pid()));
    bench.order_stop(0);
    runner.signal(Signal::SIGTERM);
    runner.wait();
}

#[test]
fn a_program_that_ignores_the_stop_is_killed_at_the_deadline_and_a_second_stop_shortens_it() {
    let bench = Bench::shell(IGNORES_TERM);
    let runner = bench.runner();
    bench.until_logged("ready");
    bench.order_stop(3_600_000);
    runner.signal(Signal::SIGTERM);
    bench.until_logged("no");
    bench.order_stop(100);
    runner.signal(Signal::SIGTERM);
    runner.wait();
    let exit = bench.server.state().exit.clone().unwrap();
    assert_eq!((exit.reason, exit.signal), (Reason::Signaled, Some(9)));
    assert!(exit.message.unwrap().contains("did not end within its grace"));
}

#[test]
fn a_stop_that_comes_with_a_heartbeat_counts_from_the_servers_clock() {
    let bench = Bench::shell(IGNORES_TERM);
    // An hour ahead: taken literally, this deadline would be an hour away.
    bench.server.state().ahead_ms = 3_600_000;
    let runner = bench.runner();
    bench.until_logged("ready");
    let soon = bench.server.state().now() + 1500;
    bench.server.state().stop_deadline = Some(soon);
    runner.wait();
    assert_eq!(bench.server.state().exit.clone().unwrap().signal, Some(9));
}

#[test]
fn a_signal_without_an_order_means_the_jobs_own_grace() {
    let mut bench = Bench::shell(IGNORES_TERM);
    bench.spec.grace_ms = 100;
    let runner = bench.runner();
    bench.until_logged("ready");
    runner.signal(Signal::SIGINT);
    runner.wait();
    assert_eq!(bench.server.state().exit.clone().unwrap().signal, Some(9));
}

#[test]
fn the_grace_is_for_the_whole_group_not_only_for_its_leader() {
    // The shell dies of SIGTERM at once, its child needs a moment to save.
    let bench = Bench::shell(
        "sh -c 'trap \"sleep 0.5; echo saved; exit 0\" TERM; echo ready; while :; do sleep 0.05; done'; :",
    );
    let runner = bench.runner();
    bench.until_logged("ready");
    bench.order_stop(60_000);
    runner.signal(Signal::SIGTERM);
    runner.wait();
    assert!(bench.logs().contains("saved"), "{}", bench.logs());
}

#[test]
fn the_time_limit_ends_the_program_and_is_said() {
    let mut bench = Bench::shell(IGNORES_TERM);
    bench.spec.max_run_time_ms = Some(300);
    bench.spec.grace_ms = 100;
    let exit = bench.run();
    assert_eq!((exit.reason, exit.signal), (Reason::TimeLimitExceeded, Some(9)));
    let message = exit.message.unwrap();
    assert!(message.contains("300ms") && message.contains("--max-run-time"), "{message}");
}

#[test]
fn a_stop_before_the_server_answers_means_that_nothing_is_launched() {
    let bench = Bench::shell("echo launched");
    bench.server.state().away = true;
    let runner = bench.runner();
    until("the runner to listen", || bench.has(folder::OUTPUT));
    bench.order_stop(1000);
    runner.signal(Signal::SIGTERM);
    until("the exit", || bench.has(folder::EXIT));
    bench.server.state().away = false;
    runner.wait();
    assert_eq!(bench.server.state().exit.clone().unwrap().reason, Reason::NeverStarted);
    assert!(!bench.has(folder::LAUNCHED));
}

#[test]
fn a_stop_while_requirements_are_installed_ends_the_installation() {
    let mut bench = Bench::shell("echo launched");
    let bin = bench.scratch("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("python3"), "#!/bin/sh\necho $$ > ${0%/*}/pid\nexec sleep 600\n").unwrap();
    Command::new("chmod").arg("+x").arg(bin.join("python3")).status().unwrap();
    let path = std::env::var("PATH").unwrap();
    bench.spec.env.insert("PATH".into(), format!("{}:{path}", bin.display()));
    bench.spec.requirements = vec!["anything".into()];
    let runner = bench.runner();
    until("the installation", || fs::read_to_string(bin.join("pid")).is_ok_and(|pid| pid.ends_with('\n')));
    bench.order_stop(60_000);
    runner.signal(Signal::SIGTERM);
    runner.wait();
    assert_eq!(bench.server.state().exit.clone().unwrap().reason, Reason::NeverStarted);
    assert!(!alive(&fs::read_to_string(bin.join("pid")).unwrap()));
}
