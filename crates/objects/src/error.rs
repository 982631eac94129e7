//! What can go wrong with objects. Callers branch on the variants; the sentences say what to do.

use std::path::PathBuf;

use runyard_domain::ChecksumKind;

/// What went wrong with an object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("there is no object `{0}`")]
    NotFound(String),
    /// The stream was longer than the caller allowed; nothing was stored.
    #[error("more than {limit} bytes were sent: the limit is {limit}")]
    TooLarge {
        /// The largest size that was allowed, in bytes.
        limit: u64,
    },
    /// The stream was shorter than was said; nothing was stored.
    #[error(
        "{got} bytes were sent instead of the {said} that were announced: the file changed, or was cut short"
    )]
    TooSmall {
        /// The size that was announced.
        said: u64,
        /// The size that came.
        got: u64,
    },
    /// The bytes are others than was said; nothing was stored.
    #[error(
        "the bytes have the {} {got} instead of {said}, which was announced: the file changed, or was damaged on its way",
        .kind.title()
    )]
    WrongDigest {
        /// Which digest.
        kind: ChecksumKind,
        /// The one that was announced, in hex.
        said: String,
        /// That of what came, in hex.
        got: String,
    },
    /// The key cannot name an object.
    #[error("`{key}` cannot name an object: {reason}")]
    InvalidKey {
        /// The key, cut when it is long.
        key: String,
        /// What is wrong with it, and what a key looks like.
        reason: String,
    },
    /// A request for the parts of an upload makes no sense.
    #[error("{0}")]
    InvalidPart(String),
    /// There is no such upload (any more): begin a new one.
    #[error("there is no upload `{upload}` of the object `{key}` any more: begin a new one")]
    NoUpload {
        /// The object.
        key: String,
        /// The upload.
        upload: String,
    },
    /// Another request uploads the same part, and came later.
    #[error("a later request uploads the same bytes: this one was given up")]
    Superseded,
    /// A signed address that has expired, was altered, or is not from here.
    #[error("{0}")]
    Denied(String),
    /// The disk is full, or a quota is used up.
    #[error("no space is left in {}: free some, or give the server a larger disk", .0.display())]
    NoSpace(PathBuf),
    /// The sender's stream failed before its end; nothing was stored.
    #[error("the bytes stopped coming: {0}")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The object store does not answer, or asks for patience: try again later.
    #[error("{0}")]
    Unavailable(String),
    /// The bucket does not exist.
    #[error(
        "the bucket `{bucket}` does not exist at {endpoint}: create it, or name another one (s3://BUCKET/...)"
    )]
    NoBucket {
        /// Its name.
        bucket: String,
        /// Where it was looked for.
        endpoint: String,
    },
    /// The object store refuses what the server asks: wrong credentials, or rights that are missing.
    #[error("{0}")]
    Refused(String),
    /// The address of the objects cannot be read.
    #[error("{0}")]
    Location(String),
    /// The store cannot sign addresses.
    #[error("these objects were opened without a key to sign addresses with")]
    NoSigning,
    /// The object store answered something unexpected.
    #[error("{0}")]
    Protocol(String),
    /// The file system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, with its path.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed later, with nothing changed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::NoSpace(_) | Self::Interrupted(_) | Self::Superseded)
    }
}
