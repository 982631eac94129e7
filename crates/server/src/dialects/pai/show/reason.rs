//! Why a job ended, as a code and a sentence; and as the last line of its output, because the SDK shows neither.

use runyard_domain::{
    job::{Exit, Reason as Why},
    run::{Event, Job, Run, Status},
};
use serde_json::Value;

use super::Beside;

/// A code and a sentence; both empty where there is nothing to say yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Reason {
    pub(in super::super) code: String,
    pub(in super::super) message: String,
}

impl Reason {
    fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// Why the run is where it is.
pub(in super::super) fn reason(run: &Run, beside: &Beside) -> Reason {
    match run.life.status {
        Status::JobCompleted => Reason::new("TrainingJobSucceed", "the job succeeded"),
        Status::JobTerminated => Reason::new("TrainingJobTerminated", "the job was stopped"),
        Status::JobFailed => run.exit.as_ref().map_or_else(
            || Reason::new("JobFailed", "the job failed"),
            |exit| Reason::new(word(exit.reason), sentence(exit)),
        ),
        Status::JobCreateFailed => {
            let why = beside.events.iter().rev().find(|event| event.status == Status::JobCreateFailed);
            why.map_or_else(|| Reason::new("InitializeFailed", "no job could be made"), of_event)
        }
        Status::JobUnknown => {
            Reason::new("OutOfSight", "the job is lost from sight; it may still be running")
        }
        _ => Reason::new("", beside.waits_for.clone().unwrap_or_default()),
    }
}

/// What an entry of the log says.
pub(super) fn of_event(event: &Event) -> Reason {
    let said = |name: &str| event.details.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match event.status {
        Status::JobCompleted => Reason::new("TrainingJobSucceed", "the job succeeded"),
        Status::JobTerminated => Reason::new("TrainingJobTerminated", "the job was stopped"),
        Status::JobFailed => Reason::new(said("reason"), said("message")),
        Status::JobCreateFailed => Reason::new("InitializeFailed", said("reason")),
        _ => Reason::new("", said("reason")),
    }
}

/// What stands behind the output of a job that ended other than well.
pub(in super::super) fn last_word(job: &Job) -> Option<String> {
    let exit = job.exit.as_ref().filter(|exit| exit.reason != Why::Completed)?;
    Some(format!("[runyard] the job ended: {}: {}", word(exit.reason), one_line(&sentence(exit))))
}

/// A sentence of pip may have several.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn word(reason: Why) -> String {
    format!("{reason:?}")
}

fn sentence(exit: &Exit) -> String {
    match (&exit.message, exit.code, exit.signal) {
        (Some(message), ..) => message.clone(),
        (None, Some(code), _) => format!("the program exited with {code}"),
        (None, None, Some(signal)) => format!("the program was ended by signal {signal}"),
        (None, None, None) => "no more is known".to_owned(),
    }
}
