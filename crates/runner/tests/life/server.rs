//! A server that is away, moves, forgets, or wants the job no more.

use std::fs;

use runyard_domain::job::{Reason, Stream, folder};
use serde_json::json;

use crate::bench::{Bench, alive, lines, until};

#[test]
fn a_server_that_is_away_and_comes_back_elsewhere_loses_nothing() {
    let mut bench = Bench::shell(
        "i=0; while test $i -lt 400; do echo line $i; echo \"{\\\"n\\\":$i}\" >> $RUNYARD_RECORDS; i=$((i+1)); sleep 0.005; done",
    );
    let file = bench.scratch("server.json");
    bench.spec.server_file = Some(file.display().to_string());
    let runner = bench.runner();
    bench.until_logged("line 20\n");
    bench.server.state().away = true;
    until("the end of the program", || bench.has(folder::EXIT));
    let moved = bench.server.moved();
    fs::write(&file, json!({"url": moved.url}).to_string()).unwrap();
    // The old address stays dead: only the file says where the server is now.
    bench.spec.url = "http://127.0.0.1:1".into();
    bench.server.state().away = false;
    runner.wait();
    let state = bench.server.state();
    let logs = lines(0..400, |i| format!("line {i}"));
    let records = lines(0..400, |i| format!("{{\"n\":{i}}}"));
    assert_eq!(state.text(Stream::Logs), logs);
    assert_eq!(state.text(Stream::Records), records);
    assert_eq!(state.exit.clone().unwrap().reason, Reason::Completed);
}

#[test]
fn a_server_that_lost_a_part_gets_it_again() {
    let bench = Bench::shell("echo one; until test -e $RUNYARD_ML/go; do sleep 0.01; done; echo two");
    let runner = bench.runner();
    bench.until_logged("one\n");
    bench.server.state().streams.get_mut(&Stream::Logs).unwrap().truncate(2);
    fs::write(bench.folder().join("ml/go"), "").unwrap();
    runner.wait();
    assert_eq!(bench.logs(), "one\ntwo\n");
}

#[test]
fn a_superseded_job_is_ended_and_says_nothing_more() {
    let bench = Bench::shell("echo $$ > ../pid; echo ready; exec sleep 600");
    let runner = bench.runner();
    bench.until_logged("ready");
    let pid = fs::read_to_string(bench.folder().join("ml/pid")).unwrap();
    bench.server.state().refuse = Some((409, "stale_epoch"));
    runner.wait();
    assert!(!alive(&pid));
    assert!(bench.has(folder::DELIVERED) && !bench.has(folder::EXIT));
    assert_eq!(bench.server.state().exit, None);
}

#[test]
fn a_job_that_the_server_does_not_want_is_never_launched() {
    for refusal in [(409, "stale_epoch"), (404, "not_found"), (410, "gone")] {
        let bench = Bench::shell("echo launched");
        bench.server.state().refuse = Some(refusal);
        bench.runner().wait();
        assert!(bench.has(folder::DELIVERED) && !bench.has(folder::LAUNCHED), "{refusal:?}");
    }
}

#[test]
fn a_server_that_says_it_never_heard_of_a_running_job_does_not_end_it() {
    let bench = Bench::shell("echo one; until test -e $RUNYARD_ML/go; do sleep 0.01; done; echo two");
    let runner = bench.runner();
    bench.until_logged("one\n");
    let beats = bench.server.state().heartbeats.len();
    bench.server.state().refuse = Some((404, "not_found"));
    until("some refusals", || bench.server.state().refusals >= 2);
    bench.server.state().refuse = None;
    until("the next heartbeat", || bench.server.state().heartbeats.len() > beats);
    fs::write(bench.folder().join("ml/go"), "").unwrap();
    runner.wait();
    assert_eq!(bench.server.state().exit.clone().unwrap().reason, Reason::Completed);
    assert_eq!(bench.logs(), "one\ntwo\n");
}
