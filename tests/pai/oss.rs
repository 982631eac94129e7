//! The object store as oss2 from PyPI, unmodified, works with it.

use runyard_tests::{SOON, s3::Store, wait_until};

use crate::site::Site;

const PROGRAM: &str = "oss.py";

#[track_caller]
fn works(case: &str) {
    if let Some(site) = Site::start() {
        site.works(PROGRAM, &[case]);
    }
}

#[test]
fn objects_of_any_size_and_key_are_read_back_as_they_were() {
    works("objects");
}

#[test]
fn what_was_said_of_an_object_is_answered_with_it() {
    works("headers");
}

#[test]
fn ranges_and_conditions_are_those_of_http() {
    works("ranges");
}

#[test]
fn large_objects_go_in_parts_of_several_threads() {
    works("multipart");
}

#[test]
fn lists_have_pages_prefixes_and_delimiters_in_both_versions() {
    works("lists");
}

#[test]
fn copies_outlive_what_they_were_made_of() {
    works("copies");
}

#[test]
fn buckets_are_made_by_writing_and_go_when_they_are_empty() {
    works("buckets");
}

#[test]
fn every_refusal_is_an_exception_of_the_sdk() {
    works("refusals");
}

#[test]
fn a_signed_address_needs_no_access_key() {
    works("signed");
}

#[test]
fn a_bucket_may_be_named_by_the_host() {
    works("hosts");
}

#[test]
fn a_bucket_belongs_to_the_project_of_who_made_it() {
    works("projects");
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed_in_its_middle() {
    let Some(mut site) = Site::start() else { return };
    let mut client = site.begin(PROGRAM, &["interrupt", "half"]);
    let half = site.server.home().join("half");
    wait_until("half of it was sent", 2 * SOON, || half.exists());
    site.server.kill();
    let ended = client.wait().expect("it ends");
    assert!(ended.success(), "the client says that the server is away, and nothing else");
    site.server.restart();
    site.works(PROGRAM, &["resume"]);
}

#[test]
fn objects_are_in_a_bucket_of_an_s3_store_where_all_files_are() {
    let store = Store::start();
    let Some(site) = Site::with(store.setup().args(&["--pai-executor", "local"]), None) else { return };
    for case in ["objects", "ranges", "copies", "multipart"] {
        site.works(PROGRAM, &[case]);
    }
}
