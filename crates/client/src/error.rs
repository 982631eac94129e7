//! What can go wrong between a client and the server. Every text says what was asked of whom, and what to do.

use std::{fmt::Write as _, time::Duration};

use runyard_wire::error::Error as Body;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused it, and says why.
    #[error("{}", sentence(body))]
    Api {
        /// HTTP status.
        status: u16,
        /// The server's own words.
        body: Box<Body>,
    },
    /// Nothing accepts connections there.
    #[error("no server answers at {url} ({cause}): start one with `runyard serve`")]
    Connect {
        /// Address of the server.
        url: String,
        /// What the system said, such as `Connection refused`.
        cause: String,
    },
    /// The connection ended before the answer was complete.
    #[error("the connection to {url} broke ({cause}): try again")]
    Broken {
        /// Address of the server.
        url: String,
        /// What the system said.
        cause: String,
    },
    /// The server took too long.
    #[error("{url} did not answer within {} s: try again, or look at the server's log", .after.as_secs())]
    Timeout {
        /// Address of the server.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// The answer is none that a Runyard server gives.
    #[error("{url} answered {status}, but not as a Runyard server does ({why}): check the address")]
    Unexpected {
        /// What was called.
        url: String,
        /// HTTP status.
        status: u16,
        /// What is wrong with the answer.
        why: String,
    },
    /// The object store that a signed address leads to refused it.
    #[error("the object store answered {status} at {url}: {why}")]
    Store {
        /// What was called, without its signature.
        url: String,
        /// HTTP status.
        status: u16,
        /// How its answer begins.
        why: String,
    },
    /// A file came otherwise than it was said to be.
    #[error("{0}")]
    Damaged(String),
    /// The address cannot be used.
    #[error("cannot use the address {url}: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A local file could not be read or written.
    #[error("{what}: {cause}")]
    Local {
        /// What was tried, with the path where there is one.
        what: String,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

impl Error {
    /// HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } | Self::Unexpected { status, .. } | Self::Store { status, .. } => {
                Some(*status)
            }
            _ => None,
        }
    }

    /// The server's stable word for the error: `not_found`, `stale_epoch`, `offset_gap`, ...
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Api { body, .. } => Some(&body.code),
            _ => None,
        }
    }

    /// Where the server expects the next chunk of a stream, when that is what was wrong.
    pub fn expected_offset(&self) -> Option<i64> {
        match self {
            Self::Api { body, .. } => body.expected_offset,
            _ => None,
        }
    }

    /// Whether the same call may succeed later without any change: no connection, a timeout, a busy or restarting server.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Timeout { .. } => true,
            Self::Api { status, .. } | Self::Unexpected { status, .. } => {
                matches!(status, 429 | 502 | 503 | 504)
            }
            Self::Store { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Url { .. } | Self::Local { .. } | Self::Damaged(_) => false,
        }
    }

    /// From a failed reqwest call to `url`, which waited at most `after`.
    pub(crate) fn from_reqwest(error: &reqwest::Error, url: &str, after: Duration) -> Self {
        let url = url.to_owned();
        if error.is_timeout() {
            let after = if error.is_connect() { crate::http::CONNECT_TIMEOUT } else { after };
            return Self::Timeout { url, after };
        }
        let cause = innermost(error);
        if error.is_builder() {
            Self::Url { url, why: cause }
        } else if error.is_connect() {
            Self::Connect { url, cause }
        } else {
            Self::Broken { url, cause }
        }
    }
}

/// The deepest cause: `Connection refused (os error 111)` rather than three layers of "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// The server's sentence, and below it each wrong field that the sentence does not name already.
fn sentence(body: &Body) -> String {
    let mut text = body.error.clone();
    for (path, messages) in body.errors.iter().flatten() {
        for message in messages {
            if !(body.error.contains(path.as_str()) && body.error.contains(message.as_str())) {
                let _ = write!(text, "\n  {path}: {message}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn api(status: u16, code: &str) -> Error {
        let body = Body {
            error: "the run is not valid".into(),
            code: code.into(),
            request_id: "r".into(),
            errors: Some(BTreeMap::from([("config.lr".into(), vec!["must be greater than 0".into()])])),
            expected_offset: Some(7),
        };
        Error::Api { status, body: Box::new(body) }
    }

    #[test]
    fn every_wrong_field_is_shown_by_its_path() {
        let text = api(422, "invalid").to_string();
        assert_eq!(text, "the run is not valid\n  config.lr: must be greater than 0");
    }

    #[test]
    fn what_a_caller_branches_on_can_be_asked() {
        let error = api(409, "offset_gap");
        assert_eq!(
            (error.status(), error.code(), error.expected_offset()),
            (Some(409), Some("offset_gap"), Some(7))
        );
        assert!(!error.is_transient());
        assert!(api(503, "busy").is_transient() && api(429, "busy").is_transient());
        assert!(!api(500, "internal").is_transient());
    }

    #[test]
    fn an_absent_server_is_named_with_the_fix() {
        let error = Error::Connect { url: "http://127.0.0.1:1".into(), cause: "Connection refused".into() };
        let text = error.to_string();
        assert!(text.contains("http://127.0.0.1:1") && text.contains("`runyard serve`"), "{text}");
        assert!(error.is_transient());
    }
}
