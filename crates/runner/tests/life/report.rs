//! What the program sees, and what of its output and reports arrives.

use std::process::Command;

use runyard_domain::job::{Reason, Stream};

use crate::bench::{Bench, binary, lines};

#[test]
fn stdout_and_stderr_arrive_in_the_order_in_which_they_were_written() {
    let bench = Bench::shell("for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done");
    let exit = bench.run();
    assert_eq!((exit.reason, exit.code), (Reason::Completed, Some(0)));
    assert!(exit.launched_at.unwrap() <= exit.ended_at);
    let expected = lines(1..6, |i| format!("out{i}\nerr{i}"));
    assert_eq!(bench.logs(), expected);
}

#[test]
fn the_program_finds_what_the_contract_promises() {
    let mut bench = Bench::shell(
        "env; echo cwd=$PWD; cat $RUNYARD_CONFIG; echo; ls -d $RUNYARD_ML/*/ $RUNYARD_ML/output/checkpoints; \
         test -f $RUNYARD_RECORDS && echo records; read line || echo no stdin",
    );
    bench.spec.env.insert("MINE".into(), "yes".into());
    bench.spec.env.insert("RUNYARD_TOKEN".into(), "forged".into());
    bench.spec.resources.cpu = "2500m".into();
    assert_eq!(bench.run().reason, Reason::Completed);
    let logs = bench.logs();
    let (run, job) = (bench.spec.run_id, bench.spec.job_id);
    let ml = bench.folder().join("ml");
    for line in [
        format!("RUNYARD_RUN_ID={run}"),
        format!("RUNYARD_JOB_ID={job}"),
        format!("RUNYARD_URL={}", bench.server.url),
        "RUNYARD_TOKEN=secret".into(),
        format!("RUN_ID={run}"),
        format!("MLFLOW_RUN_ID={}", run.0.simple()),
        format!("MLFLOW_TRACKING_URI={}", bench.server.url),
        "REQUESTED_GPU_COUNT=0".into(),
        "CUDA_VISIBLE_DEVICES=".into(),
        "OMP_NUM_THREADS=2".into(),
        "PYTHONUNBUFFERED=1".into(),
        "MINE=yes".into(),
        format!("cwd={}", ml.join("usercode").display()),
        format!("{}/", ml.join("input").display()),
        ml.join("output/checkpoints").display().to_string(),
        "records".into(),
        "no stdin".into(),
    ] {
        assert!(logs.lines().any(|logged| logged == line), "{line} is missing in:\n{logs}");
    }
    assert!(logs.contains("\"lr\": 0.5"), "{logs}");
    assert!(!logs.contains("must not be seen"), "{logs}");
}

#[test]
fn records_that_are_none_are_said_in_the_log_and_the_last_line_needs_no_newline() {
    let bench = Bench::shell("printf '{\"a\":1}\\nrubbish\\n{\"b\":2}' > $RUNYARD_RECORDS");
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(bench.server.state().text(Stream::Records), "{\"a\":1}\nrubbish\n{\"b\":2}\n");
    assert_eq!(bench.logs(), "[runyard] records line at byte 8 skipped: no JSON\n");
}

#[test]
fn a_record_that_is_too_long_is_skipped_and_those_around_it_are_not() {
    let bench = Bench::shell(
        "(echo '{\"a\":1}'; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo '{\"b\":2}') >> $RUNYARD_RECORDS",
    );
    assert_eq!(bench.run().reason, Reason::Completed);
    let records = bench.server.state().text(Stream::Records);
    let kept: Vec<&str> = records.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(kept, ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(records.len(), 2 * 8 + 3_000_001);
    let logs = bench.logs();
    assert!(
        logs.starts_with("[runyard] records line at byte 8 skipped: it is longer than 1048576 bytes"),
        "{logs}"
    );
    assert_eq!(logs.lines().count(), 1);
}

#[test]
fn a_disk_that_refuses_the_output_ends_neither_the_program_nor_the_runner() {
    let bench = Bench::shell("head -c 3000000 /dev/zero | tr '\\0' x; echo finished > ../finished");
    // Writes beyond this many blocks of 512 bytes fail, as on a full disk.
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$1\"";
    command.args(["-c", script]).arg(binary()).arg(bench.folder());
    bench.spawn(command).wait();
    let exit = bench.server.state().exit.clone().unwrap();
    assert_eq!(exit.reason, Reason::Completed);
    assert!(exit.message.as_ref().unwrap().contains("bytes of output could not be written"), "{exit:?}");
    assert!(bench.has("ml/finished"));
    assert_eq!(bench.logs().len(), 200 * 512);
}

#[test]
fn much_output_arrives_whole() {
    let bench = Bench::shell(
        "i=0; while test $i -lt 40; do head -c 250000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done",
    );
    assert_eq!(bench.run().reason, Reason::Completed);
    let logs = bench.logs();
    assert_eq!(logs.len(), 40 * 250_001);
    assert_eq!(logs.lines().count(), 40);
}

#[test]
fn what_the_program_uses_is_sampled_as_metrics() {
    let bench =
        Bench::shell("i=0; end=$(($(date +%s) + 2)); while test $(date +%s) -le $end; do i=$((i+1)); done");
    assert_eq!(bench.run().reason, Reason::Completed);
    let text = bench.server.state().text(Stream::System);
    let mut steps = Vec::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let metrics = line["metrics"].as_array().unwrap();
        let cores = metrics.iter().find(|metric| metric["tag"] == "system/cpu_cores").unwrap();
        assert!(cores["value"].as_f64().unwrap() > 0.0, "{text}");
        steps.push(cores["global_step"].as_i64().unwrap());
    }
    assert!(steps.len() >= 2 && steps.is_sorted_by(|a, b| a < b), "{text}");
    assert!(
        text.contains("system/memory_bytes") && text.contains("system/machine_network_rx_bytes"),
        "{text}"
    );
}

#[test]
fn a_run_that_reports_to_another_mlflow_does_not_show_it_our_token() {
    let mut bench = Bench::shell("env | grep MLFLOW");
    bench.spec.env.insert("MLFLOW_TRACKING_URI".into(), "http://elsewhere".into());
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(bench.logs(), "MLFLOW_TRACKING_URI=http://elsewhere\n");
}
