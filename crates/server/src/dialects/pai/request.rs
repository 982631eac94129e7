//! What `CreateTrainingJob` asks, as a new run. Pure: what there is on this server is told by the caller. What cannot be
//! honoured here is recorded in the run, never dropped; what cannot be answered back from the run itself is kept as its echo.

mod body;
mod resources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use runyard_domain::{
    FieldErrors,
    blueprint::MAX_RUN_NAME,
    channel::{Place, Uri},
    metric::definition::Definition,
    run::{Kind, Spec, recorded},
};
use runyard_engine::{experiment::LABEL, run::NewRun};
use serde_json::{Map, Value, json};

pub(super) use body::Label;
use body::{Body, CodeDir, Definition as Metric, Named};

/// The word under which an experiment is recorded that this server does not have.
const EXPERIMENT: &str = "experiment";

/// What the translation has to know of this server.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Names of instance types.
    pub(super) instance_types: Vec<String>,
    /// The project that the workspace stands for; `None`: the default one.
    pub(super) project: Option<String>,
    /// The experiment that the job belongs to, by name.
    pub(super) experiment: Option<String>,
    /// The executor that serves this dialect.
    pub(super) executor: String,
}

/// A job, as it was asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The run; its source is still missing.
    pub(super) new: NewRun,
    /// Where its code is: an object, or all objects below a prefix.
    pub(super) code: Option<Place>,
}

/// The workspace that the request names, if it is one.
pub(super) fn workspace(body: &Value) -> Option<&str> {
    // The SDK sends this word when its session has none.
    body["WorkspaceId"].as_str().filter(|id| !matches!(*id, "" | "None"))
}

/// Reads the request.
///
/// # Errors
/// Every wrong field, by its path in the request.
pub(super) fn translate(sent: &Value, known: &Known) -> Result<Wanted, FieldErrors> {
    let body: Body = crate::body::from_value(sent.clone())?;
    let mut errors = FieldErrors::default();
    let Some(algorithm) = &body.algorithm_spec else {
        return Err(FieldErrors::one(
            "AlgorithmSpec",
            "is needed: this server keeps no registered algorithms, so image and command have to be said",
        ));
    };
    if algorithm.command.iter().all(String::is_empty) {
        errors.add("AlgorithmSpec.Command", "is needed: the program and its arguments, as a list");
    }
    let image = algorithm.image.clone().filter(|image| !image.is_empty());
    if image.is_none() {
        errors.add("AlgorithmSpec.Image", "is needed: the container image that the job runs in");
    }
    let name = body.training_job_name.as_deref().unwrap_or_default();
    if name.trim().is_empty() {
        errors.add("TrainingJobName", "is needed");
    }
    let mut recorded = recorded::Recorded::new();
    let asked = resources::read(&body.compute_resource, &known.instance_types, &mut recorded, &mut errors);
    let code = code(body.code_dir.as_ref().or(algorithm.code_dir.as_ref()), &mut errors);
    record(&body, &mut recorded);
    let mut labels = labels(&body, &mut errors);
    if let Some(experiment) = &known.experiment {
        recorded.remove(EXPERIMENT);
        labels.insert(LABEL.to_owned(), experiment.clone());
    }
    recorded.insert(recorded::ECHO.to_owned(), echo(sent));
    let is_training = algorithm.output_channels.iter().any(|channel| channel["Name"] == "model");
    let spec = Spec {
        command: algorithm.command.clone(),
        image,
        env: body.environments.clone(),
        requirements: body.python_requirements.clone(),
        max_run_time_s: body.scheduler.max_running_time_in_seconds.map(|time| time.0),
        metric_definitions: definitions(&algorithm.metric_definitions),
        inputs: inputs(&body.input_channels, &mut errors),
        outputs: outputs(&body.output_channels, &mut errors),
        instances: asked.instances,
        instance_type: asked.instance_type,
        recorded,
        ..Spec::default()
    };
    let new = NewRun {
        project: known.project.clone(),
        name: run_name(name),
        kind: Some(if is_training { Kind::Training } else { Kind::Processing }.word().to_owned()),
        config: Some(hyperparameters(&body, &mut errors)),
        resources: asked.resources,
        executor: Some(known.executor.clone()),
        labels,
        notes: body.training_job_description.clone().filter(|text| !text.is_empty()),
        spec: Some(spec),
        ..NewRun::default()
    };
    errors.finish(Wanted { new, code })
}

/// A name of ours: one line of printable text that is not too long. The one that was sent is in the echo.
fn run_name(sent: &str) -> String {
    let plain: String = sent.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().chars().take(MAX_RUN_NAME).collect::<String>().trim_end().to_owned()
}

fn definitions(sent: &[Metric]) -> Vec<Definition> {
    let one = |sent: &Metric| Definition {
        name: sent.name.clone(),
        regex: sent.regex.clone(),
        description: sent.description.clone().filter(|text| !text.is_empty()),
    };
    sent.iter().map(one).collect()
}

/// Where the code is. The endpoint that is sent along is that of the client's own view, without its port: the bucket says all.
fn code(sent: Option<&CodeDir>, errors: &mut FieldErrors) -> Option<Place> {
    const PATH: &str = "AlgorithmSpec.CodeDir";
    let sent = sent?;
    let place = sent.location_value.as_object().filter(|place| !place.is_empty())?;
    if !sent.location_type.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("oss")) {
        errors.add(format!("{PATH}.LocationType"), "is not known here: code comes from OSS, so write `oss`");
        return None;
    }
    let text = |name: &str| place.get(name).and_then(Value::as_str).unwrap_or_default();
    let (bucket, key) = (text("Bucket"), text("Key").trim_start_matches('/'));
    match Uri::parse(&format!("oss://{bucket}/{key}")) {
        Ok(Uri::Oss(place)) => Some(place),
        Ok(_) => None,
        Err(error) => {
            errors.add(format!("{PATH}.LocationValue"), error.to_string());
            None
        }
    }
}

/// What this server has nothing for.
fn record(body: &Body, recorded: &mut recorded::Recorded) {
    let is_said = |value: &Value| match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let said = [
        ("vpc", &body.user_vpc),
        (EXPERIMENT, &body.experiment_config),
        ("settings", &body.settings),
        ("role_arn", &body.role_arn),
    ];
    for (word, value) in said.into_iter().filter(|(_, value)| is_said(value)) {
        recorded.insert(word.to_owned(), value.clone());
    }
    let customization = body.algorithm_spec.as_ref().map_or(&Value::Null, |spec| &spec.customization);
    if is_said(customization) {
        recorded.insert("customization".to_owned(), customization.clone());
    }
}

/// What is answered as it was sent, and is nowhere else in the run.
fn echo(sent: &Value) -> Value {
    const KEPT: [&str; 14] = [
        "TrainingJobName",
        "WorkspaceId",
        "ComputeResource",
        "InputChannels",
        "OutputChannels",
        "HyperParameters",
        "PythonRequirements",
        "Scheduler",
        "ExperimentConfig",
        "UserVpc",
        "Settings",
        "AlgorithmName",
        "AlgorithmVersion",
        "AlgorithmProvider",
    ];
    let mut kept: Map<String, Value> =
        KEPT.iter().filter_map(|name| Some(((*name).to_owned(), sent.get(name)?.clone()))).collect();
    if let Some(Value::Object(spec)) = sent.get("AlgorithmSpec") {
        let mut spec = spec.clone();
        spec.remove("Command");
        spec.remove("Image");
        kept.insert("AlgorithmSpec".to_owned(), spec.into());
    }
    kept.into()
}

fn hyperparameters(body: &Body, errors: &mut FieldErrors) -> Map<String, Value> {
    let mut config = Map::new();
    for Named { name, value } in &body.hyper_parameters {
        if config.insert(name.clone(), json!(value.0)).is_some() {
            errors.add("HyperParameters", format!("`{name}` is named twice"));
        }
    }
    config
}

fn labels(body: &Body, errors: &mut FieldErrors) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for label in &body.labels {
        if labels.insert(label.key.clone(), label.value.0.clone()).is_some() {
            errors.add("Labels", format!("`{}` is named twice", label.key));
        }
    }
    labels
}

fn inputs(sent: &[body::Channel], errors: &mut FieldErrors) -> BTreeMap<String, String> {
    let mut inputs = BTreeMap::new();
    for channel in sent {
        let path = format!("InputChannels.{}", channel.name);
        let uri = match (&channel.input_uri, &channel.dataset_id) {
            (Some(uri), _) => ours(&path, uri, errors),
            (None, Some(dataset)) => Some(format!("dataset://{dataset}")),
            (None, None) => {
                errors.add(&path, "has neither InputUri nor DatasetId");
                None
            }
        };
        if let Some(uri) = uri
            && inputs.insert(channel.name.clone(), uri).is_some()
        {
            errors.add(&path, "there are two channels of this name");
        }
    }
    inputs
}

fn outputs(sent: &[body::Channel], errors: &mut FieldErrors) -> BTreeMap<String, Option<String>> {
    let mut outputs = BTreeMap::new();
    for channel in sent {
        let path = format!("OutputChannels.{}", channel.name);
        let Some(uri) = &channel.output_uri else {
            errors.add(
                &path,
                "has no OutputUri: outputs go to oss://BUCKET/PREFIX/, datasets cannot be written to",
            );
            continue;
        };
        if let Some(uri) = ours(&path, uri, errors)
            && outputs.insert(channel.name.clone(), Some(uri)).is_some()
        {
            errors.add(&path, "there are two channels of this name");
        }
    }
    outputs
}

/// An address as ours are: that of an OSS object without endpoint, account and role, which mean nothing here.
fn ours(path: &str, uri: &str, errors: &mut FieldErrors) -> Option<String> {
    let scheme = uri.split_once("://").map_or("", |(scheme, _)| scheme);
    if matches!(scheme, "nas" | "cpfs" | "bmcpfs" | "odps") {
        let message = format!(
            "`{uri}` cannot be reached from here: {scheme}:// is of Alibaba's cloud; copy it to oss://"
        );
        errors.add(path, message);
        return None;
    }
    if scheme != "oss" {
        return Some(uri.to_owned());
    }
    let plain = uri.split_once('?').map_or(uri, |(plain, _)| plain);
    match Uri::parse(plain) {
        Ok(uri) => Some(uri.to_string()),
        Err(error) => {
            errors.add(path, error.to_string());
            None
        }
    }
}
