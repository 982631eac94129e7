//! Repeated creates: the same `Idempotency-Key` with the same body answers what the first one created.

use runyard_domain::Millis;
use runyard_store::{Tx, idempotency};
use sha2::{Digest, Sha256};

use crate::{Actor, Error, Result};

/// The key of a create, if one was given.
#[derive(Debug, Clone)]
pub(crate) struct Key(Option<Given>);

#[derive(Debug, Clone)]
struct Given {
    scope: String,
    key: String,
    request: String,
}

impl Key {
    /// Keys are told apart by noun and by who uses them. `request`: the body in any stable form.
    pub(crate) fn new(noun: &str, key: Option<String>, actor: &Actor, request: &str) -> Result<Self> {
        let Some(key) = key else { return Ok(Self(None)) };
        if key.is_empty() || key.len() > 200 || key.chars().any(char::is_control) {
            let message = "must be 1 to 200 characters without control characters";
            return Err(Error::field("Idempotency-Key", message));
        }
        let who = actor.token_id.map(|id| id.to_string()).unwrap_or_default();
        Ok(Self(Some(Given { scope: format!("{noun}:{who}"), key, request: hex(&Sha256::digest(request)) })))
    }

    /// `Some(id)`: this was created before, as `id`. `None`: create it, as `fresh_id`, in this transaction.
    pub(crate) fn claim(&self, tx: &mut Tx, fresh_id: &str, now: Millis) -> Result<Option<String>> {
        let Some(Given { scope, key, request }) = &self.0 else { return Ok(None) };
        let row = idempotency::Key { scope, key, request_hash: request, resource_id: fresh_id };
        match idempotency::claim(tx, &row, now)? {
            idempotency::Claim::Fresh => Ok(None),
            idempotency::Claim::Same(id) => Ok(Some(id)),
            idempotency::Claim::Different => Err(Error::Conflict {
                code: "idempotency_conflict",
                message: format!("the Idempotency-Key `{key}` was used for another request: use a new key"),
            }),
        }
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
