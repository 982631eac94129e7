//! Sources: packed folders of code, stored once per content.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An uploaded source.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// Hex SHA-256 of the packed bytes; what `RunSpec.source` takes.
    pub digest: String,
    /// Packed bytes.
    pub size: i64,
}
