//! What an operator's Prometheus reads at `/metrics`. Counts requests by route, never by path, so that it stays small.

use std::{fmt::Error, time::Duration};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use runyard_engine as engine;

use crate::{app::App, error::Problem};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

/// The server's own counters.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answer, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    runs: Family<Status, Gauge>,
    queue: Gauge,
    pub(crate) streams: Gauge,
}

/// From half a millisecond to about half a minute.
fn latency() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0])
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("runyard");
        let requests = Family::<Answer, Counter>::default();
        let seconds = Family::<Route, Histogram, fn() -> Histogram>::new_with_constructor(latency);
        let runs = Family::<Status, Gauge>::default();
        let (queue, streams) = (Gauge::default(), Gauge::default());
        registry.register(
            "build",
            "Version of the server",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time until the answer began, in seconds",
            seconds.clone(),
        );
        registry.register("event_streams", "Event streams that are open", streams.clone());
        registry.register("runs", "Runs by status", runs.clone());
        registry.register("database_queue", "Database operations that wait for a thread", queue.clone());
        Self { registry, requests, seconds, runs, queue, streams }
    }

    /// Notes a request that was answered.
    pub(crate) fn answered(&self, method: &str, route: &str, status: StatusCode, took: Duration) {
        let (method, route) = (method.to_owned(), route.to_owned());
        let by_route = Route { method: method.clone(), route: route.clone() };
        self.seconds.get_or_create(&by_route).observe(took.as_secs_f64());
        self.requests.get_or_create(&Answer { method, route, status: status.as_u16() }).inc();
    }

    fn text(&self) -> Result<String, Error> {
        let mut out = String::with_capacity(16 << 10);
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// `GET /metrics`
pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let counts = engine::system::counts(&app.engine).await?;
    for status in runyard_domain::run::Status::ALL {
        let count = counts.iter().find(|(of, _)| *of == status).map_or(0, |(_, count)| *count);
        app.metrics.runs.get_or_create(&Status { status: status.word() }).set(count);
    }
    app.metrics.queue.set(i64::try_from(app.engine.db.queue_depth()).unwrap_or(i64::MAX));
    let text =
        app.metrics.text().map_err(|error| Problem::fault(format!("cannot write metrics: {error}")))?;
    let mime = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, mime)], text).into_response())
}
