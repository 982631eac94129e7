//! The record that publishes a model version: which files, and as what.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{FieldErrors, model};

/// Files that are published as a version of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The folder (or file): below `$RUNYARD_ML`, or an absolute path there.
    #[serde(deserialize_with = "super::path")]
    pub path: String,
    /// The model, in the project of the run; made when it is not there.
    pub name: String,
    /// Tag of the version.
    #[serde(default)]
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    #[serde(default)]
    pub move_tag: bool,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// What a program that uses it should know.
    #[serde(default)]
    pub config: Option<Map<String, Value>>,
    /// The version that it is made from: an id, or a tag of the same model.
    #[serde(default)]
    pub parent: Option<String>,
}

/// The same, with names and config that a version can have.
pub(super) fn checked<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Model, D::Error> {
    let model = Model::deserialize(deserializer)?;
    let mut errors = FieldErrors::default();
    model::check_name("name", &model.name, &mut errors);
    if let Some(tag) = &model.tag {
        model::check_name("tag", tag, &mut errors);
    }
    if let Some(config) = &model.config {
        model::check_config("config", config, &mut errors);
    }
    errors.finish(model).map_err(D::Error::custom)
}
