//! What a runner says to the server, and the jobs of a run.

use runyard_domain::job::{Exit, StreamLengths};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A job: one attempt at executing a run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Id.
    pub id: String,
    /// Its run.
    pub run_id: String,
    /// Which attempt, from 1.
    pub epoch: i64,
    /// Which executor.
    pub executor: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// When the runner reported in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// When the job ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// The exit record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Value>,
    /// Bytes of output that the server has.
    pub log_bytes: i64,
}

/// The runner reports in. May be repeated.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartJob {
    /// Host name of the runner's machine.
    #[serde(default)]
    pub host: String,
}

/// The runner is alive.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Whether the runner has sent SIGTERM to the program.
    #[serde(default)]
    pub terminating: bool,
}

/// What the runner must know.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobState {
    /// When the program must be dead, if a stop is in force: SIGTERM now, SIGKILL then (epoch milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_deadline: Option<i64>,
    /// The server's clock, epoch milliseconds: deadlines are relative to it.
    pub now: i64,
    /// Bytes of each stream that the server has.
    #[schema(value_type = Object)]
    pub lengths: StreamLengths,
}

/// The answer to a chunk of a stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Appended {
    /// Where the next chunk starts.
    pub next_offset: i64,
    /// Lines of a records stream that were no records: each is skipped, and said.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
}

/// A line that was no record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rejected {
    /// Where the line starts in the stream.
    pub offset: i64,
    /// What is wrong with it.
    pub error: String,
}

/// The runner delivers the exit record, after all streams. May be repeated.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndJob {
    /// How the job ended.
    #[schema(value_type = Object)]
    pub exit: Exit,
    /// How long the streams are: the server refuses the exit (409 `incomplete`) until it has all of it.
    #[schema(value_type = Object)]
    pub lengths: StreamLengths,
}
