//! Searching the output of jobs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Lines of a job's output that match a search.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogSearch {
    /// The job; absent: the run has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Which attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// The lines, in order.
    pub matches: Vec<LogMatch>,
    /// The `offset` with which the search goes on.
    pub next_offset: i64,
    /// Whether everything was searched that there is so far; otherwise search on from `next_offset`.
    pub complete: bool,
}

/// A line that matches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogMatch {
    /// Where the line starts, in bytes.
    pub offset: i64,
    /// Its number, from 1.
    pub line: i64,
    /// The line without its end; of a very long one the part around the match.
    pub text: String,
    /// Whether `text` is only a part of the line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}
