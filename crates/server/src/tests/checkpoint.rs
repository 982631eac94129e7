//! Checkpoints and artifacts over HTTP, the way a runner and a person use them: bytes go by the signed addresses.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{Reply, Server};

/// MD5 and SHA-256 of `hello`.
const MD5: &str = "5d41402abc4b2a76b9719d911017c592";
const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn hello(path: &str) -> Value {
    json!({"path": path, "size": 5, "md5": MD5, "sha256": SHA256})
}

impl Server {
    async fn signed(&self, put: &Value, body: &'static str) -> Reply {
        let url = put["url"].as_str().unwrap();
        assert!(url.starts_with("/objects/"), "a path of this server, whatever its name: {url}");
        let mut request = Request::builder().method(put["method"].as_str().unwrap()).uri(url);
        for header in put["headers"].as_array().unwrap() {
            request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A run with a job, and a checkpoint that was begun.
    async fn checkpoint(&self) -> (String, Value) {
        let run = self.submit("n").await;
        let job = self.job(&run, 1).await;
        let new = json!({"run_id": run, "job_id": job, "global_step": 10, "source_key": format!("{job}:0"),
            "path": "output/checkpoints/10"});
        let checkpoint = self.post("/api/v2/checkpoints", new.clone()).await;
        assert_eq!(self.post("/api/v2/checkpoints", new).await, checkpoint, "a repeat makes nothing new");
        (run, checkpoint)
    }
}

#[tokio::test]
async fn a_checkpoint_is_uploaded_completed_read_and_deleted() {
    let server = Server::start().await;
    let (run, checkpoint) = server.checkpoint().await;
    assert_eq!((&checkpoint["status"], &checkpoint["global_step"]), (&json!("incomplete"), &json!(10)));
    let path = format!("/api/v2/checkpoints/{}", checkpoint["id"].as_str().unwrap());
    let announced = json!({"files": [hello("model.bin"), hello("deep/b c.bin")]});
    let uploads = server.post(&format!("{path}/files"), announced.clone()).await;
    assert_eq!(server.signed(&uploads[0]["put"], "hello").await.status, 200);
    let refused = server.call("POST", &format!("{path}/complete"), json!({})).await;
    assert!(refused.refused(409, "incomplete").error.contains("`deep/b c.bin`"));
    let listed = server.get(&format!("{path}/files")).await;
    assert!(listed[0].get("url").is_none(), "nothing half written can be read: {listed}");
    server.call("GET", &format!("{path}/files/model.bin"), None).await.refused(409, "incomplete");

    let again = server.post(&format!("{path}/files"), announced).await;
    assert_eq!((&again[0]["done"], &again[1]["done"]), (&json!(true), &json!(false)));
    assert_eq!(server.signed(&again[1]["put"], "hello").await.status, 200);
    let complete = server.post(&format!("{path}/complete"), json!({})).await;
    assert_eq!(
        (&complete["status"], &complete["files"], &complete["size"]),
        (&json!("complete"), &json!(2), &json!(10))
    );
    assert_eq!(server.post(&format!("{path}/complete"), json!({})).await, complete);
    assert_eq!(server.get(&path).await, complete);
    let newest = format!("/api/v2/checkpoints?run_id={run}&status=complete&sort=created_at:desc&limit=1");
    assert_eq!(server.get(&newest).await, json!([complete]));
    let steps = server.get(&format!("/api/v2/checkpoints?run_id={run}&select=global_step")).await;
    assert_eq!(steps, json!([{"global_step": 10}]));

    let files = server.get(&format!("{path}/files")).await;
    assert_eq!((&files[0]["path"], &files[0]["sha256"]), (&json!("deep/b c.bin"), &json!(SHA256)));
    let reply = server.call("GET", &format!("{path}/files/deep/b%20c.bin"), None).await;
    assert_eq!(reply.status, 302);
    for url in [reply.headers["location"].to_str().unwrap(), files[0]["url"].as_str().unwrap()] {
        let request = Request::get(url).header("range", "bytes=1-2");
        let part = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "el"));
    }
    server.call("GET", &format!("{path}/files/nothing"), None).await.refused(404, "not_found");

    let deleted = server.call("DELETE", &path, None).await.data();
    assert_eq!((&deleted["id"], &deleted["freed_bytes"]), (&checkpoint["id"], &json!(10)));
    server.call("GET", &path, None).await.refused(404, "not_found");
    assert_eq!(server.get(&format!("/api/v2/checkpoints?run_id={run}")).await, json!([]));
}

#[tokio::test]
async fn an_artifact_is_found_by_name_and_type_and_one_can_be_given_up() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    server.job(&run, 1).await;
    let new = json!({"run_id": run, "name": "model", "type": "weights", "path": "output/model"});
    let artifact = server.post("/api/v2/artifacts", new.clone()).await;
    let path = format!("/api/v2/artifacts/{}", artifact["id"].as_str().unwrap());
    let uploads = server.post(&format!("{path}/files"), json!({"files": [hello("a")]})).await;
    server.signed(&uploads[0]["put"], "hello").await;
    server.post(&format!("{path}/complete"), json!({"files": [{"path": "a"}]})).await;
    let listed = server.get(&format!("/api/v2/artifacts?run_id={run}&name=model&type=weights")).await;
    assert_eq!((&listed[0]["type"], &listed[0]["size"]), (&json!("weights"), &json!(5)));
    assert_eq!(server.get("/api/v2/artifacts?name=other").await, json!([]));
    server.call("GET", &path.replace("artifacts", "checkpoints"), None).await.refused(404, "not_found");

    let other = server.post("/api/v2/artifacts", new).await;
    let path = format!("/api/v2/artifacts/{}", other["id"].as_str().unwrap());
    let given_up = server.post(&format!("{path}/abandon"), json!({"reason": "it vanished"})).await;
    assert_eq!((&given_up["status"], &given_up["reason"]), (&json!("incomplete"), &json!("it vanished")));
    server.call("POST", &format!("{path}/complete"), json!({})).await.refused(409, "abandoned");
}

#[tokio::test]
async fn wrong_files_are_named_by_their_paths_and_other_bytes_never_arrive() {
    let server = Server::start().await;
    let (_, checkpoint) = server.checkpoint().await;
    let path = format!("/api/v2/checkpoints/{}/files", checkpoint["id"].as_str().unwrap());
    let wrong =
        json!({"files": [hello("../x"), hello("/etc/passwd"), hello("a"), hello("a"), hello("b\u{0}")]});
    let fields = ["files.0.path", "files.1.path", "files.3.path", "files.4.path"];
    server.call("POST", &path, wrong).await.invalid(&fields);
    let shapes = json!({"files": [{"path": "a", "size": "5", "sha256": SHA256, "colour": 1}]});
    server.call("POST", &path, shapes).await.invalid(&["files.0.colour", "files.0.size"]);
    server.call("POST", &path, json!({"files": []})).await.invalid(&["files"]);
    let uploads = server.post(&path, json!({"files": [hello("a")]})).await;
    for body in ["hell", "hello!", "jello"] {
        let mut put = uploads[0]["put"].clone();
        // A liar says the length that it sends.
        put["headers"][0][1] = json!(body.len().to_string());
        let reply = server.signed(&put, body).await;
        assert!(reply.status.is_client_error(), "{body}: {}", reply.status);
    }
    let again = server.post(&path, json!({"files": [hello("a")]})).await;
    assert_eq!(again[0]["done"], false, "none of it is there");
    let changed = json!({"files": [{"path": "a", "size": 6, "sha256": SHA256}]});
    server.call("POST", &path, changed).await.refused(409, "file_changed");
}

#[tokio::test]
async fn lists_refuse_what_they_do_not_know() {
    let server = Server::start().await;
    let path =
        "/api/v2/checkpoints?id=x&run_id=y&status=deleted&select=colour&sort=size&created_after=z&page=1";
    let known = ["page"];
    server.call("GET", path, None).await.invalid(&known);
    let path = path.replace("&page=1", "");
    let fields = ["created_after", "id", "run_id", "select", "sort", "status"];
    server.call("GET", &path, None).await.invalid(&fields);
    server.call("GET", "/api/v2/checkpoints/x", None).await.refused(404, "not_found");
    let new = json!({"run_id": "x", "job_id": "y", "global_step": 1});
    server.call("POST", "/api/v2/checkpoints", new).await.invalid(&["job_id", "run_id"]);
    let new = json!({"global_step": 1.5, "colour": 1});
    server.call("POST", "/api/v2/checkpoints", new).await.invalid(&["colour", "global_step", "run_id"]);
}

#[tokio::test]
async fn a_run_says_which_checkpoints_it_keeps() {
    let server = Server::start().await;
    let keep = json!({"keep_last": 3, "keep_best": {"tag": "val/loss", "mode": "min", "count": 2}, "keep_every": 100});
    let run = json!({"name": "n", "spec": {"command": ["true"], "checkpoints": keep}});
    assert_eq!(server.post("/api/v2/runs", run).await["spec"]["checkpoints"], keep);
    let wrong = json!({"keep_last": 0, "keep_best": {"tag": "t", "mode": "min", "count": 0}});
    let run = json!({"name": "n", "spec": {"command": ["true"], "checkpoints": wrong}});
    let fields = ["spec.checkpoints.keep_best.count", "spec.checkpoints.keep_last"];
    server.call("POST", "/api/v2/runs", run).await.invalid(&fields);
    let run = json!({"name": "n", "spec": {"command": ["true"], "checkpoints": {"keep_worst": 1}}});
    server.call("POST", "/api/v2/runs", run).await.invalid(&["spec.checkpoints.keep_worst"]);
}

#[tokio::test]
async fn the_token_of_another_run_changes_nothing() {
    let server = Server::start().await;
    let (_, checkpoint) = server.checkpoint().await;
    let other = server.submit("other").await;
    let token = json!({"name": "job", "scope": "run", "run_id": other});
    let secret = server.post("/api/v2/tokens", token).await["secret"].as_str().unwrap().to_owned();
    let path = format!("/api/v2/checkpoints/{}", checkpoint["id"].as_str().unwrap());
    let files = json!({"files": [hello("a")]});
    server.call_as(&secret, "POST", &format!("{path}/files"), files).await.refused(403, "forbidden");
    server.call_as(&secret, "DELETE", &path, None).await.refused(403, "forbidden");
    let new = json!({"run_id": checkpoint["run_id"], "global_step": 1});
    server.call_as(&secret, "POST", "/api/v2/checkpoints", new).await.refused(403, "forbidden");
    let listed = server.call_as(&secret, "GET", "/api/v2/checkpoints", None).await.data();
    assert_eq!(listed, json!([]));
}
