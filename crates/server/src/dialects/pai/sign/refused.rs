//! Why a signature was not taken, as PAI and as OSS say it: two sets of codes for the same facts.

use axum::http::StatusCode;
use runyard_domain::Millis;
use runyard_engine as engine;

use super::WINDOW_MS;
use crate::error::Problem;

/// Why a signature was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "the request is not signed: make an access key with `runyard token create --name NAME --access-key`, and give its id and \
         secret to the client"
    )]
    NotSigned,
    #[error("the header `Authorization` cannot be read: it is `{scheme} ACCESS_KEY_ID:SIGNATURE`")]
    Malformed { scheme: &'static str },
    #[error(
        "`{0}` is a form of signature that this server does not check: it checks `acs` (version 1.0, HMAC-SHA1) of PAI's clients, \
         and `OSS` (version 1) of the object store's"
    )]
    Unsupported(String),
    #[error("the request says no time: sign it with the header `Date`")]
    NoTime,
    #[error("`{given}` is no time that `{name}` may be")]
    BadTime { name: &'static str, given: String },
    #[error(
        "the request has no nonce: the header `x-acs-signature-nonce` is 1 to 128 characters, new for every request"
    )]
    NoNonce,
    #[error("there is no access key `{0}`: `runyard token ls` lists those that there are")]
    UnknownKey(String),
    #[error("{0}")]
    Inactive(String),
    #[error(
        "the signature is not that of this request: check the secret of the access key; the server signed {signed:?}"
    )]
    Mismatch { signed: String },
    #[error(
        "the request was signed at {}, and it is {} here: set the clock, they may be {} minutes apart",
        time(*at), time(*now), WINDOW_MS / 60_000
    )]
    Skewed { at: Millis, now: Millis },
    #[error("the address has expired at {}: sign a new one", time(*at))]
    Expired { at: Millis },
    #[error("the nonce `{0}` was used before: every request needs a new one")]
    NonceUsed(String),
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Refused {
    /// As PAI says it: the code is the `Code` of the body.
    pub(crate) fn acs(self) -> Problem {
        let (status, code) = match self {
            Self::NotSigned => (StatusCode::BAD_REQUEST, "MissingAuthorization"),
            Self::Malformed { .. } => (StatusCode::BAD_REQUEST, "IncompleteSignature"),
            Self::Unsupported(_) => (StatusCode::BAD_REQUEST, "InvalidSignatureMethod"),
            Self::NoTime | Self::BadTime { .. } => (StatusCode::BAD_REQUEST, "InvalidTimeStamp.Format"),
            Self::NoNonce => (StatusCode::BAD_REQUEST, "MissingSignatureNonce"),
            Self::UnknownKey(_) => (StatusCode::NOT_FOUND, "InvalidAccessKeyId.NotFound"),
            Self::Inactive(_) => (StatusCode::BAD_REQUEST, "InvalidAccessKeyId.Inactive"),
            Self::Mismatch { .. } => (StatusCode::BAD_REQUEST, "SignatureDoesNotMatch"),
            Self::Skewed { .. } | Self::Expired { .. } => {
                (StatusCode::BAD_REQUEST, "InvalidTimeStamp.Expired")
            }
            Self::NonceUsed(_) => (StatusCode::BAD_REQUEST, "SignatureNonceUsed"),
            Self::Engine(error) => return error.into(),
        };
        Problem::new(status, code, self.to_string())
    }

    /// As OSS says it: the code is the `Code` of the XML.
    pub(crate) fn oss(self) -> Problem {
        let (status, code) = match self {
            Self::NotSigned | Self::NoTime | Self::NoNonce | Self::NonceUsed(_) | Self::Expired { .. } => {
                (StatusCode::FORBIDDEN, "AccessDenied")
            }
            Self::Malformed { .. } | Self::Unsupported(_) => (StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::BadTime { .. } => (StatusCode::FORBIDDEN, "AccessDenied"),
            Self::UnknownKey(_) | Self::Inactive(_) => (StatusCode::FORBIDDEN, "InvalidAccessKeyId"),
            Self::Mismatch { .. } => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
            Self::Skewed { .. } => (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"),
            Self::Engine(error) => return error.into(),
        };
        Problem::new(status, code, self.to_string())
    }
}

fn time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| "a time out of range".to_owned(), |at| at.to_string())
}
