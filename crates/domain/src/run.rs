//! The life of a run: the fourteen statuses and the one function that moves between them.
//!
//! Every change of a status anywhere goes through [`apply`]; what it refuses cannot be written.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    job::{Exit, Reason, RetryOn},
    time::Millis,
};

pub mod recorded;
pub mod spec;
#[cfg(test)]
mod tests;

pub use crate::record::Progress;
pub use spec::{Event, Job, Kind, Run, Spec};

/// The status of a run. `run_*` is what someone asked for; `job_*` is what was seen of the current job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Asked for, and valid.
    RunCreated,
    /// A stop was asked for.
    RunStopRequested,
    /// A restart was asked for.
    RunRestartRequested,
    /// No job can ever be made of it; the event says why. Terminal.
    JobCreateFailed,
    /// The controller made the job.
    JobCreated,
    /// The executor accepted the job.
    JobSubmitted,
    /// The job waits for capacity, or for its image.
    JobPending,
    /// The runner has reported in.
    JobRunning,
    /// The executor or the runner was told to stop the program.
    JobTerminateRequested,
    /// The program was told to stop.
    JobTerminating,
    /// Stopped. Terminal.
    JobTerminated,
    /// Ended other than well; the event says why. Terminal.
    JobFailed,
    /// The program exited with 0. Terminal.
    JobCompleted,
    /// Lost from sight; not dead.
    JobUnknown,
}

/// A text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a status; the statuses are {all}", text = .0, all = Status::ALL.map(Status::word).join(", "))]
pub struct UnknownStatus(String);

impl Status {
    /// All fourteen.
    pub const ALL: [Self; 14] = [
        Self::RunCreated,
        Self::RunStopRequested,
        Self::RunRestartRequested,
        Self::JobCreateFailed,
        Self::JobCreated,
        Self::JobSubmitted,
        Self::JobPending,
        Self::JobRunning,
        Self::JobTerminateRequested,
        Self::JobTerminating,
        Self::JobTerminated,
        Self::JobFailed,
        Self::JobCompleted,
        Self::JobUnknown,
    ];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::RunCreated => "run_created",
            Self::RunStopRequested => "run_stop_requested",
            Self::RunRestartRequested => "run_restart_requested",
            Self::JobCreateFailed => "job_create_failed",
            Self::JobCreated => "job_created",
            Self::JobSubmitted => "job_submitted",
            Self::JobPending => "job_pending",
            Self::JobRunning => "job_running",
            Self::JobTerminateRequested => "job_terminate_requested",
            Self::JobTerminating => "job_terminating",
            Self::JobTerminated => "job_terminated",
            Self::JobFailed => "job_failed",
            Self::JobCompleted => "job_completed",
            Self::JobUnknown => "job_unknown",
        }
    }

    /// Whether the run has ended; only a restart leads on from here.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::JobCreateFailed | Self::JobTerminated | Self::JobFailed | Self::JobCompleted)
    }

    /// The table of ARCHITECTURE.md, "the life of a run": whether this status may directly follow `from`.
    pub fn may_follow(self, from: Self) -> bool {
        use Status as S;
        let active_job = matches!(
            from,
            S::JobCreated
                | S::JobSubmitted
                | S::JobPending
                | S::JobRunning
                | S::JobTerminateRequested
                | S::JobTerminating
        );
        match self {
            S::RunCreated => false,
            S::JobCreated | S::JobCreateFailed => matches!(from, S::RunCreated | S::RunRestartRequested),
            S::JobSubmitted => from == S::JobCreated,
            S::JobPending => matches!(from, S::JobSubmitted | S::JobUnknown),
            S::JobRunning => matches!(from, S::JobPending | S::JobUnknown),
            S::JobCompleted => from == S::JobRunning,
            S::JobFailed => matches!(from, S::JobPending | S::JobRunning),
            S::RunStopRequested => !from.is_terminal(),
            S::JobTerminateRequested => matches!(from, S::RunStopRequested | S::JobUnknown),
            S::JobTerminating => from == S::JobTerminateRequested,
            S::JobTerminated => matches!(from, S::JobTerminating | S::RunStopRequested),
            S::JobUnknown => active_job,
            S::RunRestartRequested => from.is_settled(),
        }
    }

    /// Whether the run may be deleted or restarted: it has ended, or its job is lost from sight.
    pub fn is_settled(self) -> bool {
        self.is_terminal() || self == Self::JobUnknown
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.word() == text)
            .ok_or_else(|| UnknownStatus(text.chars().take(80).collect()))
    }
}

/// A stop in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// When it was asked for.
    pub requested_at: Millis,
    /// When the program is killed if it has not ended.
    pub deadline: Millis,
}

/// Restarts that a run still gives itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// How many are left.
    pub left: i64,
    /// After which failures.
    pub on: Vec<RetryOn>,
}

/// All that decides what may happen to a run next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The status.
    pub status: Status,
    /// The epoch of the current job, from 1; a restart raises it first, so that an older job can change nothing.
    pub epoch: i64,
    /// Whether the job of this epoch has been made.
    pub has_job: bool,
    /// The stop in force, if any.
    pub stop: Option<Stop>,
    /// Automatic restarts.
    pub retries: Retries,
}

impl Life {
    /// The life of a run that was just created.
    pub fn new(retries: Retries) -> Self {
        Self { status: Status::RunCreated, epoch: 1, has_job: false, stop: None, retries }
    }
}

/// What was asked for or seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// The controller made the job of this epoch.
    JobMade,
    /// No job can ever be made; why.
    JobRefused {
        /// A sentence that says what to change.
        reason: String,
    },
    /// The executor accepted the job.
    Submitted,
    /// The job waits; for what.
    Pending {
        /// What it waits for.
        reason: Option<String>,
    },
    /// The runner reported in.
    Started,
    /// The executor or the runner was told of the stop.
    TerminateSent,
    /// The runner told the program to stop.
    Terminating,
    /// The job ended.
    Ended {
        /// How.
        exit: Exit,
    },
    /// The job was lost from sight.
    Lost {
        /// Why it cannot be seen.
        reason: String,
    },
    /// The job was seen again: does it run, or still wait?
    Found {
        /// Whether the runner has reported in.
        running: bool,
    },
    /// Someone asked for a stop.
    Stop {
        /// From now until SIGKILL, in milliseconds.
        grace_ms: i64,
        /// Who asked.
        by: String,
    },
    /// Someone asked for a restart.
    Restart {
        /// Who asked.
        by: String,
    },
}

/// Why something cannot happen to a run in its status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A stop of a run that has ended.
    #[error("the run has already ended: its status is {0}")]
    Ended(Status),
    /// A restart of a run that is active.
    #[error("the run is active: its status is {0}; stop it first, or wait for its end")]
    Active(Status),
    /// A step that the table of statuses does not know.
    #[error("{cause} cannot follow {status}")]
    Illegal {
        /// The status it would follow.
        status: Status,
        /// The step, in a word.
        cause: &'static str,
    },
}

/// A status that was reached, and what to note with it: one entry of the run's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The status reached (or kept).
    pub status: Status,
    /// An object, never null.
    pub details: Map<String, Value>,
}

/// What there is to do after a change was committed. Repeating an effect is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The controller has a next step.
    Drive,
    /// The job of this epoch is over: its back end may forget it.
    Release {
        /// The epoch of the job.
        epoch: i64,
    },
}

/// An accepted step: the new life, the entries to append in order, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The life after it.
    pub life: Life,
    /// Empty when the step was a repetition and nothing changed.
    pub entries: Vec<Entry>,
    /// What to do after the commit.
    pub effects: Vec<Effect>,
}

/// The table of statuses as a function: what `cause` makes of `life` at `now`.
///
/// Repeated messages (a second `Started`, a second `Ended`) are accepted and change nothing. A message that
/// overtook the controller's own bookkeeping (the runner of a job that is only `job_created` reports in) fills
/// in the statuses between, so that the log of a run always follows the table.
///
/// # Errors
/// [`Refused`], and nothing may be written.
pub fn apply(life: &Life, cause: &Cause, now: Millis) -> Result<Change, Refused> {
    let mut step = Step { life: life.clone(), entries: Vec::new(), effects: Vec::new() };
    step.take(cause, now)?;
    Ok(Change { life: step.life, entries: step.entries, effects: step.effects })
}

struct Step {
    life: Life,
    entries: Vec<Entry>,
    effects: Vec<Effect>,
}

impl Step {
    fn take(&mut self, cause: &Cause, now: Millis) -> Result<(), Refused> {
        use Status as S;
        let status = self.life.status;
        match cause {
            Cause::JobMade => match status {
                S::RunCreated | S::RunRestartRequested => {
                    self.life.has_job = true;
                    self.enter(S::JobCreated, json!({"epoch": self.life.epoch}));
                    self.effects.push(Effect::Drive);
                }
                _ if self.life.has_job => {}
                _ => return Err(illegal(status, "making a job")),
            },
            Cause::JobRefused { reason } => match status {
                S::RunCreated | S::RunRestartRequested => {
                    self.enter(S::JobCreateFailed, json!({"reason": reason}));
                }
                _ => return Err(illegal(status, "refusing a job")),
            },
            Cause::Submitted => match status {
                S::JobCreated => self.enter(S::JobSubmitted, json!({})),
                _ if self.life.has_job => {}
                _ => return Err(illegal(status, "submitting a job")),
            },
            Cause::Pending { reason } => match status {
                S::JobCreated | S::JobSubmitted => {
                    self.catch_up(S::JobSubmitted);
                    let details = reason.as_ref().map_or(json!({}), |reason| json!({"reason": reason}));
                    self.enter(S::JobPending, details);
                }
                _ if self.life.has_job => {}
                _ => return Err(illegal(status, "waiting for capacity")),
            },
            Cause::Started => self.started()?,
            Cause::TerminateSent => match status {
                S::RunStopRequested if self.life.has_job => self.enter(S::JobTerminateRequested, json!({})),
                S::JobTerminateRequested | S::JobTerminating => {}
                _ if status.is_terminal() => {}
                _ => return Err(illegal(status, "telling a job to stop")),
            },
            Cause::Terminating => match status {
                S::RunStopRequested | S::JobTerminateRequested if self.life.has_job => {
                    self.catch_up_stop(S::JobTerminateRequested);
                    self.enter(S::JobTerminating, json!({}));
                }
                S::JobUnknown if self.life.stop.is_some() => {
                    self.enter(S::JobTerminateRequested, json!({}));
                    self.enter(S::JobTerminating, json!({}));
                }
                S::JobTerminating => {}
                _ if status.is_terminal() => {}
                // The program was told to stop by something else than a person: its time limit, the machine.
                _ if self.life.has_job => {}
                _ => return Err(illegal(status, "stopping a program")),
            },
            Cause::Ended { exit } => self.ended(exit)?,
            Cause::Lost { reason } => match status {
                S::JobUnknown => {}
                S::RunStopRequested if self.life.has_job => {
                    self.catch_up_stop(S::JobTerminateRequested);
                    self.enter(S::JobUnknown, json!({"reason": reason}));
                }
                _ if status.is_terminal() || !self.life.has_job => {
                    return Err(illegal(status, "losing a job from sight"));
                }
                _ => self.enter(S::JobUnknown, json!({"reason": reason})),
            },
            Cause::Found { running } => match status {
                S::JobUnknown if self.life.stop.is_some() => {
                    self.enter(S::JobTerminateRequested, json!({"reason": "seen again"}));
                    self.effects.push(Effect::Drive);
                }
                S::JobUnknown => {
                    let back = if *running { S::JobRunning } else { S::JobPending };
                    self.enter(back, json!({"reason": "seen again"}));
                    self.effects.push(Effect::Drive);
                }
                _ if self.life.has_job => {}
                _ => return Err(illegal(status, "finding a job")),
            },
            Cause::Stop { grace_ms, by } => self.stop(*grace_ms, by, now)?,
            Cause::Restart { by } => {
                if !status.is_settled() {
                    return Err(Refused::Active(status));
                }
                self.restart(json!({"by": by}));
            }
        }
        Ok(())
    }

    fn started(&mut self) -> Result<(), Refused> {
        use Status as S;
        let status = self.life.status;
        match status {
            S::JobCreated | S::JobSubmitted | S::JobPending => {
                self.catch_up(S::JobPending);
                self.enter(S::JobRunning, json!({}));
            }
            S::JobUnknown => return self.take(&Cause::Found { running: true }, Millis(0)),
            // Repeated, or a stop is already under way: the answer to the runner says so.
            _ if self.life.has_job => {}
            _ => return Err(illegal(status, "starting a job")),
        }
        Ok(())
    }

    fn ended(&mut self, exit: &Exit) -> Result<(), Refused> {
        use Status as S;
        let status = self.life.status;
        if status.is_terminal() {
            return Ok(());
        }
        if !self.life.has_job {
            return Err(illegal(status, "ending a job"));
        }
        let details = exit_details(exit, self.life.epoch);
        if self.life.stop.is_some() {
            if status == S::JobUnknown {
                self.enter(S::JobTerminateRequested, json!({"reason": "seen again"}));
            }
            self.catch_up_stop(S::JobTerminating);
            self.enter(S::JobTerminated, details);
        } else {
            if status == S::JobUnknown {
                self.enter(S::JobRunning, json!({"reason": "seen again"}));
            }
            let completed = exit.reason == Reason::Completed;
            self.catch_up(if completed { S::JobRunning } else { S::JobPending });
            self.enter(if completed { S::JobCompleted } else { S::JobFailed }, details);
        }
        self.effects.push(Effect::Release { epoch: self.life.epoch });
        let retry = exit.reason.retry_class().is_some_and(|class| self.life.retries.on.contains(&class));
        if self.life.status == S::JobFailed && retry && self.life.retries.left > 0 {
            self.life.retries.left -= 1;
            let left = self.life.retries.left;
            self.restart(json!({"by": "retry", "after": exit.reason, "retries_left": left}));
        }
        Ok(())
    }

    fn stop(&mut self, grace_ms: i64, by: &str, now: Millis) -> Result<(), Refused> {
        use Status as S;
        let status = self.life.status;
        if status.is_terminal() {
            return Err(Refused::Ended(status));
        }
        let deadline = now.plus(grace_ms);
        let details = json!({"by": by, "grace_ms": grace_ms, "deadline": deadline});
        if let Some(stop) = &mut self.life.stop {
            // A second stop may only shorten the grace.
            if deadline < stop.deadline {
                stop.deadline = deadline;
                self.enter(status, details);
                self.effects.push(Effect::Drive);
            }
            return Ok(());
        }
        self.life.stop = Some(Stop { requested_at: now, deadline });
        self.enter(S::RunStopRequested, details);
        if self.life.has_job {
            self.effects.push(Effect::Drive);
        } else {
            self.enter(S::JobTerminated, json!({"reason": Reason::NeverStarted}));
        }
        Ok(())
    }

    fn restart(&mut self, details: Value) {
        let old = self.life.epoch;
        self.life.epoch += 1;
        self.life.has_job = false;
        self.life.stop = None;
        self.enter(Status::RunRestartRequested, details);
        if !self.effects.contains(&Effect::Release { epoch: old }) {
            self.effects.push(Effect::Release { epoch: old });
        }
        self.effects.push(Effect::Drive);
    }

    fn enter(&mut self, status: Status, details: Value) {
        self.life.status = status;
        let details = match details {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        self.entries.push(Entry { status, details });
    }

    /// Enters the statuses on the way up to and including `to` that were not entered yet.
    fn catch_up(&mut self, to: Status) {
        use Status as S;
        const WAY: [Status; 4] = [S::JobCreated, S::JobSubmitted, S::JobPending, S::JobRunning];
        self.walk(&WAY, to);
    }

    fn catch_up_stop(&mut self, to: Status) {
        use Status as S;
        const WAY: [Status; 3] = [S::RunStopRequested, S::JobTerminateRequested, S::JobTerminating];
        self.walk(&WAY, to);
    }

    fn walk(&mut self, way: &[Status], to: Status) {
        let place = |status| way.iter().position(|&on_way| on_way == status);
        if let (Some(from), Some(to)) = (place(self.life.status), place(to)) {
            for &status in way.iter().take(to + 1).skip(from + 1) {
                self.enter(status, json!({}));
            }
        }
    }
}

fn exit_details(exit: &Exit, epoch: i64) -> Value {
    let mut details = serde_json::to_value(exit).unwrap_or_default();
    details["epoch"] = json!(epoch);
    details
}

fn illegal(status: Status, cause: &'static str) -> Refused {
    Refused::Illegal { status, cause }
}
