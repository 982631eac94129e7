//! Ids as PAI writes them: a word and the digits of ours. A text that is none names nothing.

use runyard_domain::RunId;

use crate::error::Problem;
use axum::http::StatusCode;

/// What ids of training jobs begin with.
const TRAIN: &str = "train";

/// The id of a run.
pub(super) fn job(run: RunId) -> String {
    format!("{TRAIN}{}", run.0.simple())
}

/// The run with this id, which may be written as ours too.
pub(super) fn run(text: &str) -> Result<RunId, Problem> {
    text.strip_prefix(TRAIN).unwrap_or(text).parse().map_err(|_| no_job(text))
}

/// There is no training job with this id.
pub(super) fn no_job(id: &str) -> Problem {
    let id: String = id.chars().take(100).collect();
    let message = format!("there is no training job `{id}`");
    Problem::new(StatusCode::NOT_FOUND, "TRAINING_JOB_NOT_FOUND", message)
}

/// The id of an instance: the first one is the master.
pub(super) fn instance(run: RunId, index: i64) -> String {
    match index {
        0 => format!("{}-master-0", job(run)),
        worker => format!("{}-worker-{}", job(run), worker - 1),
    }
}

/// Which instance of a run this id means.
pub(super) fn instance_index(run: RunId, text: &str) -> Option<i64> {
    let (role, number) = text.strip_prefix(&job(run))?.strip_prefix('-')?.split_once('-')?;
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    match (role, number) {
        ("master", 0) => Some(0),
        ("worker", number) => Some(number + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "01932b2e-7a3c-7000-8000-0000000000a1";

    #[test]
    fn an_id_of_a_job_leads_back_to_its_run() {
        let run_id: RunId = RUN.parse().unwrap();
        assert_eq!(job(run_id), "train01932b2e7a3c700080000000000000a1");
        assert_eq!(run(&job(run_id)).unwrap(), run_id);
        assert_eq!(run(RUN).unwrap(), run_id);
        for none in ["", "train", "train129f212o89d", "a/b"] {
            let problem = run(none).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (404, "TRAINING_JOB_NOT_FOUND"), "{none}");
        }
    }

    #[test]
    fn the_first_instance_is_the_master_and_all_are_found_again() {
        let run_id: RunId = RUN.parse().unwrap();
        assert!(instance(run_id, 0).ends_with("a1-master-0"));
        assert!(instance(run_id, 2).ends_with("a1-worker-1"));
        for index in 0..3 {
            assert_eq!(instance_index(run_id, &instance(run_id, index)), Some(index));
        }
        for none in
            ["", "x-master-0", &format!("{}-master-1", job(run_id)), &format!("{}-worker-x", job(run_id))]
        {
            assert_eq!(instance_index(run_id, none), None, "{none}");
        }
    }
}
