//! The record that publishes a model version: which files, and as what.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

/// Files that are published as a version of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The folder (or file): below `$RUNYARD_ML`, or an absolute path there.
    #[serde(deserialize_with = "super::path")]
    pub path: String,
    /// The model, in the project of the run; made when it is not there.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Tag of the version.
    #[serde(default, deserialize_with = "tag")]
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    #[serde(default)]
    pub move_tag: bool,
    /// For people.
    #[serde(default, deserialize_with = "description")]
    pub description: Option<String>,
    /// What a program that uses it should know.
    #[serde(default)]
    pub config: Option<Map<String, Value>>,
    /// The version that it is made from: an id, or a tag of the same model.
    #[serde(default)]
    pub parent: Option<String>,
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    crate::model::check_name(&name).map_err(D::Error::custom)?;
    Ok(name)
}

fn tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let tag = Option::<String>::deserialize(deserializer)?;
    tag.as_deref().map_or(Ok(()), crate::model::check_name).map_err(D::Error::custom)?;
    Ok(tag)
}

fn description<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let description = Option::<String>::deserialize(deserializer)?;
    description.as_deref().map_or(Ok(()), crate::model::check_description).map_err(D::Error::custom)?;
    Ok(description)
}
