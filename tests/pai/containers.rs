//! The SDK's jobs in containers of an image with Python.

use runyard_tests::{SOON, containers, wait_until};

use crate::site::Site;

#[track_caller]
fn works(program: &str, case: &[&str]) {
    let Some(setup) = containers::setup() else { return };
    let image = containers::image(containers::PYTHON_IMAGE);
    let Some(site) = Site::with(setup.args(&["--pai-executor", "container"]), Some(image)) else { return };
    site.works(program, case);
    nothing_is_left(&site);
}

/// A server that is stopped right after the end of a job leaves its container to the next one.
#[track_caller]
fn nothing_is_left(site: &Site) {
    wait_until("all containers are removed", SOON, || containers::of(site.server.data()).is_empty());
}

#[test]
fn a_job_in_a_container_has_code_parameters_inputs_and_an_output_too() {
    works("processor.py", &["whole"]);
}

#[test]
fn outputs_of_a_container_that_fails_are_uploaded_too() {
    works("processor.py", &["failing"]);
}

#[test]
fn a_training_in_a_container_leaves_model_checkpoints_and_metrics() {
    works("estimator.py", &["whole"]);
}

#[test]
fn a_job_in_a_container_is_warned_of_what_cannot_be_honoured_and_not_of_its_image() {
    works("processor.py", &["not_honoured", "container"]);
}

#[test]
fn a_container_of_an_image_that_is_not_there_fails_with_its_reason() {
    let Some(setup) = containers::setup() else { return };
    let image = Some("localhost/no-such-image:1".to_owned());
    let Some(site) = Site::with(setup.args(&["--pai-executor", "container"]), image) else { return };
    site.works("processor.py", &["no_image"]);
    nothing_is_left(&site);
}
