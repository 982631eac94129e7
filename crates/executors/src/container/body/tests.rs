//! What a container is made of, and how it ended when it does not say so itself.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use runyard_domain::{
    JobId, Millis, ProjectId, RunId,
    job::Reason,
    resources::{Demand, Resources},
};

use super::{
    super::{docker::Ended, end::classify},
    *,
};

fn job(demand: Demand) -> Job {
    let at = Millis(7);
    let spec = serde_json::json!({
        "job_id": JobId::new(at, [1; 10]), "run_id": RunId::new(at, [1; 10]), "project_id": ProjectId::new(at, [1; 10]),
        "epoch": 1, "run_name": "digits", "url": "", "token": "", "command": ["true"], "config": {},
        "resources": Resources::default(), "grace_ms": 0, "cache_dir": "",
    });
    let spec = serde_json::from_value(spec).unwrap();
    Job {
        spec,
        demand,
        image: Some("digits:1".into()),
        registry: Some("me:secret".into()),
        priority: 0,
        created_at: at,
    }
}

fn options() -> ContainerOptions {
    ContainerOptions {
        engines: Vec::new(),
        runner: Ok("/bin/runyard-static".into()),
        server_id: "abc".into(),
        network: "host".into(),
        user: None,
        url: None,
        server_url: Arc::new(OnceLock::new()),
    }
}

fn made(demand: Demand, options: &ContainerOptions, gpus: &[&str], rootless: bool) -> ContainerCreateBody {
    let gpus: Vec<String> = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
    let around = Surroundings {
        options,
        runner: "/bin/runyard-static",
        folder: "/data/jobs/1",
        cache: "/data/cache",
        gpus: &gpus,
        memory_bytes: 8 << 30,
        rootless,
        own_user: "1000:100".into(),
    };
    let image = Image { id: "sha256:1".into(), ..Image::default() };
    body(&job(demand), &image, &around)
}

#[test]
fn a_container_gets_its_gpus_and_no_others() {
    let none = made(Demand::default(), &options(), &[], false).host_config.unwrap();
    assert_eq!(none.device_requests, None);
    let two = made(Demand::default(), &options(), &["GPU-a", "GPU-b"], false).host_config.unwrap();
    let requests = two.device_requests.unwrap();
    assert_eq!(requests[0].device_ids.as_deref(), Some(&["GPU-a".to_owned(), "GPU-b".to_owned()][..]));
    assert_eq!(requests[0].capabilities, Some(vec![vec!["gpu".to_owned()]]));
}

#[test]
fn shared_memory_is_what_was_asked_for_or_half_of_the_memory() {
    let shared = |demand| made(demand, &options(), &[], false).host_config.unwrap().shm_size;
    let memory_bytes = Some(4 << 30);
    assert_eq!(shared(Demand { memory_bytes, ..Demand::default() }), Some(2 << 30));
    let asked = Demand { memory_bytes, shared_memory_bytes: Some(1 << 20), ..Demand::default() };
    assert_eq!(shared(asked), Some(1 << 20));
    assert_eq!(shared(Demand::default()), Some(4 << 30), "half of the machine's");
    let host =
        made(Demand { memory_bytes, ..Demand::default() }, &options(), &[], false).host_config.unwrap();
    assert_eq!(host.memory, host.memory_swap, "no swap");
}

#[test]
fn a_program_runs_as_the_server_and_has_a_home() {
    let plain = made(Demand::default(), &options(), &[], false);
    assert_eq!((plain.user.as_deref(), plain.env), (Some("1000:100"), Some(vec!["HOME=/tmp".to_owned()])));
    let rootless = made(Demand::default(), &options(), &[], true);
    assert_eq!((rootless.user.as_deref(), rootless.env), (Some("0:0"), None));
    let named = ContainerOptions { user: Some("7:8".into()), ..options() };
    assert_eq!(made(Demand::default(), &named, &[], true).user.as_deref(), Some("7:8"));
}

#[test]
fn the_account_of_a_registry_is_nowhere_in_a_container() {
    let body = serde_json::to_string(&made(Demand::default(), &options(), &[], false)).unwrap();
    assert!(!body.contains("secret"), "{body}");
    assert!(body.contains(r#""runyard.server":"abc""#), "{body}");
}

#[test]
fn jobs_in_another_network_are_told_where_the_server_is() {
    let url = Some("http://10.0.0.1:7878".to_owned());
    let there = ContainerOptions { network: "bridge".into(), url, ..options() };
    let body = made(Demand::default(), &there, &[], false);
    assert!(body.cmd.unwrap().ends_with(&["--server-url".to_owned(), "http://10.0.0.1:7878".to_owned()]));
    assert_eq!(body.host_config.unwrap().network_mode.as_deref(), Some("bridge"));
}

fn ended(folder: &Path, code: i64, oom: bool, error: &str, log: &str) -> (Reason, String) {
    let demand = Demand { memory_bytes: Some(64 << 20), ..Demand::default() };
    let exit = classify(folder, &job(demand), &Ended { code, oom, error: error.into() }, log, Millis(9));
    assert_eq!(exit.ended_at, Millis(9));
    (exit.reason, exit.message.unwrap_or_default())
}

#[test]
fn the_end_of_a_container_without_an_exit_record_is_classified() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let (reason, message) = ended(folder, 126, false, "", "exec format error\n");
    assert_eq!(reason, Reason::BackendFailed);
    assert!(message.contains("digits:1") && message.contains("exec format error"), "{message}");
    let (reason, _) = ended(folder, 128, false, "mkdir /x: no space left on device", "");
    assert_eq!(reason, Reason::NoSpace);
    // From here on its runner had begun.
    std::fs::write(folder.join("starts"), ".").unwrap();
    std::fs::write(folder.join("launched"), "5").unwrap();
    let (reason, message) = ended(folder, 137, true, "", "");
    assert_eq!(reason, Reason::OOMKilled);
    assert!(message.contains("64Mi") && message.contains("--memory"), "{message}");
    let (reason, message) = ended(folder, 137, false, "", "");
    assert_eq!(reason, Reason::RunnerKilled);
    assert!(message.contains("killed from outside"), "{message}");
    let (reason, message) = ended(folder, 101, false, "", "thread 'main' panicked");
    assert_eq!(reason, Reason::RunnerKilled);
    assert!(message.contains("exit code 101") && message.contains("panicked"), "{message}");
    let log = std::fs::read_to_string(folder.join("runner.log")).unwrap();
    assert!(
        log.contains("exec format error") && log.contains("panicked"),
        "the operator finds all of it: {log}"
    );
}
