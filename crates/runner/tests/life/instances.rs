//! A job of several instances: they start together, find each other, and the failure of one is the end of all.

use std::fs;

use nix::sys::signal::Signal;
use runyard_domain::job::{Reason, folder};

use crate::bench::{Bench, alive, until};

/// A bench whose job has so many instances.
fn instances(count: i64, script: &str) -> Bench {
    let mut bench = Bench::shell(script);
    bench.spec.instances = count;
    bench.spec.grace_ms = 10_000;
    bench.spec.env.insert("HERE".into(), bench.base.path().display().to_string());
    bench
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_instance_knows_its_rank_and_its_lines_say_whose_they_are() {
    let script = "printf \"$RANK of \"; echo \"$WORLD_SIZE at $MASTER_ADDR:$MASTER_PORT\"; \
        echo \"$NODE_RANK $LOCAL_RANK $NPROC_PER_NODE $RUNYARD_INSTANCE $RUNYARD_INSTANCES\"";
    let bench = instances(3, script);
    let exit = bench.run();
    assert_eq!(
        (exit.reason, exit.code, exit.message.clone()),
        (Reason::Completed, Some(0), None),
        "{exit:?}"
    );
    let logs = bench.logs();
    let port = logs.lines().find_map(|line| line.split_once("127.0.0.1:")).expect("an address").1.to_owned();
    assert!((20_000..30_000).contains(&port.parse().unwrap()), "{port}");
    let mut expected: Vec<String> = (0..3)
        .flat_map(|n| [format!("[{n}] {n} of 3 at 127.0.0.1:{port}"), format!("[{n}] {n} 0 1 {n} 3")])
        .collect();
    expected.sort();
    assert_eq!(sorted(&logs), expected);
}

#[test]
fn the_port_where_instances_meet_is_free() {
    let script = "import os, socket\n\
        rank, address = os.environ['RANK'], (os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']))\n\
        if rank == '0':\n    server = socket.create_server(address)\n    for _ in range(2): server.accept()[0].sendall(b'hello')\n\
        else:\n    import time\n    while True:\n        try: peer = socket.create_connection(address); break\n\
        \x20       except ConnectionRefusedError: time.sleep(0.02)\n    print(rank, peer.recv(5).decode())\n";
    let mut bench = instances(3, "");
    bench.spec.command = vec!["python3".into(), "-c".into(), script.into()];
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::Completed, "{exit:?}: {}", bench.logs());
    assert_eq!(sorted(&bench.logs()), ["[1] 1 hello", "[2] 2 hello"]);
}

#[test]
fn the_first_failure_ends_all_others_and_says_which_instance_ended_how() {
    let script = "if [ $RANK = 1 ]; then until [ -e $HERE/ready-0 ] && [ -e $HERE/ready-2 ]; do sleep 0.02; done; exit 3; fi; \
        if [ $RANK = 2 ]; then trap 'echo bye; exit 0' TERM; fi; touch $HERE/ready-$RANK; while :; do sleep 0.05; done";
    let bench = instances(3, script);
    let exit = bench.run();
    assert_eq!((exit.reason, exit.code, exit.signal), (Reason::Error, Some(3), None), "{exit:?}");
    assert_eq!(
        exit.message.unwrap(),
        "instance 1 exited with code 3; of the others 0 ended by SIGTERM, 2 exited with code 0"
    );
    assert!(bench.logs().ends_with("[2] bye\n"), "{}", bench.logs());
}

#[test]
fn an_instance_that_does_not_end_within_its_grace_after_a_failure_is_killed() {
    let script = "if [ $RANK = 0 ]; then until [ -e $HERE/ready ]; do sleep 0.02; done; kill -KILL $$; fi; \
        trap '' TERM; echo $$ > $HERE/pid; touch $HERE/ready; while :; do sleep 0.05; done";
    let mut bench = instances(2, script);
    bench.spec.grace_ms = 200;
    let exit = bench.run();
    assert_eq!((exit.reason, exit.signal), (Reason::Signaled, Some(9)), "{exit:?}");
    assert!(
        exit.message
            .unwrap()
            .starts_with("instance 0 was ended by SIGKILL; of the others 1 ended by SIGKILL")
    );
    assert!(!alive(&fs::read_to_string(bench.scratch("pid")).unwrap()));
}

#[test]
fn one_that_is_done_early_ends_nobody() {
    let script = "if [ $RANK = 1 ]; then until [ -e $HERE/done ]; do sleep 0.02; done; sleep 0.1; else touch $HERE/done; fi";
    let exit = instances(2, script).run();
    assert_eq!((exit.reason, exit.code), (Reason::Completed, Some(0)), "{exit:?}");
}

#[test]
fn when_one_cannot_be_started_none_runs() {
    let mut bench = instances(3, "");
    bench.spec.command = vec!["./nonesuch".into()];
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::LaunchFailed, "{exit:?}");
    assert!(exit.message.unwrap().contains("`./nonesuch` was not found"));
}

#[test]
fn a_stop_ends_all_instances_with_one_grace() {
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let bench = instances(3, script);
    let runner = bench.runner();
    until("all to be ready", || bench.logs().matches("ready").count() == 3);
    bench.order_stop(20_000);
    runner.signal(Signal::SIGTERM);
    runner.wait();
    let exit = bench.server.state().exit.clone().unwrap();
    assert_eq!((exit.reason, exit.code), (Reason::Error, Some(9)), "{exit:?}");
}

#[test]
fn the_time_limit_is_that_of_all_of_them() {
    let mut bench = instances(2, "if [ $RANK = 0 ]; then exit 0; fi; sleep 60");
    bench.spec.max_run_time_ms = Some(300);
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::TimeLimitExceeded, "{exit:?}");
}

#[test]
fn what_a_killed_runner_leaves_of_its_instances_is_ended_by_the_next_one() {
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > $HERE/child-$RANK; sleep 300' & \
        echo $$ > $HERE/pid-$RANK; echo ready; wait; sleep 300";
    let bench = instances(3, script);
    let runner = bench.runner();
    until("all to be ready", || bench.logs().matches("ready").count() == 3);
    let pids: Vec<String> = (0..3)
        .flat_map(|n| [format!("pid-{n}"), format!("child-{n}")])
        .map(|name| {
            until("the child to say its pid", || {
                fs::read_to_string(bench.scratch(&name)).is_ok_and(|pid| pid.ends_with('\n'))
            });
            fs::read_to_string(bench.scratch(&name)).unwrap()
        })
        .collect();
    runner.kill();
    bench.runner().wait();
    let exit = bench.server.state().exit.clone().unwrap();
    assert_eq!(exit.reason, Reason::RunnerKilled, "{exit:?}");
    assert!(pids.iter().all(|pid| !alive(pid)), "{pids:?}");
    assert!(bench.has(folder::DELIVERED));
}

#[test]
fn an_instance_over_its_own_memory_limit_is_named() {
    // Both together stay below the limit of two; one of them does not below that of one.
    let script = "import os, time\nif os.environ['RANK'] == '1': held = bytearray(90 << 20); held[::4096] = b'x' * len(held[::4096])\n\
        time.sleep(60)\n";
    let mut bench = instances(2, "");
    bench.spec.command = vec!["python3".into(), "-c".into(), script.into()];
    bench.spec.resources.memory = Some("64Mi".into());
    bench.spec.grace_ms = 200;
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::OOMKilled, "{exit:?}");
    assert!(exit.message.as_ref().unwrap().contains("instance 1"), "{exit:?}");
}
