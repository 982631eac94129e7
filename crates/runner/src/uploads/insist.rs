//! When an upload is tried again and when it is given up. A server or an object store that is away is waited for, for as
//! long as it takes; only what will never be accepted, or a stop that nobody wants to wait for, ends an upload.

use std::time::Duration;

use runyard_client::{Client, Error};
use tokio::time::Instant;

use crate::job::Job;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long the server may say that it does not know us before it is believed.
const REFUSED_AFTER: Duration = Duration::from_secs(20);
/// How long an object store may refuse: somebody may be mending it.
const STORE_REFUSED_AFTER: Duration = Duration::from_hours(2);
/// How long trouble may last after the deadline of a stop, and when an upload that was given up is to be said.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// Trouble that lasts longer is said in the output.
const SAY_AFTER: Duration = Duration::from_secs(15);

/// Why an upload ends without being complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The run has a newer job.
    Superseded,
    /// It never will be: the reason, for people.
    GivenUp(String),
}

/// How one upload meets trouble.
pub(super) struct Patience<'a> {
    job: &'a Job,
    title: String,
    /// Not worth waiting for.
    brief: bool,
    /// The object store is met, which may refuse for a long time.
    store: bool,
    /// Since when nothing went well.
    trouble: Option<Instant>,
    /// Since when it was refused.
    refused: Option<Instant>,
    pause: Duration,
    said: bool,
}

impl<'a> Patience<'a> {
    /// For what is waited for as long as it takes.
    pub(super) fn new(job: &'a Job, title: String) -> Self {
        let (trouble, refused, pause) = (None, None, PAUSE_MIN);
        Self { job, title, brief: false, store: false, trouble, refused, pause, said: false }
    }

    /// For the object store behind signed addresses.
    pub(super) fn with_store(job: &'a Job, title: String) -> Self {
        Self { store: true, ..Self::new(job, title) }
    }

    /// For what is tried for a short while.
    pub(super) fn brief(job: &'a Job, title: String) -> Self {
        Self { brief: true, said: true, ..Self::new(job, title) }
    }

    /// Whose upload it is.
    pub(super) fn job(&self) -> &'a Job {
        self.job
    }

    /// Whoever is asked: the server as it is reached now.
    pub(super) fn client(&self) -> Client {
        self.job.server.client().api()
    }

    /// Something was accepted.
    pub(super) fn well(&mut self) {
        (self.trouble, self.refused, self.pause) = (None, None, PAUSE_MIN);
    }

    /// Calls the server until there is an answer that means something.
    pub(super) async fn insist<T>(
        &mut self,
        call: impl AsyncFn(Client) -> Result<T, Error>,
    ) -> Result<T, Stop> {
        loop {
            match call(self.client()).await {
                Ok(answer) => {
                    self.well();
                    return Ok(answer);
                }
                Err(error) => self.meet(&error).await?,
            }
        }
    }

    /// Waits before the next attempt after an error, or says why there is none.
    pub(super) async fn meet(&mut self, error: &Error) -> Result<(), Stop> {
        let trouble = *self.trouble.get_or_insert_with(Instant::now);
        match judge(error, self.store) {
            Verdict::Superseded => return Err(Stop::Superseded),
            Verdict::Never => return Err(Stop::GivenUp(error.to_string())),
            Verdict::Again => self.refused = None,
            Verdict::Perhaps => {
                let since = *self.refused.get_or_insert_with(Instant::now);
                if since.elapsed() >= if self.store { STORE_REFUSED_AFTER } else { REFUSED_AFTER } {
                    return Err(Stop::GivenUp(error.to_string()));
                }
            }
        }
        if trouble.elapsed() >= LAST_PATIENCE && self.is_over() {
            return Err(Stop::GivenUp(format!("the run is being stopped, and nothing moves: {error}")));
        }
        if trouble.elapsed() >= SAY_AFTER && !self.said {
            self.said = true;
            self.job.output.note(&format!("{} waits and is tried again: {error}", self.title));
        }
        tracing::debug!(%error, title = self.title, "an upload cannot go on now: trying again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.job.server.find_again();
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.brief || self.job.orders.now().deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Superseded,
    /// Nothing will change this answer.
    Never,
    /// Somebody is away, busy or full.
    Again,
    /// Believed when it is said for a while.
    Perhaps,
}

fn judge(error: &Error, store: bool) -> Verdict {
    match (error.status(), error.code()) {
        (Some(408 | 429), _) => Verdict::Again,
        // Asked again for an address, it may be right.
        (Some(400..=499), _) if store => Verdict::Perhaps,
        (Some(409), Some("stale_epoch")) => Verdict::Superseded,
        // Only our own words mean us, anything may answer at an address; and it may be about to know us again.
        (Some(401 | 403 | 404 | 410), _) | (Some(400..=499), None) => Verdict::Perhaps,
        (Some(400..=499), Some(_)) => Verdict::Never,
        _ if matches!(error, Error::Local { .. }) => Verdict::Never,
        _ => Verdict::Again,
    }
}

#[cfg(test)]
mod tests {
    use runyard_wire::error::Error as Body;

    use super::*;

    fn api(status: u16, code: &str) -> Error {
        let body = Body {
            error: "no".into(),
            code: code.into(),
            request_id: "r".into(),
            errors: None,
            expected_offset: None,
        };
        Error::Api { status, body: Box::new(body) }
    }

    #[test]
    fn who_is_away_is_waited_for_and_who_means_no_is_believed() {
        let away = Error::Connect { url: "http://x".into(), cause: "refused".into() };
        for error in [away, api(500, "internal"), api(503, "busy"), api(507, "full"), api(429, "busy")] {
            assert_eq!(judge(&error, false), Verdict::Again, "{error}");
        }
        assert_eq!(judge(&api(409, "stale_epoch"), false), Verdict::Superseded);
        for error in [api(422, "invalid"), api(409, "abandoned"), api(413, "too_large")] {
            assert_eq!(judge(&error, false), Verdict::Never, "{error}");
        }
        assert_eq!(judge(&api(409, "superseded"), true), Verdict::Perhaps);
        let expired = Error::Store { url: "http://x".into(), status: 403, why: "expired".into() };
        for error in [api(404, "not_found"), api(401, "unauthorized"), expired] {
            assert_eq!(judge(&error, false), Verdict::Perhaps, "{error}");
        }
    }
}
