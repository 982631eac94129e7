//! The HTTP surface over a real engine on a data folder of its own; no socket, no controller, no program.

mod arkindex;
mod bad_input;
mod checkpoint;
mod element;
mod instances;
mod logs;
mod model;
mod object;
mod openapi;
mod oss;
mod pai;
mod runs;
mod secret;
mod series;
mod serve;
mod stream;
mod worker_runs;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use runyard_engine::{self as engine, Engine};
use runyard_wire as wire;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{app::App, router};

/// A server without a port.
struct Server {
    router: Router,
    engine: Engine,
    /// Secret of an admin token.
    admin: String,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

/// An answer.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine::open(engine::OpenOptions {
            data: folder.path().to_owned(),
            database: None,
            objects: None,
            // The tests play the runner themselves.
            runner: "/bin/true".into(),
            cpu_milli: None,
            memory_bytes: None,
            max_log_bytes: engine::log::MIN_MAX_BYTES,
            instance_types: runyard_domain::instance_type::built_in(),
            containers: None,
            keep: runyard_engine::garbage::gc::Keep::default(),
            allow_network_filesystem: false,
            url: std::sync::Arc::new("http://runyard.test".to_owned().into()),
        })
        .await
        .unwrap();
        let admin = engine::token::new_secret(&engine);
        engine::token::ensure_admin(&engine, &admin).await.unwrap();
        let shutdown = CancellationToken::new();
        let router = router::router(App::new(engine.clone(), shutdown.clone()));
        Self { router, engine, admin, shutdown, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// A request as admin; a string goes as it is, anything else as JSON.
    async fn call(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> Reply {
        self.call_as(&self.admin, method, path, body).await
    }

    async fn call_as(&self, secret: &str, method: &str, path: &str, body: impl Into<Option<Value>>) -> Reply {
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {secret}"));
        let request = match body.into() {
            None => request.body(Body::empty()),
            Some(Value::String(text)) => {
                request.header("content-type", "application/json").body(Body::from(text))
            }
            Some(value) => {
                request.header("content-type", "application/json").body(Body::from(value.to_string()))
            }
        };
        self.send(request.unwrap()).await
    }

    async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.data()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, body).await.data()
    }

    /// Submits a run; answers its id. The next one is created in a later millisecond: ids tell no more than that apart.
    async fn submit(&self, name: &str) -> String {
        let run = self.post("/api/v2/runs", json!({"name": name, "spec": {"command": ["true"]}})).await;
        poll(async || (self.engine.now().0 > run["created_at"].as_i64().unwrap()).then_some(())).await;
        run["id"].as_str().unwrap().to_owned()
    }

    /// Waits for the run's newest job with this epoch, driving runs meanwhile; answers the job's id.
    async fn job(&self, run: &str, epoch: i64) -> String {
        let stop = CancellationToken::new();
        let driven =
            tokio::spawn(engine::reconcile::run(self.engine.clone(), stop.clone().cancelled_owned()));
        let job = poll(async || {
            let jobs = self.get(&format!("/api/v2/runs/{run}/jobs")).await;
            let job = jobs.as_array().unwrap().iter().find(|job| job["epoch"] == epoch)?;
            Some(job["id"].as_str().unwrap().to_owned())
        });
        let job = job.await;
        stop.cancel();
        driven.await.unwrap();
        job
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `data` of a success.
    #[track_caller]
    fn data(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        self.json()["data"].clone()
    }

    /// A refusal of this status and code: every one has a sentence and the id of its request.
    #[track_caller]
    fn refused(&self, status: u16, code: &str) -> wire::error::Error {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let error: wire::error::Error = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(error.code, code, "{}", error.error);
        assert!(!error.error.is_empty());
        assert_eq!(self.headers["x-request-id"], error.request_id.as_str());
        assert_eq!(self.headers["content-type"], "application/json");
        error
    }

    /// A refusal that names exactly these fields.
    #[track_caller]
    fn invalid(&self, fields: &[&str]) -> wire::error::Error {
        let error = self.refused(422, "invalid");
        let named: Vec<&str> = error.errors.iter().flatten().map(|(path, _)| path.as_str()).collect();
        assert_eq!(named, fields, "{}", error.error);
        error
    }
}

/// Looks until there is something to see.
async fn poll<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(std::time::Instant::now() < deadline, "it was not seen within 30 s");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
