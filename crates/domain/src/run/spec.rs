//! A run as it is kept: who asked for what, and where it stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Life, recorded::Recorded};
use crate::{
    checkpoint::Retention,
    id::{BlueprintId, JobId, ProjectId, RunId},
    job::{Exit, RetryOn, StreamLengths},
    metric::definition::Definition,
    progress::Operation,
    resources::Resources,
    time::Millis,
    worker_run::WorkerSpec,
};

/// What sort of work a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Trains a model.
    #[default]
    Training,
    /// Takes inputs to outputs.
    Processing,
    /// Works through elements or dataset sets.
    Worker,
    /// Executed elsewhere, only reported here.
    External,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Training, Self::Processing, Self::Worker, Self::External];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Processing => "processing",
            Self::Worker => "worker",
            Self::External => "external",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What is executed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Name of the secret with the account at the image's registry: its value is `user:password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_secret: Option<String>,
    /// Hex SHA-256 of an uploaded source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Variables for the program.
    pub env: BTreeMap<String, String>,
    /// Python requirements.
    pub requirements: Vec<String>,
    /// Time limit of the program, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_run_time_s: Option<i64>,
    /// How often the run restarts itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// After which failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<Vec<RetryOn>>,
    /// Which checkpoints are kept; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<Retention>,
    /// Secrets that its jobs get as variables: the name of the variable, and that of the secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Metrics that the runner reads from the output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metric_definitions: Vec<Definition>,
    /// What was asked for and cannot be honoured here.
    #[serde(skip_serializing_if = "Recorded::is_empty")]
    pub recorded: Recorded,
    /// How many processes of the program start together; `None`: one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<i64>,
    /// The instance type that its resources were filled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Of a run of the kind `worker`: what it works through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerSpec>,
    /// Where each input channel comes from ([`crate::channel::Uri`]).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Where each output channel goes to; `None`: Runyard keeps it, as the artifact `output/<channel>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Option<String>>,
}

impl Spec {
    /// How many instances each of its jobs has, 1 or more.
    pub fn instances(&self) -> i64 {
        self.instances.unwrap_or(1).max(1)
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Id.
    pub id: RunId,
    /// Its project.
    pub project_id: ProjectId,
    /// Who asked for it.
    pub user_id: String,
    /// When.
    pub created_at: Millis,
    /// Name; not unique.
    pub name: String,
    /// Version, free text.
    pub version: String,
    /// What sort of work.
    pub kind: Kind,
    /// The blueprint it was made from.
    pub blueprint_id: Option<BlueprintId>,
    /// Task type.
    pub task_type: Option<String>,
    /// The config: an object.
    pub config: Value,
    /// What it asks of a machine.
    pub resources: Resources,
    /// What is executed.
    pub spec: Spec,
    /// Which executor.
    pub executor: String,
    /// Higher goes first.
    pub priority: i64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Notes.
    pub notes: Option<String>,
    /// Operations under way.
    pub progress: Vec<Operation>,
    /// When progress was last reported.
    pub progress_updated_at: Option<Millis>,
    /// Status, epoch, stop, retries.
    pub life: Life,
    /// When the status was reached.
    pub status_updated_at: Millis,
    /// How the last job ended.
    pub exit: Option<Exit>,
    /// The sequence of the newest event.
    pub sequence: i64,
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Id.
    pub id: JobId,
    /// Its run.
    pub run_id: RunId,
    /// Which attempt, from 1.
    pub epoch: i64,
    /// Which executor.
    pub executor: String,
    /// When it was made.
    pub created_at: Millis,
    /// When the runner reported in.
    pub started_at: Option<Millis>,
    /// When the runner was last heard of.
    pub seen_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// How.
    pub exit: Option<Exit>,
    /// Bytes of each stream that are stored.
    pub lengths: StreamLengths,
}

/// An entry of a run's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its run.
    pub run_id: RunId,
    /// Rises by one within a run, from 1.
    pub sequence: i64,
    /// When.
    pub created_at: Millis,
    /// The status reached (or kept).
    pub status: super::Status,
    /// What there is to say.
    pub details: Map<String, Value>,
}

impl Event {
    /// Its id, made of what it has: unique, and sorts by creation within the run.
    pub fn id(&self) -> String {
        format!("{}-{:08}", self.run_id, self.sequence)
    }
}
