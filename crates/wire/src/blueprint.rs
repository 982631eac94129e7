//! Blueprints: named, versioned templates for runs.

use runyard_domain::resources::Resources;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::run::ResourcesSchema;

/// A blueprint.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Blueprint {
    /// Id: one per project, name and version.
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// Name.
    pub name: String,
    /// Version, free text; "latest" is the most recently created.
    pub version: String,
    /// For people.
    pub description: String,
    /// Container image, for executors that run containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// JSON Schema (2020-12) of the config.
    pub config_schema: Value,
    /// The task types it serves; empty: any.
    pub task_types: Vec<String>,
    /// Used when a run names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ResourcesSchema>)]
    pub resources: Option<Resources>,
    /// Hex SHA-256 of an uploaded source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Python requirements, as pip takes them.
    pub requirements: Vec<String>,
    /// Variables for the program.
    pub env: std::collections::BTreeMap<String, String>,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Who created it.
    pub user_id: String,
}

/// Creates a blueprint.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBlueprint {
    /// Id or name of its project.
    pub project_id: String,
    /// Name: 1 to 100 characters.
    pub name: String,
    /// Version: 1 to 100 characters.
    pub version: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The program and its arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// JSON Schema of the config; absent: any object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<Value>,
    /// The task types it serves; empty: any.
    #[serde(default)]
    pub task_types: Vec<String>,
    /// Used when a run names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ResourcesSchema>)]
    pub resources: Option<Resources>,
    /// Hex SHA-256 of an uploaded source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Python requirements, as pip takes them.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// Variables for the program.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
}

/// Asks whether a config would be accepted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateBlueprint {
    /// The config.
    pub config: Value,
}
