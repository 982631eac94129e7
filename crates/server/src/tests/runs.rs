//! What a person and a runner see of a run over HTTP.

use axum::{body::Body, http::Request};
use serde_json::json;

use super::Server;

#[tokio::test]
async fn a_run_is_submitted_read_changed_and_deleted() {
    let server = Server::start().await;
    let new = json!({
        "name": "digits", "version": "1", "config": {"lr": 0.1}, "labels": {"team": "a"}, "notes": "first",
        "spec": {"command": ["python", "train.py"], "env": {"K": "V"}, "retries": 2, "retry_on": ["oom"]},
        "resources": {"cpu": "500m", "memory": "2Gi"}, "priority": 3,
    });
    let run = server.post("/api/v2/runs", new).await;
    let path = format!("/api/v2/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(run["status"], "run_created");
    assert_eq!(run["progress"], json!([]));
    assert_eq!(run["spec"]["retry_on"], json!(["oom"]));
    assert_eq!(server.get(&path).await, run);

    let patch = json!({"notes": "second", "labels": {"team": "b"}});
    let changed = server.call("PATCH", &path, patch).await.data();
    assert_eq!(
        (&changed["notes"], &changed["labels"], &changed["name"]),
        (&json!("second"), &json!({"team": "b"}), &json!("digits"))
    );
    let events = server.get(&format!("{path}/events?sort=sequence:asc")).await;
    assert_eq!(events[0]["status"], "run_created");
    assert_eq!(events[0]["sequence"], 1);
    assert!(events[0]["details"].is_object());

    server.post(&format!("{path}/stop"), json!({})).await;
    let deleted = server.call("DELETE", &path, None).await.data();
    assert_eq!(deleted["id"], run["id"]);
    server.call("GET", &path, None).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_repeated_create_makes_one_run_and_another_body_is_a_conflict() {
    let server = Server::start().await;
    let create = async |name: &str| {
        let request = Request::post("/api/v2/runs")
            .header("authorization", format!("Bearer {}", server.admin))
            .header("content-type", "application/json")
            .header("idempotency-key", "k-1");
        let body = json!({"name": name, "spec": {"command": ["true"]}}).to_string();
        server.send(request.body(Body::from(body)).unwrap()).await
    };
    let (first, again) = (create("n").await.data(), create("n").await.data());
    assert_eq!(first["id"], again["id"]);
    assert_eq!(create("m").await.status, 409);
    assert_eq!(server.get("/api/v2/runs").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_filter_select_sort_and_page() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["alpha", "beta", "Alphabet", "a,b"] {
        ids.push(server.submit(name).await);
    }
    let names = async |query: &str| {
        let runs = server.get(&format!("/api/v2/runs?{query}")).await;
        runs.as_array()
            .unwrap()
            .iter()
            .map(|run| run["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("sort=id").await, ["alpha", "beta", "Alphabet", "a,b"]);
    assert_eq!(names("").await, ["a,b", "Alphabet", "beta", "alpha"]);
    assert_eq!(names("sort=id&name_ilike=alpha%25").await, ["alpha", "Alphabet"]);
    assert_eq!(names("sort=id&name_ilike=a%2Cb,beta").await, ["beta", "a,b"]);
    assert_eq!(names(&format!("sort=id:desc&id={},{}", ids[0], ids[1])).await, ["beta", "alpha"]);
    assert_eq!(names(&format!("sort=id&id_after={}&limit=2", ids[0])).await, ["beta", "Alphabet"]);
    assert_eq!(names("sort=id&limit=1&offset=2").await, ["Alphabet"]);
    assert_eq!(names("status=job_failed").await, [""; 0]);
    assert_eq!(names("project_id=default&limit=1").await.len(), 1);
    let runs = server.get("/api/v2/runs?select=status,name&limit=1").await;
    assert_eq!(runs, json!([{"name": "a,b", "status": "run_created"}]));
}

#[tokio::test]
async fn what_a_runner_reports_can_be_read() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let (run, job) = (format!("/api/v2/runs/{run}"), server.job(&run, 1).await);
    let job_path = format!("/api/v2/jobs/{job}");
    let state = server.post(&format!("{job_path}/start"), json!({"host": "h"})).await;
    assert_eq!(state["lengths"], json!({"logs": 0, "records": 0, "system": 0}));
    server.call("PUT", &format!("{job_path}/streams/logs?offset=0"), json!("hello\nworld\n")).await.data();
    let records = "{\"metric\":{\"tag\":\"loss\",\"global_step\":1,\"value\":0.5}}\nrubbish\n\
        {\"progress\":[{\"operation\":\"train\",\"value\":1,\"final_value\":2,\"units\":\"epochs\"}]}\n";
    let appended =
        server.call("PUT", &format!("{job_path}/streams/records?offset=0"), json!(records)).await.data();
    assert_eq!(appended["next_offset"], records.len());
    assert_eq!(appended["rejected"].as_array().unwrap().len(), 1);

    let part = server.call("GET", &format!("{run}/logs?offset=6&limit=3"), None).await;
    assert_eq!(part.text(), "wor");
    let header = |name: &str| part.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-runyard-job-id"), job);
    assert_eq!((header("x-runyard-offset"), header("x-runyard-next-offset")), ("6".into(), "9".into()));
    assert_eq!(header("x-runyard-total"), "12");
    assert_eq!(server.call("GET", &format!("{run}/logs?offset=-6"), None).await.text(), "world\n");
    server.call("GET", &format!("{run}/logs?epoch=2"), None).await.refused(404, "not_found");

    let progress = server.get(&format!("{run}/progress")).await;
    assert_eq!(progress[0]["operation"], "train");
    let id = run.rsplit('/').next().unwrap();
    let metrics = server.get(&format!("/api/v2/metrics?run_id={id}")).await;
    assert_eq!(
        (&metrics[0]["tag"], &metrics[0]["value"], &metrics[0]["job_id"]),
        (&json!("loss"), &json!(0.5), &json!(job))
    );
    assert_eq!(server.get(&format!("/api/v2/metrics/tags?run_id={id}")).await, json!(["loss"]));

    let lengths = json!({"logs": 12, "records": records.len(), "system": 0});
    let exit = json!({"exit": {"reason": "Completed", "code": 0, "ended_at": 5}, "lengths": lengths});
    server.post(&format!("{job_path}/end"), exit.clone()).await;
    server.post(&format!("{job_path}/end"), exit).await;
    let ended = server.get(&run).await;
    assert_eq!((&ended["status"], &ended["exit"]["code"]), (&json!("job_completed"), &json!(0)));
    assert_eq!(server.get(&format!("{run}/jobs")).await[0]["log_bytes"], 12);
}

#[tokio::test]
async fn metrics_keep_integers_and_name_what_is_no_number() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let job = server.job(&run, 1).await;
    server.post(&format!("/api/v2/jobs/{job}/start"), json!({})).await;
    let values = [json!(1), json!(1.0), json!(null), json!("Infinity")];
    let points: Vec<_> = (0..)
        .zip(values)
        .map(|(step, value)| json!({"tag": "t", "global_step": step, "value": value}))
        .collect();
    let written = server.post("/api/v2/metrics", json!({"run_id": run, "metrics": points})).await;
    assert_eq!(written["written"], 4);
    let reply = server.call("GET", &format!("/api/v2/metrics?run_id={run}&sort=global_step"), None).await;
    let values: Vec<_> =
        reply.data().as_array().unwrap().iter().map(|point| point["value"].to_string()).collect();
    assert_eq!(values, ["1", "1.0", "\"NaN\"", "\"Infinity\""]);
    let page = server.get(&format!("/api/v2/metrics?run_id={run}&global_step_after=1&limit=1")).await;
    assert_eq!(page[0]["global_step"], 2);
}

#[tokio::test]
async fn a_source_is_stored_once_and_comes_back_as_it_was() {
    let server = Server::start().await;
    let upload = server.call("POST", "/api/v2/sources", json!("packed bytes")).await.data();
    assert_eq!(upload["size"], 12);
    assert_eq!(server.call("POST", "/api/v2/sources", json!("packed bytes")).await.data(), upload);
    let path = format!("/api/v2/sources/{}", upload["digest"].as_str().unwrap());
    let source = server.call("GET", &path, None).await;
    assert_eq!(
        (source.text().as_str(), &source.headers["content-type"]),
        ("packed bytes", &"application/zstd".parse().unwrap())
    );
    let head = server.call("HEAD", &path, None).await;
    assert_eq!(
        (head.status.as_u16(), head.body.len(), &head.headers["content-length"]),
        (200, 0, &"12".parse().unwrap())
    );
    server.call("GET", "/api/v2/sources/abc", None).await.refused(404, "not_found");
}

#[tokio::test]
async fn projects_tokens_and_blueprints_come_and_go() {
    let server = Server::start().await;
    let project = server.post("/api/v2/projects", json!({"name": "vision"})).await;
    let id = project["id"].as_str().unwrap();
    assert_eq!(server.get("/api/v2/projects/vision").await, project);
    let patched =
        server.call("PATCH", &format!("/api/v2/projects/{id}"), json!({"description": "d"})).await.data();
    assert_eq!(patched["description"], "d");
    let blueprint = json!({"project_id": "vision", "name": "yolo", "version": "1", "command": ["x"]});
    let blueprint = server.post("/api/v2/blueprints", blueprint).await;
    let listed = server.get("/api/v2/blueprints?project_id=vision&name_ilike=YO%25&version=1").await;
    assert_eq!(listed, json!([blueprint]));
    let path = format!("/api/v2/blueprints/{}", blueprint["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, None).await.status, 204);
    server.call("GET", &path, None).await.refused(404, "not_found");
    let token = server
        .post("/api/v2/tokens", json!({"name": "ci", "scope": "project", "project_id": "vision"}))
        .await;
    assert_eq!(token["token"]["project_id"], id);
    assert!(server.call("GET", "/api/v2/tokens", None).await.text().contains("\"ci\""));
    assert_eq!(server.call("DELETE", "/api/v2/projects/vision", None).await.data(), json!(id));
    server.call("GET", "/api/v2/projects/vision", None).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_server_says_what_it_is_and_how_it_does() {
    let server = Server::start().await;
    server.submit("n").await;
    let info = server.get("/api/v2/system").await;
    assert_eq!((&info["database"], &info["executors"]), (&json!("sqlite"), &json!(["local"])));
    let resources = server.get("/api/v2/system/resources").await;
    assert!(resources[0]["cpu_milli_total"].as_i64().unwrap() > 0);
    for path in ["/healthz", "/readyz", "/metrics", "/api/v2/openapi.json"] {
        let reply = server.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 200, "{path} needs no token");
    }
    let text = server.send(Request::get("/metrics").body(Body::empty()).unwrap()).await.text();
    assert!(text.contains("runyard_runs{status=\"run_created\"} 1"), "{text}");
    assert!(
        text.contains("runyard_http_requests_total{method=\"POST\",route=\"/api/v2/runs\",status=\"200\"} 1"),
        "{text}"
    );
    assert!(text.contains("runyard_build_info{version="), "{text}");
}

#[tokio::test]
async fn large_json_is_compressed_for_those_who_take_it_and_logs_are_not() {
    let server = Server::start().await;
    let run = server.submit(&"long".repeat(40)).await;
    for _ in 0..9 {
        server.submit(&"long".repeat(40)).await;
    }
    let get = async |path: &str| {
        let request = Request::get(path).header("authorization", format!("Bearer {}", server.admin));
        server.send(request.header("accept-encoding", "gzip").body(Body::empty()).unwrap()).await
    };
    assert_eq!(get("/api/v2/runs").await.headers["content-encoding"], "gzip");
    let job = server.job(&run, 1).await;
    server.post(&format!("/api/v2/jobs/{job}/start"), json!({})).await;
    let path = format!("/api/v2/jobs/{job}/streams/logs?offset=0");
    server.call("PUT", &path, json!("x".repeat(10_000))).await.data();
    let logs = get(&format!("/api/v2/runs/{run}/logs")).await;
    assert!(!logs.headers.contains_key("content-encoding"));
    assert_eq!(logs.body.len(), 10_000);
}
