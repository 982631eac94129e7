//! Models and their versions: published files, identified by what they contain. A version is one archive (tar.zst), sent in
//! parts straight to where objects are, and verified before anyone may use it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::file::SignedUrl;

/// A model: a name for versions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// Id; sorts by creation.
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// Name, unique in the project.
    pub name: String,
    /// For people.
    pub description: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// How many versions can be used.
    pub versions: i64,
}

/// Makes a model.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// An id of your own, such as that of an import: a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name: 1 to 200 characters, neither `@` nor `/` in it.
    pub name: String,
    /// The project's id or name; absent: the token's own, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// For people: at most 10,000 characters.
    #[serde(default)]
    pub description: String,
}

/// Changes a model. What is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchModel {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A version of a model. With `select`, fields that were not selected are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ModelVersion {
    /// Id; sorts by creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// The name of its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// `created` until its archive was verified, then `available`; `error` when what arrived was not what was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why the state is `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Tag, unique in the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a program that uses it should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    /// The version that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The job that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The checkpoint that it is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_id: Option<String>,
    /// Hex SHA-256 of the source of that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The config of that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_config: Option<Value>,
    /// Hex SHA-256 over paths, modes and contents: what the version is identified by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree_digest: Option<String>,
    /// Hex MD5 of the contents in the order of their paths, as Arkindex has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_md5: Option<String>,
    /// Hex SHA-256 of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_sha256: Option<String>,
    /// Hex MD5 of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_md5: Option<String>,
    /// Bytes of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_size: Option<i64>,
    /// Bytes of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// How many files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// When it became available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<i64>,
    /// Who published it: the name of their token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// Begins a version; answered with the version that has this content already, if there is one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModelVersion {
    /// Tag, unique in the model: 1 to 200 characters, neither `@` nor `/` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    #[serde(default)]
    pub move_tag: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What a program that uses it should know.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// The version it is made from: an available one of the same model, by id or tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The job that made it; absent: the run's current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Bytes of all files; decides the size of the parts.
    #[schema(minimum = 0)]
    pub size: i64,
    /// How many files.
    #[schema(minimum = 0)]
    pub files: i64,
    /// Hex SHA-256 over paths, modes and contents, if it is known already: then nothing need be sent that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_digest: Option<String>,
    /// What tells this publish from others of the model, 1 to 200 characters: a repeat with the same answers the same version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_key: Option<String>,
}

/// A version that was begun, or found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BegunModelVersion {
    /// The version.
    pub version: ModelVersion,
    /// It has the content already, and is available: send nothing.
    pub existing: bool,
    /// What a person should know, such as a tag that was not moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Bytes of each part of the archive, only the last one smaller; absent when nothing is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<i64>,
    /// Parts that have arrived, when the version was begun before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<SentPart>,
}

/// Asks where to send parts of the archive.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostParts {
    /// At most 100 parts.
    pub parts: Vec<NewArchivePart>,
    /// Parts that have arrived since the last request: a sender that starts again is told them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SentPart>,
}

/// A part to send: which digest is needed says `GET /api/v2/objects`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewArchivePart {
    /// From 1.
    pub number: i64,
    /// Bytes.
    #[schema(minimum = 1)]
    pub size: i64,
    /// Hex SHA-256 of these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Hex MD5 of these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

/// Where to send a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartUrl {
    /// From 1.
    pub number: i64,
    /// Where to.
    pub put: SignedUrl,
}

/// A part that has arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SentPart {
    /// From 1.
    pub number: i64,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256 of these bytes, when it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Hex MD5 of these bytes, when it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// The `ETag` that was answered to the PUT.
    pub etag: String,
}

/// Says that the whole archive was sent; the server then reads it and holds it against this.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteModelVersion {
    /// Every part, in order.
    pub parts: Vec<SentPart>,
    /// Bytes of the archive.
    #[schema(minimum = 1)]
    pub archive_size: i64,
    /// Hex SHA-256 of the archive.
    pub archive_sha256: String,
    /// Hex SHA-256 over paths, modes and contents.
    pub tree_digest: String,
}

/// Changes a version. What is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchModelVersion {
    /// A new tag; an empty one takes the tag away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    #[serde(default)]
    pub move_tag: bool,
    /// A new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A new config, as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
}

/// A file, folder or link of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// `file`, `executable`, `folder` or `link`.
    pub kind: String,
    /// Bytes; 0 for what is no file.
    pub size: i64,
    /// Hex SHA-256 of the bytes; of what a link points to, for a link; empty for a folder.
    pub sha256: String,
}

/// Makes a model version of a checkpoint, as Chariot's catalog does.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointModel {
    /// Name of the model; made if it is not there.
    pub name: String,
    /// SemVer; becomes the tag.
    pub version: String,
    /// For people; becomes the description.
    #[serde(default)]
    pub summary: String,
    /// The project's id or name; absent: the project of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
}
