//! A server that is killed while PAI's client waits for a job.

use std::io::{BufRead, BufReader, Read};

use runyard_domain::run::Status;
use runyard_tests::SOON;

use crate::site::Site;

#[test]
fn a_job_and_its_client_outlive_the_server() {
    let Some(mut site) = Site::start() else { return };
    let mut client = site.begin("processor.py", &["survives"]);
    let mut said = BufReader::new(client.stdout.take().expect("its output"));
    let mut id = String::new();
    said.read_line(&mut id).expect("an id");
    let run = run_id(id.trim());
    site.server.wait_for_output(&run, "ready");
    site.server.kill();
    site.server.restart_on_same_port();
    std::fs::write(site.server.job_folder(&run).join("ml/go"), "").expect("a file");
    assert_eq!(site.server.wait_for_end(&run), Status::JobCompleted);
    let ended = runyard_tests::holds_within(2 * SOON, || client.try_wait().expect("it is ours").is_some());
    if !ended {
        let _ = client.kill();
    }
    let mut rest = String::new();
    let mut errors = String::new();
    said.read_to_string(&mut rest).expect("text");
    client.stderr.take().expect("its errors").read_to_string(&mut errors).expect("text");
    client.wait().expect("it has ended");
    assert!(rest.contains("Succeed") && rest.contains("all of it works"), "{rest}\n{errors}");
}

/// Our id of a training job.
fn run_id(job: &str) -> String {
    let hex = job.strip_prefix("train").unwrap_or_else(|| panic!("`{job}` is no id"));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
