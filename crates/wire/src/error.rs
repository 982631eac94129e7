//! The body of every error.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error: what is wrong and what to do, in a sentence; a word for programs; the id to quote to the operator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Error {
    /// What is wrong, and the fix.
    pub error: String,
    /// A stable word: `invalid`, `not_found`, `conflict`, `stale_epoch`, `unauthorized`, `forbidden`, `too_large`, `busy`, ...
    pub code: String,
    /// Also in the `x-request-id` header and in the server's log.
    pub request_id: String,
    /// On 422: every wrong field by its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<BTreeMap<String, Vec<String>>>,
    /// On 409 of a stream: the offset that the server expects next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_offset: Option<i64>,
}
