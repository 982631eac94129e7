//! The server and its machine.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an executor has and what is free.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SystemResources {
    /// The executor: `local`, `container`, ... Those of one machine share what it has.
    pub executor: String,
    /// Why it cannot be used now, and what to do about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
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

/// Frees what nobody needs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectGarbage {
    /// Free nothing, only say what would be.
    #[serde(default)]
    pub dry_run: bool,
    /// How many seconds ago a job must have ended for its folder to go; absent: as the server was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub keep_jobs_s: Option<i64>,
    /// How many seconds ago a virtual environment must have been used last; absent: as the server was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub keep_environments_s: Option<i64>,
}

/// What was freed of a kind, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freed {
    /// `deleted` (and not freed at once), `sources` (that nothing refers to), `orphans` (objects that nobody knows), `jobs`
    /// (folders of jobs that have ended), `environments` (that no job used for long).
    pub kind: String,
    /// How many.
    pub count: i64,
    /// Bytes.
    pub bytes: i64,
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
