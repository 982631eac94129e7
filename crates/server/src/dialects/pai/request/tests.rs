//! What the SDK sends, as it was recorded, and what becomes of it.

use serde_json::json;

use super::*;

fn known() -> Known {
    Known {
        instance_types: vec!["local".to_owned(), "cpu.small".to_owned()],
        project: Some("ocr".to_owned()),
        experiment: None,
        executor: "local".to_owned(),
    }
}

/// What `Processor.run()` sends.
fn sent() -> Value {
    json!({
        "AlgorithmSpec": {
            "CodeDir": {
                "LocationType": "oss",
                "LocationValue": {
                    "Bucket": "mybucket",
                    "Endpoint": "127.0.0.1",
                    "Key": "pai/processing_src/processing_20261121_212427/"
                }
            },
            "Command": ["sh", "-c", "python main.py $PAI_USER_ARGS"],
            "HyperParameters": [],
            "Image": "registry/python:3.11",
            "InputChannels": [],
            "JobType": "PyTorchJob",
            "MetricDefinitions": [],
            "OutputChannels": [],
            "ResourceRequirements": [],
            "SupportsDistributedTraining": true
        },
        "ComputeResource": {"EcsCount": 1, "EcsSpec": "local"},
        "Environments": {"MODE": "fast"},
        "ExperimentConfig": {},
        "HyperParameters": [{"Name": "lr", "Value": "0.1"}, {"Name": "flag", "Value": "True"}],
        "InputChannels": [{"InputUri": "oss://mybucket/pai/input_data/20261121/", "Name": "train"}],
        "Labels": [{"Key": "team", "Value": "ocr"}],
        "OutputChannels": [{"Name": "result", "OutputUri": "oss://mybucket/out/"}],
        "PythonRequirements": ["pandas>=2"],
        "Scheduler": {"MaxRunningTimeInSeconds": 3600},
        "TrainingJobName": "processing_20261121_212427",
        "UserVpc": {},
        "WorkspaceId": "1234"
    })
}

#[track_caller]
fn refused(sent: &Value) -> FieldErrors {
    translate(sent, &known()).unwrap_err()
}

fn changed(path: &str, value: Value) -> Value {
    let mut sent = sent();
    *sent.pointer_mut(path).unwrap() = value;
    sent
}

#[test]
fn all_that_a_processor_sends_is_in_the_run() {
    let Wanted { new, code } = translate(&sent(), &known()).unwrap();
    assert_eq!(new.name, "processing_20261121_212427");
    assert_eq!((new.kind.as_deref(), new.project.as_deref()), (Some("processing"), Some("ocr")));
    assert_eq!(new.executor.as_deref(), Some("local"));
    assert_eq!(Value::from(new.config.unwrap()), json!({"lr": "0.1", "flag": "True"}));
    assert_eq!(new.labels["team"], "ocr");
    let spec = new.spec.unwrap();
    assert_eq!(spec.command, ["sh", "-c", "python main.py $PAI_USER_ARGS"]);
    assert_eq!(spec.image.as_deref(), Some("registry/python:3.11"));
    assert_eq!((spec.max_run_time_s, spec.instances), (Some(3600), None));
    assert_eq!(spec.instance_type.as_deref(), Some("local"));
    assert_eq!(spec.env["MODE"], "fast");
    assert_eq!(spec.requirements, ["pandas>=2"]);
    assert_eq!(spec.inputs["train"], "oss://mybucket/pai/input_data/20261121/");
    assert_eq!(spec.outputs["result"].as_deref(), Some("oss://mybucket/out/"));
    assert_eq!(spec.recorded.keys().collect::<Vec<_>>(), [recorded::ECHO], "nothing was left undone");
    let key = "pai/processing_src/processing_20261121_212427/".to_owned();
    assert_eq!(code, Some(Place { bucket: "mybucket".to_owned(), key }));
}

#[test]
fn what_is_sent_is_kept_to_be_answered_again() {
    let sent = sent();
    let spec = translate(&sent, &known()).unwrap().new.spec.unwrap();
    let echo = &spec.recorded[recorded::ECHO];
    for name in ["ComputeResource", "InputChannels", "OutputChannels", "HyperParameters", "WorkspaceId"] {
        assert_eq!(echo[name], sent[name], "{name}");
    }
    assert_eq!(echo["AlgorithmSpec"]["JobType"], "PyTorchJob");
    assert_eq!(echo["AlgorithmSpec"].get("Command"), None, "the run has it");
    assert_eq!(echo.get("Environments"), None, "the run has it");
}

#[test]
fn what_cannot_be_honoured_is_recorded_by_a_word() {
    let mut sent = sent();
    sent["ComputeResource"] = json!({
        "EcsCount": "2", "EcsSpec": "ecs.gn6i-c4g1.xlarge",
        "SpotSpec": {"SpotStrategy": "SpotAsPriceGo"}, "ResourceId": "quota1"
    });
    sent["UserVpc"] = json!({"VpcId": "vpc-1", "SecurityGroupId": "sg-1"});
    sent["ExperimentConfig"] = json!({"ExperimentId": "exp-1"});
    sent["Settings"] = json!({"Priority": 3});
    let spec = translate(&sent, &known()).unwrap().new.spec.unwrap();
    let words: Vec<&str> = spec.recorded.keys().map(String::as_str).collect();
    let wanted = ["echo", "experiment", "instance_type", "resource_id", "settings", "spot", "vpc"];
    assert_eq!(words, wanted);
    assert_eq!(spec.recorded["instance_type"], "ecs.gn6i-c4g1.xlarge");
    assert_eq!((spec.instances, spec.instance_type), (Some(2), None));
}

#[test]
fn a_job_of_an_experiment_that_there_is_has_its_label_and_no_warning() {
    let known = Known { experiment: Some("first".to_owned()), ..known() };
    let new = translate(&changed("/ExperimentConfig", json!({"ExperimentId": "e"})), &known).unwrap().new;
    assert_eq!(new.labels["experiment"], "first");
    assert!(!new.spec.unwrap().recorded.contains_key("experiment"));
}

#[test]
fn an_instance_spec_is_in_gibibytes_and_without_gpus_asks_for_none() {
    let spec = json!({"CPU": "2", "GPU": "0", "Memory": "8", "SharedMemory": "512Mi"});
    let sent =
        changed("/ComputeResource", json!({"ResourceId": "q", "InstanceCount": 1, "InstanceSpec": spec}));
    let asked = translate(&sent, &known()).unwrap().new.resources.unwrap();
    assert_eq!((asked.cpu.as_str(), asked.memory.as_deref(), asked.gpu), ("2", Some("8Gi"), None));
    assert_eq!(asked.shared_memory.as_deref(), Some("512Mi"));
    let spec = json!({"CPU": "2", "GPU": "two", "Memory": "8"});
    let said = refused(&changed("/ComputeResource", json!({"InstanceSpec": spec}))).to_string();
    assert!(said.contains("ComputeResource.InstanceSpec.GPU: `two` is not a whole number"), "{said}");
}

#[test]
fn an_address_with_an_endpoint_means_the_same_bucket() {
    for uri in [
        "oss://data.oss-cn-beijing.aliyuncs.com/a/b.csv",
        "oss://data/a/b.csv?endpoint=oss-cn-beijing.aliyuncs.com&role_arn=x",
        "oss://data.oss-cn-beijing.aliyuncs.com/a/b.csv?host=y",
    ] {
        let sent = changed("/InputChannels/0/InputUri", json!(uri));
        let spec = translate(&sent, &known()).unwrap().new.spec.unwrap();
        assert_eq!(spec.inputs["train"], "oss://data/a/b.csv", "{uri}");
        assert_eq!(spec.recorded[recorded::ECHO]["InputChannels"][0]["InputUri"], uri);
    }
}

#[test]
fn a_single_object_may_be_the_code_and_there_may_be_none() {
    let place = "/AlgorithmSpec/CodeDir/LocationValue";
    let sent = changed(place, json!({"Bucket": "b.oss-cn-x.aliyuncs.com", "Key": "src/main.py"}));
    let code = translate(&sent, &known()).unwrap().code.unwrap();
    assert_eq!((code.bucket.as_str(), code.key.as_str(), code.is_prefix()), ("b", "src/main.py", false));
    for nothing in [json!(null), json!({})] {
        let sent = changed("/AlgorithmSpec/CodeDir", nothing);
        assert!(translate(&sent, &known()).unwrap().code.is_none());
    }
}

#[test]
fn a_job_with_the_output_model_is_a_training() {
    let sent = changed("/AlgorithmSpec/OutputChannels", json!([{"Name": "model", "Required": true}]));
    assert_eq!(translate(&sent, &known()).unwrap().new.kind.as_deref(), Some("training"));
}

#[test]
fn a_name_that_is_none_of_ours_becomes_one_and_is_answered_as_it_was() {
    let name = format!(" 训练/a\n{}", "x".repeat(300));
    let sent = changed("/TrainingJobName", json!(name));
    let new = translate(&sent, &known()).unwrap().new;
    assert!(new.name.starts_with("训练/a x") && new.name.chars().count() <= 200, "{}", new.name);
    assert_eq!(new.spec.unwrap().recorded[recorded::ECHO]["TrainingJobName"], json!(name));
}

#[test]
fn every_wrong_field_is_named_by_its_path() {
    let mut sent = sent();
    sent["AlgorithmSpec"]["Image"] = json!("");
    sent["AlgorithmSpec"]["Command"] = json!([]);
    sent["TrainingJobName"] = json!("  ");
    sent["InputChannels"] = json!([
        {"Name": "a", "InputUri": "oss://mybucket/a/"}, {"Name": "a", "InputUri": "oss://mybucket/b/"},
        {"Name": "disk", "InputUri": "nas://fs.cn/dir/"}, {"Name": "none"}
    ]);
    sent["OutputChannels"] = json!([{"Name": "set", "DatasetId": "d-1"}]);
    let errors = refused(&sent);
    let said = |path: &str| errors.0.get(path).map(|said| said.join("; ")).unwrap_or_default();
    assert!(said("AlgorithmSpec.Image").contains("is needed"), "{errors}");
    assert!(said("AlgorithmSpec.Command").contains("is needed"), "{errors}");
    assert!(said("TrainingJobName").contains("is needed"), "{errors}");
    assert!(said("InputChannels.a").contains("two channels of this name"), "{errors}");
    assert!(said("InputChannels.disk").contains("nas:// is of Alibaba's cloud"), "{errors}");
    assert!(said("InputChannels.none").contains("neither InputUri nor DatasetId"), "{errors}");
    assert!(said("OutputChannels.set").contains("datasets cannot be written to"), "{errors}");
}

#[test]
fn what_has_another_type_is_named_and_a_registered_algorithm_is_refused() {
    let said = refused(&changed("/Scheduler/MaxRunningTimeInSeconds", json!("soon"))).to_string();
    assert!(said.contains("Scheduler.MaxRunningTimeInSeconds: `soon` is not a whole number"), "{said}");
    let said = refused(&changed("/AlgorithmSpec/Command", json!("python main.py"))).to_string();
    assert!(said.starts_with("AlgorithmSpec.Command"), "{said}");
    let mut sent = sent();
    sent["AlgorithmName"] = json!("llm");
    sent.as_object_mut().unwrap().remove("AlgorithmSpec");
    assert!(refused(&sent).to_string().contains("no registered algorithms"));
}

#[test]
fn the_workspace_of_a_session_without_one_is_none() {
    assert_eq!(workspace(&json!({"WorkspaceId": "None"})), None);
    assert_eq!(workspace(&json!({})), None);
    assert_eq!(workspace(&json!({"WorkspaceId": "1234"})), Some("1234"));
}
