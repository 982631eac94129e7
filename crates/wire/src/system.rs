//! The server and its machine.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an executor has and what is free.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SystemResources {
    /// The executor: `local`, ...
    pub executor: String,
    /// Thousandths of a core: all.
    pub cpu_milli_total: i64,
    /// Thousandths of a core: not promised to a job.
    pub cpu_milli_free: i64,
    /// Bytes: all.
    pub memory_bytes_total: i64,
    /// Bytes: not promised to a job.
    pub memory_bytes_free: i64,
    /// GPUs by type.
    pub gpus: Vec<SystemGpus>,
    /// Jobs running.
    pub jobs_running: i64,
    /// Jobs waiting for capacity.
    pub jobs_pending: i64,
}

/// GPUs of one type.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SystemGpus {
    /// Type, such as `NVIDIA A100-SXM4-80GB`; a run asks for it by this name.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many there are.
    pub total: i64,
    /// How many are not given to a job.
    pub free: i64,
}

/// The server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SystemInfo {
    /// Version of Runyard.
    pub version: String,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// Executors that are there.
    pub executors: Vec<String>,
    /// Epoch milliseconds.
    pub now: i64,
}
