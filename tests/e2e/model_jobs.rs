//! Model versions that jobs make: by a line in the records, with a runner that is killed in the middle, and step by step
//! with the Rust SDK.

use std::{fs, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_domain::run::Status;
use runyard_sdk::{Attributes, Environment, Training};
use runyard_tests::{SOON, Server, block_on, processes, wait_for, wait_until};
use serde_json::{Value, json};

/// Writes a model of this many bytes that nothing compresses, publishes it, and goes on for as long as it is told to.
const PUBLISHES: &str = r#"
import random, runyard, sys, time
from pathlib import Path
folder = Path("../output/model")
folder.mkdir(parents=True)
(folder / "weights").write_bytes(random.Random(1).randbytes(int(sys.argv[1])))
(folder / "labels").write_text("zero\n")
runyard.publish_model(folder, "digits", tag="v1", description="Of a job", config={"classes": 10})
print("named", flush=True)
while "wait" in sys.argv:
    time.sleep(0.05)
"#;

fn versions(server: &Server) -> Vec<Value> {
    server.get("/model_versions?limit=1000").as_array().unwrap().clone()
}

fn available(server: &Server) -> bool {
    versions(server).iter().any(|version| version["state"] == "available")
}

fn submit(server: &Server, options: &[&str], program: &[&str]) -> String {
    let args = [&["submit", "--output", "quiet"], options, &["--"], program].concat();
    server.cli(&args).ok().stdout.trim().to_owned()
}

#[test]
fn a_program_publishes_with_a_line_and_the_version_knows_where_it_comes_from() {
    let server = Server::start();
    let options = ["--name", "train", "--set", "lr=0.1"];
    let run = submit(&server, &options, &["python3", "-c", PUBLISHES, "1000000", "wait"]);
    // While it goes on.
    wait_until("the version is available", SOON, || available(&server));
    assert_eq!(server.status(&run), Status::JobRunning);
    let version = versions(&server).remove(0);
    assert_eq!((&version["run_id"], &version["job_id"]), (&json!(run), &json!(server.job(&run))));
    assert_eq!((&version["tag"], &version["description"]), (&json!("v1"), &json!("Of a job")));
    assert_eq!((&version["config"], &version["run_config"]), (&json!({"classes": 10}), &json!({"lr": 0.1})));
    server.wait_for_output(&run, "[runyard] model `digits@v1` (");
    assert!(server.output(&run).contains("is published as version"), "{}", server.output(&run));
    server.cli(&["stop", "train", "--grace", "1s"]).ok();
    server.wait_for_end(&run);
    let shown = server.cli(&["show", "train"]).ok().stdout;
    assert!(shown.contains("v1") && shown.contains(version["id"].as_str().unwrap()), "{shown}");
    // What is published is not kept a second time.
    assert_eq!(server.get(&format!("/artifacts?run_id={run}")), json!([]));
    // A version outlives the run that made it.
    server.cli(&["rm", "train", "--yes"]).ok();
    assert_eq!(versions(&server)[0]["run_id"], run);
}

#[test]
fn the_exit_waits_for_a_model_and_the_same_model_again_is_the_same_version() {
    let server = Server::start();
    let program = ["python3", "-c", PUBLISHES, "3000000"];
    let first = submit(&server, &[], &program);
    assert_eq!(server.wait_for_end(&first), Status::JobCompleted);
    assert!(available(&server));
    let second = submit(&server, &[], &program);
    assert_eq!(server.wait_for_end(&second), Status::JobCompleted);
    assert_eq!(versions(&server).len(), 1);
    let output = server.output(&second);
    assert!(output.contains("has the content of version"), "{output}");
}

#[test]
fn what_cannot_be_published_is_said_and_kept_and_ends_nothing() {
    let server = Server::start();
    let first = submit(&server, &[], &["python3", "-c", PUBLISHES, "1000"]);
    assert_eq!(server.wait_for_end(&first), Status::JobCompleted);
    let script = "cd $RUNYARD_ML/output; mkdir other empty; echo other > other/weights; \
         say() { echo \"{\\\"model\\\":{\\\"path\\\":\\\"$1\\\",\\\"name\\\":\\\"digits\\\"$2}}\" >> $RUNYARD_RECORDS; }; \
         say output/other ',\"tag\":\"v1\"'; say output/other ',\"parent\":\"v9\"'; say output/nonesuch; say output/empty; \
         say /etc/passwd; say output/other ',\"name2\":1'; echo went on";
    let run = server.submit(&["--name", "bad"], script);
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let output = server.output(&run);
    for words in [
        "went on",
        "model `digits@v1` (output/other) is given up: ",
        "has the tag `v1` already",
        "there is no version `v9`",
        "`output/nonesuch` is not there: name it after writing it",
        "holds no file",
        "`/etc/passwd` is not below $RUNYARD_ML",
    ] {
        assert!(output.contains(words), "`{words}` is not in:\n{output}");
    }
    assert_eq!(versions(&server).len(), 1);
    // The files are kept with the run.
    let home = server.home().join("kept");
    server.cli(&["artifact", "pull", "bad/output", home.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(home.join("other/weights")).unwrap(), "other\n");
}

#[test]
fn the_runner_after_a_killed_one_goes_on_with_the_publish() {
    let server = Server::start();
    let program = ["python3", "-c", PUBLISHES, "200000000", "wait"];
    let run = submit(&server, &["--name", "train"], &program);
    let begun = wait_for("the version is begun", 2 * SOON, || versions(&server).pop());
    // Nothing arrives while the server is frozen: the runner dies in the middle.
    let pid = Pid::from_raw(server.pid().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let job = fs::read_dir(processes::jobs(server.data())).unwrap().next().unwrap().unwrap();
    let job = job.file_name().into_string().unwrap();
    processes::sigkill(processes::runner(server.data(), &job).expect("it has a runner"));
    processes::sigkill(processes::program(server.data(), &job).expect("it has a program"));
    kill(pid, Signal::SIGCONT).unwrap();

    assert_eq!(begun["state"], "created");
    wait_until("the run has ended", 2 * SOON, || server.status(&run).is_terminal());
    assert_eq!((server.status(&run), server.reason(&run)), (Status::JobFailed, "RunnerKilled".into()));
    // The exit came after the upload.
    let all = versions(&server);
    assert_eq!((all.len(), &all[0]["id"], &all[0]["state"]), (1, &begun["id"], &json!("available")));
    let place = server.home().join("pulled");
    server.cli(&["model", "pull", "digits@v1", place.to_str().unwrap()]).ok();
    let folder = server.job_folder(&run).join("ml/output/model");
    assert!(fs::read(place.join("weights")).unwrap() == fs::read(folder.join("weights")).unwrap());
    server.cli(&["artifacts", "train", "--output", "quiet"]).ok();
}

/// A run that goes on, and what its program would find in its environment.
fn environment(server: &Server) -> (String, Environment) {
    let script = "echo token $RUNYARD_TOKEN; while :; do sleep 0.05; done 2>/dev/null";
    let run = server.submit(&["--name", "rust"], script);
    server.wait_for_output(&run, "token ryd");
    let output = server.output(&run);
    let token = output.lines().find_map(|line| line.strip_prefix("token ")).unwrap().to_owned();
    let environment = Environment {
        url: Some(server.url().to_owned()),
        token: Some(token),
        job_id: Some(server.job(&run)),
        run_id: Some(run.clone()),
        ..Environment::default()
    };
    (run, environment)
}

fn folder(server: &Server, name: &str, content: &str) -> PathBuf {
    let folder = server.home().join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("weights"), content).unwrap();
    folder
}

fn tagged(tag: &str) -> Attributes {
    Attributes { tag: Some(tag.into()), ..Attributes::default() }
}

fn config(key: &str, value: i64) -> Attributes {
    let config = json!({ key: value }).as_object().cloned();
    Attributes { config, ..Attributes::default() }
}

#[test]
fn a_training_publishes_step_by_step() {
    let server = Server::start();
    let (run, environment) = environment(&server);
    let base = folder(&server, "base", "base");
    server.cli(&["model", "publish", base.to_str().unwrap(), "--name", "digits", "--tag", "v0"]).ok();
    let finetuning = Environment { model_version: Some("digits@v0".into()), ..environment.clone() };
    assert!(Training::new(finetuning).is_finetuning());
    let mut training = Training::new(environment);
    assert!(!training.is_finetuning() && !training.is_read_only() && training.model_version().is_none());

    let path = folder(&server, "model", "trained");
    block_on(async {
        for early in [training.upload(&path).await, training.validate_model_version().await] {
            assert!(early.unwrap_err().to_string().contains("create one first"));
        }
        assert!(
            training
                .update_model_version(&tagged("v1"))
                .await
                .unwrap_err()
                .to_string()
                .contains("create one")
        );
        training.create_model_version("digits", &tagged("v1")).await.unwrap();
        assert_eq!(training.model_version().unwrap().state.as_deref(), Some("created"));
        let again = training.create_model_version("digits", &tagged("v1")).await.unwrap_err();
        assert!(again.to_string().contains("a training has one"), "{again}");
        // What is left out stays.
        training.update_model_version(&config("classes", 10)).await.unwrap();
        let parent = Attributes { parent: Some("v0".into()), ..Attributes::default() };
        training.update_model_version(&parent).await.unwrap();
        let unsent = training.validate_model_version().await.unwrap_err();
        assert!(unsent.to_string().contains("upload them before"), "{unsent}");
        training.upload(&path).await.unwrap();
        assert_eq!(training.model_version().unwrap().state.as_deref(), Some("created"));
        training.validate_model_version().await.unwrap();
        let closed = training.upload(&path).await.unwrap_err();
        assert!(closed.to_string().contains("is available: its content never changes"), "{closed}");
    });
    let version = training.model_version().unwrap();
    assert_eq!((version.state.as_deref(), version.tag.as_deref()), (Some("available"), Some("v1")));
    assert_eq!(version.config.as_ref().unwrap()["classes"], 10);
    let shown = server.get(&format!("/model_versions/{}", version.id.as_deref().unwrap()));
    assert_eq!((&shown["run_id"], &shown["size"], &shown["files"]), (&json!(run), &json!(7), &json!(1)));
    let base = server.cli(&["model", "show", "digits@v0", "--output", "quiet"]).ok().stdout;
    assert_eq!(shown["parent_id"], base.trim());
    server.cli(&["stop", "rust", "--grace", "1s"]).ok();
    server.wait_for_end(&run);
}

#[test]
fn a_training_publishes_in_one_call_and_finds_the_same_content() {
    let server = Server::start();
    let (run, environment) = environment(&server);
    let path = folder(&server, "model", "trained");
    let publish = |attributes: Attributes| {
        let (mut training, path) = (Training::new(environment.clone()), path.clone());
        block_on(async move {
            training.publish_model_version(&path, "digits", &attributes).await.unwrap();
            training.model_version().unwrap().clone()
        })
    };
    let first = publish(Attributes { config: config("classes", 10).config, ..tagged("v1") });
    assert_eq!((first.state.as_deref(), first.tag.as_deref()), (Some("available"), Some("v1")));
    // The version that is there is given what was said this time; what was left out stays.
    let second = publish(tagged("v2"));
    assert_eq!((&second.id, second.tag.as_deref(), &second.config), (&first.id, Some("v2"), &first.config));
    assert_eq!(publish(Attributes::default()).tag.as_deref(), Some("v2"));
    assert_eq!(versions(&server).len(), 1);

    // Begun before, and the same content: that version is the training's from there on.
    let mut training = Training::new(environment.clone());
    block_on(async {
        training.create_model_version("digits", &Attributes::default()).await.unwrap();
        let wrong =
            training.publish_model_version(&path, "letters", &Attributes::default()).await.unwrap_err();
        assert!(wrong.to_string().contains("of the model `digits`, not of `letters`"), "{wrong}");
        training.publish_model_version(&path, "digits", &tagged("v3")).await.unwrap();
    });
    let third = training.model_version().unwrap();
    assert_eq!((&third.id, third.tag.as_deref()), (&first.id, Some("v3")));
    assert_eq!(versions(&server).len(), 1);
    server.cli(&["stop", "rust", "--grace", "1s"]).ok();
    server.wait_for_end(&run);
}

#[test]
fn read_only_every_step_does_nothing() {
    let server = Server::start();
    let (run, environment) = environment(&server);
    let path = folder(&server, "model", "trained");
    let outside = Environment::default();
    for environment in [Environment { read_only: true, ..environment }, outside] {
        let mut training = runyard_sdk::blocking::Training::new(environment).unwrap();
        assert!(training.is_read_only());
        training.create_model_version("digits", &tagged("v1")).unwrap();
        training.update_model_version(&tagged("v2")).unwrap();
        training.upload(&path).unwrap();
        training.validate_model_version().unwrap();
        training.publish_model_version(&path, "digits", &tagged("v1")).unwrap();
        assert!(training.model_version().is_none());
    }
    assert_eq!((server.get("/models"), versions(&server)), (json!([]), vec![]));
    server.cli(&["stop", "rust", "--grace", "1s"]).ok();
    server.wait_for_end(&run);
}
