//! What two executors on one machine may promise together.

use runyard_domain::{JobId, ProjectId, RunId, job::JobSpec, resources::Resources};

use super::*;
use crate::local::machine::Gpu;

fn ledger(cpu: i64, gpus: &[&str]) -> Ledger {
    let gpu = |id: &&str| Gpu { id: (*id).to_owned(), kind: "T4".into() };
    let gpus = gpus.iter().map(gpu).collect();
    let ledger =
        Ledger::new(Machine { cpu_milli: cpu * 1000, memory_bytes: 1 << 30, disk_bytes: 1 << 40, gpus });
    ledger.expect("local");
    ledger.expect("container");
    ledger
}

fn job(n: u8, cpu: i64, gpus: i64, priority: i64) -> Arc<Job> {
    let at = Millis(i64::from(n));
    let spec = serde_json::json!({
        "job_id": JobId::new(at, [n; 10]), "run_id": RunId::new(at, [n; 10]), "project_id": ProjectId::new(at, [n; 10]),
        "epoch": 1, "run_name": format!("run-{n}"), "url": "", "token": "", "command": [], "config": {},
        "resources": Resources::default(), "grace_ms": 0, "cache_dir": "",
    });
    let spec: JobSpec = serde_json::from_value(spec).unwrap();
    let demand = Demand { cpu_milli: cpu * 1000, gpu_count: gpus, ..Demand::default() };
    Arc::new(Job { spec, demand, image: None, registry: None, priority, created_at: at })
}

fn gpus(decision: &Decision) -> Option<&[String]> {
    match decision {
        Decision::Start { gpus } => Some(gpus),
        Decision::Wait(_) => None,
    }
}

#[test]
fn what_one_executor_has_promised_the_other_does_not_promise_again() {
    let ledger = ledger(4, &["a", "b"]);
    ledger.hold("container", Vec::new());
    let decided = ledger.admit("local", Vec::new(), vec![job(1, 3, 1, 0)], Millis(10)).unwrap();
    assert_eq!(gpus(&decided[0]).unwrap(), ["a"]);
    let jobs = vec![job(2, 2, 0, 0), job(3, 1, 1, 0)];
    let decided = ledger.admit("container", Vec::new(), jobs, Millis(11)).unwrap();
    assert_eq!(decided[0], Decision::Wait("waits for 2 CPU: 1 of 4 are free".into()));
    assert_eq!(gpus(&decided[1]).unwrap(), ["b"]);
    assert_eq!(ledger.capacity().cpu_milli_free, 0);
    assert_eq!(ledger.capacity().gpus, [("T4".to_owned(), 2, 0)]);
}

#[test]
fn a_job_of_the_other_executor_that_goes_first_is_not_overtaken() {
    let ledger = ledger(2, &[]);
    ledger.hold("local", Vec::new());
    ledger.hold("container", Vec::new());
    let full = Hold { demand: job(9, 2, 0, 0).demand.clone(), gpus: Vec::new(), ends_by: None };
    let waits = ledger.admit("container", vec![full], vec![job(1, 2, 0, 5)], Millis(10)).unwrap();
    assert_eq!(gpus(&waits[0]), None);
    // There is room now, and it is asked for by one that is behind.
    ledger.hold("container", Vec::new());
    let behind = ledger.admit("local", Vec::new(), vec![job(2, 2, 0, 0)], Millis(11)).unwrap();
    assert_eq!(gpus(&behind[0]), None, "{behind:?}");
    let first = ledger.admit("container", Vec::new(), vec![job(1, 2, 0, 5)], Millis(11)).unwrap();
    assert!(gpus(&first[0]).is_some(), "{first:?}");
}

#[test]
fn nothing_starts_after_a_restart_before_every_executor_has_said_what_runs() {
    let ledger = ledger(2, &[]);
    assert_eq!(ledger.admit("local", Vec::new(), vec![job(1, 2, 0, 0)], Millis(1)), None);
    let held = Hold { demand: job(9, 2, 0, 0).demand.clone(), gpus: Vec::new(), ends_by: None };
    ledger.hold("container", vec![held]);
    let decided = ledger.admit("local", Vec::new(), vec![job(1, 2, 0, 0)], Millis(2)).unwrap();
    assert_eq!(gpus(&decided[0]), None);
}
