//! Corpora, the types of their elements, and their classes and entities.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A corpus: elements of several types, above and below each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Corpus {
    /// Id.
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// Name, unique in its project.
    pub name: String,
    /// For people.
    pub description: String,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// What an import brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportedCorpus {
    /// The corpus.
    pub corpus: Corpus,
    /// Elements of the export; those that were there already too.
    pub elements: i64,
}

/// Creates a corpus.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCorpus {
    /// Id of your choice: the same corpus again changes nothing. Absent: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Id or name of its project; absent: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Name: 1 to 250 characters.
    pub name: String,
    /// For people.
    #[serde(default)]
    #[schema(required = false)]
    pub description: String,
    /// Types of its elements; more can be added.
    #[serde(default)]
    #[schema(required = false)]
    pub types: Vec<NewElementType>,
}

/// Changes a corpus; an absent field stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorpusPatch {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A type of elements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ElementType {
    /// Id.
    pub id: String,
    /// What elements carry; unique in its corpus.
    pub slug: String,
    /// For people.
    pub display_name: String,
    /// Whether it is only there to hold others.
    pub folder: bool,
}

/// Adds a type of elements.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewElementType {
    /// 1 to 50 letters, digits, `-` and `_`.
    pub slug: String,
    /// For people; absent: the slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whether it is only there to hold others; absent: no.
    #[serde(default)]
    #[schema(required = false)]
    pub folder: bool,
}

/// Makes something that has only a name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClass {
    /// Name: 1 to 250 characters, unique in its corpus.
    pub name: String,
}

/// A type of entities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EntityType {
    /// Id.
    pub id: String,
    /// Name, unique in its corpus.
    pub name: String,
    /// How it is shown: six hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Makes a type of entities.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntityType {
    /// Name: 1 to 250 characters, unique in its corpus.
    pub name: String,
    /// Six hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// An entity of a corpus: a person, a place, a date, ...
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entity {
    /// Id.
    pub id: String,
    /// Id of its type.
    pub type_id: String,
    /// Name; not unique.
    pub name: String,
    /// Anything else that is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metas: Option<Map<String, Value>>,
    /// Whether a person has looked at it.
    pub validated: bool,
    /// Who made it; absent: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
}
