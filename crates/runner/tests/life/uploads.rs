//! Checkpoints and artifacts: what a program names arrives while it goes on, whatever happens to files, store and runner.

use std::fs;

use runyard_domain::job::Reason;
use sha2::{Digest as _, Sha256};

use crate::bench::{Bench, until};

/// Writes a checkpoint and names it, then waits for the file `go`.
const ONE_CHECKPOINT: &str = "cd $RUNYARD_ML; mkdir -p output/checkpoints/10/deep; printf weights > output/checkpoints/10/w; \
     printf state > output/checkpoints/10/deep/s; echo '{\"metric\":{\"tag\":\"a\",\"global_step\":1,\"value\":1}}' >> $RUNYARD_RECORDS; \
     echo '{\"checkpoint\":{\"global_step\":10,\"path\":\"output/checkpoints/10\"}}' >> $RUNYARD_RECORDS; echo named; \
     until test -e go; do sleep 0.01; done; echo went on";
const ITS_FILES: [(&str, &str); 2] = [("deep/s", "state"), ("w", "weights")];

fn go(bench: &Bench) {
    fs::write(bench.folder().join("ml/go"), "").unwrap();
}

fn sets_complete(bench: &Bench) -> bool {
    bench.server.state().sets.any_complete()
}

#[test]
fn a_checkpoint_is_there_while_the_program_goes_on() {
    let bench = Bench::shell(ONE_CHECKPOINT);
    let runner = bench.runner();
    until("the checkpoint", || sets_complete(&bench));
    assert!(!bench.logs().contains("went on"));
    go(&bench);
    runner.wait();
    let state = bench.server.state();
    let set = state.sets.only("checkpoints");
    assert_eq!(set.files(), ITS_FILES);
    assert_eq!(set.said("w").0, 7);
    assert_eq!(set.new["global_step"], 10);
    assert_eq!(set.new["run_id"], bench.spec.run_id.to_string());
    assert_eq!(set.new["path"], "output/checkpoints/10");
    // The line of the metric has 49 bytes.
    assert_eq!(set.new["source_key"], format!("{}:49", bench.spec.job_id));
    assert_eq!(state.exit.clone().unwrap().reason, Reason::Completed);
    assert_eq!(state.text(runyard_domain::job::Stream::Logs), "named\nwent on\n");
}

#[test]
fn the_exit_waits_for_artifacts_and_what_is_left_in_output_is_one_by_itself() {
    let bench = Bench::shell(
        "cd $RUNYARD_ML/output; mkdir -p model checkpoints/1; echo m > model/m; echo l > log.txt; echo c > checkpoints/1/c; \
         ln -s /etc/passwd leak; \
         printf '{\"artifact\":{\"path\":\"%s/model\",\"name\":\"best\",\"type\":\"model\"}}' $PWD >> $RUNYARD_RECORDS; exit 3",
    );
    assert_eq!(bench.run().reason, Reason::Error);
    let state = bench.server.state();
    let best = state.sets.artifact("best").unwrap();
    assert_eq!((best.files(), best.status), (vec![("m", "m\n")], "complete"));
    assert_eq!(best.new["type"], "model");
    let output = state.sets.artifact("output").unwrap();
    assert_eq!((output.files(), output.status), (vec![("log.txt", "l\n")], "complete"));
    assert_eq!(state.sets.all.len(), 2);
    let logs = state.text(runyard_domain::job::Stream::Logs);
    assert_eq!(
        logs,
        "[runyard] artifact `output` goes without `leak`: it is a link out of $RUNYARD_ML: copy what it leads to\n"
    );
}

#[test]
fn a_program_that_names_nothing_and_leaves_nothing_costs_no_call() {
    let bench = Bench::new(&["true"]);
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(bench.server.state().sets.calls, 0);
}

#[test]
fn the_runner_after_a_killed_one_sends_only_what_is_missing() {
    let bench = Bench::shell(ONE_CHECKPOINT);
    bench.server.state().sets.refuse = Some((503, "w"));
    let runner = bench.runner();
    let refused =
        |bench: &Bench| bench.server.state().sets.puts.iter().filter(|path| *path == "w").count() >= 2;
    until("the store refuses a file", || refused(&bench));
    runner.kill();
    bench.server.state().sets.refuse = None;
    assert_eq!(bench.run().reason, Reason::RunnerKilled);
    let state = bench.server.state();
    let set = state.sets.only("checkpoints");
    assert_eq!((set.files(), set.status), (ITS_FILES.to_vec(), "complete"));
    assert_eq!(state.sets.puts.iter().filter(|path| *path == "deep/s").count(), 1, "{:?}", state.sets.puts);
}

#[test]
fn a_file_that_changes_or_vanishes_while_it_is_uploaded_gives_the_checkpoint_up() {
    for (change, why) in [
        ("echo more >> ml/output/checkpoints/10/w", "`w` changed while it was uploaded"),
        ("rm -r ml/output/checkpoints/10", "`w` vanished before it was uploaded"),
    ] {
        let bench = Bench::shell(ONE_CHECKPOINT);
        bench.server.state().sets.refuse = Some((503, "w"));
        let runner = bench.runner();
        until("the store refuses a file", || bench.server.state().sets.puts.contains(&"w".to_owned()));
        let changed =
            std::process::Command::new("sh").args(["-c", change]).current_dir(bench.folder()).status();
        assert!(changed.unwrap().success());
        let given_up = || bench.server.state().sets.only("checkpoints").reason.clone();
        until("the checkpoint is given up", || given_up().is_some());
        assert!(given_up().unwrap().contains(why), "{:?}", given_up());
        go(&bench);
        runner.wait();
        assert_eq!(bench.server.state().exit.clone().unwrap().reason, Reason::Completed);
        let line = format!("[runyard] checkpoint at step 10 (output/checkpoints/10) is given up: {why}");
        assert!(bench.logs().contains(&line), "{}", bench.logs());
    }
}

#[test]
fn what_is_outside_or_missing_is_given_up_with_a_reason() {
    let bench = Bench::shell(
        "ln -s / $RUNYARD_ML/output/root; for path in /etc output/root/etc output/nonesuch; do \
         echo \"{\\\"checkpoint\\\":{\\\"global_step\\\":1,\\\"path\\\":\\\"$path\\\"}}\" >> $RUNYARD_RECORDS; done",
    );
    assert_eq!(bench.run().reason, Reason::Completed);
    let state = bench.server.state();
    let reasons: Vec<&str> = state.sets.all.values().filter_map(|set| set.reason.as_deref()).collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons[..2].iter().all(|reason| reason.contains("is not below $RUNYARD_ML")), "{reasons:?}");
    assert!(reasons[2].contains("`output/nonesuch` is not there"), "{reasons:?}");
    assert!(state.sets.puts.is_empty());
}

#[test]
fn a_server_that_is_away_stops_no_program_and_gets_everything_when_it_is_back() {
    let bench = Bench::shell(ONE_CHECKPOINT);
    bench.server.state().sets.refuse = Some((503, ""));
    let runner = bench.runner();
    until("the store is asked", || !bench.server.state().sets.puts.is_empty());
    bench.server.state().away = true;
    go(&bench);
    until("the end of the program", || bench.has("exit.json"));
    assert!(!bench.has("delivered"));
    let mut state = bench.server.state();
    (state.away, state.sets.refuse) = (false, None);
    drop(state);
    runner.wait();
    let state = bench.server.state();
    assert_eq!(state.sets.only("checkpoints").files(), ITS_FILES);
    assert_eq!(state.exit.clone().unwrap().reason, Reason::Completed);
}

#[test]
fn a_superseded_job_uploads_nothing_more() {
    let bench = Bench::shell(ONE_CHECKPOINT);
    bench.server.state().sets.refuse = Some((503, ""));
    let runner = bench.runner();
    until("the store is asked", || !bench.server.state().sets.puts.is_empty());
    bench.server.state().refuse = Some((409, "stale_epoch"));
    runner.wait();
    assert!(bench.has("delivered") && bench.server.state().exit.is_none());
    assert!(!sets_complete(&bench));
}

#[test]
fn a_store_that_refuses_keeps_a_stopped_run_no_longer_than_its_grace_and_a_moment() {
    let bench = Bench::shell(ONE_CHECKPOINT);
    bench.server.state().sets.refuse = Some((403, ""));
    let runner = bench.runner();
    until("the store is asked", || !bench.server.state().sets.puts.is_empty());
    bench.order_stop(1);
    runner.signal(nix::sys::signal::Signal::SIGTERM);
    runner.wait();
    let reason = bench.server.state().sets.only("checkpoints").reason.clone().unwrap();
    assert!(reason.starts_with("the run is being stopped, and nothing moves"), "{reason}");
    assert_eq!(bench.server.state().exit.clone().unwrap().reason, Reason::Signaled);
}

#[test]
fn a_large_file_goes_in_parts_and_goes_on_where_it_was() {
    const SIZE: i64 = (64 << 20) + 5;
    let bench = Bench::shell(&format!(
        "cd $RUNYARD_ML/output; head -c {SIZE} /dev/urandom > checkpoints/big; \
         echo '{{\"checkpoint\":{{\"global_step\":1,\"path\":\"output/checkpoints/big\"}}}}' >> $RUNYARD_RECORDS"
    ));
    bench.server.state().sets.refuse = Some((503, "#2"));
    let runner = bench.runner();
    let sent = |part: &str| bench.server.state().sets.puts.iter().filter(|name| name.ends_with(part)).count();
    until("two of three parts are there", || sent("#2") >= 2 && sent("#3") >= 1);
    runner.kill();
    bench.server.state().sets.refuse = None;
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!((sent("#1"), sent("#3")), (1, 1));
    let content = fs::read(bench.folder().join("ml/output/checkpoints/big")).unwrap();
    let state = bench.server.state();
    let set = state.sets.only("checkpoints");
    assert!(set.stored["big"] == content);
    let digest =
        Sha256::digest(&content).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(set.said("big"), (SIZE, digest));
}

#[test]
fn python_programs_can_import_runyard_and_save_checkpoints_with_it() {
    let script = "import os, runyard\n\
        with runyard.save_checkpoint(5) as c: (c.dir / 'f').write_text('five')\n\
        with runyard.load_checkpoint() as c: print(c.global_step, (c.dir / 'f').read_text())\n\
        runyard.log_metric('a', float('inf'), 1)\n\
        print(runyard.config(), os.environ['PYTHONPATH'].split(':')[0])";
    let mut bench = Bench::new(&["python3", "-c", script]);
    bench.spec.env.insert("PYTHONPATH".into(), "/mine".into());
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(bench.logs(), "5 five\n{'lr': 0.5} /mine\n");
    let state = bench.server.state();
    let set = state.sets.only("checkpoints");
    assert_eq!((set.files(), set.status), (vec![("f", "five")], "complete"));
    assert!(state.text(runyard_domain::job::Stream::Records).contains("\"Infinity\""));
}
