//! An activity: the state of one element in one worker run, and the one function that moves it.
//!
//! Promised: at-least-once processing, exactly-once commit. At most one holder at any time; of an attempt at most one commit
//! is accepted; none from a lost lease. The store does the same to many rows at once and is held against [`apply`] by tests.

use std::{fmt, str::FromStr};

use crate::time::Millis;

#[cfg(test)]
mod tests;

/// How often an element may be lost by its worker when nothing was said.
pub const MAX_ATTEMPTS: i64 = 3;
/// Most losses that a worker run may allow.
pub const MAX_ATTEMPTS_MAX: i64 = 1000;
/// How long a lease lives when nothing was said, in milliseconds.
pub const LEASE_MS: i64 = 60_000;
/// Shortest and longest lease, in milliseconds: a second, a week.
pub const LEASE_MS_RANGE: std::ops::RangeInclusive<i64> = 1_000..=7 * 24 * 3_600_000;
/// Most elements of one claim or one commit.
pub const BATCH_MAX: usize = 1000;
/// Characters of the longest name of a holder.
pub const HOLDER_MAX: usize = 200;
/// Characters of an error that are kept.
pub const ERROR_MAX: usize = 10_000;

/// Where an element stands in a worker run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody works on it.
    Queued,
    /// A worker holds it under a lease.
    Started,
    /// Done, and its results are stored.
    Processed,
    /// Failed, or set aside; the error says why.
    Error,
}

/// A text that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of an activity; the states are queued, started, processed, error")]
pub struct UnknownState(String);

impl State {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Started, Self::Processed, Self::Error];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Processed => "processed",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|state| state.word() == text);
        found.ok_or_else(|| UnknownState(text.chars().take(80).collect()))
    }
}

/// How work on an element ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Well.
    Processed,
    /// Not.
    Error,
}

impl Outcome {
    /// The state that it leads to.
    pub fn state(self) -> State {
        match self {
            Self::Processed => State::Processed,
            Self::Error => State::Error,
        }
    }

    /// The outcome with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Processed, Self::Error].into_iter().find(|outcome| outcome.state().word() == word)
    }
}

/// Who works on an element, and until when that is sure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// A name: of a job's process, `<job id>/<number>`.
    pub holder: String,
    /// From then on others may take the element.
    pub until: Millis,
}

/// All that decides what may happen to an element next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// The state.
    pub state: State,
    /// Counts what was handed out, and never falls: whoever comes with an older one has lost its lease.
    pub attempt: i64,
    /// How often a worker lost it (died, or let the lease run out) since it was queued or committed last.
    pub lost: i64,
    /// Exactly while it is started.
    pub lease: Option<Lease>,
}

impl Default for Activity {
    /// As it is queued first.
    fn default() -> Self {
        Self { state: State::Queued, attempt: 0, lost: 0, lease: None }
    }
}

impl Activity {
    /// Whether its lease has run out.
    pub fn expired(&self, now: Millis) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until < now)
    }

    /// Whether one more loss sets it aside: then it is handed out alone, so that no other element is blamed with it.
    pub fn is_suspect(&self, max_attempts: i64, now: Millis) -> bool {
        let lost = self.lost + i64::from(self.expired(now));
        lost > 0 && lost + 1 >= max_attempts
    }
}

/// What is asked of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act<'a> {
    /// A worker takes whatever is free.
    Claim {
        /// Who.
        holder: &'a str,
        /// For how long.
        lease_ms: i64,
    },
    /// A worker takes just this element, also one that failed before.
    Start {
        /// Who.
        holder: &'a str,
        /// For how long.
        lease_ms: i64,
    },
    /// The holder is alive.
    Renew {
        /// Who.
        holder: &'a str,
        /// For how long from now; never shortens a lease.
        lease_ms: i64,
    },
    /// The holder gives it back.
    Release {
        /// Who.
        holder: &'a str,
    },
    /// The holder is gone for good.
    Lose {
        /// Who.
        holder: &'a str,
        /// Whether it died; a worker that was stopped is no mark against the element.
        died: bool,
    },
    /// The result of an attempt.
    Commit {
        /// The attempt, as it was handed out.
        attempt: i64,
        /// How it ended.
        outcome: Outcome,
    },
    /// The result of whatever attempt is under way, from a worker that knows no attempts.
    Finish {
        /// How it ended.
        outcome: Outcome,
    },
    /// Somebody wants it done again.
    Retry {
        /// Whether earlier losses are forgotten.
        reset: bool,
    },
}

/// What came of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Handed out: the attempt is the new one. With more than one attempt, what earlier ones left may be there.
    HandedOut,
    /// Lost once too often: an error now, and handed to nobody.
    SetAside,
    /// The lease is longer.
    Renewed,
    /// Queued again.
    Queued,
    /// The result counts: store it.
    Committed,
    /// It counted before: there is nothing to store.
    Repeated,
}

/// Why an act was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else has it.
    #[error("the element is started: `{holder}` holds it until {}", until.0)]
    Held {
        /// Who.
        holder: String,
        /// Until when, in epoch milliseconds.
        until: Millis,
    },
    /// A jump that the table of states does not know.
    #[error("an activity that is {from} cannot become {to}{}", fix(*from, *to))]
    Jump {
        /// The state that it has.
        from: State,
        /// The state that was asked for.
        to: State,
    },
    /// The attempt is not the newest, or was taken back.
    #[error("the lease of attempt {attempt} was lost: {why}; drop the result")]
    LeaseLost {
        /// The attempt that was named.
        attempt: i64,
        /// What happened since.
        why: String,
    },
    /// The attempt was committed with the other outcome.
    #[error("attempt {attempt} was committed as {state} already: the first commit counts")]
    Committed {
        /// The attempt.
        attempt: i64,
        /// Its state.
        state: State,
    },
    /// An attempt that was never handed out.
    #[error("attempt {attempt} was never handed out: the newest is {newest}")]
    NeverHandedOut {
        /// The attempt that was named.
        attempt: i64,
        /// The newest.
        newest: i64,
    },
    /// Not held by this holder.
    #[error("`{0}` does not hold the element")]
    NotHolder(String),
}

fn fix(from: State, to: State) -> &'static str {
    match (from, to) {
        (State::Queued, _) => ": start it first",
        (State::Processed, State::Started) => ": it is done; retry it to do it again",
        (_, State::Queued) => ": it is queued again when its lease is released or runs out",
        _ => "",
    }
}

/// The table of states as a function: what `act` makes of an activity at `now`.
///
/// | from | to | when |
/// | --- | --- | --- |
/// | queued, started with an expired lease | started | claim, start |
/// | error | started | start |
/// | started | processed, error | commit of the newest attempt, finish |
/// | started | queued | release, the end of the holder |
/// | started | error | lost `max_attempts` times |
/// | processed, error | queued | retry |
///
/// # Errors
/// [`Refused`], and nothing may be written.
pub fn apply(
    activity: &Activity,
    act: &Act<'_>,
    max_attempts: i64,
    now: Millis,
) -> Result<(Activity, Effect), Refused> {
    match *act {
        Act::Claim { holder, lease_ms } => match activity.state {
            State::Queued if activity.lost >= max_attempts => Ok(set_aside(activity)),
            State::Queued => Ok(hand_out(activity, holder, now.plus(lease_ms))),
            State::Started => take_over(activity, holder, lease_ms, max_attempts, now),
            from => Err(Refused::Jump { from, to: State::Started }),
        },
        Act::Start { holder, lease_ms } => match activity.state {
            // Whoever names the element wants it now: earlier losses do not count against it.
            State::Queued | State::Error => {
                Ok(hand_out(&Activity { lost: 0, ..activity.clone() }, holder, now.plus(lease_ms)))
            }
            State::Started => take_over(activity, holder, lease_ms, max_attempts, now),
            State::Processed => Err(Refused::Jump { from: State::Processed, to: State::Started }),
        },
        Act::Renew { holder, lease_ms } => {
            let lease = held_by(activity, holder)?;
            let until = lease.until.max(now.plus(lease_ms));
            let lease = Some(Lease { until, ..lease.clone() });
            Ok((Activity { lease, ..activity.clone() }, Effect::Renewed))
        }
        Act::Release { holder } => {
            held_by(activity, holder)?;
            Ok((Activity { state: State::Queued, lease: None, ..activity.clone() }, Effect::Queued))
        }
        Act::Lose { holder, died } => {
            held_by(activity, holder)?;
            let lost = activity.lost + i64::from(died);
            let queued = Activity { state: State::Queued, lease: None, lost, ..activity.clone() };
            Ok(if died && lost >= max_attempts { set_aside(&queued) } else { (queued, Effect::Queued) })
        }
        Act::Commit { attempt, outcome } => commit(activity, attempt, outcome),
        Act::Finish { outcome } => match activity.state {
            State::Started => Ok(settle(activity, outcome)),
            state if state == outcome.state() => Ok((activity.clone(), Effect::Repeated)),
            from => Err(Refused::Jump { from, to: outcome.state() }),
        },
        Act::Retry { reset } => match activity.state {
            State::Processed | State::Error => {
                let lost = if reset { 0 } else { activity.lost };
                Ok((Activity { state: State::Queued, lost, ..activity.clone() }, Effect::Queued))
            }
            from => Err(Refused::Jump { from, to: State::Queued }),
        },
    }
}

fn commit(activity: &Activity, attempt: i64, outcome: Outcome) -> Result<(Activity, Effect), Refused> {
    let lost = |why: String| Err(Refused::LeaseLost { attempt, why });
    if attempt > activity.attempt || attempt < 1 {
        return Err(Refused::NeverHandedOut { attempt, newest: activity.attempt });
    }
    if attempt < activity.attempt {
        return match (&activity.lease, activity.state) {
            (Some(lease), _) => lost(format!("`{}` has attempt {} now", lease.holder, activity.attempt)),
            (None, state) => lost(format!("attempt {} came since, and it is {state}", activity.attempt)),
        };
    }
    match activity.state {
        State::Started => Ok(settle(activity, outcome)),
        State::Queued => lost("the element was queued again".to_owned()),
        state if state == outcome.state() => Ok((activity.clone(), Effect::Repeated)),
        state => Err(Refused::Committed { attempt, state }),
    }
}

fn take_over(
    activity: &Activity,
    holder: &str,
    lease_ms: i64,
    max_attempts: i64,
    now: Millis,
) -> Result<(Activity, Effect), Refused> {
    if !activity.expired(now) {
        let lease = activity.lease.clone();
        let (holder, until) = lease.map_or((String::new(), now), |lease| (lease.holder, lease.until));
        return Err(Refused::Held { holder, until });
    }
    let lost = Activity { lost: activity.lost + 1, ..activity.clone() };
    Ok(if lost.lost >= max_attempts { set_aside(&lost) } else { hand_out(&lost, holder, now.plus(lease_ms)) })
}

fn hand_out(activity: &Activity, holder: &str, until: Millis) -> (Activity, Effect) {
    let lease = Some(Lease { holder: holder.to_owned(), until });
    let attempt = activity.attempt + 1;
    (Activity { state: State::Started, attempt, lost: activity.lost, lease }, Effect::HandedOut)
}

/// The attempt rises: a late commit of the last holder must not count.
fn set_aside(activity: &Activity) -> (Activity, Effect) {
    let attempt = activity.attempt + 1;
    (Activity { state: State::Error, attempt, lost: activity.lost, lease: None }, Effect::SetAside)
}

fn settle(activity: &Activity, outcome: Outcome) -> (Activity, Effect) {
    let settled = Activity { state: outcome.state(), attempt: activity.attempt, lost: 0, lease: None };
    (settled, Effect::Committed)
}

fn held_by<'a>(activity: &'a Activity, holder: &str) -> Result<&'a Lease, Refused> {
    let lease = activity.lease.as_ref().filter(|lease| lease.holder == holder);
    lease.ok_or_else(|| Refused::NotHolder(holder.to_owned()))
}

/// The sentence that an element is set aside with.
pub fn set_aside_reason(lost: i64) -> String {
    format!("set aside after {lost} attempt{}: the worker died each time", if lost == 1 { "" } else { "s" })
}

/// How many activities of a worker run are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queued.
    pub queued: i64,
    /// Started.
    pub started: i64,
    /// Processed.
    pub processed: i64,
    /// Failed.
    pub error: i64,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> i64 {
        self.queued + self.started + self.processed + self.error
    }

    /// The count of one state, to change it.
    pub fn of_mut(&mut self, state: State) -> &mut i64 {
        match state {
            State::Queued => &mut self.queued,
            State::Started => &mut self.started,
            State::Processed => &mut self.processed,
            State::Error => &mut self.error,
        }
    }

    /// `n` activities went from one state to another.
    pub fn moved(&mut self, from: State, to: State, n: i64) {
        *self.of_mut(from) -= n;
        *self.of_mut(to) += n;
    }
}
