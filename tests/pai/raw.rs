//! Operations that the SDK's own classes do not call, and what is refused.

use runyard_tests::{Setup, http::Answer};
use serde_json::json;

use crate::site::Site;

#[track_caller]
fn works(case: &str) {
    if let Some(site) = Site::start() {
        site.works("raw.py", &[case]);
    }
}

#[test]
fn a_stopped_job_is_terminated_and_can_be_deleted() {
    works("stop");
}

#[test]
fn lines_come_in_pages_of_the_size_that_was_asked_for_and_are_only_added_to() {
    works("pages");
}

#[test]
fn a_job_without_output_yet_has_no_lines_and_no_error() {
    works("no_output_yet");
}

#[test]
fn labels_are_added_changed_and_removed_one_by_one() {
    works("labels");
}

#[test]
fn events_instances_and_measurements_have_ids_that_fit_together() {
    works("reports");
}

#[test]
fn jobs_are_listed_by_page_status_name_and_id() {
    works("lists");
}

#[test]
fn what_is_wrong_with_a_job_is_said_with_the_names_that_were_sent() {
    works("refused");
}

#[test]
fn instance_types_workspaces_and_images_are_answered_and_unknown_operations_are_named() {
    works("surroundings");
}

#[test]
fn a_job_for_an_engine_that_is_not_there_is_refused() {
    let setup = Setup::default().args(&["--container-engine", "off", "--pai-executor", "container"]);
    if let Some(site) = Site::with(setup, None) {
        site.works("raw.py", &["no_engine"]);
    }
}

#[test]
fn an_experiment_is_made_found_renamed_and_deleted_and_its_jobs_have_its_label() {
    works("experiments");
}

#[test]
fn a_signature_with_another_secret_is_refused() {
    works("wrong_secret");
}

#[test]
fn a_key_that_nobody_has_is_refused() {
    works("unknown_key");
}

/// A request of PAI's form that nobody signed rightly.
fn unsigned(server: &runyard_tests::Server, authorization: &str, date: &str) -> Answer {
    let call = server.call_as("", "GET", "/api/v1/trainingjobs");
    let call = call.header("x-acs-version", "2022-01-12").header("x-acs-action", "ListTrainingJobs");
    let call = call.header("date", date).header("x-acs-signature-nonce", "n-1");
    if authorization.is_empty() { call.send() } else { call.header("authorization", authorization).send() }
}

#[test]
fn what_is_not_signed_is_refused_in_pais_form_with_the_way_to_a_key() {
    let server = Setup::default().start();
    let refused = unsigned(&server, "", "Sat, 21 Nov 2026 21:24:31 GMT");
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.body["Code"], json!("MissingAuthorization"), "{}", refused.text);
    assert!(refused.body["Message"].as_str().unwrap().contains("--access-key"), "{}", refused.text);
    assert!(refused.body["RequestId"].is_string() && refused.body["HostId"].is_string(), "{}", refused.text);
    let refused = unsigned(&server, "acs nobody:x", "Sat, 21 Nov 2026 21:24:31 GMT");
    assert_eq!((refused.status, &refused.body["Code"]), (404, &json!("InvalidAccessKeyId.NotFound")));
    let ours = server.call("GET", "/api/v1/trainingjobs").send();
    assert_eq!(ours.body["Code"], json!(null), "without its headers it is not PAI's: {}", ours.text);
}
