//! Worker runs: a worker works through the elements of a selection. Their activities are in [`crate::activity`].

use runyard_domain::worker_run::Selection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A worker run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerRun {
    /// Id; that of its run, where it has one.
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// The corpus whose elements it works through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus_id: Option<String>,
    /// The run that executes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// For people.
    pub summary: String,
    /// Name of the worker.
    pub worker: String,
    /// `workers`, `dataset`, `files`, `template`, `s3`, `local` or `export`.
    pub mode: String,
    /// What was chosen for this run.
    #[schema(value_type = Object)]
    pub configuration: Map<String, Value>,
    /// What the worker brings.
    #[schema(value_type = Object)]
    pub worker_configuration: Map<String, Value>,
    /// What people may choose, with defaults.
    #[schema(value_type = Object)]
    pub user_configuration: Map<String, Value>,
    /// Names of the secrets that the worker asks for.
    pub secrets: Vec<String>,
    /// The model version that it works with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version_id: Option<String>,
    /// Which elements.
    #[schema(value_type = SelectionSchema)]
    pub selection: Selection,
    /// How often an element may be lost by its worker until it is set aside.
    pub max_attempts: i64,
    /// How long a worker that is not heard of keeps its elements.
    pub lease_ms: i64,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// How many elements are in each state.
    pub counts: Counts,
}

/// How many elements are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Waiting.
    pub queued: i64,
    /// Under work.
    pub started: i64,
    /// Done.
    pub processed: i64,
    /// Failed.
    pub error: i64,
}

/// Makes a worker run that no run of this server executes: a worker started by hand, or one that worked elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewWorkerRun {
    /// An id of your own, such as that of an import: a UUID. A repeat with the same id answers the same worker run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Id or name of the project; absent: the corpus's, or `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Id or name of the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<String>,
    /// Name of the worker.
    pub worker: String,
    /// For people; absent: the name of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// `workers` when absent; or `dataset`, `files`, `template`, `s3`, `local`, `export`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What was chosen for this run.
    #[schema(value_type = Object)]
    pub configuration: Map<String, Value>,
    /// What the worker brings.
    #[schema(value_type = Object)]
    pub worker_configuration: Map<String, Value>,
    /// What people may choose, with defaults.
    #[schema(value_type = Object)]
    pub user_configuration: Map<String, Value>,
    /// Names of the secrets that the worker asks for.
    pub secrets: Vec<String>,
    /// The model version that it works with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version_id: Option<String>,
    /// Which elements; absent: none, until some are selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SelectionSchema>)]
    pub selection: Option<Selection>,
    /// How often an element may be lost by its worker until it is set aside; absent: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i64>,
    /// How long a worker that is not heard of keeps its elements; absent: 60,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<i64>,
}

/// Adds elements to a worker run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// Which; absent: what its own selection finds by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SelectionSchema>)]
    pub selection: Option<Selection>,
}

/// How many activities that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// How many.
    pub count: i64,
}

/// How [`runyard_domain::worker_run::WorkerSpec`] looks in the OpenAPI document; the domain knows no utoipa.
#[derive(ToSchema)]
#[schema(as = WorkerSpec)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSpecSchema {
    /// Id or name of the corpus.
    corpus: String,
    /// Which of its elements.
    selection: SelectionSchema,
    /// Name of the worker; absent: that of the run.
    worker: Option<String>,
    /// Processes of the program, each with its number; absent: 1.
    processes: Option<i64>,
    /// Elements that each claims at once; absent: 100.
    batch: Option<i64>,
    /// How long a worker that is not heard of keeps its elements, in milliseconds; absent: 60,000.
    lease_ms: Option<i64>,
    /// How often an element may be lost by its worker until it is set aside; absent: 3.
    max_attempts: Option<i64>,
    /// What it is written against: `runyard` (when absent) or `arkindex`, which is told what Arkindex's packages ask for.
    worker_type: Option<String>,
}

/// How [`Selection`] looks in the OpenAPI document: exactly one of the three.
#[derive(ToSchema)]
#[schema(as = Selection)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectionSchema {
    /// These, by id; at most 50,000.
    #[serde(default)]
    #[schema(required = false)]
    elements: Vec<String>,
    /// All that match; `{}`: the whole corpus.
    query: Option<ElementQuerySchema>,
    /// Those of these sets.
    #[serde(default)]
    #[schema(required = false)]
    sets: Vec<SetNameSchema>,
}

/// How [`runyard_domain::worker_run::Query`] looks in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = ElementQuery)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementQuerySchema {
    /// Slug of the type.
    #[serde(rename = "type")]
    of_type: Option<String>,
    /// The name: `%` is any run of characters, `_` is one, `\` escapes.
    name_ilike: Option<String>,
    /// Id of an element: only what is below it.
    parent: Option<String>,
    /// Also below its children, and theirs.
    #[serde(default)]
    #[schema(required = false)]
    recursive: bool,
    /// Id of a worker run: only elements that it has not processed, and left no results for.
    without_results_of: Option<String>,
}

/// How [`runyard_domain::worker_run::SetName`] looks in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = SetName)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetNameSchema {
    /// Id of the dataset.
    dataset: String,
    /// Name of the set.
    set: String,
}
