//! Runs.

use std::collections::BTreeMap;

use runyard_domain::{
    checkpoint::Retention,
    job::RetryOn,
    metric::definition::Definition,
    resources::Resources,
    run::{Status, recorded::Recorded},
    worker_run::WorkerSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{checkpoint::RetentionSchema, worker_run::WorkerSpecSchema};

/// A run. With `select`, fields that were not selected are absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Run {
    /// Id; sorts by creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Who asked for it: the name of their token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// Name; not unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version, free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `training`, `processing`, `worker` or `external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The blueprint it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blueprint_id: Option<String>,
    /// Task type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_type: Option<String>,
    /// The config, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// What it asks of a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ResourcesSchema>)]
    pub resources: Option<Resources>,
    /// What is executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<RunSpec>,
    /// Which executor runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// Higher goes first; 0 when nothing was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Named operations under way; `[]` when none, never null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Vec<Progress>>,
    /// When progress was last reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_updated_at: Option<i64>,
    /// Status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub status: Option<Status>,
    /// When the status was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_updated_at: Option<i64>,
    /// What a run that is `job_pending` waits for, when its server knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// The epoch of the current job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// How the last job ended, once it has: the exit record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Value>,
}

/// What is executed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunSpec {
    /// The program and its arguments; empty: the blueprint's.
    pub command: Vec<String>,
    /// Container image. The run goes to the executor `container`, unless it names another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Name of the secret with the account at the image's registry: its value is `user:password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_secret: Option<String>,
    /// Hex SHA-256 of an uploaded source (`POST /api/v2/sources`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Variables for the program.
    pub env: BTreeMap<String, String>,
    /// Python requirements, as pip takes them.
    pub requirements: Vec<String>,
    /// Time limit of the program, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_run_time_s: Option<i64>,
    /// How often the run restarts itself after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// After which failures; `failed, oom, lost` when nothing was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub retry_on: Option<Vec<RetryOn>>,
    /// Which checkpoints are kept; absent: all. The newest complete one always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RetentionSchema>)]
    pub checkpoints: Option<Retention>,
    /// Secrets that the program gets as variables: the name of the variable, and that of the secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Metrics that the runner reads from the output: each line is searched for each expression, whose one group holds
    /// the number; the n-th that is found has the step n.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<MetricDefinitionSchema>, required = false)]
    pub metric_definitions: Vec<Definition>,
    /// What was asked for and cannot be honoured here, by word: it is kept, and an event of the run warns of it.
    #[serde(skip_serializing_if = "Recorded::is_empty")]
    #[schema(value_type = Object, required = false)]
    pub recorded: Recorded,
    /// How many processes of the program start together, or none of them; absent: one. Resources are those of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 64)]
    pub instances: Option<i64>,
    /// Name of an instance type (`GET /api/v2/instance-types`): the resources that the run does not name are those of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Of a run of the kind `worker`: what it works through.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WorkerSpecSchema>)]
    pub worker: Option<WorkerSpec>,
    /// Where each input channel comes from, by its name: `s3://`, `oss://`, `run://RUN/output/NAME`, `model://NAME@TAG`,
    /// `checkpoint://RUN@STEP`, `dataset://NAME` or `upload://SHA256`. Brought to `input/data/<channel>/`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Where what is below `output/<channel>/` goes after the program: `s3://BUCKET/PREFIX/` or `oss://BUCKET/PREFIX/`; null:
    /// it is kept here, as the artifact `output/<channel>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Option<String>>,
}

/// Submits a run: a blueprint and a config, or a command.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// Id or name of its project; absent: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Name: 1 to 200 characters.
    pub name: String,
    /// Version, free text.
    #[serde(default)]
    pub version: String,
    /// `training` (default), `processing`, `worker` or `external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Id of the blueprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blueprint_id: Option<String>,
    /// One of the blueprint's task types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_type: Option<String>,
    /// An object, valid against the blueprint's schema; absent: `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
    /// Of each instance. Absent: those of the instance type, the blueprint's, or one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ResourcesSchema>)]
    pub resources: Option<Resources>,
    /// What is executed; absent: the blueprint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<RunSpec>,
    /// Which executor; absent: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// Higher goes first, from -1000 to 1000; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// At most 64 labels; keys of 1 to 100, values of 0 to 1,000 characters.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// At most 100,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Changes what people write on a run; an absent field stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunPatch {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// All labels, replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// Stops a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRun {
    /// Seconds between SIGTERM and SIGKILL, 1 or more; absent: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<i64>,
}

/// Restarts a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartRun {
    /// New resources; absent: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ResourcesSchema>)]
    pub resources: Option<Resources>,
}

/// A named operation under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Its name.
    pub operation: String,
    /// How far.
    #[schema(value_type = f64)]
    pub value: serde_json::Number,
    /// How far it goes.
    #[schema(value_type = f64)]
    pub final_value: serde_json::Number,
    /// Of what.
    pub units: String,
    /// When it was reported, in epoch milliseconds; absent: now; requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// When it was first reported, in epoch milliseconds; answers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// Units per second of late, once that is known; answers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// Seconds from `progress_updated_at` to the end, if it goes on like this; answers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
}

/// Replaces the progress of a run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutProgress {
    /// All operations under way.
    pub progress: Vec<Progress>,
}

/// What deleting freed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Id of what was deleted.
    pub id: String,
    /// Bytes of logs, metrics and files that were freed.
    pub freed_bytes: i64,
}

/// How [`Resources`] looks in the OpenAPI document; the domain knows no utoipa.
#[derive(ToSchema)]
#[schema(as = Resources)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourcesSchema {
    /// CPU cores: `2`, `500m`. Absent in a request: those of the instance type, or one core (of a restart: as before).
    #[schema(required = false, min_length = 1)]
    cpu: String,
    /// Memory: `2Gi`; absent: no limit.
    memory: Option<String>,
    /// Scratch disk: `20Gi`.
    ephemeral_storage: Option<String>,
    /// Shared memory (`/dev/shm`) of a container: `8Gi`; absent: half of its memory.
    shared_memory: Option<String>,
    /// Whole GPUs of one type.
    gpu: Option<GpuSchema>,
}

/// How a GPU request looks in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = Gpu)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuSchema {
    /// How many, 1 to 1024.
    count: i64,
    /// A type that `system/resources` lists, or `any`.
    r#type: String,
}

/// How a [`Definition`] looks in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = MetricDefinition)]
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricDefinitionSchema {
    /// The tag under which it is kept.
    name: String,
    /// Searched in each line of the output; its one group holds the number.
    regex: String,
    /// For people.
    description: Option<String>,
}
