//! How trouble that may pass is met: with pauses that grow, and not for ever.

use std::time::Duration;

use runyard_client::Error as ClientError;
use tokio::time::Instant;

use crate::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Waits between attempts at one thing.
pub(crate) struct Patience {
    since: Option<Instant>,
    longest: Duration,
    pause: Duration,
}

impl Patience {
    /// For what a person waits for.
    pub(crate) fn brief() -> Self {
        Self::new(Duration::from_secs(30))
    }

    /// For programs of jobs: a server that is being moved may be away for long, and who waits loses less than who fails.
    pub(crate) fn of_job() -> Self {
        Self::new(Duration::from_hours(1))
    }

    fn new(longest: Duration) -> Self {
        Self { since: None, longest, pause: FIRST_PAUSE }
    }

    /// Waits before the next attempt; the error itself when there should be none.
    pub(crate) async fn meet(&mut self, error: Error) -> Result<(), Error> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if !may_pass(&error) || since.elapsed() >= self.longest {
            return Err(error);
        }
        tracing::debug!(%error, "trying again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Whether another attempt may go better: somebody is away or busy, an address has expired, or bytes arrived damaged.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Store(ClientError::Local { .. } | ClientError::Url { .. }) => false,
        Error::Store(_) => true,
        Error::Server(error) => error.is_transient() || matches!(error.status(), Some(500..)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_no_is_believed_at_once_and_who_is_away_is_waited_for() {
        let away = ClientError::Connect { url: "http://x".into(), cause: "refused".into() };
        let store = |status| ClientError::Store { url: "http://x".into(), status, why: "no".into() };
        for error in [
            Error::Server(away),
            Error::Store(store(403)),
            Error::Store(store(400)),
            Error::Store(store(503)),
        ] {
            assert!(may_pass(&error), "{error}");
        }
        for error in [Error::Server(store(403)), Error::Occupied("x".into()), Error::Stopped] {
            assert!(!may_pass(&error), "{error}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let away = || Error::Server(ClientError::Connect { url: "http://x".into(), cause: "refused".into() });
        assert!(Patience::brief().meet(away()).await.is_ok());
        let error = Patience::new(Duration::ZERO).meet(away()).await.unwrap_err();
        assert!(error.to_string().contains("http://x"), "{error}");
    }
}
