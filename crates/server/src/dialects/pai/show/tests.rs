//! Runs as PAI's client reads them.

use std::collections::BTreeMap;

use runyard_domain::{
    RunId,
    job::{Exit, Reason as Why},
    resources::Resources,
    run::{Kind, Life, Retries, Spec},
};

use super::*;

fn run(spec: Spec) -> Run {
    let id: RunId = "01932b2e-7a3c-7000-8000-0000000000a1".parse().unwrap();
    Run {
        id,
        project_id: "01932b2e-7a3c-7000-8000-0000000000b2".parse().unwrap(),
        user_id: "ann".to_owned(),
        created_at: Millis(1_720_612_187_900),
        name: "a run".to_owned(),
        version: String::new(),
        kind: Kind::Processing,
        blueprint_id: None,
        task_type: None,
        config: json!({"epochs": 3, "lr": "0.1"}),
        resources: Resources::default(),
        spec,
        executor: "local".to_owned(),
        priority: 0,
        labels: BTreeMap::from([("team".to_owned(), "ocr".to_owned())]),
        notes: None,
        progress: Vec::new(),
        progress_updated_at: None,
        life: Life::new(Retries::default()),
        status_updated_at: Millis(1_720_612_190_000),
        exit: None,
        sequence: 1,
    }
}

fn event(sequence: i64, status: Status, details: Value) -> Event {
    let run_id = run(Spec::default()).id;
    let details = details.as_object().cloned().unwrap_or_default();
    Event { run_id, sequence, created_at: Millis(1_720_612_187_000 + 1000 * sequence), status, details }
}

fn with_echo(echo: Value) -> Spec {
    let recorded = BTreeMap::from([(recorded::ECHO.to_owned(), echo)]);
    Spec {
        command: vec!["true".to_owned()],
        image: Some("python:3.11".to_owned()),
        recorded,
        ..Spec::default()
    }
}

#[test]
fn what_was_sent_comes_back_as_it_was() {
    let sent = json!({
        "TrainingJobName": " 训练/a ", "WorkspaceId": "1234",
        "InputChannels": [{"Name": "train", "InputUri": "oss://b.endpoint/x/?host=y"}],
        "OutputChannels": [{"Name": "result", "OutputUri": "oss://b.endpoint/out/"}],
        "ComputeResource": {"EcsSpec": "ecs.c6", "EcsCount": 1},
        "HyperParameters": [{"Name": "lr", "Value": "0.1"}],
        "AlgorithmSpec": {"JobType": "TFJob", "CodeDir": {"LocationType": "oss"}}
    });
    let shown = job(&run(with_echo(sent.clone())), &Beside::default());
    for name in ["TrainingJobName", "WorkspaceId", "InputChannels", "OutputChannels", "ComputeResource"] {
        assert_eq!(shown[name], sent[name], "{name}");
    }
    assert_eq!(shown["AlgorithmSpec"]["JobType"], "TFJob");
    assert_eq!(shown["AlgorithmSpec"]["Image"], "python:3.11");
    assert_eq!(shown["AlgorithmSpec"]["Command"], json!(["true"]));
    assert_eq!(shown["Labels"], json!([{"Key": "team", "Value": "ocr"}]));
}

#[test]
fn values_are_texts_and_lists_are_always_there() {
    let shown = job(&run(Spec::default()), &Beside::default());
    let parameters = json!([{"Name": "epochs", "Value": "3"}, {"Name": "lr", "Value": "0.1"}]);
    assert_eq!(shown["HyperParameters"], parameters);
    for name in
        ["InputChannels", "OutputChannels", "Labels", "PythonRequirements", "Instances", "StatusTransitions"]
    {
        assert!(shown[name].is_array(), "{name}: {shown}");
    }
    for name in ["TrainingJobId", "WorkspaceId", "ReasonCode", "ReasonMessage", "Status", "TrainingJobName"] {
        assert!(shown[name].is_string(), "{name}: {shown}");
    }
    assert_eq!(shown["GmtCreateTime"], "2024-07-10T11:49:47Z");
    assert!(shown["AlgorithmSpec"]["Image"].is_string(), "an image and a command are there together");
}

#[test]
fn an_instance_spec_that_the_client_cannot_read_is_left_out() {
    let shown = |spec: Value| {
        compute(&run(with_echo(json!({"ComputeResource": {"InstanceSpec": spec, "InstanceCount": 1}}))))
    };
    assert_eq!(shown(json!({})), json!({"InstanceCount": 1}));
    let whole = json!({"CPU": "1", "GPU": "0", "Memory": "2"});
    assert_eq!(shown(whole.clone())["InstanceSpec"], whole);
}

#[test]
fn no_status_is_one_that_the_client_waits_for_ever_on() {
    let words: Vec<&str> = Status::ALL.into_iter().map(status).collect();
    assert!(!words.contains(&"CreateFailed"));
    for ended in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
        assert!(["Succeed", "Failed", "Terminated", "InitializeFailed"].contains(&status(ended)), "{ended}");
    }
    for going_on in Status::ALL.into_iter().filter(|status| !status.is_terminal()) {
        assert!(["Creating", "Created", "Submitted", "Initializing", "Running"].contains(&status(going_on)));
    }
    assert_eq!(statuses("succeed"), [Status::JobCompleted]);
    assert!(statuses("CreateFailed").is_empty());
}

#[test]
fn a_time_limit_is_a_failure_with_its_reason() {
    let mut run = run(Spec::default());
    run.life.status = Status::JobFailed;
    run.exit = Some(Exit::because(Why::TimeLimitExceeded, "the time limit of 5 s was over", Millis(0)));
    let shown = job(&run, &Beside::default());
    assert_eq!(
        (shown["Status"].as_str(), shown["ReasonCode"].as_str()),
        (Some("Failed"), Some("TimeLimitExceeded"))
    );
    assert_eq!(shown["ReasonMessage"], "the time limit of 5 s was over");
}

#[test]
fn a_run_that_could_not_be_made_says_why() {
    let mut run = run(Spec::default());
    run.life.status = Status::JobCreateFailed;
    let events = vec![
        event(1, Status::RunCreated, json!({})),
        event(2, Status::JobCreateFailed, json!({"reason": "no GPU"})),
    ];
    let shown = job(&run, &Beside { events, ..Beside::default() });
    assert_eq!(
        (shown["Status"].as_str(), shown["ReasonMessage"].as_str()),
        (Some("InitializeFailed"), Some("no GPU"))
    );
}

#[test]
fn statuses_that_are_one_for_the_client_are_shown_once() {
    let events = vec![
        event(1, Status::RunCreated, json!({})),
        event(2, Status::JobCreated, json!({})),
        event(3, Status::JobRunning, json!({})),
        event(4, Status::RunStopRequested, json!({})),
        event(5, Status::JobTerminated, json!({})),
    ];
    let shown = transitions(&events);
    let words: Vec<&str> = shown.iter().map(|one| one["Status"].as_str().unwrap()).collect();
    assert_eq!(words, ["Creating", "Created", "Running", "Terminated"]);
    assert_eq!(shown[2]["StartTime"], "2024-07-10T11:49:50Z");
    assert_eq!(shown[2]["EndTime"], "2024-07-10T11:49:52Z");
    assert_eq!(shown[3]["ReasonCode"], "TrainingJobTerminated");
}

#[test]
fn every_instance_of_a_job_has_a_name_and_a_role() {
    let mut run = run(Spec { instances: Some(2), ..Spec::default() });
    assert!(instances(&run).is_empty(), "there is no job yet");
    run.life.has_job = true;
    let shown = instances(&run);
    assert_eq!((shown[0]["Role"].as_str(), shown[1]["Role"].as_str()), (Some("master"), Some("worker")));
    assert!(shown[1]["Name"].as_str().unwrap().ends_with("-worker-0"));
}
