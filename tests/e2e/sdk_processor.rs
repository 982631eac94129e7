//! Processing and training jobs through the Rust SDK, in this process, before a real server.

use std::{collections::BTreeMap, fs, time::Duration};

use runyard_domain::run::Status;
use runyard_sdk::{Channel, Error, Estimator, Processor, SpotSpec, UserVpcConfig, blocking};
use runyard_tests::{Server, block_on, repository};
use serde_json::json;

#[test]
fn a_processor_runs_waits_and_says_where_its_outputs_are() {
    let server = Server::start();
    let client = server.client();
    let source = server.home().join("src");
    fs::create_dir(&source).unwrap();
    fs::write(
        source.join("main.sh"),
        "cat $PAI_INPUT_TRAIN > $PAI_OUTPUT_RESULT/copy; echo $PAI_HPS_LR $MODE",
    )
    .unwrap();
    let data = server.home().join("train.txt");
    fs::write(&data, "some data").unwrap();
    let mut processor = Processor {
        source_dir: Some(source),
        parameters: [("lr".to_owned(), "0.1".to_owned())].into(),
        environments: [("MODE".to_owned(), "fast".to_owned())].into(),
        max_run_time: Some(Duration::from_millis(59_001)),
        base_job_name: Some("ocr".to_owned()),
        labels: [("team".to_owned(), "ocr".to_owned())].into(),
        job_type: Some("TFJob".to_owned()),
        spot_spec: Some(SpotSpec {
            spot_strategy: "SpotWithPriceLimit".to_owned(),
            spot_discount_limit: Some(0.5),
        }),
        user_vpc_config: Some(UserVpcConfig { vpc_id: "vpc-1".to_owned(), ..UserVpcConfig::default() }),
        resource_type: Some("Lingjun".to_owned()),
        ..Processor::new(None, "sh main.sh")
    };
    processor.set_input_channels(vec![Channel::required("train"), Channel::optional("more")]);
    processor.set_output_channels(vec![Channel::optional("result")]);
    assert_eq!(processor.get_outputs_data(), BTreeMap::new(), "nothing ran yet");

    let inputs = [("train", data.to_str().unwrap())];
    let run = block_on(processor.run(&client, &inputs, &[("log", None)], true, true)).unwrap();
    assert_eq!(run.status, Some(Status::JobCompleted));
    let id = run.id.unwrap();
    assert_eq!(server.output(&id), "0.1 fast\n");
    let outputs = processor.get_outputs_data();
    assert_eq!(outputs["result"], format!("run://{id}/output/result"));
    assert_eq!(outputs["log"], format!("run://{id}/output/log"));

    let spec = &server.run(&id)["spec"];
    assert_eq!(spec["command"], json!(["sh", "-c", "sh main.sh"]));
    assert_eq!(spec["max_run_time_s"], 60, "no less than was asked for");
    let words: Vec<&String> = spec["recorded"].as_object().unwrap().keys().collect();
    assert_eq!(words, ["job_type", "resource_type", "spot", "vpc"], "nothing is dropped in silence");

    // Its output is another job's input.
    let mut next = Processor::new(None, ["sh", "-c", "cat $PAI_INPUT_FROM/copy"]);
    let run = blocking::run(&mut next, &client, &[("from", &outputs["result"])], &[], true, false).unwrap();
    assert_eq!(server.output(run.id.as_deref().unwrap()), "some data");
}

#[test]
fn a_job_that_failed_is_an_error_with_its_reason_and_one_that_was_stopped_is_none() {
    let server = Server::start();
    let client = server.client();
    let mut failing = Processor::new(None, "echo trying; exit 3");
    let error = block_on(failing.run(&client, &[], &[], true, false)).unwrap_err();
    let Error::Ended { status, reason, name, .. } = &error else { panic!("{error}") };
    assert_eq!((*status, name.as_str()), (Status::JobFailed, "processor"));
    assert_eq!(reason, "the program exited with code 3");

    let mut slow = Processor::new(None, ["sleep", "600"]);
    let run = block_on(slow.run(&client, &[], &[], false, false)).unwrap();
    let id = run.id.unwrap();
    assert!(!server.status(&id).is_terminal(), "it was not waited for");
    server.wait_for_status(&id, Status::JobRunning);
    server.cli(&["stop", &id]).ok();
    assert_eq!(server.wait_for_end(&id), Status::JobTerminated);
}

#[test]
fn every_wrong_field_is_named_before_anything_is_submitted() {
    let server = Server::start();
    let client = server.client();
    let mut processor = Processor { max_run_time: Some(Duration::ZERO), ..Processor::new(None, "") };
    processor.set_input_channels(vec![Channel::required("train")]);
    let given = [("a/b", "s3://bucket/x"), ("gone", "/no/such/file")];
    let error = block_on(processor.run(&client, &given, &[("o", Some("./here"))], true, false)).unwrap_err();
    for part in [
        "command: is needed",
        "inputs.a/b: `a/b` is no name of a channel",
        "inputs.gone: `/no/such/file`",
        "inputs.train: is required",
        "max_run_time: is zero",
        "outputs.o: `./here` is no address",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let mut processor =
        Processor { source_dir: Some("/no/such/folder".into()), ..Processor::new(None, "true") };
    let error = block_on(processor.run(&client, &[], &[], true, false)).unwrap_err();
    assert!(error.to_string().contains("cannot read `/no/such/folder`"), "{error}");
    assert_eq!(server.get("/runs"), json!([]));
}

#[test]
fn an_estimator_reads_metrics_from_the_output_and_knows_where_its_model_is() {
    let server = Server::start();
    let client = server.client();
    let script = "for i in 1 2 3; do echo epoch=$i loss=0.$i; done; echo weights > $PAI_OUTPUT_MODEL/w; \
                  echo state > $PAI_OUTPUT_CHECKPOINTS/c";
    let mut estimator = Estimator::new(None, script);
    estimator.set_metric_definitions(&[("loss", r"loss=([0-9.]+)"), ("epoch", r"epoch=(\d+)")]);
    assert_eq!(estimator.model_data(), None);
    let run = block_on(estimator.fit(&client, &[], true, false)).unwrap();
    let id = run.id.unwrap();
    assert_eq!(run.kind.as_deref(), Some("training"));
    assert_eq!(estimator.model_data(), Some(format!("run://{id}/output/model")));
    assert_eq!(estimator.checkpoints_data(), Some(format!("run://{id}/output/checkpoints")));
    let points = server.get(&format!("/metrics?run_id={id}&tag=loss"));
    let values: Vec<f64> =
        points.as_array().unwrap().iter().map(|it| it["value"].as_f64().unwrap()).collect();
    assert_eq!(values, [0.1, 0.2, 0.3]);

    let mut next = Processor::new(None, "cat $PAI_INPUT_MODEL/w $PAI_INPUT_STATE/c");
    let inputs =
        [("model", estimator.model_data().unwrap()), ("state", estimator.checkpoints_data().unwrap())];
    let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, from)| (*name, from.as_str())).collect();
    let run = block_on(next.run(&client, &inputs, &[], true, false)).unwrap();
    assert_eq!(server.output(run.id.as_deref().unwrap()), "weights\nstate\n");
}

#[test]
fn a_processor_in_python_does_the_same() {
    let server = Server::start();
    let home = server.home();
    fs::create_dir_all(home.join("src")).unwrap();
    fs::create_dir_all(home.join("train")).unwrap();
    let main = "cat $PAI_INPUT_TRAIN/* $PAI_INPUT_REF > $PAI_OUTPUT_RESULT/all; echo $PAI_HPS_LR $PAI_HPS_DEEP $MODE";
    fs::write(home.join("src/main.sh"), main).unwrap();
    fs::write(home.join("train/a"), "one\n").unwrap();
    fs::write(home.join("ref.csv"), "two\n").unwrap();
    let said = std::process::Command::new("python3")
        .arg(repository().join("tests/e2e/processor.py"))
        .arg(&home)
        .env("PYTHONPATH", repository().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("RUNYARD_DATA", server.data())
        .env_remove("RUNYARD_URL")
        .env_remove("RUNYARD_TOKEN")
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{stdout}\n{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[..2], ["0.1 True fast", "trying"], "what the programs print is shown: {stdout}");
    assert!(lines[2].ends_with("(bad) ended as job_failed: the program exited with code 3"), "{stdout}");
    assert!(lines[3].starts_with("Refused ") && lines[3].contains("spec.max_run_time_s"), "{stdout}");

    let run = server.get("/runs?name_ilike=ocr")[0].clone();
    let pulled = home.join("pulled");
    let artifact = format!("{}/output/result", run["id"].as_str().unwrap());
    server.cli(&["artifact", "pull", &artifact, pulled.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(pulled.join("all")).unwrap(), "one\ntwo\n");
    assert_eq!(run["spec"]["recorded"], json!({"spot": {"spot_strategy": "SpotAsPriceGo"}}));
    server.wait_for_end(server.get("/runs?name_ilike=processor")[0]["id"].as_str().unwrap());
}
