//! What an operator says of Arkindex's workers.

/// How long an element that a worker has started is its own, in milliseconds, when nothing else was said. Such workers never say
/// that they are alive, so it has to be longer than any element takes; and it is how long the element of a worker that was killed
/// waits, unless the worker is a job of ours: then it comes back when the job has ended.
const LEASE_MS: i64 = 3_600_000;

/// How Arkindex's workers are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a started element belongs to its worker, in milliseconds.
    pub lease_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease_ms: LEASE_MS }
    }
}
