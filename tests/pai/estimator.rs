//! `Estimator.fit()` with jobs as processes, and what is done with what it made.

use crate::site::Site;

#[track_caller]
fn works(case: &str) {
    if let Some(site) = Site::start() {
        site.works("estimator.py", &[case]);
    }
}

#[test]
fn a_training_leaves_a_model_checkpoints_and_the_metrics_that_it_printed() {
    works("whole");
}

#[test]
fn who_asks_for_a_tensorboard_is_told_that_there_is_none() {
    works("tensorboard");
}

#[test]
fn a_bad_expression_of_a_metric_is_refused_by_its_place() {
    works("bad_expression");
}

#[test]
fn a_registered_model_is_a_version_of_ours() {
    works("model");
}
