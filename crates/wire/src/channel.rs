//! Channels of runs: what a job brings and where it sends what it made; and how runs are linked by them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An input of a job, with what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Input {
    /// The channel's name.
    pub channel: String,
    /// What was asked for.
    pub uri: String,
    /// What it leads to: `upload`, `s3`, `oss`, `artifact`, `checkpoint`, `model` or `dataset`.
    pub kind: String,
    /// Id of that (of a model: of its version), or the digest of an upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// A file or a folder of the target, a set of a dataset, or an address in a bucket; empty: all of it.
    #[serde(default)]
    pub place: String,
    /// The channel has this one file, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// One step up and one step down from a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lineage {
    /// What it reads.
    pub inputs: Vec<LineageInput>,
    /// What it writes.
    pub outputs: Vec<LineageOutput>,
    /// Model versions that it has made, the newest first.
    pub model_versions: Vec<LineageModel>,
    /// Runs that read what it has made, the newest first.
    pub used_by: Vec<LineageUse>,
}

/// A run at the other end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageRun {
    /// Its id.
    pub id: String,
    /// Its name; absent: it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its status; absent: it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// An input, and what made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageInput {
    /// The channel's name.
    pub channel: String,
    /// What was asked for.
    pub uri: String,
    /// What it leads to: `upload`, `s3`, `oss`, `artifact`, `checkpoint`, `model` or `dataset`.
    pub kind: String,
    /// Id of that (of a model: of its version), or the digest of an upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// What people call it (`digits@v3`, `step 100`, a dataset's name), while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The run that made it, where one of Runyard's did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<LineageRun>,
}

/// An output, and what is there of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageOutput {
    /// The channel's name.
    pub channel: String,
    /// Where it goes; of one that Runyard keeps: the address under which other runs read it.
    pub uri: String,
    /// `artifact`, `s3` or `oss`.
    pub kind: String,
    /// The artifact that keeps it, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_id: Option<String>,
    /// Status of that: `incomplete` or `complete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
}

/// A model version that a run has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageModel {
    /// Id of the version.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// Its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// An input of another run that a run has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageUse {
    /// The run that reads it.
    pub run: LineageRun,
    /// The channel of that run.
    pub channel: String,
    /// What it asked for.
    pub uri: String,
    /// What that led to.
    pub kind: String,
}
