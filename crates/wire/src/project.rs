//! Projects.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A project: owns everything below it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Id.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// Creates a project.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Unique name: letters, digits, `-`, `_`, `.`; 1 to 100 characters.
    pub name: String,
    /// For people; at most 10,000 characters.
    #[serde(default)]
    pub description: String,
}

/// Changes a project; an absent field stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectPatch {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
