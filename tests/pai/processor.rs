//! `Processor.run()` with jobs as processes, and every trap of the contract that it can step into.

use crate::site::Site;

#[track_caller]
fn works(case: &str) {
    if let Some(site) = Site::start() {
        site.works("processor.py", &[case]);
    }
}

#[test]
fn a_job_with_code_parameters_inputs_and_an_output_runs_and_its_output_comes_back() {
    works("whole");
}

#[test]
fn outputs_of_a_job_that_fails_are_uploaded_empty_files_too_and_the_last_line_says_why() {
    works("failing");
}

#[test]
fn a_job_over_its_time_limit_has_failed_so_that_the_client_raises() {
    works("time_limit");
}

#[test]
fn a_command_that_is_a_list_meets_no_shell() {
    works("argv");
}

#[test]
fn the_source_may_be_a_single_file() {
    works("single_file");
}

#[test]
fn a_job_runs_the_code_that_was_there_when_it_was_made() {
    works("prefix_twice");
}

#[test]
fn a_session_without_a_bucket_has_that_of_its_workspace() {
    works("default_bucket");
}

#[test]
fn what_cannot_be_honoured_is_said_in_a_warning_and_answered_as_it_was_sent() {
    works("not_honoured");
}

#[test]
fn two_instances_start_together_and_their_lines_say_whose_they_are() {
    works("two_instances");
}

#[test]
fn a_requirement_that_cannot_be_installed_fails_the_job_with_the_words_of_pip() {
    works("requirements");
}
