//! Events: the run's append-only log.

use runyard_domain::run::Status;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One entry.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Id; sorts by creation.
    pub id: String,
    /// Rises by one within a run, from 1.
    pub sequence: i64,
    /// Its run.
    pub run_id: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// The status reached (or kept).
    #[schema(value_type = String)]
    pub status: Status,
    /// Reason, exit code, who asked; `{}` when there is nothing to say.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}
