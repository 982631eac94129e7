//! The YAML file of a job: read, held against the published schema, and made into a processing job. Every wrong field is
//! named with its file and line, and nothing is submitted while one is wrong.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use runyard_domain::{FieldErrors, job::RetryOn, resources::Resources, run::Kind};
use runyard_sdk::{Command, ExperimentConfig, MetricDefinition, Processor, SpotSpec, UserVpcConfig};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{args, failure::Failure, submission, time};

mod yaml;

/// The published schema of the file.
pub(crate) const SCHEMA: &str = include_str!("../../../docs/job.schema.json");

/// Bytes of the largest file.
const MAX_FILE: u64 = 1 << 20;

/// A job, ready to be submitted.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) processor: Processor,
    pub(crate) inputs: Vec<(String, String)>,
    pub(crate) outputs: Vec<(String, Option<String>)>,
    place: Place,
}

/// Where the fields of a document are.
#[derive(Debug)]
struct Place {
    file: String,
    document: yaml::Document,
}

/// The file's words: those of the schema.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct JobFile {
    name: Option<String>,
    kind: Option<Kind>,
    project: Option<String>,
    image: Option<String>,
    registry_secret: Option<String>,
    command: Option<Words>,
    source: Option<PathBuf>,
    parameters: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    requirements: Vec<String>,
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, Option<String>>,
    output_path: Option<String>,
    max_run_time: Option<String>,
    retries: Option<i64>,
    retry_on: Option<Vec<RetryOn>>,
    instances: Option<i64>,
    instance_type: Option<String>,
    resources: Quantities,
    executor: Option<String>,
    metric_definitions: Vec<MetricDefinition>,
    labels: BTreeMap<String, String>,
    notes: Option<String>,
    priority: Option<i64>,
    job_type: Option<String>,
    spot: Option<Spot>,
    resource_type: Option<String>,
    vpc: Option<Vpc>,
    experiment: Option<String>,
    settings: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    Line(String),
    Words(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Quantities {
    cpu: Option<String>,
    memory: Option<String>,
    ephemeral_storage: Option<String>,
    shared_memory: Option<String>,
    gpu: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Spot {
    Wanted(bool),
    Spec {
        spot_strategy: String,
        #[serde(default)]
        spot_discount_limit: Option<f64>,
    },
}

#[expect(clippy::struct_field_names, reason = "they are the words of PAI")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Vpc {
    vpc_id: String,
    security_group_id: String,
    switch_id: Option<String>,
    extended_cidrs: Vec<String>,
}

/// Reads the jobs of a file; `-` is standard input, whose paths are relative to the current folder.
pub(crate) fn read(file: &Path) -> Result<Vec<Job>, Failure> {
    let (name, folder, text) = open(file)?;
    jobs(&name, &folder, &text)
}

fn open(file: &Path) -> Result<(String, PathBuf, String), Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    if file == Path::new("-") {
        let read = std::io::stdin().take(MAX_FILE + 1).read_to_string(&mut text);
        read.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
        return Ok(("standard input".to_owned(), PathBuf::from("."), text));
    }
    let name = file.display().to_string();
    let cannot =
        |error| Failure::usage(format!("cannot read {name}: {error}")).hint("name a YAML file of a job");
    let opened = std::fs::File::open(file).map_err(cannot)?;
    opened.take(MAX_FILE + 1).read_to_string(&mut text).map_err(cannot)?;
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    Ok((name.clone(), folder.to_owned(), text))
}

fn jobs(name: &str, folder: &Path, text: &str) -> Result<Vec<Job>, Failure> {
    if text.len() as u64 > MAX_FILE {
        return Err(Failure::usage(format!(
            "{name} is larger than {MAX_FILE} bytes: a job is described in fewer"
        )));
    }
    let documents = yaml::documents(text)
        .map_err(|wrong| Failure::usage(format!("{name}:{}: {}", wrong.line, wrong.why)))?;
    if documents.is_empty() {
        return Err(
            Failure::usage(format!("{name} is empty")).hint("see `runyard apply --help` for an example")
        );
    }
    let schema: Value =
        serde_json::from_str(SCHEMA).map_err(|error| Failure::new(format!("the schema: {error}")))?;
    let schema = runyard_server::Schema::compile(&schema).map_err(Failure::new)?;
    let mut all = Vec::new();
    let mut wrong = String::new();
    for document in documents {
        let place = Place { file: name.to_owned(), document };
        let errors = schema.check(&place.document.value);
        match errors.finish(()).and_then(|()| make(&place, folder)) {
            Ok((processor, inputs, outputs)) => all.push(Job { processor, inputs, outputs, place }),
            Err(errors) => wrong.push_str(&place.lines(&errors)),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(many(&wrong)) }
}

fn many(lines: &str) -> Failure {
    Failure::usage(format!("the job cannot be submitted:\n{}", lines.trim_end()))
        .hint("`runyard schema job` prints what may be in the file")
}

impl Job {
    /// What the SDK or the server found wrong, with its line; every other failure as it is.
    pub(crate) fn explain(&self, error: runyard_sdk::Error) -> Failure {
        match &error {
            runyard_sdk::Error::Fields(errors) => many(&self.place.lines(errors)),
            runyard_sdk::Error::Server(runyard_client::Error::Api { body, .. }) => match &body.errors {
                Some(errors) if !errors.is_empty() => {
                    let ours = errors.iter().map(|(path, said)| (ours(path), said.clone())).collect();
                    many(&self.place.lines(&FieldErrors(ours)))
                }
                _ => error.into(),
            },
            _ => error.into(),
        }
    }

    /// What its run is called.
    pub(crate) fn name(&self) -> &str {
        self.processor.base_job_name.as_deref().unwrap_or_default()
    }

    /// Where it is described.
    pub(crate) fn title(&self) -> String {
        format!("{}:{}", self.place.file, self.place.document.line)
    }
}

/// The file's word for a field of the API.
fn ours(path: &str) -> String {
    let path = path.strip_prefix("spec.").unwrap_or(path);
    match path.split_once('.') {
        _ if path == "max_run_time_s" => "max_run_time".to_owned(),
        _ if path == "project_id" => "project".to_owned(),
        _ if path == "config" => "parameters".to_owned(),
        Some(("config", rest)) => format!("parameters.{rest}"),
        _ => path.to_owned(),
    }
}

impl Place {
    /// `FILE:LINE: FIELD: WHAT`, a line for each.
    fn lines(&self, errors: &FieldErrors) -> String {
        let mut text = String::new();
        for (path, messages) in &errors.0 {
            let colon = if path.is_empty() { "" } else { ": " };
            for message in messages {
                let line = self.document.line_of(path);
                // Writing to a text cannot fail.
                let _ = writeln!(text, "  {}:{line}: {path}{colon}{message}", self.file);
            }
        }
        text
    }
}

type Made = (Processor, Vec<(String, String)>, Vec<(String, Option<String>)>);

/// A file that the schema found right.
fn make(place: &Place, folder: &Path) -> Result<Made, FieldErrors> {
    let file: JobFile = serde_json::from_value(place.document.value.clone())
        .map_err(|error| FieldErrors::one("", error.to_string()))?;
    let mut errors = FieldErrors::default();
    if file.command.is_none() && file.image.is_none() {
        errors.add("command", "is needed: say what is executed, or name an `image` that starts something");
    }
    let max_run_time = file
        .max_run_time
        .as_deref()
        .and_then(|text| time::parse_seconds(text).map_err(|wrong| errors.add("max_run_time", wrong)).ok());
    let resources = file.resources.read(file.instance_type.is_some(), &mut errors);
    let source = file.source.map(|path| folder.join(path));
    if let Some(wrong) = source.as_deref().and_then(not_a_folder) {
        errors.add("source", wrong);
    }
    let command = match file.command {
        Some(Words::Line(line)) => Command::Line(line),
        Some(Words::Words(words)) => Command::Words(words),
        None => Command::default(),
    };
    let name = file.name.unwrap_or_else(|| name_of(&command, source.as_deref()));
    let processor = Processor {
        kind: file.kind,
        source_dir: source,
        job_type: file.job_type,
        parameters: file.parameters,
        environments: file.env,
        requirements: file.requirements,
        max_run_time: max_run_time.map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
        base_job_name: Some(name),
        output_path: file.output_path,
        instance_type: file.instance_type,
        spot_spec: file.spot.and_then(Spot::spec),
        resource_type: file.resource_type,
        instance_count: file.instances,
        user_vpc_config: file.vpc.map(Vpc::config),
        experiment_config: file.experiment.map(|experiment_id| ExperimentConfig { experiment_id }),
        settings: file.settings,
        labels: file.labels,
        project: file.project,
        resources,
        executor: file.executor,
        secrets: file.secrets,
        registry_secret: file.registry_secret,
        metric_definitions: file.metric_definitions,
        retries: file.retries,
        retry_on: file.retry_on,
        priority: file.priority,
        notes: file.notes,
        ..Processor::new(file.image.as_deref(), command)
    };
    let inputs = file.inputs.into_iter().map(|(name, from)| (name, beside(folder, from)));
    errors.finish((processor, inputs.collect(), file.outputs.into_iter().collect()))
}

/// A name for a job that was given none.
fn name_of(command: &Command, source: Option<&Path>) -> String {
    match command {
        Command::Words(words) => submission::name(source, None, words),
        Command::Line(line) => {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            submission::name(source, None, &words)
        }
    }
}

/// A path is relative to the file.
fn beside(folder: &Path, from: String) -> String {
    if from.contains("://") { from } else { folder.join(from).display().to_string() }
}

fn not_a_folder(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some(format!("`{}` is no folder: name the folder that holds the program", path.display())),
        Err(error) => Some(format!("cannot use `{}`: {error}", path.display())),
    }
}

impl Vpc {
    fn config(self) -> UserVpcConfig {
        let Self { vpc_id, security_group_id, switch_id, extended_cidrs } = self;
        UserVpcConfig { vpc_id, security_group_id, switch_id, extended_cidrs }
    }
}

impl Spot {
    fn spec(self) -> Option<SpotSpec> {
        match self {
            Self::Wanted(false) => None,
            Self::Wanted(true) => Some(SpotSpec::default()),
            Self::Spec { spot_strategy, spot_discount_limit } => {
                Some(SpotSpec { spot_strategy, spot_discount_limit })
            }
        }
    }
}

impl Quantities {
    /// `None`: nothing is named. What is left out is the instance type's, where there is one.
    fn read(self, typed: bool, errors: &mut FieldErrors) -> Option<Resources> {
        let Self { cpu, memory, ephemeral_storage, shared_memory, gpu } = self;
        let texts = [&cpu, &memory, &ephemeral_storage, &shared_memory, &gpu];
        if texts.iter().all(|text| text.is_none()) {
            return None;
        }
        let gpu =
            gpu.and_then(|text| args::gpu_of(&text).map_err(|wrong| errors.add("resources.gpu", wrong)).ok());
        let none = if typed { String::new() } else { Resources::default().cpu };
        let named = Resources { cpu: cpu.unwrap_or(none), memory, ephemeral_storage, shared_memory, gpu };
        if let Err(wrong) = named.clone().over(Resources::default()).demand() {
            errors.merge("resources", wrong);
        }
        Some(named)
    }
}

#[cfg(test)]
mod tests;
