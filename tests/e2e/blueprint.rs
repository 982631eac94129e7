//! Blueprints: made from the example's own file, checked against, run from, and deleted.

use runyard_domain::run::Status;
use runyard_tests::Server;
use serde_json::json;

const FILE: &str = "examples/digits/blueprint.json";

#[test]
fn the_examples_blueprint_is_created_listed_shown_and_deleted() {
    let server = Server::start();
    let create = ["blueprint", "create", "--file", FILE, "--source", "examples/digits", "--output", "json"];
    let made = server.cli(&create).ok().json();
    assert_eq!((&made["name"], &made["version"]), (&json!("digits"), &json!("1")));
    assert_eq!(made["source"].as_str().unwrap().len(), 64);
    let listed = server.cli(&["blueprint", "ls", "--output", "json"]).ok().json();
    assert_eq!(listed, json!([made]));
    for name in ["digits", "digits@1", "digits@latest", made["id"].as_str().unwrap()] {
        assert_eq!(server.cli(&["blueprint", "show", name, "--output", "json"]).ok().json(), made);
    }
    let shown = server.cli(&["blueprint", "show", "digits"]).ok().stdout;
    assert!(shown.contains("python train.py") && shown.contains("exclusiveMinimum"), "{shown}");
    let before = server.state();
    server.cli(&create).refused(1, &["digits", "1"]);
    assert_eq!(server.state(), before, "a name and version is given once");
    let second = ["blueprint", "create", "--file", FILE, "--version", "2"];
    server.cli(&second).ok();
    let newest = server.cli(&["blueprint", "show", "digits", "--output", "json"]).ok().json();
    assert_eq!(newest["version"], "2", "without a version, the newest");
    server.cli(&["blueprint", "rm", "digits@1", "--yes"]).ok();
    server.cli(&["blueprint", "show", "digits@1"]).refused(1, &["digits@1", "runyard blueprint ls"]);
    server.cli(&["blueprint", "show", "digits@2"]).ok();
}

#[test]
fn a_config_is_validated_by_the_schema_field_by_field() {
    let server = Server::start();
    server.cli(&["blueprint", "create", "--file", FILE]).ok();
    server.cli(&["blueprint", "validate", "digits", "--config", "examples/digits/config.json"]).ok();
    let bad =
        ["blueprint", "validate", "digits", "--set", "lr=2", "--set", "hidden=[64,0]", "--set", "epoch=3"];
    server.cli(&bad).refused(1, &["lr", "hidden.1", "epoch"]);
    let before = server.state();
    let submit = ["submit", "--blueprint", "digits", "--set", "lr=0", "--set", "epochs=\"ten\""];
    server.cli(&submit).refused(1, &["config.lr", "config.epochs"]);
    let submit = ["submit", "--blueprint", "digits", "--task-type", "translation"];
    server.cli(&submit).refused(1, &["translation", "image-classification"]);
    assert_eq!(server.state(), before, "nothing is written");
}

#[test]
fn a_run_takes_from_its_blueprint_what_it_does_not_say_itself() {
    let server = Server::start();
    let source = server.home().join("code");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("main.sh"), "echo $GREETING $WHO; cat $RUNYARD_CONFIG; echo").unwrap();
    let source = source.to_str().unwrap();
    server
        .cli(&[
            "blueprint",
            "create",
            "greeter",
            "--version",
            "1",
            "--source",
            source,
            "--env",
            "GREETING=hello",
            "--env",
            "WHO=you",
            "--cpu",
            "250m",
            "--memory",
            "128Mi",
            "--",
            "sh",
            "main.sh",
        ])
        .ok();
    let submit = [
        "submit",
        "--blueprint",
        "greeter",
        "--env",
        "WHO=world",
        "--set",
        "a=1",
        "--memory",
        "64Mi",
        "--output",
        "quiet",
    ];
    let id = server.cli(&submit).ok().stdout.trim().to_owned();
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "{}", server.output(&id));
    assert_eq!(server.output(&id).split_whitespace().collect::<String>(), "helloworld{\"a\":1}");
    let run = server.run(&id);
    assert_eq!(run["resources"], json!({"cpu": "250m", "memory": "64Mi"}));
    assert_eq!(run["name"], "greeter");
    let listed = server.cli(&["ls", "--blueprint", "greeter", "--output", "quiet"]).ok().stdout;
    assert_eq!(listed.trim(), id);
    server.cli(&["blueprint", "rm", "greeter", "--yes"]).ok();
    assert_eq!(server.run(&id)["status"], "job_completed", "runs made of it stay");
    server.cli(&["restart", &id]).ok();
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "and can be restarted");
}
