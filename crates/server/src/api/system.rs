//! The server and its machine over HTTP; whether it lives and can work.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    system::{SystemGpus, SystemInfo, SystemResources},
};

use super::{Answer, data};
use crate::{
    app::App,
    auth::Caller,
    error::Problem,
    openapi::{Refused, Unready},
    query::{Nothing, Query},
};

/// Says what this server is
#[utoipa::path(get, path = "/system", operation_id = "get_system", tag = "system",
    responses((status = 200, description = "The server.", body = Data<SystemInfo>), Refused))]
pub(super) async fn info(
    State(app): State<App>,
    _caller: Caller,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<SystemInfo> {
    data(SystemInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        database: app.engine.db.kind().to_owned(),
        executors: app.engine.executors.iter().map(|executor| executor.name().to_owned()).collect(),
        now: app.engine.now().0,
    })
}

/// Lists what executors have
///
/// And what of it is free.
#[utoipa::path(get, path = "/system/resources", operation_id = "list_system_resources", tag = "system",
    responses((status = 200, description = "Resources by executor.", body = Data<Vec<SystemResources>>), Refused))]
pub(super) async fn resources(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<SystemResources>> {
    let resources = engine::system::resources(&app.engine, &actor).await?;
    data(resources.into_iter().map(wire).collect())
}

/// Reads this document
#[utoipa::path(get, path = "/api/v2/openapi.json", operation_id = "get_openapi", tag = "system", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = Object)))]
pub(super) async fn document() -> Response {
    static DOCUMENT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let text = DOCUMENT.get_or_init(crate::openapi).as_str();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Says that the server lives
#[utoipa::path(get, path = "/healthz", operation_id = "get_healthz", tag = "system", security(()),
    responses((status = 200, description = "It lives.", content_type = "text/plain", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Says whether the server can work
#[utoipa::path(get, path = "/readyz", operation_id = "get_readyz", tag = "system", security(()),
    responses((status = 200, description = "The database answers.", content_type = "text/plain", body = String),
        Unready))]
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    engine::system::ready(&app.engine).await.map_err(|error| {
        tracing::warn!("not ready: {error}");
        Problem::from(engine::Error::Busy("the database does not answer".into()))
    })?;
    Ok("ok\n")
}

/// Reads the operator's metrics
#[utoipa::path(get, path = "/metrics", operation_id = "get_prometheus_metrics", tag = "system", security(()),
    responses((status = 200, description = "OpenMetrics.", content_type = "application/openmetrics-text", body = String),
        Unready))]
pub(super) async fn metrics(state: State<App>) -> Result<Response, Problem> {
    crate::metrics::show(state).await
}

fn wire(resources: engine::system::Resources) -> SystemResources {
    let capacity = resources.capacity;
    SystemResources {
        executor: resources.executor,
        cpu_milli_total: capacity.cpu_milli_total,
        cpu_milli_free: capacity.cpu_milli_free,
        memory_bytes_total: capacity.memory_bytes_total,
        memory_bytes_free: capacity.memory_bytes_free,
        gpus: capacity.gpus.into_iter().map(|(kind, total, free)| SystemGpus { kind, total, free }).collect(),
        jobs_running: resources.jobs_running,
        jobs_pending: resources.jobs_pending,
    }
}
