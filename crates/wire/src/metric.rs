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
    /// A number, or one of the words `NaN`, `Infinity` and `-Infinity`. Integers stay integers.
    pub value: Value,
}

/// Series on one axis, reduced to buckets: what a chart of several runs and tags needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Chart {
    /// What `x` is: `step`, or `time` in epoch milliseconds.
    pub x: String,
    /// Where the first bucket begins; absent when there is nothing to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Where the last one ends, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Steps or milliseconds of a bucket; 1: every step has a bucket of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    /// By run and tag.
    pub series: Vec<Series>,
}

/// A series, as columns: one entry per bucket that has points, from low to high. Points that a newer job of the run
/// logged again are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// Its run.
    pub run_id: String,
    /// Its tag.
    pub tag: String,
    /// How many points there are in all buckets.
    pub points: i64,
    /// How many of them are NaN or infinite: they have no minimum and no maximum.
    pub gaps: i64,
    /// Where the last point of the bucket lies.
    pub x: Vec<i64>,
    /// The lowest finite value; null: there is none.
    pub min: Vec<Option<f64>>,
    /// The highest finite value.
    pub max: Vec<Option<f64>>,
    /// The value of the last point: a number, or one of the words `NaN`, `Infinity` and `-Infinity`.
    pub last: Vec<Value>,
    /// Points of the bucket.
    pub count: Vec<i64>,
    /// How many of them are NaN; empty when none is in any bucket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nan: Vec<i64>,
    /// How many of them are infinity; empty when none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub infinity: Vec<i64>,
    /// How many of them are minus infinity; empty when none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minus_infinity: Vec<i64>,
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
