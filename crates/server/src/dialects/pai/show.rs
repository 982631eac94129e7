//! A run as `GetTrainingJob` answers it. Pure. The SDK is strict: ids, names and values are texts, lists are there, and what was
//! sent comes back as it was.

mod reason;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use runyard_domain::{
    Millis,
    run::{Event, Run, Status, recorded},
};
use runyard_engine::experiment::LABEL;
use serde_json::{Map, Value, json};

pub(super) use reason::{Reason, last_word, reason};

use super::id;

/// What of the answer is not in the run itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    /// Address of this server.
    pub(super) url: String,
    /// The run's log from its beginning.
    pub(super) events: Vec<Event>,
    /// The newest value of each metric.
    pub(super) metrics: Vec<Value>,
    /// What a run that waits waits for.
    pub(super) waits_for: Option<String>,
}

/// All of it.
pub(super) fn job(run: &Run, beside: &Beside) -> Value {
    let mut shown = listed(run, beside);
    let more = json!({
        "AlgorithmId": "",
        "AlgorithmSpec": algorithm(run),
        "TrainingJobUrl": format!("{}/api/v2/runs/{}", beside.url, run.id),
        "Instances": instances(run),
        "LatestMetrics": beside.metrics,
        "Settings": echoed(run, "Settings").cloned().unwrap_or_else(|| json!({})),
        "StatusTransitions": transitions(&beside.events),
        "Duration": duration_s(run, &beside.events),
    });
    extend(&mut shown, more);
    if let Some(progress) = progress(run) {
        shown["LatestProgress"] = progress;
    }
    if let Some(uri) = run.spec.outputs.get("model").cloned().flatten() {
        shown["OutputModel"] = json!({"OutputChannelName": "model", "Uri": uri});
    }
    shown
}

/// As much of it as a list has.
pub(super) fn listed(run: &Run, beside: &Beside) -> Value {
    let Reason { code, message } = reason(run, beside);
    let text = |name: &str| echoed(run, name).and_then(Value::as_str).map(str::to_owned);
    let object = |name: &str| echoed(run, name).filter(|value| value.is_object()).cloned();
    json!({
        "TrainingJobId": id::job(run.id),
        "TrainingJobName": text("TrainingJobName").unwrap_or_else(|| run.name.clone()),
        "TrainingJobDescription": run.notes.clone().unwrap_or_default(),
        "Status": status(run.life.status),
        "ReasonCode": code,
        "ReasonMessage": message,
        "WorkspaceId": text("WorkspaceId").unwrap_or_else(|| run.project_id.to_string()),
        "UserId": run.user_id,
        "AlgorithmName": text("AlgorithmName").unwrap_or_default(),
        "AlgorithmVersion": text("AlgorithmVersion").unwrap_or_default(),
        "AlgorithmProvider": text("AlgorithmProvider").unwrap_or_default(),
        "IsTempAlgo": true,
        "ComputeResource": compute(run),
        "Scheduler": scheduler(run),
        "HyperParameters": hyperparameters(run),
        "InputChannels": channels(run, "InputChannels", "InputUri", inputs(run)),
        "OutputChannels": channels(run, "OutputChannels", "OutputUri", outputs(run)),
        "Labels": labels(run),
        "Environments": run.spec.env,
        "PythonRequirements": requirements(run),
        "ExperimentConfig": object("ExperimentConfig").unwrap_or_else(|| json!({})),
        "UserVpc": object("UserVpc").unwrap_or_else(|| json!({})),
        "GmtCreateTime": time(run.created_at),
        "GmtModifiedTime": time(run.status_updated_at),
    })
}

/// PAI's word for a status. Never `CreateFailed`: the SDK waits for ever for a job that has it.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::RunCreated | Status::RunRestartRequested => "Creating",
        Status::JobCreated => "Created",
        Status::JobSubmitted => "Submitted",
        Status::JobPending => "Initializing",
        // A job that is lost from sight is not dead, and one that is being stopped has not ended.
        Status::JobRunning
        | Status::JobUnknown
        | Status::RunStopRequested
        | Status::JobTerminateRequested
        | Status::JobTerminating => "Running",
        Status::JobTerminated => "Terminated",
        Status::JobFailed => "Failed",
        Status::JobCompleted => "Succeed",
        Status::JobCreateFailed => "InitializeFailed",
    }
}

/// Our statuses for a word of PAI's; none: nothing has it.
pub(super) fn statuses(word: &str) -> Vec<Status> {
    Status::ALL.into_iter().filter(|known| status(*known).eq_ignore_ascii_case(word)).collect()
}

/// A time as PAI writes it.
pub(super) fn time(at: Millis) -> String {
    let whole_s = at.0.div_euclid(1000);
    Timestamp::from_second(whole_s).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// A field of the request, as it was sent.
fn echoed<'a>(run: &'a Run, name: &str) -> Option<&'a Value> {
    run.spec.recorded.get(recorded::ECHO)?.get(name).filter(|value| !value.is_null())
}

/// Those that were given; that of an experiment is in its own field.
fn labels(run: &Run) -> Vec<Value> {
    let own = echoed(run, "ExperimentConfig").is_some_and(|config| config["ExperimentId"].is_string());
    let given = run.labels.iter().filter(|(key, _)| !own || *key != LABEL);
    given.map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// As they were sent: the run has those of its source too.
fn requirements(run: &Run) -> Value {
    match (run.spec.recorded.contains_key(recorded::ECHO), echoed(run, "PythonRequirements")) {
        (true, sent) => sent.cloned().unwrap_or_else(|| json!([])),
        (false, _) => json!(run.spec.requirements),
    }
}

fn algorithm(run: &Run) -> Value {
    let mut spec = json!({
        "InputChannels": [], "OutputChannels": [], "HyperParameters": [], "ResourceRequirements": [],
        "MetricDefinitions": [], "SupportsDistributedTraining": true, "JobType": "PyTorchJob",
    });
    extend(&mut spec, echoed(run, "AlgorithmSpec").cloned().unwrap_or_default());
    spec["Command"] = json!(run.spec.command);
    spec["Image"] = json!(run.spec.image.clone().unwrap_or_default());
    spec
}

fn compute(run: &Run) -> Value {
    let mut sent = match echoed(run, "ComputeResource") {
        Some(sent @ Value::Object(_)) => sent.clone(),
        _ => json!({
            "EcsSpec": run.spec.instance_type.clone().unwrap_or_default(), "EcsCount": run.spec.instances(),
        }),
    };
    // An instance spec without numbers breaks the SDK.
    if let Some(fields) = sent.as_object_mut()
        && fields.get("InstanceSpec").and_then(Value::as_object).is_none_or(|spec| {
            !["CPU", "GPU", "Memory"].iter().all(|name| spec.get(*name).is_some_and(Value::is_string))
        })
    {
        fields.remove("InstanceSpec");
    }
    sent
}

fn scheduler(run: &Run) -> Value {
    run.spec.max_run_time_s.map_or_else(|| json!({}), |limit| json!({"MaxRunningTimeInSeconds": limit}))
}

/// In the order in which they were sent.
fn hyperparameters(run: &Run) -> Vec<Value> {
    let empty = Map::new();
    let config = run.config.as_object().unwrap_or(&empty);
    let sent: Vec<&str> = echoed(run, "HyperParameters")
        .and_then(Value::as_array)
        .map(|sent| sent.iter().filter_map(|one| one["Name"].as_str()).collect())
        .unwrap_or_default();
    let rest = config.keys().map(String::as_str).filter(|name| !sent.contains(name));
    let named = sent.iter().copied().chain(rest).filter_map(|name| Some((name, config.get(name)?)));
    named.map(|(name, value)| json!({"Name": name, "Value": text(value)})).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The channels as they were sent, where they were sent by PAI's client.
fn channels(run: &Run, name: &str, uri: &str, ours: Vec<(String, String)>) -> Value {
    match echoed(run, name) {
        Some(sent @ Value::Array(_)) => sent.clone(),
        _ => ours.into_iter().map(|(channel, to)| json!({"Name": channel, uri: to})).collect(),
    }
}

fn inputs(run: &Run) -> Vec<(String, String)> {
    run.spec.inputs.clone().into_iter().collect()
}

/// What Runyard keeps itself has an address too.
fn outputs(run: &Run) -> Vec<(String, String)> {
    let own = |name: &str| format!("run://{}/output/{name}", run.id);
    run.spec
        .outputs
        .iter()
        .map(|(name, uri)| (name.clone(), uri.clone().unwrap_or_else(|| own(name))))
        .collect()
}

fn instances(run: &Run) -> Vec<Value> {
    if !run.life.has_job {
        return Vec::new();
    }
    let one = |index| {
        json!({
            "Name": id::instance(run.id, index),
            "Role": if index == 0 { "master" } else { "worker" },
            "Status": status(run.life.status),
        })
    };
    (0..run.spec.instances()).map(one).collect()
}

/// The statuses as PAI knows them, each once until the next one.
fn transitions(events: &[Event]) -> Vec<Value> {
    let mut shown: Vec<Value> = Vec::new();
    for event in events {
        let (word, at) = (status(event.status), time(event.created_at));
        if shown.last().is_some_and(|last| last["Status"] == word) {
            continue;
        }
        if let Some(last) = shown.last_mut() {
            last["EndTime"] = json!(at);
        }
        let Reason { code, message } = reason::of_event(event);
        shown.push(json!({
            "Status": word, "StartTime": at, "EndTime": "", "ReasonCode": code, "ReasonMessage": message,
        }));
    }
    shown
}

/// Seconds that the last job has run.
fn duration_s(run: &Run, events: &[Event]) -> i64 {
    let began =
        events.iter().rev().find(|event| event.status == Status::JobRunning).map(|event| event.created_at);
    let ended = run.life.status.is_terminal().then_some(run.status_updated_at);
    match (began, ended.or_else(|| events.last().map(|event| event.created_at))) {
        (Some(began), Some(ended)) => ended.since(began).max(0) / 1000,
        _ => 0,
    }
}

fn progress(run: &Run) -> Option<Value> {
    let operation = run.progress.first()?;
    let (value, end) = (operation.reported.value.as_f64()?, operation.reported.final_value.as_f64()?);
    let at = run.progress_updated_at.map(time).unwrap_or_default();
    let mut shown = json!({});
    if end > 0.0 && value.is_finite() {
        shown["OverallProgress"] = json!({"Timestamp": at, "Value": (value / end).clamp(0.0, 1.0)});
    }
    if let Some(left) = operation.seconds_left() {
        shown["RemainingTime"] = json!({"Timestamp": at, "Value": left.round() as i64});
    }
    (shown != json!({})).then_some(shown)
}

fn extend(shown: &mut Value, more: Value) {
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
}
