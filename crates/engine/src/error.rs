//! What a verb answers when it cannot do what was asked. Callers branch on the variants; people read the sentences.

use runyard_domain::{FieldErrors, ModelVersionId, activity, job::StreamLengths, run::Refused};

/// Why a verb did not do what was asked. Nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Wrong fields, all of them.
    #[error("the request has {} wrong field{}: {}", fields.0.len(), if fields.0.len() == 1 { "" } else { "s" }, fields)]
    Invalid {
        /// Messages by path.
        fields: FieldErrors,
    },
    /// There is no such thing, or it is not for this actor to know.
    #[error("there is no {noun} `{id}`")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
        /// By which id or name.
        id: String,
    },
    /// The thing is in a state that forbids it.
    #[error("{message}")]
    Conflict {
        /// A stable word: `conflict`, `stale_epoch`, `already_exists`, `idempotency_conflict`, ...
        code: &'static str,
        /// What state, and what to do.
        message: String,
    },
    /// Another version of the model has the content already.
    #[error("version {existing} of the model has the same content already: use that one")]
    SameContent {
        /// That version.
        existing: ModelVersionId,
    },
    /// A chunk does not follow what is stored.
    #[error("the chunk starts at byte {given}, but {expected} bytes are stored: send from there")]
    OffsetGap {
        /// Where the chunk starts.
        given: i64,
        /// Where it should.
        expected: i64,
    },
    /// An exit came before all of the streams.
    #[error("the exit says that there is more than the server has ({stored:?}): send the rest first")]
    Incomplete {
        /// What is stored.
        stored: StreamLengths,
    },
    /// No, bad, expired or revoked token.
    #[error("{0}")]
    Unauthorized(String),
    /// The token's scope does not reach so far.
    #[error("{0}")]
    Forbidden(String),
    /// Over a limit; which, and how large it is.
    #[error("{0}")]
    TooLarge(String),
    /// Try again in a moment.
    #[error("{0}")]
    Busy(String),
    /// A fault of the server or its machine.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// One wrong field.
    pub fn field(path: &str, message: impl Into<String>) -> Self {
        Self::Invalid { fields: FieldErrors::one(path, message) }
    }

    /// There is no such thing.
    pub fn not_found(noun: &'static str, id: impl ToString) -> Self {
        Self::NotFound { noun, id: id.to_string().chars().take(200).collect() }
    }

    /// The state forbids it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict { code: "conflict", message: message.into() }
    }
}

impl From<FieldErrors> for Error {
    fn from(fields: FieldErrors) -> Self {
        Self::Invalid { fields }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::conflict(refused.to_string())
    }
}

impl From<activity::Refused> for Error {
    fn from(refused: activity::Refused) -> Self {
        Self::conflict(refused.to_string())
    }
}

impl From<runyard_store::Error> for Error {
    fn from(error: runyard_store::Error) -> Self {
        match error {
            temporary if temporary.is_temporary() => Self::Busy(temporary.to_string()),
            runyard_store::Error::ZeroByte => Self::field("body", error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// What is said when the disk of the objects is full.
pub const NO_SPACE: &str =
    "the server has no space left: delete what is not needed, or ask its operator for more";

impl From<runyard_objects::Error> for Error {
    fn from(error: runyard_objects::Error) -> Self {
        match error {
            runyard_objects::Error::TooLarge { .. } => Self::TooLarge(error.to_string()),
            // Where the objects are is for the operator.
            runyard_objects::Error::NoSpace(place) => {
                tracing::warn!("no space is left in {}", place.display());
                Self::Busy(NO_SPACE.to_owned())
            }
            temporary if temporary.is_temporary() => Self::Busy(temporary.to_string()),
            runyard_objects::Error::NoUpload { .. } => {
                Self::Conflict { code: "no_upload", message: error.to_string() }
            }
            runyard_objects::Error::InvalidPart(_) => {
                Self::Conflict { code: "invalid_part", message: error.to_string() }
            }
            runyard_objects::Error::Denied(_) => Self::Forbidden(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}
