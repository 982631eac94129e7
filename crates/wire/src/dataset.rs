//! Datasets: elements of a corpus in sets, and an archive of them.

use std::collections::BTreeMap;

use runyard_domain::worker_run::Selection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::worker_run::SelectionSchema;

/// A dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Dataset {
    /// Id.
    pub id: String,
    /// Its corpus.
    pub corpus_id: String,
    /// Name, unique in the corpus.
    pub name: String,
    /// For people.
    pub description: String,
    /// `open`, `building`, `complete` or `error`.
    pub state: String,
    /// Why no archive could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its sets, in their order.
    pub sets: Vec<Set>,
    /// What the last split was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Id of the last build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Its archive, once it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub updated_at: i64,
}

/// A set of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Set {
    /// Name.
    pub name: String,
    /// How many elements.
    pub elements: i64,
}

/// The archive of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Archive {
    /// `<dataset id>.tar.zst`.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256.
    pub sha256: String,
    /// Image files in it.
    pub files: i64,
}

/// Makes a dataset.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDataset {
    /// An id of your own, such as that of an import: a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Id or name of the corpus.
    pub corpus: String,
    /// Name: 1 to 100 characters, unique in the corpus.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Names of its sets; absent: `train`, `dev`, `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sets: Option<Vec<String>>,
}

/// Changes a dataset; an absent field stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetPatch {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// All sets, in their order; one that is left out must be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sets: Option<Vec<String>>,
    /// `open`: from complete or error; the archive is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Adds elements to a set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddElements {
    /// Name of the set.
    pub set: String,
    /// Which.
    #[schema(value_type = SelectionSchema)]
    pub selection: Selection,
}

/// Takes elements out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveElements {
    /// Name of the set; absent: out of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// Which; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<Vec<String>>,
}

/// Splits the elements of a dataset anew: each goes to one set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The part of each set: all together 1. These are the sets of the dataset from then on.
    pub shares: BTreeMap<String, f64>,
    /// The same seed and elements give the same split; absent: 0.
    #[serde(default)]
    pub seed: i64,
    /// Elements to add first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SelectionSchema>)]
    pub selection: Option<Selection>,
    /// `class`: every class is in every set in proportion, by the classification of each element that is most sure; `type`: the
    /// same by type. Absent: by chance alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratify: Option<String>,
    /// With `stratify: class`: only classifications of this worker run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
}

/// An element in a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetElement {
    /// The set.
    pub set: String,
    /// The element.
    pub element_id: String,
    /// Slug of its type.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Its name.
    pub name: String,
}
