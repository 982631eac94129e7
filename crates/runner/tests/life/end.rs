//! How a job ends: what is said of it, what is left of it, and what happens when the runner itself is killed.

use std::{fs, process::Command};

use nix::sys::signal::Signal;
use runyard_domain::{
    Millis,
    job::{Exit, Reason, Stream, folder},
};

use crate::bench::{Bench, SAVES_ON_TERM, alive, until};

#[test]
fn an_exit_code_and_a_signal_are_told_apart() {
    let exit = Bench::shell("exit 3").run();
    assert_eq!((exit.reason, exit.code, exit.signal), (Reason::Error, Some(3), None));
    let exit = Bench::shell("kill -SEGV $$").run();
    assert_eq!((exit.reason, exit.code, exit.signal), (Reason::Signaled, None, Some(11)));
    assert!(exit.message.unwrap().contains("SIGSEGV"));
}

#[test]
fn memory_over_the_limit_is_said_as_such() {
    let mut bench = Bench::new(&["python3", "-c", "x = b'1' * (300 << 20); import time; time.sleep(600)"]);
    bench.spec.resources.memory = Some("100Mi".into());
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::OOMKilled, "{exit:?}");
    let message = exit.message.unwrap();
    assert!(message.contains("100Mi") && message.contains("--memory"), "{message}");
}

#[test]
fn nothing_that_the_program_started_is_left_behind() {
    let bench = Bench::shell(
        "sleep 600 & echo $! > $PIDS/background; setsid sleep 600 & \
         (setsid sh -c 'echo $$ > $PIDS/daemon; exec sleep 600' > /dev/null 2>&1 &) ; \
         until test -s $PIDS/daemon; do sleep 0.01; done; echo done",
    );
    let mut bench = bench;
    bench.spec.env.insert("PIDS".into(), bench.base.path().display().to_string());
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::Completed);
    for name in ["background", "daemon"] {
        let pid = fs::read_to_string(bench.scratch(name)).unwrap();
        assert!(!alive(&pid), "{name} lives on");
    }
    assert_eq!(bench.logs(), "done\n");
}

#[test]
fn a_killed_runner_takes_the_program_with_it_and_the_next_one_says_so_without_launching_again() {
    let mut bench = Bench::shell(
        "echo launched >> $HERE/launches; echo $$ > $HERE/leader; setsid sleep 600 & echo $! > $HERE/stray; \
         printf '{\"metric\":1}\\n{\"half\"' >> $RUNYARD_RECORDS; echo ready; wait",
    );
    bench.spec.env.insert("HERE".into(), bench.base.path().display().to_string());
    let runner = bench.runner();
    bench.until_logged("ready");
    runner.kill();
    assert_eq!(bench.server.state().exit, None);
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::RunnerKilled);
    assert!(exit.launched_at.is_some());
    assert_eq!(fs::read_to_string(bench.scratch("launches")).unwrap(), "launched\n");
    for name in ["leader", "stray"] {
        assert!(!alive(&fs::read_to_string(bench.scratch(name)).unwrap()), "{name} lives on");
    }
    assert_eq!(bench.server.state().text(Stream::Records), "{\"metric\":1}\n{\"half\"\n");
    // And a third one has nothing to do.
    let before = bench.server.state().heartbeats.len();
    bench.runner().wait();
    assert_eq!(bench.server.state().heartbeats.len(), before);
}

#[test]
fn a_runner_killed_before_the_launch_is_followed_by_one_that_launches() {
    let bench = Bench::shell("echo launched");
    bench.server.state().away = true;
    for _ in 0..2 {
        let runner = bench.runner();
        until("a start", || bench.has(folder::STARTS) && bench.has(folder::OUTPUT));
        runner.kill();
    }
    bench.server.state().away = false;
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(bench.logs(), "launched\n");
}

#[test]
fn after_three_runners_that_died_before_the_launch_the_job_fails() {
    let bench = Bench::shell("echo launched");
    fs::write(bench.folder().join(folder::STARTS), "...").unwrap();
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::StagingFailed);
    assert!(exit.message.unwrap().contains("died 3 times"));
    assert_eq!(bench.logs(), "");
}

#[test]
fn a_second_runner_on_the_same_folder_leaves_at_once() {
    let bench = Bench::shell(SAVES_ON_TERM);
    let first = bench.runner();
    bench.until_logged("ready");
    bench.runner().wait();
    assert_eq!(bench.server.state().starts, 1);
    first.signal(Signal::SIGTERM);
    first.wait();
}

#[test]
fn a_job_of_nothing_leaves_no_control_group_behind() {
    let bench = Bench::new(&["true"]);
    assert_eq!(bench.run().reason, Reason::Completed);
    let name = bench.spec.job_id.to_string();
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", &name]).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
}

#[test]
fn a_runner_that_finds_a_launch_and_nothing_else_never_launches() {
    let bench = Bench::shell("echo launched");
    fs::write(bench.folder().join(folder::LAUNCHED), "123").unwrap();
    let exit = bench.run();
    assert_eq!((exit.reason, exit.launched_at), (Reason::RunnerKilled, Some(Millis(123))));
    assert_eq!((bench.logs().as_str(), bench.server.state().starts), ("", 0));
}

#[test]
fn an_exit_that_was_not_delivered_is_delivered_as_it_was_with_the_rest_of_the_output() {
    let bench = Bench::shell("echo launched");
    let exit = Exit { code: Some(7), ..Exit::because(Reason::Error, "as it was", Millis(5)) };
    fs::write(bench.folder().join(folder::EXIT), serde_json::to_vec(&exit).unwrap()).unwrap();
    fs::write(bench.folder().join(folder::OUTPUT), "one\ntwo\n").unwrap();
    bench.server.state().streams.insert(Stream::Logs, b"one\n".to_vec());
    assert_eq!(bench.run(), exit);
    assert_eq!(bench.logs(), "one\ntwo\n");
}
