//! The bodies of the HTTP API: serde structs, no logic.
//!
//! Input structs refuse unknown fields. Times are epoch milliseconds, ids are UUIDs as text, and every answer
//! except an error is in a `{"data": ...}` envelope ([`Data`]). The same noun has the same file name as in the engine.

pub mod activity;
pub mod artifact;
pub mod blueprint;
pub mod channel;
pub mod checkpoint;
pub mod corpus;
pub mod dataset;
pub mod element;
pub mod error;
pub mod event;
pub mod file;
pub mod image;
pub mod instance_type;
pub mod job;
pub mod log;
pub mod metric;
pub mod model;
pub mod object;
pub mod project;
pub mod result;
pub mod run;
pub mod secret;
pub mod source;
pub mod system;
pub mod token;
pub mod worker_run;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The envelope of every successful answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Data<T> {
    /// The answer.
    pub data: T,
}
