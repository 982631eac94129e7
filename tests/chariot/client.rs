//! A client that openapi-generator makes of the served document, unmodified, does what Chariot's SDK does.
//!
//! `RUNYARD_TEST_CHARIOT` is a Python environment with `openapi-generator-cli` and what generated clients import
//! (tests/chariot/requirements.txt); scripts/test makes it. Without it the test has nothing to run and says so, unless
//! `RUNYARD_TEST_REQUIRE_CLIENTS` says that this must not happen.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Output},
};

use runyard_tests::{Server, repository};
use serde_json::json;

#[test]
fn a_client_generated_from_the_document_does_what_the_sdk_does() {
    let Some(python) = python() else { return };
    let server = Server::start();
    let document = server.home().join("openapi.json");
    let served = server.call_as("", "GET", "/api/training/v2/openapi.json").send();
    fs::write(&document, &served.text).expect("a file");
    let client = server.home().join("client");
    let generated = ended(
        Command::new(python.join("bin/openapi-generator-cli"))
            .args(["generate", "--generator-name", "python", "--package-name", "chariot_api"])
            .arg("--input-spec")
            .arg(&document)
            .arg("--output")
            .arg(&client),
    );
    assert!(client.join("chariot_api/api/v2_runs_api.py").is_file(), "{generated}");
    let token = json!({"name": "sdk", "scope": "project", "project_id": "default"});
    let token = server.call("POST", "/api/v2/tokens").json(&token).send().data(200);
    let said = ended(
        Command::new(python.join("bin/python"))
            .arg(repository().join("tests/chariot/client.py"))
            .args([server.url(), "sdk"])
            .env("CLIENT_SECRET", token["secret"].as_str().expect("a secret"))
            .env("ADMIN_TOKEN", server.token())
            .env("PYTHONPATH", &client),
    );
    assert!(said.trim_end().ends_with("all of it works"), "{said}");
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn python() -> Option<PathBuf> {
    let Some(folder) = env::var_os("RUNYARD_TEST_CHARIOT") else {
        assert!(
            env::var_os("RUNYARD_TEST_REQUIRE_CLIENTS").is_none(),
            "RUNYARD_TEST_CHARIOT names no Python environment, and RUNYARD_TEST_REQUIRE_CLIENTS is set"
        );
        eprintln!("left out: RUNYARD_TEST_CHARIOT names no Python environment (scripts/test makes one)");
        return None;
    };
    Some(repository().join(folder))
}

/// What a program said, once it has ended well.
#[track_caller]
fn ended(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?} ended with {status}:\n{said}");
    said.into_owned()
}
