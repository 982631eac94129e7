//! Bad input over HTTP: each answer names the thing and the fix, and nothing is written.

use runyard_domain::run::Status;
use runyard_tests::Server;
use serde_json::{Value, json};

/// A body for a new run: a good one with `change` laid over it.
fn new_run(change: Value) -> Value {
    let mut body = json!({"name": "n", "spec": {"command": ["true"]}});
    let change: serde_json::Map<String, Value> = serde_json::from_value(change).unwrap();
    body.as_object_mut().unwrap().extend(change);
    body
}

/// Posts a run that is refused with 422: exactly these fields are named, with these words, and nothing is written.
#[track_caller]
fn refused(server: &Server, change: Value, fields: &[&str], words: &[&str]) {
    let before = server.state();
    let answer = server.call("POST", "/api/v2/runs").json(&new_run(change)).send();
    let answer = answer.refused(422, "invalid", words);
    let named: Vec<&str> = answer.body["errors"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(named, fields, "{}", answer.text);
    assert_eq!(server.state(), before, "nothing is written");
}

#[test]
fn unknown_fields_and_wrong_types_are_named_by_their_paths_all_at_once() {
    let server = Server::start();
    refused(&server, json!({"colour": "red"}), &["colour"], &[]);
    refused(&server, json!({"spec": {"command": ["true"], "retry": 1}}), &["spec.retry"], &[]);
    refused(&server, json!({"priority": "high"}), &["priority"], &[]);
    let many = json!({"name": 5, "labels": {"a": 1}, "spec": {"command": "true"}, "x": null});
    refused(&server, many, &["labels.a", "name", "spec.command", "x"], &[]);
}

#[test]
fn a_bad_quantity_is_answered_with_the_right_one() {
    let server = Server::start();
    let resources = json!({"resources": {"cpu": "two", "memory": "5GB"}});
    refused(&server, resources, &["resources.cpu", "resources.memory"], &["`5GB`", "5Gi"]);
    let gpu = json!({"resources": {"cpu": "1", "gpu": {"count": 0, "type": "any"}}});
    refused(&server, gpu, &["resources.gpu.count"], &[]);
    refused(&server, json!({"resources": {"cpu": "-1"}}), &["resources.cpu"], &["-1"]);
}

#[test]
fn an_unknown_blueprint_or_project_is_named() {
    let server = Server::start();
    refused(&server, json!({"project_id": "nowhere"}), &["project_id"], &["`nowhere`"]);
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    refused(&server, json!({"blueprint_id": id}), &["blueprint_id"], &[id]);
    refused(
        &server,
        json!({"spec": {"command": ["true"], "source": "0".repeat(64)}}),
        &["spec.source"],
        &["upload it"],
    );
}

#[test]
fn a_config_against_the_schema_is_answered_with_every_wrong_field() {
    let server = Server::start();
    let schema = json!({
        "type": "object",
        "properties": {
            "lr": {"type": "number", "exclusiveMinimum": 0},
            "epochs": {"type": "integer"},
            "net": {"type": "object", "properties": {"layers": {"type": "array", "items": {"type": "integer"}}}},
        },
        "required": ["lr", "epochs"],
        "additionalProperties": false,
    });
    let body = json!({"project_id": "default", "name": "b", "version": "1", "command": ["true"], "config_schema": schema});
    let blueprint = server.call("POST", "/api/v2/blueprints").json(&body).send().data(200);
    let config = json!({"lr": 0, "momentum": 1, "net": {"layers": [1, "two"]}});
    let fields = ["config.epochs", "config.lr", "config.momentum", "config.net.layers.1"];
    refused(&server, json!({"blueprint_id": blueprint["id"], "spec": {}, "config": config}), &fields, &[]);
    let broken =
        json!({"project_id": "default", "name": "c", "version": "1", "config_schema": {"type": "objct"}});
    let before = server.state();
    server.call("POST", "/api/v2/blueprints").json(&broken).send().refused(
        422,
        "invalid",
        &["config_schema"],
    );
    assert_eq!(server.state(), before);
}

#[test]
fn bad_filters_are_refused_with_what_would_be_right() {
    let server = Server::start();
    for (query, field, words) in [
        (r"name_ilike=x%5C", "name_ilike", ["backslash"]),
        ("limit=1001", "limit", ["1000"]),
        ("status=gone", "status", ["job_running"]),
        ("created_after=soon", "created_after", ["soon"]),
        ("sort=colour", "sort", ["created_at"]),
        ("select=colour", "select", ["colour"]),
        ("nonsense=1", "nonsense", ["nonsense"]),
        ("project_id=nowhere", "project_id", ["nowhere"]),
    ] {
        let answer = server.call("GET", &format!("/api/v2/runs?{query}")).send();
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
        let answer = answer.refused(422, "invalid", &words);
        assert!(answer.body["errors"][field].is_array(), "{query}: {}", answer.text);
    }
    let answer = server.call("GET", "/api/v2/metrics").send();
    answer.refused(422, "invalid", &["run_id"]);
}

#[test]
fn a_body_that_is_too_large_or_no_json_is_refused_before_it_is_read() {
    let server = Server::start();
    let before = server.state();
    let large = new_run(json!({"notes": "x".repeat(3 << 20)}));
    server.call("POST", "/api/v2/runs").json(&large).send().refused(413, "too_large", &["2 MiB"]);
    for text in ["{\"name\":", "nonsense", ""] {
        let answer = server.call("POST", "/api/v2/runs").raw(text).send();
        assert!([400, 422].contains(&answer.status), "{}", answer.text);
        let (status, code) = (answer.status, answer.body["code"].as_str().unwrap().to_owned());
        answer.refused(status, &code, &[]);
    }
    assert_eq!(server.state(), before);
}

#[test]
fn a_metric_that_is_no_number_is_named_by_its_place_and_none_is_written() {
    let server = Server::start();
    let id = server.submit(&[], "true");
    server.wait_for_end(&id);
    let point = |value: Value| json!({"tag": "loss", "global_step": 1, "value": value});
    let body = json!({"run_id": id, "metrics": [point(json!(1)), point(json!("one")), point(json!([1]))]});
    let answer = server.call("POST", "/api/v2/metrics").json(&body).send();
    answer.refused(422, "invalid", &["metrics.1.value", "metrics.2.value"]);
    assert_eq!(server.get(&format!("/metrics?run_id={id}&tag=loss")), json!([]), "all points or none");
}

#[test]
fn a_stop_and_a_restart_at_the_wrong_time_name_the_status() {
    let server = Server::start();
    let ended = server.submit(&[], "true");
    server.wait_for_end(&ended);
    let stop = server.call("POST", &format!("/api/v2/runs/{ended}/stop")).send();
    stop.refused(409, "conflict", &["job_completed"]);
    server.cli(&["stop", &ended]).refused(1, &["job_completed"]);

    let active = server.submit(&[], "trap 'exit 0' TERM; echo on; while :; do sleep 0.05; done 2>/dev/null");
    server.wait_for_output(&active, "on");
    let restart = server.call("POST", &format!("/api/v2/runs/{active}/restart")).send();
    restart.refused(409, "conflict", &["job_running"]);
    server.cli(&["restart", &active]).refused(1, &["job_running"]);
    for grace in ["-1", "0"] {
        let path = format!("/api/v2/runs/{active}/stop");
        let body = format!("{{\"grace_period_seconds\": {grace}}}");
        server.call("POST", &path).raw(body).send().refused(422, "invalid", &["grace_period_seconds", grace]);
        let path = format!("{path}?grace_period_seconds={grace}");
        server.call("POST", &path).send().refused(422, "invalid", &["grace_period_seconds", grace]);
    }
    assert_eq!(server.status(&active), Status::JobRunning, "a stop that was refused stops nothing");
    assert_eq!(server.history(&active).last().unwrap(), "job_running");
    server.cli(&["stop", &active, "--grace", "1m"]).ok();
    server.wait_for_end(&active);
}

#[test]
fn what_does_not_exist_is_named() {
    let server = Server::start();
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for path in ["", "/events", "/logs", "/jobs", "/progress", "/stream"] {
        server.call("GET", &format!("/api/v2/runs/{id}{path}")).send().refused(404, "not_found", &[id]);
    }
    server.call("DELETE", &format!("/api/v2/runs/{id}")).send().refused(404, "not_found", &[id]);
    server.call("GET", "/api/v2/projects/nowhere").send().refused(404, "not_found", &["nowhere"]);
    server.call("GET", "/api/v2/nonsense").send().refused(404, "not_found", &["openapi.json"]);
    let answer = server.call("PUT", "/api/v2/runs").send();
    answer.refused(405, "method_not_allowed", &[]);
}

#[test]
fn the_same_idempotency_key_twice_makes_one_run() {
    let server = Server::start();
    let create = |name: &str, key: &str| {
        let body = new_run(json!({"name": name}));
        server.call("POST", "/api/v2/runs").header("idempotency-key", key).json(&body).send()
    };
    let first = create("once", "a key").status;
    assert_eq!(first, 422, "a key is one word");
    let first = create("once", "key-1").data(200);
    let again = create("once", "key-1");
    assert_eq!(again.body["data"]["id"], first["id"], "{}", again.text);
    let other = create("another", "key-1");
    other.refused(409, "idempotency_conflict", &["key-1", "new key"]);
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 1);
    create("twice", "key-2").data(200);
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 2);
}
