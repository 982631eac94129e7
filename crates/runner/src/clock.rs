//! The wall clock of this machine. Deadlines from the server are never compared with it directly: see `server.rs`.

use std::time::{SystemTime, UNIX_EPOCH};

use runyard_domain::Millis;

/// Now.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
