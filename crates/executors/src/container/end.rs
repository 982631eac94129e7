//! How a container ended that left no exit record: a pure look at what the engine says and at the folder.

use std::{fs, path::Path};

use runyard_domain::{
    Millis,
    job::{Exit, Reason, folder as names},
};

use super::{
    docker::{Ended, is_no_space},
    round::has_begun,
};
use crate::{
    Job,
    local::{admission::size_text, folder},
};

/// How many of the runner's last words a message repeats.
const WORDS_MAX: usize = 500;

/// The exit record of a job whose container ended without one. What its runner said last is kept in the folder.
pub(super) fn classify(job_folder: &Path, job: &Job, ended: &Ended, log: &str, now: Millis) -> Exit {
    if let Err(error) = folder::append_log(job_folder, log) {
        tracing::warn!("job {}: what its runner said last is lost: {error}", job.spec.job_id);
    }
    let (reason, message) = reason(job_folder, job, ended, log);
    let launched = fs::read_to_string(job_folder.join(names::LAUNCHED)).ok();
    let launched_at = launched.and_then(|text| text.trim().parse().ok()).map(Millis);
    Exit { launched_at, ..Exit::because(reason, message, now) }
}

fn reason(job_folder: &Path, job: &Job, ended: &Ended, log: &str) -> (Reason, String) {
    let said = if ended.error.is_empty() { last_words(log) } else { ended.error.clone() };
    if ended.oom {
        let limit =
            job.demand.memory_bytes.map_or_else(String::new, |bytes| format!(" of {}", size_text(bytes)));
        return (
            Reason::OOMKilled,
            format!("the container went over its memory{limit}, and the kernel ended it: raise --memory"),
        );
    }
    if is_no_space(&said) {
        return (
            Reason::NoSpace,
            format!("the disk of the container engine is full: free some space there ({said})"),
        );
    }
    if !has_begun(job_folder) {
        let image = job.image.as_deref().unwrap_or_default();
        let message =
            format!("the runner could not be started in image `{image}` (exit code {}): {said}", ended.code);
        return (Reason::BackendFailed, message);
    }
    if matches!(ended.code, 137 | 143) {
        let message = "the container was killed from outside while the program ran, or the machine restarted; the program was ended with it";
        return (Reason::RunnerKilled, message.to_owned());
    }
    (
        Reason::RunnerKilled,
        format!("the runner left its container (exit code {}) without a word: {said}", ended.code),
    )
}

fn last_words(log: &str) -> String {
    let start = log.len().saturating_sub(WORDS_MAX);
    let start = (start..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
    let words = log[start..].trim();
    if words.is_empty() { "it said nothing".to_owned() } else { words.to_owned() }
}
