//! Metrics.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One point of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metric {
    /// Id; sorts by creation within a tag.
    pub id: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Its run.
    pub run_id: String,
    /// The job that reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Step.
    pub global_step: i64,
    /// Tag, such as `train/loss`.
    pub tag: String,
    /// A number, or null for NaN and the infinities. Integers stay integers.
    pub value: Value,
}

/// Writes metrics of one run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostMetrics {
    /// The run.
    pub run_id: String,
    /// The job; absent: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// 1 to 10,000 points.
    pub metrics: Vec<NewMetric>,
}

/// One point to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMetric {
    /// Tag: 1 to 500 characters.
    pub tag: String,
    /// Step.
    pub global_step: i64,
    /// A number, null (NaN), or the texts `NaN`, `Infinity`, `-Infinity`.
    pub value: Value,
    /// Epoch milliseconds; absent: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
}

/// What was written.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// Number of points that are durable now.
    pub written: i64,
}
