//! Artifacts: any file or folder of a run. Their files are in [`crate::file`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An artifact. With `select`, fields that were not selected are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Artifact {
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
    /// Name; not unique: the newest is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What sort of thing, in the program's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// `incomplete` until every byte is there, then `complete`. Only a repeat of its own create sees `deleted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When the status was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_updated_at: Option<i64>,
    /// Why the upload was given up, if it was: it never will be complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The file or folder, as the program named it.
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

/// Begins an artifact.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewArtifact {
    /// Its run.
    pub run_id: String,
    /// The job; absent: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Name: 1 to 200 characters.
    pub name: String,
    /// What sort of thing: at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// What tells it from the run's others, 1 to 200 characters: a repeat with the same answers the same artifact.
    /// Absent: a new one every time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_key: Option<String>,
    /// The file or folder, as the program named it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}
