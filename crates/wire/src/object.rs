//! Where objects are, as far as those who send them must know.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The store of objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectStore {
    /// Which digest of the bytes binds a file or part that is sent: `sha256` or `md5`.
    pub checksum: String,
}
