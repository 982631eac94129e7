//! Metrics that are read from what the program prints.

use nix::sys::signal::Signal;
use runyard_domain::{
    job::{Reason, Stream},
    metric::definition::Definition,
};
use serde_json::Value;

use crate::bench::{Bench, until};

fn reading(script: &str, definitions: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::shell(script);
    let definition = |(name, regex): &(&str, &str)| Definition {
        name: (*name).into(),
        regex: (*regex).into(),
        description: None,
    };
    bench.spec.metric_definitions = definitions.iter().map(definition).collect();
    bench
}

/// `step=value` of each point of the tag that the server has.
fn points(bench: &Bench, tag: &str) -> Vec<String> {
    let records = bench.server.state().text(Stream::System);
    let lines = records.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let points = lines.flat_map(|line| line["metrics"].as_array().cloned().unwrap_or_default());
    points
        .filter(|point| point["tag"] == tag)
        .map(|point| format!("{}={}", point["global_step"], point["value"]))
        .collect()
}

#[test]
fn each_whole_line_is_searched_and_the_nth_value_has_the_step_n() {
    let bench = reading(
        "printf 'loss=0.5 acc=1\\nno\\nloss=low\\n'; printf 'loss='; sleep 0.3; printf '0.25\\n10%%\\r20%%\\r' >&2; printf 'loss=nan'",
        &[("train/loss", "loss=(\\S+)"), ("acc", "acc=([0-9.]+)"), ("percent", "^(\\d+)%$")],
    );
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(points(&bench, "train/loss"), ["1=0.5", "2=0.25", "3=\"NaN\""], "{}", bench.logs());
    assert_eq!(points(&bench, "acc"), ["1=1"]);
    assert_eq!(points(&bench, "percent"), ["1=10", "2=20"], "a progress bar has many lines in one");
}

#[test]
fn metrics_arrive_while_the_program_prints() {
    let bench =
        reading("echo loss=1; until test -e go; do sleep 0.05; done; echo loss=2", &[("loss", "loss=(.*)")]);
    let runner = bench.runner();
    until("the first value", || points(&bench, "loss") == ["1=1"]);
    std::fs::write(bench.folder().join("ml/usercode/go"), "").unwrap();
    runner.wait();
    assert_eq!(points(&bench, "loss"), ["1=1", "2=2"]);
}

#[test]
fn what_a_killed_runner_had_not_read_the_next_one_reads_once() {
    let bench = reading(
        "echo loss=1; echo loss=2; until test -e go; do sleep 0.05; done; echo loss=3; echo said; sleep 600",
        &[("loss", "loss=(.*)")],
    );
    let runner = bench.runner();
    until("two values", || points(&bench, "loss").len() == 2);
    std::fs::write(bench.folder().join("ml/usercode/go"), "").unwrap();
    bench.until_logged("said");
    runner.signal(Signal::SIGKILL);
    drop(runner);
    // As a runner leaves it that is killed while it writes.
    let system = bench.folder().join("system.jsonl");
    let whole = std::fs::read_to_string(&system).unwrap();
    std::fs::write(&system, whole + "{\"metrics\":[{\"tag\":\"lo").unwrap();
    assert_eq!(bench.run().reason, Reason::RunnerKilled);
    assert_eq!(points(&bench, "loss"), ["1=1", "2=2", "3=3"]);
}

#[test]
fn a_line_without_an_end_is_searched_at_its_beginning_and_kept_in_no_memory() {
    let bench = reading(
        "printf 'loss=7 '; head -c 3000000 /dev/zero | tr '\\0' x; echo ' tail=1'; echo tail=2",
        &[("loss", "loss=(\\d+)"), ("tail", "tail=(\\d+)")],
    );
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(points(&bench, "loss"), ["1=7"]);
    assert_eq!(points(&bench, "tail"), ["1=2"]);
}
