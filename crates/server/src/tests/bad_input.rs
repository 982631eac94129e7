//! Bad input gets an answer that names the field or thing and the fix, and nothing is written.

use std::fmt::Write as _;

use axum::{body::Body, http::Request};
use serde_json::json;

use super::Server;

const RUNS: &str = "/api/v2/runs";

#[tokio::test]
async fn an_unknown_field_is_named() {
    let server = Server::start().await;
    let body =
        json!({"name": "n", "spec": {"command": ["true"], "colour": 1}, "resources": {"cpu": "1", "tpu": 1}});
    server.call("POST", RUNS, body).await.invalid(&["resources.tpu", "spec.colour"]);
    assert_eq!(server.get(RUNS).await, json!([]));
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let server = Server::start().await;
    let body =
        json!({"name": 5, "labels": {"a": 1}, "priority": "high", "spec": {"command": "true"}, "x": null});
    server.call("POST", RUNS, body).await.invalid(&["labels.a", "name", "priority", "spec.command", "x"]);
    server.call("POST", RUNS, json!({})).await.invalid(&["name"]);
    server.call("POST", RUNS, json!([])).await.invalid(&[""]);
    server.call("POST", RUNS, None).await.invalid(&["name"]);
}

#[tokio::test]
async fn what_only_the_type_knows_is_named_by_its_path_too() {
    let server = Server::start().await;
    let body = json!({"name": "n", "spec": {"command": ["true"], "retry_on": ["oom", "bored"]}});
    server.call("POST", RUNS, body).await.invalid(&["spec.retry_on.1"]);
    let body = json!({"name": "n", "spec": {"command": ["true"]}, "priority": 9_223_372_036_854_775_808_u64});
    server.call("POST", RUNS, body).await.invalid(&["priority"]);
}

#[tokio::test]
async fn text_that_is_no_json_is_said_with_line_and_column() {
    let server = Server::start().await;
    for text in ["{\"name\": }", "{", "nonsense", "{\"name\": \"\u{1}\"}", "{} {}"] {
        let error = server.call("POST", RUNS, json!(text)).await.refused(400, "invalid_json");
        assert!(error.error.contains("line 1 column"), "{}", error.error);
    }
    let deep = "[".repeat(100_000);
    server.call("POST", RUNS, json!(deep)).await.refused(400, "invalid_json");
}

#[tokio::test]
async fn another_content_type_is_refused_with_the_right_one() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.admin);
    for mime in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = Request::post(RUNS).header("authorization", &bearer).header("content-type", mime);
        let reply = server.send(request.body(Body::from("{}")).unwrap()).await;
        assert!(reply.refused(415, "unsupported_media_type").error.contains("application/json"));
    }
    let request = Request::post(RUNS).header("authorization", &bearer);
    let request = request.header("content-type", "application/json; charset=utf-8");
    server.send(request.body(Body::from("{}")).unwrap()).await.invalid(&["name"]);
}

#[tokio::test]
async fn a_bad_quantity_is_named_with_the_fix() {
    let server = Server::start().await;
    let body = json!({
        "name": "n",
        "spec": {"command": ["true"]},
        "resources": {"cpu": "two", "memory": "5GB", "gpu": {"count": 0, "type": "any"}},
    });
    let error = server.call("POST", RUNS, body).await.invalid(&[
        "resources.cpu",
        "resources.gpu.count",
        "resources.memory",
    ]);
    assert!(error.errors.unwrap()["resources.memory"][0].contains("`5GB`"));
}

#[tokio::test]
async fn a_grace_below_a_second_is_refused_in_body_and_query() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    for grace in [-1, 0] {
        let path = format!("{RUNS}/{run}/stop");
        server
            .call("POST", &path, json!({"grace_period_seconds": grace}))
            .await
            .invalid(&["grace_period_seconds"]);
        let path = format!("{path}?grace_period_seconds={grace}");
        server.call("POST", &path, None).await.invalid(&["grace_period_seconds"]);
    }
    let path = format!("{RUNS}/{run}/stop?grace_period_seconds=1");
    server.call("POST", &path, json!({"grace_period_seconds": 2})).await.invalid(&["grace_period_seconds"]);
    assert_eq!(server.get(&format!("{RUNS}/{run}")).await["status"], "run_created");
}

#[tokio::test]
async fn an_unknown_blueprint_or_project_is_named() {
    let server = Server::start().await;
    let body = json!({
        "name": "n",
        "blueprint_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "project_id": "nowhere",
        "task_type": "t",
    });
    let error = server.call("POST", RUNS, body).await.refused(422, "invalid");
    let errors = error.errors.unwrap();
    assert!(errors["project_id"][0].contains("`nowhere`"), "{errors:?}");
    assert!(errors.contains_key("blueprint_id"), "{errors:?}");
    server.call("GET", "/api/v2/runs?project_id=nowhere", None).await.invalid(&["project_id"]);
    server.call("GET", "/api/v2/projects/nowhere", None).await.refused(404, "not_found");
    server.call("GET", "/api/v2/blueprints/nowhere", None).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_config_against_the_schema_has_every_wrong_field() {
    let server = Server::start().await;
    let schema = json!({
        "type": "object",
        "properties": {"lr": {"type": "number", "exclusiveMinimum": 0}, "epochs": {"type": "integer"}},
        "required": ["lr", "epochs"],
        "additionalProperties": false,
    });
    let new = json!({"project_id": "default", "name": "b", "version": "1", "command": ["true"], "config_schema": schema});
    let blueprint = server.post("/api/v2/blueprints", new.clone()).await;
    let id = blueprint["id"].as_str().unwrap();
    let config = json!({"lr": 0, "momentum": 1});
    let fields = ["config.epochs", "config.lr", "config.momentum"];
    let body = json!({"name": "n", "blueprint_id": id, "config": config});
    server.call("POST", RUNS, body).await.invalid(&fields);
    let path = format!("/api/v2/blueprints/{id}/validate");
    server.call("POST", &path, json!({"config": config})).await.invalid(&fields);
    let reply = server.call("POST", &path, json!({"config": {"lr": 1, "epochs": 1}})).await;
    assert_eq!(reply.status, 204);
    server.call("POST", "/api/v2/blueprints", new).await.refused(409, "already_exists");
}

#[tokio::test]
async fn bad_filters_are_all_named_at_once() {
    let server = Server::start().await;
    let query = "limit=1001&offset=-1&name_ilike=x%5C&status=gone&kind=y&id=z&sort=colour&select=colour\
        &created_after=soon&id_after=q&label==v&nonsense=1";
    server.call("GET", &format!("{RUNS}?{query}"), None).await.invalid(&["limit", "nonsense", "offset"]);
    let query =
        query.replace("limit=1001", "limit=1000").replace("offset=-1&", "").replace("&nonsense=1", "");
    server.call("GET", &format!("{RUNS}?{query}"), None).await.invalid(&[
        "created_after",
        "id",
        "id_after",
        "kind",
        "label",
        "name_ilike",
        "select",
        "sort",
        "status",
    ]);
}

#[tokio::test]
async fn routes_without_parameters_refuse_them() {
    let server = Server::start().await;
    let error = server.call("GET", "/api/v2/projects?limit=1", None).await.invalid(&["limit"]);
    assert!(error.error.contains("no query parameters"), "{}", error.error);
}

#[tokio::test]
async fn limits_of_metrics_and_logs_are_kept() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    server.call("GET", "/api/v2/metrics", None).await.invalid(&["run_id"]);
    server.call("GET", &format!("/api/v2/metrics?run_id={run}&limit=10001"), None).await.invalid(&["limit"]);
    let reply = server.call("GET", &format!("/api/v2/metrics?run_id={run}&limit=10000"), None).await;
    assert_eq!(reply.data(), json!([]));
    server.call("GET", &format!("{RUNS}/{run}/logs?limit=8388609"), None).await.invalid(&["limit"]);
    server.call("GET", &format!("{RUNS}/{run}/logs?epoch=1&job_id={run}"), None).await.invalid(&["epoch"]);
    server.call("GET", &format!("{RUNS}/{run}/events?limit=1001"), None).await.invalid(&["limit"]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_limit() {
    let server = Server::start().await;
    let body = json!({"name": "n", "notes": "x".repeat(2 << 20)});
    let error = server.call("POST", RUNS, body).await.refused(413, "too_large");
    assert!(error.error.contains("2 MiB"), "{}", error.error);
    // The same without a declared length.
    let chunks = (0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 << 10]));
    let request = Request::post(RUNS).header("authorization", format!("Bearer {}", server.admin));
    let request = request.body(Body::from_stream(futures::stream::iter(chunks))).unwrap();
    server.send(request).await.refused(413, "too_large");
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused() {
    let server = Server::start().await;
    let chunks = [Ok(vec![b'{']), Err(std::io::Error::other("connection reset"))];
    let request = Request::post(RUNS).header("authorization", format!("Bearer {}", server.admin));
    let request = request.body(Body::from_stream(futures::stream::iter(chunks))).unwrap();
    server.send(request).await.refused(400, "bad_request");
}

#[tokio::test]
async fn a_metric_that_is_no_number_is_named_by_its_place() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let point = |value: serde_json::Value| json!({"tag": "loss", "global_step": 1, "value": value});
    let body = json!({"run_id": run, "metrics": [point(json!(1)), point(json!("one")), point(json!([1]))]});
    server.call("POST", "/api/v2/metrics", body).await.invalid(&["metrics.1.value", "metrics.2.value"]);
    let body =
        json!({"run_id": run, "metrics": [{"tag": "loss", "global_step": 1.5, "value": 1, "unit": "s"}]});
    server.call("POST", "/api/v2/metrics", body).await.invalid(&["metrics.0.global_step", "metrics.0.unit"]);
    let long = json!({"run_id": run, "metrics": [{"tag": "x".repeat(10_000), "global_step": 1, "value": 1}]});
    let error = server.call("POST", "/api/v2/metrics", long).await.invalid(&["metrics.0.tag"]);
    assert!(error.errors.unwrap()["metrics.0.tag"][0].contains("10000 characters"));
    let huge = format!(
        r#"{{"run_id": "{run}", "metrics": [{{"tag": "t", "global_step": 1, "value": 1{}}}]}}"#,
        "0".repeat(400)
    );
    server.call("POST", "/api/v2/metrics", json!(huge)).await.refused(400, "invalid_json");
    let large = format!(
        r#"{{"run_id": "{run}", "metrics": [{{"tag": "t", "global_step": 1, "value": "{}"}}]}}"#,
        "x".repeat(9 << 20)
    );
    server.call("POST", "/api/v2/metrics", json!(large)).await.refused(413, "too_large");
    let body = json!({"run_id": "x", "job_id": "y", "metrics": [point(json!(1))]});
    server.call("POST", "/api/v2/metrics", body).await.invalid(&["job_id", "run_id"]);
}

#[tokio::test]
async fn a_stop_of_an_ended_run_and_a_restart_of_an_active_one_name_the_status() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let error =
        server.call("POST", &format!("{RUNS}/{run}/restart"), json!({})).await.refused(409, "conflict");
    assert!(error.error.contains("run_created"), "{}", error.error);
    server.call("DELETE", &format!("{RUNS}/{run}"), None).await.refused(409, "conflict");
    assert_eq!(
        server.call("POST", &format!("{RUNS}/{run}/stop"), None).await.data()["status"],
        "job_terminated"
    );
    let error = server.call("POST", &format!("{RUNS}/{run}/stop"), None).await.refused(409, "conflict");
    assert!(error.error.contains("job_terminated"), "{}", error.error);
    let resources = json!({"resources": {"cpu": 1}});
    server.call("POST", &format!("{RUNS}/{run}/restart"), resources).await.invalid(&["resources.cpu"]);
    let restarted = server.call("POST", &format!("{RUNS}/{run}/restart"), None).await.data();
    assert_eq!((&restarted["status"], &restarted["epoch"]), (&json!("run_restart_requested"), &json!(2)));
}

#[tokio::test]
async fn a_stale_epoch_can_change_nothing() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let old = server.job(&run, 1).await;
    server.post(&format!("/api/v2/jobs/{old}/start"), json!({"host": "h"})).await;
    let exit = json!({"exit": {"reason": "Error", "code": 3, "ended_at": 1}, "lengths": {"logs": 0, "records": 0, "system": 0}});
    server.post(&format!("/api/v2/jobs/{old}/end"), exit.clone()).await;
    server.post(&format!("{RUNS}/{run}/restart"), json!({})).await;
    for verb in ["start", "heartbeat"] {
        server
            .call("POST", &format!("/api/v2/jobs/{old}/{verb}"), json!({}))
            .await
            .refused(409, "stale_epoch");
    }
    // What was said once may be said again, and changes nothing.
    server.post(&format!("/api/v2/jobs/{old}/end"), exit).await;
    assert_eq!(server.get(&format!("{RUNS}/{run}")).await["status"], "run_restart_requested");
    let path = format!("/api/v2/jobs/{old}/streams/logs?offset=0");
    server.call("PUT", &path, json!("late")).await.refused(409, "stale_epoch");
    let body = json!({"run_id": run, "job_id": old, "metrics": [{"tag": "t", "global_step": 1, "value": 1}]});
    server.call("POST", "/api/v2/metrics", body).await.refused(409, "stale_epoch");
}

#[tokio::test]
async fn a_gap_in_a_stream_says_where_to_go_on() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let job = server.job(&run, 1).await;
    server.post(&format!("/api/v2/jobs/{job}/start"), json!({})).await;
    let path = format!("/api/v2/jobs/{job}/streams/logs");
    let appended = server.call("PUT", &format!("{path}?offset=0"), json!("hello")).await.data();
    assert_eq!(appended["next_offset"], 5);
    let error = server.call("PUT", &format!("{path}?offset=9"), json!("x")).await.refused(409, "offset_gap");
    assert_eq!(error.expected_offset, Some(5));
    let exit = json!({"exit": {"reason": "Completed", "ended_at": 1}, "lengths": {"logs": 9, "records": 0, "system": 0}});
    server.call("POST", &format!("/api/v2/jobs/{job}/end"), exit).await.refused(409, "incomplete");
    server.call("PUT", &path, json!("x")).await.invalid(&["offset"]);
    server.call("PUT", &format!("{path}?offset=-1"), json!("x")).await.invalid(&["offset"]);
    let error = server.call("PUT", &format!("/api/v2/jobs/{job}/streams/lugs?offset=0"), json!("x")).await;
    assert!(error.refused(404, "not_found").error.contains("logs, records and system"));
    let large = json!("x".repeat(2 << 20));
    server.call("PUT", &format!("{path}?offset=5"), large).await.refused(413, "too_large");
    let exit = json!({"exit": {"reason": "Bored", "ended_at": 1}, "lengths": {"logs": 0, "records": 0, "system": 0}});
    server.call("POST", &format!("/api/v2/jobs/{job}/end"), exit).await.invalid(&["exit.reason"]);
}

#[tokio::test]
async fn without_a_good_token_nothing_is_read() {
    let server = Server::start().await;
    let reply = server.send(Request::get(RUNS).body(Body::empty()).unwrap()).await;
    assert!(reply.refused(401, "unauthorized").error.contains("Authorization: Bearer"));
    assert!(reply.headers.contains_key("www-authenticate"));
    let request = Request::get(RUNS).header("authorization", "Basic dTpw").body(Body::empty()).unwrap();
    server.send(request).await.refused(401, "unauthorized");
    server.call_as("ryd_wrong", "GET", RUNS, None).await.refused(401, "unauthorized");
    // Not even what is wrong with a body is said to strangers.
    server.call_as("ryd_wrong", "POST", RUNS, json!("{")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_revoked_token_stops_at_once_and_an_expired_one_is_said_to_be() {
    let server = Server::start().await;
    let made = server.post("/api/v2/tokens", json!({"name": "t", "scope": "admin"})).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(server.call_as(&secret, "GET", RUNS, None).await.status, 200);
    let path = format!("/api/v2/tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, None).await.status, 204);
    server.call_as(&secret, "GET", RUNS, None).await.refused(401, "unauthorized");

    let short =
        server.post("/api/v2/tokens", json!({"name": "t", "scope": "admin", "expires_in_s": 1})).await;
    let secret = short["secret"].as_str().unwrap().to_owned();
    let expired = super::poll(async || {
        let reply = server.call_as(&secret, "GET", RUNS, None).await;
        (reply.status == 401).then_some(reply)
    });
    assert!(expired.await.refused(401, "unauthorized").error.contains("expired"));
    let body = json!({"name": "", "scope": "king", "expires_in_s": 0});
    server.call("POST", "/api/v2/tokens", body).await.invalid(&["expires_in_s", "name", "scope"]);
}

#[tokio::test]
async fn a_foreign_token_sees_and_touches_nothing() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    server.post("/api/v2/projects", json!({"name": "other"})).await;
    let made =
        server.post("/api/v2/tokens", json!({"name": "t", "scope": "project", "project_id": "other"})).await;
    let foreign = made["secret"].as_str().unwrap();
    assert_eq!(server.call_as(foreign, "GET", RUNS, None).await.data(), json!([]));
    for (method, path) in [
        ("GET", format!("{RUNS}/{run}")),
        ("DELETE", format!("{RUNS}/{run}")),
        ("POST", format!("{RUNS}/{run}/stop")),
        ("GET", format!("{RUNS}/{run}/events")),
        ("GET", format!("{RUNS}/{run}/logs")),
        ("GET", format!("{RUNS}/{run}/stream")),
    ] {
        server.call_as(foreign, method, &path, None).await.refused(404, "not_found");
    }
    let body = json!({"name": "x", "scope": "admin"});
    server.call_as(foreign, "POST", "/api/v2/tokens", body).await.refused(403, "forbidden");
    server.call_as(foreign, "POST", "/api/v2/projects", json!({"name": "x"})).await.refused(403, "forbidden");
    assert_eq!(server.get(&format!("{RUNS}/{run}")).await["status"], "run_created");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_said() {
    let server = Server::start().await;
    for path in ["/", "/api/v2", "/api/v2/", "/api/v2/nonsense", "/api/v3/runs", "/api/v2/runs/", "/%ff"] {
        let error = server.call("GET", path, None).await.refused(404, "not_found");
        assert!(error.error.contains("/api/v2/openapi.json"), "{}", error.error);
    }
    for method in ["DELETE", "PUT", "PATCH", "OPTIONS", "BREW"] {
        let reply = server.call(method, RUNS, None).await;
        reply.refused(405, "method_not_allowed");
        let allow = reply.headers["allow"].to_str().unwrap();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    }
    for id in ["x", "%ff", "%00", "..%2f", "01890a5d-ac96-774b-bcce-b302099a8057"] {
        server.call("GET", &format!("{RUNS}/{id}"), None).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn an_idempotency_key_that_is_none_is_refused() {
    let server = Server::start().await;
    let request = Request::post(RUNS)
        .header("authorization", format!("Bearer {}", server.admin))
        .header("content-type", "application/json")
        .header("idempotency-key", "two words");
    let body = json!({"name": "n", "spec": {"command": ["true"]}}).to_string();
    server.send(request.body(Body::from(body)).unwrap()).await.invalid(&["Idempotency-Key"]);
    assert_eq!(server.get(RUNS).await, json!([]));
}

#[tokio::test]
async fn rubbish_is_never_a_fault_of_the_server() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let bodies = [
        "",
        "null",
        "[]",
        "0",
        "\"x\"",
        "{\"name\":null}",
        "{\"\":{}}",
        "{\"config\":[]}",
        "\u{0}",
        "{\"exit\":1}",
    ];
    let queries =
        ["", "?", "?&&", "?=", "?limit", "?limit=%", "?a=b&a=b", "?sort=:", "?id=,,,", "?label=%00"];
    let mut failed = String::new();
    for path in [
        "/api/v2/projects",
        "/api/v2/projects/x",
        "/api/v2/tokens",
        "/api/v2/tokens/x",
        "/api/v2/blueprints",
        "/api/v2/blueprints/x",
        "/api/v2/blueprints/x/validate",
        "/api/v2/runs",
        "/api/v2/metrics",
        "/api/v2/metrics/tags",
        "/api/v2/metrics/series",
        "/api/v2/sources",
        "/api/v2/sources/x",
        "/api/v2/jobs/x/start",
        "/api/v2/jobs/x/heartbeat",
        "/api/v2/jobs/x/end",
        "/api/v2/jobs/x/streams/logs",
        "/api/v2/system",
        &format!("/api/v2/runs/{run}"),
        &format!("/api/v2/runs/{run}/stop"),
        &format!("/api/v2/runs/{run}/restart"),
        &format!("/api/v2/runs/{run}/progress"),
        &format!("/api/v2/runs/{run}/logs"),
        &format!("/api/v2/runs/{run}/logs/search"),
        &format!("/api/v2/runs/{run}/events"),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH"] {
            for (body, query) in
                bodies.iter().map(|body| (*body, "")).chain(queries.map(|query| ("{}", query)))
            {
                let reply = server.call(method, &format!("{path}{query}"), json!(body)).await;
                if reply.status.is_server_error() {
                    let _ = writeln!(failed, "{method} {path}{query} {body:?}: {}", reply.text());
                } else if !reply.status.is_success() {
                    let code = reply.json()["code"].as_str().unwrap().to_owned();
                    reply.refused(reply.status.as_u16(), &code);
                }
            }
        }
    }
    assert_eq!(failed, "");
}
