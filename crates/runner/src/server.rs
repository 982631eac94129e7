//! The server as the runner sees it: may be away for hours, may come back at another address, and has the last word on
//! whether this job is still wanted. Nothing that happens here may end the program, except being superseded.

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    time::Duration,
};

use runyard_client::{Error, job::JobClient};
use runyard_domain::{Millis, job::JobSpec};
use runyard_wire::job::JobState;
use serde::Deserialize;
use tokio::time::Instant;

use crate::clock;

/// The pause between attempts starts small and ends here.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long the server may say that it knows no such job before it is believed.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// How long it may refuse for another reason.
const REFUSED_AFTER: Duration = Duration::from_mins(1);

/// An answer that makes the caller do something else than to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The run has a newer job.
    #[error("the run has a newer job")]
    Superseded,
    /// The server knows no such job.
    #[error("the server does not know this job: {0}")]
    Gone(String),
    /// The server refuses, again and again.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The chunk does not fit: this is the offset where to go on.
    #[error("the server expects offset {0}")]
    Gap(i64),
    /// The exit came before all of the streams.
    #[error("the server does not have all of the streams yet")]
    Incomplete,
}

/// When a refusal is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Nothing was launched yet: a job that is not known is not wanted.
    BeforeLaunch,
    /// A program runs: only a newer job ends it, whatever else the server says.
    Running,
    /// Everything is over: no reason to try for ever.
    Delivering,
}

/// The way to the server.
#[derive(Debug)]
pub(crate) struct Server {
    client: RefCell<JobClient>,
    address_file: Option<PathBuf>,
    /// How far the server's clock is ahead of ours, in milliseconds.
    ahead_ms: Cell<i64>,
}

#[derive(Deserialize)]
struct ServerFile {
    url: String,
}

impl Server {
    pub(crate) fn new(spec: &JobSpec) -> Self {
        let server = Self {
            client: RefCell::new(JobClient::new(&spec.url, &spec.token, spec.job_id)),
            address_file: spec.server_file.as_ref().map(PathBuf::from),
            ahead_ms: Cell::new(0),
        };
        server.find_again();
        server
    }

    /// A client for one call.
    pub(crate) fn client(&self) -> JobClient {
        self.client.borrow().clone()
    }

    /// Where the server is now, as far as is known.
    pub(crate) fn url(&self) -> String {
        self.client.borrow().url().to_owned()
    }

    /// A server that was started again may be elsewhere: where runner and server share a disk, a file says so.
    pub(crate) fn find_again(&self) {
        let Some(file) = &self.address_file else { return };
        let Ok(text) = std::fs::read(file) else { return };
        let Ok(found) = serde_json::from_slice::<ServerFile>(&text) else { return };
        self.client.borrow_mut().set_url(&found.url);
    }

    /// Learns the server's clock from an answer.
    pub(crate) fn learn_clock(&self, state: &JobState) {
        self.ahead_ms.set(state.now.saturating_sub(clock::now().0));
    }

    /// A time of the server's clock as one of ours.
    pub(crate) fn instant(&self, deadline: Millis) -> Instant {
        let left = deadline.plus(-self.ahead_ms.get()).since(clock::now()).max(0);
        // A century is as good as never, and can be added without overflow.
        Instant::now() + Duration::from_millis(left.unsigned_abs().min(3_000_000_000_000))
    }

    /// Calls until there is an answer that means something.
    pub(crate) async fn insist<T>(
        &self,
        patience: impl Fn() -> Patience,
        call: impl AsyncFn(JobClient) -> Result<T, Error>,
    ) -> Result<T, Refusal> {
        let mut pause = PAUSE_MIN;
        let mut refused_since: Option<Instant> = None;
        loop {
            let error = match call(self.client()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match judge(&error) {
                Verdict::Final(refusal) => return Err(refusal),
                Verdict::Again => refused_since = None,
                Verdict::Perhaps(refusal) => {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if believed(&refusal, patience(), since.elapsed()) {
                        return Err(refusal);
                    }
                }
            }
            if pause == PAUSE_MAX {
                tracing::debug!(%error, "the server cannot be used now: trying again");
            } else if pause == PAUSE_MIN {
                tracing::info!(%error, "the server cannot be used now: trying again");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            self.find_again();
        }
    }
}

enum Verdict {
    /// Try again, for ever.
    Again,
    /// Means it.
    Final(Refusal),
    /// Means it when it goes on saying so.
    Perhaps(Refusal),
}

fn judge(error: &Error) -> Verdict {
    if let (Some(409), Some(expected)) = (error.status(), error.expected_offset()) {
        return Verdict::Final(Refusal::Gap(expected));
    }
    match (error.status(), error.code()) {
        (Some(409), Some("stale_epoch")) => Verdict::Final(Refusal::Superseded),
        (Some(409), Some("incomplete")) => Verdict::Final(Refusal::Incomplete),
        // Without one of our own codes, it is not our server that speaks.
        (Some(404 | 410), Some(_)) => Verdict::Perhaps(Refusal::Gone(error.to_string())),
        (Some(400..=499), _) if !error.is_transient() => {
            Verdict::Perhaps(Refusal::Refused(error.to_string()))
        }
        _ => Verdict::Again,
    }
}

fn believed(refusal: &Refusal, patience: Patience, since: Duration) -> bool {
    match (patience, refusal) {
        (Patience::Running, _) => false,
        (Patience::BeforeLaunch, Refusal::Gone(_)) => true,
        (Patience::Delivering, Refusal::Gone(_)) => since >= GONE_AFTER,
        _ => since >= REFUSED_AFTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_job_ends_a_running_program() {
        let gone = Refusal::Gone("not found".into());
        let day = Duration::from_hours(24);
        assert!(!believed(&gone, Patience::Running, day));
        assert!(!believed(&Refusal::Refused("no".into()), Patience::Running, day));
        assert!(believed(&gone, Patience::BeforeLaunch, Duration::ZERO));
        assert!(!believed(&gone, Patience::Delivering, Duration::ZERO));
        assert!(believed(&gone, Patience::Delivering, GONE_AFTER));
    }
}
