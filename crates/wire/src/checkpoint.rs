//! Checkpoints: the state of a training at a step. Their files are in [`crate::file`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A checkpoint. With `select`, fields that were not selected are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Checkpoint {
    /// Id; sorts by creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The job that saved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Its project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// Step; several checkpoints may have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_step: Option<i64>,
    /// `incomplete` until every byte is there, then `complete`. Only a repeat of its own create sees `deleted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When the status was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_updated_at: Option<i64>,
    /// Why the upload was given up, if it was: it never will be complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The folder, as the program named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// How many files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// What the keys of its objects begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
}

/// Begins a checkpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCheckpoint {
    /// Its run.
    pub run_id: String,
    /// The job; absent: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Step.
    pub global_step: i64,
    /// What tells it from the run's others, 1 to 200 characters: a repeat with the same answers the same checkpoint.
    /// Absent: a new one every time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_key: Option<String>,
    /// The folder, as the program named it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How [`runyard_domain::checkpoint::Retention`] looks in the OpenAPI document; the domain knows no utoipa.
#[derive(ToSchema)]
#[schema(as = Retention)]
#[expect(dead_code, reason = "only its schema is used")]
#[expect(clippy::struct_field_names, reason = "they are the words of the API")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSchema {
    /// Keep the newest so many.
    keep_last: Option<i64>,
    /// Keep the best by a metric.
    keep_best: Option<KeepBestSchema>,
    /// Keep those whose step is a multiple of this.
    keep_every: Option<i64>,
}

/// How [`runyard_domain::checkpoint::KeepBest`] looks in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = KeepBest)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepBestSchema {
    /// The metric; its value at the checkpoint's own step counts.
    tag: String,
    /// What is best.
    mode: ModeSchema,
    /// How many.
    count: i64,
}

/// How [`runyard_domain::checkpoint::Mode`] looks in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = BestMode)]
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModeSchema {
    /// Low values.
    Min,
    /// High values.
    Max,
}
