//! A job of several processes that work through elements: who they are told to be, what becomes of one that dies, how they end.

use std::fs;

use runyard_domain::{
    WorkerRunId,
    job::{Reason, WorkerJob},
    worker_run::WorkerType,
};

use crate::{
    bench::{Bench, until},
    fake::Worker,
};

/// A bench whose job has so many processes.
fn workers(processes: i64, script: &str, worker: Worker) -> Bench {
    let mut bench = Bench::shell(script);
    bench.spec.worker = Some(WorkerJob {
        worker_run_id: WorkerRunId(bench.spec.run_id.0),
        processes,
        batch: 7,
        lease_ms: 5000,
        worker_type: WorkerType::Runyard,
    });
    bench.spec.env.insert("HERE".into(), bench.base.path().display().to_string());
    bench.server.state().worker = Some(worker);
    bench
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_process_knows_its_number_and_its_lines_stay_whole() {
    let script = "n=$RUNYARD_WORKER_PROCESS; for i in 1 2 3; do printf \"$n says \"; printf \"$i\\n\"; done; \
        echo \"$n is $RUNYARD_WORKER_HOLDER of $RUNYARD_WORKER_PROCESSES, $RUNYARD_WORKER_BATCH, $RUNYARD_WORKER_LEASE_MS\"; \
        echo \"{\\\"metric\\\":$n}\" >> $RUNYARD_RECORDS";
    let bench = workers(3, script, Worker { processed: 5, ..Worker::default() });
    let exit = bench.run();
    assert_eq!((exit.reason, exit.code), (Reason::Completed, Some(0)), "{exit:?}");
    let job = bench.spec.job_id;
    let mut expected: Vec<String> = (0..3)
        .flat_map(|n| {
            let says = (1..=3).map(move |i| format!("{n} says {i}"));
            says.chain([format!("{n} is {job}/{n} of 3, 7, 5000")])
        })
        .collect();
    expected.sort();
    assert_eq!(sorted(&bench.logs()), expected);
    let records = bench.server.state().text(runyard_domain::job::Stream::Records);
    assert_eq!(sorted(&records), ["{\"metric\":0}", "{\"metric\":1}", "{\"metric\":2}"]);
}

#[test]
fn a_process_that_is_killed_is_started_again_while_elements_are_left() {
    let script = "n=$RUNYARD_WORKER_PROCESS; echo x >> $HERE/starts-$n; \
        if [ $n = 1 ] && [ $(wc -l < $HERE/starts-1) -lt 3 ]; then kill -KILL $$; fi; echo $n is done";
    let bench = workers(2, script, Worker { left: 9, processed: 1, ..Worker::default() });
    let holder = format!("{}/1", bench.spec.job_id);
    bench.server.state().worker.as_mut().unwrap().held.insert(holder.clone(), 4);
    let exit = bench.run();
    assert_eq!((exit.reason, exit.code), (Reason::Completed, Some(0)), "{exit:?}");
    assert_eq!(fs::read_to_string(bench.scratch("starts-1")).unwrap(), "x\nx\nx\n");
    assert_eq!(fs::read_to_string(bench.scratch("starts-0")).unwrap(), "x\n");
    assert_eq!(bench.server.state().worker.as_ref().unwrap().died, [holder.clone(), holder]);
    let logs = bench.logs();
    assert!(logs.contains("[runyard] process 1 was ended by SIGKILL: started again"), "{logs}");
    assert!(logs.contains("1 is done"), "{logs}");
}

#[test]
fn a_process_that_dies_without_an_element_is_not_started_for_ever() {
    let bench = workers(1, "echo x >> $HERE/starts; exit 7", Worker { left: 9, ..Worker::default() });
    let exit = bench.run();
    assert_eq!((exit.reason, exit.code), (Reason::Error, Some(7)));
    assert!(exit.message.unwrap().contains("9 elements are left"));
    assert_eq!(fs::read_to_string(bench.scratch("starts")).unwrap(), "x\nx\nx\n");
    assert!(bench.logs().contains("died 3 times in a row before it had an element"), "{}", bench.logs());
}

#[test]
fn a_process_that_fails_when_nothing_is_left_is_no_failure_of_the_run() {
    let worker = Worker { processed: 3, error: 1, ..Worker::default() };
    let exit = workers(2, "exit $RUNYARD_WORKER_PROCESS", worker).run();
    assert_eq!((exit.reason, exit.code), (Reason::Completed, Some(0)), "{exit:?}");
    let exit = workers(2, "exit 0", Worker { error: 4, ..Worker::default() }).run();
    assert_eq!((exit.reason, exit.code), (Reason::Error, Some(1)), "{exit:?}");
}

#[test]
fn a_stop_ends_all_processes_and_starts_none_again() {
    let script = "echo x >> $HERE/starts; trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let bench = workers(3, script, Worker { left: 9, ..Worker::default() });
    let runner = bench.runner();
    until("all to be ready", || bench.logs().matches("ready").count() == 3);
    bench.order_stop(20_000);
    runner.signal(nix::sys::signal::Signal::SIGTERM);
    runner.wait();
    let exit = bench.server.state().exit.clone().unwrap();
    assert_eq!((exit.reason, exit.code), (Reason::Error, Some(9)), "{exit:?}");
    assert_eq!(fs::read_to_string(bench.scratch("starts")).unwrap().lines().count(), 3);
}

#[test]
fn arkindex_workers_get_their_variables_and_each_a_list_of_its_own() {
    let script = "n=$RUNYARD_WORKER_PROCESS; cat $TASK_ELEMENTS > $HERE/list-$n; test -d $PONOS_DATA/current || exit 3; \
        test -d $PONOS_DATA/$PONOS_TASK || exit 4; \
        echo $ARKINDEX_API_URL $ARKINDEX_TASK_TOKEN $ARKINDEX_WORKER_RUN_ID $PONOS_TASK $ARKINDEX_CORPUS_ID";
    let queued: Vec<String> = (0..50).map(|n| format!("01890a5d-ac96-774b-bcce-{n:012x}")).collect();
    let mut bench = workers(2, script, Worker { queued: queued.clone(), ..Worker::default() });
    bench.spec.worker.as_mut().unwrap().worker_type = WorkerType::Arkindex;
    let exit = bench.run();
    assert_eq!((exit.reason, exit.code), (Reason::Completed, Some(0)), "{exit:?} {}", bench.logs());
    let mut listed: Vec<String> = Vec::new();
    for n in 0..2 {
        let text = fs::read_to_string(bench.scratch(&format!("list-{n}"))).unwrap();
        let list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(list.len() > 5, "{text}");
        listed.extend(list.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
    }
    listed.sort();
    assert_eq!(listed, queued);
    let run = bench.spec.run_id;
    let line = |n: usize| format!("{}/worker-process/{n} secret {run} {run} the-corpus\n", bench.server.url);
    let logs = bench.logs();
    assert!(logs.contains(&line(0)) && logs.contains(&line(1)), "{logs}");
}
