//! A processing job: a command over a folder of code, with parameters, and channels for what goes in and comes out. The
//! words are those of PAI's `Processor`; what nothing here can honour is recorded with the run, which warns of it.
//!
//! One [`Processor`] may run any number of jobs, one after the other; it remembers the latest.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use runyard_client::Client;
use runyard_domain::{
    FieldErrors, job::RetryOn, metric::definition::Definition, resources::Resources, run::Kind,
};
use runyard_wire::run::{NewRun, Run, RunSpec};
use serde_json::{Map, Value};

use crate::{Error, Package, follow};

mod channel;
mod recorded;

pub use channel::Channel;
use channel::{Inputs, Outputs};
pub use recorded::{ExperimentConfig, SpotSpec, UserVpcConfig};

/// What a job is called when nobody says it.
const NAME: &str = "processor";

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A line for the shell: `sh -c LINE`.
    Line(String),
    /// A program and its arguments, which no shell sees.
    Words(Vec<String>),
}

impl From<&str> for Command {
    fn from(line: &str) -> Self {
        Self::Line(line.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for Command {
    fn from(words: [&str; N]) -> Self {
        Self::Words(words.map(str::to_owned).into())
    }
}

impl From<Vec<String>> for Command {
    fn from(words: Vec<String>) -> Self {
        Self::Words(words)
    }
}

impl Default for Command {
    fn default() -> Self {
        Self::Words(Vec::new())
    }
}

impl Command {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Line(line) if line.trim().is_empty() => Vec::new(),
            Self::Line(line) => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
            Self::Words(words) => words.clone(),
        }
    }
}

/// A processing job, to be run any number of times. Every field may be left as it is; without an image it is a local process.
///
/// ```no_run
/// # async fn example() -> Result<(), runyard_sdk::Error> {
/// use runyard_sdk::{Client, Processor};
///
/// let client = Client::new("http://127.0.0.1:7878", "token");
/// let mut processor = Processor {
///     source_dir: Some("src".into()),
///     parameters: [("lr".to_owned(), "0.1".to_owned())].into(),
///     ..Processor::new("python:3.11", ["python", "main.py"])
/// };
/// processor.run(&client, &[("train", "s3://bucket/train/")], &[("result", None)], true, true).await?;
/// println!("{:?}", processor.get_outputs_data());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Processor {
    /// Container image; `None`: a process of the server's machine.
    pub image: Option<String>,
    /// What is executed.
    pub command: Command,
    /// Folder of code, where the command starts.
    pub source_dir: Option<PathBuf>,
    /// What sort of job it is for its frameworks. `PyTorchJob` is what several instances find in their variables; any other is
    /// recorded.
    pub job_type: Option<String>,
    /// Texts for the program: `PAI_HPS`, `PAI_USER_ARGS`, `hyperparameters.json`.
    pub parameters: BTreeMap<String, String>,
    /// Variables for the program.
    pub environments: BTreeMap<String, String>,
    /// Python requirements, as pip takes them.
    pub requirements: Vec<String>,
    /// Time limit of the program.
    pub max_run_time: Option<Duration>,
    /// What each job is called.
    pub base_job_name: Option<String>,
    /// Below which address outputs go that name none: `s3://` or `oss://`; `None`: Runyard keeps them.
    pub output_path: Option<String>,
    /// Resources under a name.
    pub instance_type: Option<String>,
    /// Recorded: nothing here is priced.
    pub spot_spec: Option<SpotSpec>,
    /// Recorded: there is one sort of machine.
    pub resource_type: Option<String>,
    /// How many processes of the program start together.
    pub instance_count: Option<i64>,
    /// Recorded: jobs have the network of their machine.
    pub user_vpc_config: Option<UserVpcConfig>,
    /// Recorded: there are no experiments here.
    pub experiment_config: Option<ExperimentConfig>,
    /// Recorded.
    pub settings: Map<String, Value>,
    /// Labels.
    pub labels: BTreeMap<String, String>,

    /// What the job is, for lists of runs; `None`: processing.
    pub kind: Option<Kind>,
    /// Id or name of the project; `None`: `default`.
    pub project: Option<String>,
    /// Instead of an instance type, or over it.
    pub resources: Option<Resources>,
    /// Which executor; `None`: `container` with an image, else the server's own.
    pub executor: Option<String>,
    /// Secrets of the server as variables: the name of the variable, and that of the secret.
    pub secrets: BTreeMap<String, String>,
    /// Name of the secret with `user:password` for the image's registry.
    pub registry_secret: Option<String>,
    /// Metrics that are read from the output.
    pub metric_definitions: Vec<Definition>,
    /// How often it restarts itself after a failure.
    pub retries: Option<i64>,
    /// After which failures.
    pub retry_on: Option<Vec<RetryOn>>,
    /// Higher goes first.
    pub priority: Option<i64>,
    /// Notes.
    pub notes: Option<String>,
    /// More that is only recorded, by word.
    pub recorded: BTreeMap<String, Value>,

    /// See [`Self::set_input_channels`].
    pub input_channels: Vec<Channel>,
    /// See [`Self::set_output_channels`].
    pub output_channels: Vec<Channel>,
    /// The run of the latest job, as it was last seen.
    pub latest: Option<Run>,
}

impl Processor {
    /// A job of this command in this image; `None` or an empty text: in no image.
    pub fn new<'a>(image: impl Into<Option<&'a str>>, command: impl Into<Command>) -> Self {
        Self {
            image: image.into().filter(|image| !image.is_empty()).map(str::to_owned),
            command: command.into(),
            ..Self::default()
        }
    }

    /// Declares inputs: one that is required must be given to [`Self::run`].
    pub fn set_input_channels(&mut self, channels: Vec<Channel>) -> &mut Self {
        self.input_channels = channels;
        self
    }

    /// Declares outputs: each is made in every run, whether [`Self::run`] is given an address for it or not.
    pub fn set_output_channels(&mut self, channels: Vec<Channel>) -> &mut Self {
        self.output_channels = channels;
        self
    }

    /// Submits a job. Inputs are addresses or local paths, which are packed and uploaded; outputs are addresses, or `None`
    /// for what Runyard keeps.
    ///
    /// With `wait` it returns when the job has ended, with the run as it is then; with `show_logs` too, the output of the
    /// program is on stdout meanwhile. A job that was stopped is no error.
    ///
    /// # Errors
    /// Every wrong field, before anything is submitted; [`Error::Ended`] for a job that was waited for and failed.
    pub async fn run(
        &mut self,
        client: &Client,
        inputs: &[(&str, &str)],
        outputs: &[(&str, Option<&str>)],
        wait: bool,
        show_logs: bool,
    ) -> Result<Run, Error> {
        let run = self.submit(client, inputs, outputs, |note| tracing::info!("{note}")).await?;
        if !wait {
            return Ok(run);
        }
        let ended = follow::to_the_end(client, run.id.as_deref().unwrap_or_default(), show_logs).await?;
        self.latest = Some(ended.clone());
        follow::judge(ended)
    }

    /// Submits a job and returns. `tell` hears what is packed and sent.
    ///
    /// # Errors
    /// Every wrong field; then nothing was submitted.
    pub async fn submit(
        &mut self,
        client: &Client,
        inputs: &[(&str, &str)],
        outputs: &[(&str, Option<&str>)],
        mut tell: impl FnMut(&str),
    ) -> Result<Run, Error> {
        let mut errors = FieldErrors::default();
        if self.command.words().is_empty() && self.image.is_none() {
            errors.add("command", "is needed: say what is executed");
        }
        let inputs = channel::inputs(&self.input_channels, inputs, &mut errors);
        let outputs = channel::outputs(&self.output_channels, outputs, self.output_folder(), &mut errors);
        let max_run_time_s = self.seconds(&mut errors);
        if errors.0.is_empty() {
            let source = self.bring_code(client, &mut tell).await?;
            let inputs = bring_data(client, inputs, &mut tell).await?;
            let new = self.new_run(source, inputs, outputs, max_run_time_s);
            let run = client.create_run(&new).await?;
            self.latest = Some(run.clone());
            Ok(run)
        } else {
            Err(Error::Fields(errors))
        }
    }

    /// Where the outputs of the latest job are, by channel: the address that was given, or `run://RUN/output/CHANNEL` for
    /// what Runyard keeps. Empty before the first job.
    pub fn get_outputs_data(&self) -> BTreeMap<String, String> {
        let Some(run) = &self.latest else { return BTreeMap::new() };
        let id = run.id.as_deref().unwrap_or_default();
        let outputs = run.spec.iter().flat_map(|spec| &spec.outputs);
        let address = |name: &String, uri: &Option<String>| {
            uri.clone().unwrap_or_else(|| format!("run://{id}/output/{name}"))
        };
        outputs.map(|(name, uri)| (name.clone(), address(name, uri))).collect()
    }

    fn name(&self) -> &str {
        self.base_job_name.as_deref().unwrap_or(NAME)
    }

    /// A folder below `output_path` that no other job has.
    fn output_folder(&self) -> Option<String> {
        let path = self.output_path.as_deref()?.trim_end_matches('/');
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        let name: String = self.name().chars().map(plain).collect();
        let unique = uuid::Uuid::now_v7().simple().to_string();
        Some(format!("{path}/{name}_{unique}/"))
    }

    /// Whole seconds, the rest of one counted as one.
    fn seconds(&self, errors: &mut FieldErrors) -> Option<i64> {
        let limit = self.max_run_time?;
        if limit.is_zero() {
            errors.add("max_run_time", "is zero: a program needs some time; leave it out for no limit");
        }
        let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
        Some(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    async fn bring_code(
        &self,
        client: &Client,
        tell: &mut impl FnMut(&str),
    ) -> Result<Option<String>, Error> {
        let Some(folder) = &self.source_dir else { return Ok(None) };
        let package = Package::of_code(folder).await?;
        send(client, &package, "source", tell).await?;
        Ok(Some(package.digest.clone()))
    }

    fn new_run(
        &self,
        source: Option<String>,
        inputs: BTreeMap<String, String>,
        outputs: Outputs,
        max_run_time_s: Option<i64>,
    ) -> NewRun {
        let config = self.parameters.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str())));
        NewRun {
            project_id: self.project.clone(),
            name: self.name().to_owned(),
            kind: Some(self.kind.unwrap_or(Kind::Processing).word().to_owned()),
            config: (!self.parameters.is_empty()).then(|| config.collect()),
            resources: self.resources.clone(),
            spec: Some(RunSpec {
                command: self.command.words(),
                image: self.image.clone(),
                registry_secret: self.registry_secret.clone(),
                source,
                env: self.environments.clone(),
                secrets: self.secrets.clone(),
                requirements: self.requirements.clone(),
                max_run_time_s,
                retries: self.retries,
                retry_on: self.retry_on.clone(),
                inputs,
                outputs,
                instances: self.instance_count,
                instance_type: self.instance_type.clone(),
                metric_definitions: self.metric_definitions.clone(),
                recorded: recorded::of(self),
                ..RunSpec::default()
            }),
            executor: self.executor.clone(),
            priority: self.priority,
            labels: self.labels.clone(),
            notes: self.notes.clone(),
            ..NewRun::default()
        }
    }
}

/// Local data goes to the server; answers addresses only.
async fn bring_data(
    client: &Client,
    inputs: Inputs,
    tell: &mut impl FnMut(&str),
) -> Result<BTreeMap<String, String>, Error> {
    let mut packages = Vec::new();
    let mut addresses = BTreeMap::new();
    // All of it is packed, and so found to be right, before anything is sent.
    for (name, input) in inputs {
        match input {
            channel::Input::Address(uri) => drop(addresses.insert(name, uri)),
            channel::Input::Path(path) => packages.push((name, Package::of_data(&path).await?)),
        }
    }
    for (name, package) in packages {
        send(client, &package, &format!("input {name}"), tell).await?;
        addresses.insert(name, package.uri());
    }
    Ok(addresses)
}

async fn send(
    client: &Client,
    package: &Package,
    what: &str,
    tell: &mut impl FnMut(&str),
) -> Result<(), Error> {
    let has = package.is_on(client).await?;
    let verb = if has { "unchanged on the server" } else { "uploading" };
    let files = if package.files == 1 { "file" } else { "files" };
    tell(&format!("{what}: {} {files}, {} bytes packed, {verb}", package.files, package.bytes));
    if has { Ok(()) } else { package.send(client).await }
}
