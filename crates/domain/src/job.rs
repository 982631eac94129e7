//! A job: one attempt at executing a run. What the runner is told, and what it says at the end.
//!
//! The job's folder is the meeting place of executor and runner; the names of its files are here, and only here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{JobId, ProjectId, RunId, WorkerRunId},
    metric::definition::Definition,
    resources::Resources,
    secret::SecretEnv,
    time::Millis,
    worker_run::WorkerType,
};

/// Names inside a job's folder.
pub mod folder {
    /// [`super::JobSpec`] as JSON; only its owner can read it. Written once, before the runner starts; again without the secrets
    /// when the job has ended.
    pub const SPEC: &str = "spec.json";
    /// What files begin with that an executor is writing; one that stays is the leftover of a crash.
    pub const STAGED: &str = ".executor-";
    /// Written by the executor before it starts a runner for the first time: from then on the job holds its capacity.
    pub const SPAWNED: &str = "spawned";
    /// Held with an open-file-description write lock for as long as the runner lives; contains its pid.
    pub const LOCK: &str = "runner.lock";
    /// One byte for every time a runner was started on this folder.
    pub const STARTS: &str = "starts";
    /// Made with `O_EXCL` just before the program is launched: once it exists, the program is never launched again.
    pub const LAUNCHED: &str = "launched";
    /// What to kill when the runner died: process group, start time, cgroup. JSON.
    pub const PROGRAM: &str = "program.json";
    /// [`super::StopOrder`] as JSON: written by the executor, obeyed by the runner.
    pub const STOP: &str = "stop.json";
    /// The program's stdout and stderr, in order.
    pub const OUTPUT: &str = "output.log";
    /// What the program reports: `$RUNYARD_RECORDS`, one JSON object per line.
    pub const RECORDS: &str = "records.jsonl";
    /// What the runner itself samples, in the form of records.
    pub const SYSTEM: &str = "system.jsonl";
    /// [`super::Exit`] as JSON, once the program has ended.
    pub const EXIT: &str = "exit.json";
    /// Exists once the server has acknowledged everything: output, records, exit.
    pub const DELIVERED: &str = "delivered";
    /// The runner's own log, for the operator.
    pub const RUNNER_LOG: &str = "runner.log";
    /// The program's folders: `usercode/`, `input/`, `output/` (`$RUNYARD_ML`).
    pub const ML: &str = "ml";
    /// Where the program's folders are inside of a container.
    pub const ML_INSIDE: &str = "/ml";
}

/// The virtual environments that jobs on a machine share: below the cache folder, one folder each, beside it a file that is
/// locked (open-file-description lock): for writing while it is made or deleted, for reading while a job uses it.
pub mod environments {
    /// The folder of all of them.
    pub const FOLDER: &str = "venvs";
    /// In one that is whole; changed at every use.
    pub const COMPLETE: &str = ".complete";
    /// Extension of the file beside it.
    pub const LOCK: &str = "lock";
}

/// Everything a runner needs to execute a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The job.
    pub job_id: JobId,
    /// Its run.
    pub run_id: RunId,
    /// The run's project.
    pub project_id: ProjectId,
    /// Which attempt this is, from 1.
    pub epoch: i64,
    /// The run's name, for people.
    pub run_name: String,
    /// Address of the server, such as `http://127.0.0.1:7878`.
    pub url: String,
    /// A file with `{"url": ...}` that a restarted server rewrites, where runner and server share a disk.
    #[serde(default)]
    pub server_file: Option<String>,
    /// Token with the scope of the run.
    pub token: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Of a job in a container: what identifies its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Hex SHA-256 of the packed source (tar.zst), unpacked to `usercode/`; the program starts there.
    #[serde(default)]
    pub source: Option<String>,
    /// Variables added to the program's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The same, of secrets: gone from the file of this once the job has ended.
    #[serde(default, skip_serializing_if = "SecretEnv::is_empty")]
    pub secret_env: SecretEnv,
    /// Python requirements, as pip takes them.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The run's config: `input/config/hyperparameters.json` and `$RUNYARD_CONFIG`.
    pub config: serde_json::Value,
    /// Limits to enforce, for each instance.
    pub resources: Resources,
    /// Processes of the program that start together.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub instances: i64,
    /// The GPUs given to this job, as `CUDA_VISIBLE_DEVICES` takes them.
    #[serde(default)]
    pub gpus: Vec<String>,
    /// Time limit of the program, in milliseconds.
    #[serde(default)]
    pub max_run_time_ms: Option<i64>,
    /// Grace between SIGTERM and SIGKILL when nobody said one (time limit, signal from outside), in milliseconds.
    pub grace_ms: i64,
    /// Folder for what is shared between jobs (virtual environments).
    pub cache_dir: String,
    /// Metrics that the runner reads from the output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_definitions: Vec<Definition>,
    /// Of a job that works through elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerJob>,
    /// The input channels with their addresses; what is behind them, the server says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The output channels with their addresses; `None`: the artifact `output/<channel>` of the run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Option<String>>,
}

fn one() -> i64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(count: &i64) -> bool {
    *count == 1
}

/// What a job that works through elements is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerJob {
    /// The worker run.
    pub worker_run_id: WorkerRunId,
    /// Processes of the program.
    pub processes: i64,
    /// Elements that each claims at once.
    pub batch: i64,
    /// How long one that is not heard of keeps its elements, in milliseconds.
    pub lease_ms: i64,
    /// What the program is written against.
    #[serde(default)]
    pub worker_type: WorkerType,
}

/// A stop for a running program: SIGTERM now, SIGKILL at the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOrder {
    /// When SIGKILL follows.
    pub deadline: Millis,
}

/// Why a job ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The program exited with 0.
    Completed,
    /// The program exited with another code.
    Error,
    /// A signal ended the program.
    Signaled,
    /// The kernel killed the program for memory.
    OOMKilled,
    /// `max_run_time` was over.
    TimeLimitExceeded,
    /// Source or inputs could not be brought.
    StagingFailed,
    /// The requirements could not be installed.
    RequirementsFailed,
    /// The program could not be launched (not found, not executable).
    LaunchFailed,
    /// The runner was killed, or the machine restarted; the program was ended with it.
    RunnerKilled,
    /// The container's image is not there, and cannot be fetched.
    ImageMissing,
    /// The disk is full: image or container had no room.
    NoSpace,
    /// The program has ended well, and what it wrote to its outputs could not be kept.
    OutputFailed,
    /// Stopped before the program was launched.
    NeverStarted,
    /// The back end ended the job for a reason of its own (evicted, node lost); the message says which.
    BackendFailed,
}

impl Reason {
    /// Which word of `--retry-on` covers this reason; `None`: never retried.
    pub fn retry_class(self) -> Option<RetryOn> {
        match self {
            Self::Error | Self::Signaled => Some(RetryOn::Failed),
            Self::OOMKilled => Some(RetryOn::Oom),
            Self::RunnerKilled | Self::BackendFailed => Some(RetryOn::Lost),
            Self::Completed
            | Self::TimeLimitExceeded
            | Self::StagingFailed
            | Self::RequirementsFailed
            | Self::LaunchFailed
            | Self::ImageMissing
            | Self::NoSpace
            | Self::OutputFailed
            | Self::NeverStarted => None,
        }
    }
}

/// A kind of failure after which a run may be restarted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryOn {
    /// The program failed: another exit code than 0, or a signal.
    Failed,
    /// The program ran out of memory.
    Oom,
    /// The runner or its machine was lost.
    Lost,
}

/// The exit record: how a job ended, said once by the runner (or by the back end in its place).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The reason in one word.
    pub reason: Reason,
    /// The program's exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// One sentence for a person: what happened, and what to do when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the program was launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Millis>,
    /// When the job ended.
    pub ended_at: Millis,
}

impl Exit {
    /// An exit without a program's code: `reason` and the sentence that explains it.
    pub fn because(reason: Reason, message: impl Into<String>, ended_at: Millis) -> Self {
        Self { reason, code: None, signal: None, message: Some(message.into()), launched_at: None, ended_at }
    }
}

/// The append-only byte streams of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// stdout and stderr of the program.
    Logs,
    /// What the program reports.
    Records,
    /// What the runner samples, as records.
    System,
}

impl Stream {
    /// All streams.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Records, Self::System];

    /// The word in URLs and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Records => "records",
            Self::System => "system",
        }
    }

    /// The stream with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.word() == word)
    }
}

/// How many bytes of each stream the server has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamLengths {
    /// Bytes of `logs`.
    pub logs: i64,
    /// Bytes of `records`.
    pub records: i64,
    /// Bytes of `system`.
    pub system: i64,
}

impl StreamLengths {
    /// The length of one stream.
    pub fn of(&self, stream: Stream) -> i64 {
        match stream {
            Stream::Logs => self.logs,
            Stream::Records => self.records,
            Stream::System => self.system,
        }
    }

    /// The length of one stream, to change it.
    pub fn of_mut(&mut self, stream: Stream) -> &mut i64 {
        match stream {
            Stream::Logs => &mut self.logs,
            Stream::Records => &mut self.records,
            Stream::System => &mut self.system,
        }
    }
}
