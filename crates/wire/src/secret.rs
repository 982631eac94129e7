//! Secrets. A value is sent once, to be kept; it is in no answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    /// Unique in the project.
    pub name: String,
    /// Its project.
    pub project_id: String,
    /// When it was set first, in epoch milliseconds.
    pub created_at: i64,
    /// When it was set last.
    pub updated_at: i64,
}

/// Sets a secret. Printed for debugging, it does not show the value.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSecret {
    /// 1 to 65,536 bytes of text without zero bytes.
    pub value: String,
}

impl fmt::Debug for PutSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutSecret").finish_non_exhaustive()
    }
}
