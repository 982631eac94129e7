//! PAI's API over HTTP, signed here as its SDK signs.

use axum::{
    body::Body,
    http::{Method, Request},
};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::{Value, json};
use sha1::Sha1;

use super::{Reply, Server};

/// An access key.
struct Key {
    id: String,
    secret: String,
}

/// How a request is signed.
struct Signed<'a> {
    nonce: &'a str,
    /// How long ago.
    age: SignedDuration,
}

impl Signed<'_> {
    fn now(nonce: &str) -> Signed<'_> {
        Signed { nonce, age: SignedDuration::ZERO }
    }
}

async fn key(server: &Server, scope: Value) -> Key {
    let mut new = json!({"name": "pai", "access_key": true});
    new.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
    let made = server.post("/api/v2/tokens", new).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Key { id: text(&made["token"]["access_key_id"]), secret: text(&made["secret"]) }
}

async fn ask(
    server: &Server,
    key: &Key,
    method: Method,
    path: &str,
    body: Option<Value>,
    signed: Signed<'_>,
) -> Reply {
    let at = Timestamp::now() - signed.age;
    let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
    let mime = if body.is_some() { "application/json; charset=utf-8" } else { "" };
    let own =
        [("x-acs-action", "Any"), ("x-acs-signature-nonce", signed.nonce), ("x-acs-version", "2022-01-12")];
    let headers = own.map(|(name, value)| format!("{name}:{value}\n")).concat();
    let text = format!("{method}\napplication/json\n\n{mime}\n{date}\n{headers}{path}");
    let mut mac = <Hmac<Sha1>>::new_from_slice(key.secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json")
        .header("date", date)
        .header("host", "http://127.0.0.1:1")
        .header("authorization", format!("acs {}:{signature}", key.id));
    for (name, value) in own {
        request = request.header(name, value);
    }
    let body = match body {
        None => Body::empty(),
        Some(body) => {
            request = request.header("content-type", mime);
            Body::from(body.to_string())
        }
    };
    server.send(request.body(body).unwrap()).await
}

fn job() -> Value {
    json!({
        "AlgorithmSpec": {"Command": ["true"], "Image": "python:3.11", "JobType": "PyTorchJob"},
        "ComputeResource": {"EcsSpec": "local", "EcsCount": 1}, "HyperParameters": [{"Name": "lr", "Value": "0.1"}],
        "InputChannels": [], "OutputChannels": [], "Scheduler": {}, "TrainingJobName": "a job", "WorkspaceId": "None"
    })
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) -> String {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["Code"], code, "{body}");
    assert_eq!(body["RequestId"], reply.headers["x-request-id"].to_str().unwrap());
    body["Message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_is_made_read_and_listed_with_its_request_id() {
    let server = Server::start().await;
    let key = key(&server, json!({"scope": "admin"})).await;
    let made = ask(&server, &key, Method::POST, "/api/v1/trainingjobs", Some(job()), Signed::now("1")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let id = made.json()["TrainingJobId"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["RequestId"], made.headers["x-request-id"].to_str().unwrap());
    let path = format!("/api/v1/trainingjobs/{id}");
    let shown = ask(&server, &key, Method::GET, &path, None, Signed::now("2")).await.json();
    assert_eq!(
        (shown["Status"].as_str(), shown["TrainingJobName"].as_str()),
        (Some("Creating"), Some("a job"))
    );
    assert_eq!(shown["WorkspaceId"], "None", "as it was sent");
    let listed = ask(&server, &key, Method::GET, "/api/v1/trainingjobs", None, Signed::now("3")).await.json();
    assert_eq!(
        (listed["TotalCount"].as_i64(), &listed["TrainingJobs"][0]["TrainingJobId"]),
        (Some(1), &json!(id))
    );
    let logs = ask(&server, &key, Method::GET, &format!("{path}/logs"), None, Signed::now("4")).await.json();
    assert_eq!((&logs["Logs"], &logs["TotalCount"]), (&json!([]), &json!("0")));
}

#[tokio::test]
async fn a_request_that_was_signed_long_ago_or_was_sent_before_is_refused() {
    let server = Server::start().await;
    let key = key(&server, json!({"scope": "admin"})).await;
    let path = "/api/v1/trainingjobs";
    let old = Signed { nonce: "1", age: SignedDuration::from_mins(16) };
    let said =
        refused(&ask(&server, &key, Method::GET, path, None, old).await, 400, "InvalidTimeStamp.Expired");
    assert!(said.contains("set the clock"), "{said}");
    let once = ask(&server, &key, Method::GET, path, None, Signed::now("2")).await;
    assert_eq!(once.status, 200, "{}", once.text());
    refused(&ask(&server, &key, Method::GET, path, None, Signed::now("2")).await, 400, "SignatureNonceUsed");
    let other = Key { secret: "another".to_owned(), ..key };
    let said = refused(
        &ask(&server, &other, Method::GET, path, None, Signed::now("3")).await,
        400,
        "SignatureDoesNotMatch",
    );
    assert!(said.contains("the secret of the access key"), "{said}");
}

#[tokio::test]
async fn a_key_of_a_project_makes_jobs_there_and_sees_no_others() {
    let server = Server::start().await;
    server.post("/api/v2/projects", json!({"name": "ocr"})).await;
    let admin = key(&server, json!({"scope": "admin"})).await;
    let own = key(&server, json!({"scope": "project", "project_id": "ocr"})).await;
    let path = "/api/v1/trainingjobs";
    let foreign = ask(&server, &admin, Method::POST, path, Some(job()), Signed::now("1")).await.json();
    let made = ask(&server, &own, Method::POST, path, Some(job()), Signed::now("2")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let listed = ask(&server, &own, Method::GET, path, None, Signed::now("3")).await.json();
    assert_eq!(listed["TotalCount"], 1);
    let path = format!("{path}/{}", foreign["TrainingJobId"].as_str().unwrap());
    for (method, rest, nonce) in
        [(Method::GET, "", "4"), (Method::PUT, "/stop", "5"), (Method::DELETE, "", "6")]
    {
        let reply = ask(&server, &own, method, &format!("{path}{rest}"), None, Signed::now(nonce)).await;
        refused(&reply, 404, "TRAINING_JOB_NOT_FOUND");
    }
}

#[tokio::test]
async fn what_is_broken_or_unknown_is_refused_in_pais_form() {
    let server = Server::start().await;
    let key = key(&server, json!({"scope": "admin"})).await;
    let path = "/api/v1/trainingjobs";
    let bad = Some(json!({"AlgorithmSpec": 1}));
    let said = refused(
        &ask(&server, &key, Method::POST, path, bad, Signed::now("1")).await,
        400,
        "InvalidParameter",
    );
    assert!(said.contains("AlgorithmSpec"), "{said}");
    let said = refused(
        &ask(&server, &key, Method::PATCH, path, None, Signed::now("2")).await,
        404,
        "InvalidAction.NotFound",
    );
    assert!(said.contains("PATCH /api/v1/trainingjobs"), "{said}");
    for (at, unknown) in ["/api/v1/services", "/nowhere"].into_iter().enumerate() {
        let nonce = format!("u{at}");
        let reply = ask(&server, &key, Method::GET, unknown, None, Signed::now(&nonce)).await;
        refused(&reply, 404, "InvalidAction.NotFound");
    }
    let reply = ask(&server, &key, Method::GET, &format!("{path}/x/logs"), None, Signed::now("3")).await;
    refused(&reply, 404, "TRAINING_JOB_NOT_FOUND");
}
