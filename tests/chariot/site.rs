//! A server as Chariot's clients see it. Everything that it answers here is held against its document.

use runyard_tests::{Server, Setup, http::Answer};
use serde_json::{Value, json};

use crate::document::Document;

/// Says that it is ready, and exits with 0 when it is asked to end.
pub(crate) const OBEDIENT: &str =
    "trap 'echo saving; exit 0' TERM; echo ready; while :; do sleep 0.05; done 2>/dev/null";
/// Cannot be asked to end.
pub(crate) const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 1; done";

pub(crate) struct Site {
    pub(crate) server: Server,
    document: Document,
}

impl Site {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments of `runyard serve`.
    #[track_caller]
    pub(crate) fn with(args: &[&str]) -> Self {
        let server = Setup::default().args(args).start();
        let served = server.call_as("", "GET", "/api/training/v2/openapi.json").send();
        assert_eq!(served.status, 200, "{}", served.text);
        Self { server, document: Document::new(&served.text) }
    }

    /// A request with the admin token; `path` begins with `/v2`.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut call = self.server.call(method, &format!("/api/training{path}"));
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send();
        self.document.check(method, path, &answer);
        answer
    }

    /// The `data` of a `GET`.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None).data(200)
    }

    /// One field of all that a list answers.
    #[track_caller]
    pub(crate) fn all(&self, path: &str, field: &str) -> Vec<Value> {
        let list = self.get(path);
        list.as_array().expect("a list").iter().map(|one| one[field].clone()).collect()
    }

    /// Makes a blueprint whose program is a shell script; answers its id.
    #[track_caller]
    pub(crate) fn blueprint(&self, name: &str, version: &str, script: &str) -> String {
        let blueprint = json!({
            "project_id": "default",
            "name": name,
            "version": version,
            "command": ["sh", "-c", script],
            "task_types": ["image-classification"],
            "config_schema": {
                "type": "object",
                "properties": {"lr": {"type": "number", "exclusiveMinimum": 0}, "epochs": {"type": "integer"}},
                "additionalProperties": false
            }
        });
        let made = self.server.call("POST", "/api/v2/blueprints").json(&blueprint).send().data(200);
        text(&made["id"])
    }

    /// What `create_run` of the SDK sends.
    pub(crate) fn submission(blueprint: &str, name: &str) -> Value {
        json!({
            "blueprint_id": blueprint,
            "config": {"lr": 0.1},
            "name": name,
            "project_id": "default",
            "resources": {"cpu": "100m", "memory": "0"},
            "task_type": "image-classification",
            "version": "1.0.0"
        })
    }

    /// Submits a run of a blueprint; answers its id.
    #[track_caller]
    pub(crate) fn create(&self, blueprint: &str, name: &str) -> String {
        text(&self.ask("POST", "/v2/runs", Some(&Self::submission(blueprint, name))).data(200)["id"])
    }

    /// Submits a run of a script, and waits until it has ended.
    #[track_caller]
    pub(crate) fn ended(&self, script: &str) -> String {
        let run = self.create(&self.blueprint("script", "1", script), "run");
        self.server.wait_for_end(&run);
        run
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
