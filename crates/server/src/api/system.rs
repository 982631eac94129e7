//! The server and its machine over HTTP; whether it lives and can work.

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    system::{CollectGarbage, Freed, SystemGpus, SystemInfo, SystemResources},
};

use super::{Answer, data};
use crate::{
    app::App,
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Conflicting, Refused, Unready},
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

/// Backs the server up
///
/// Everything that it keeps, in one file, while it works: rows, objects (those in a bucket are not in it), and the secrets of
/// its data folder. Only for admins. A body that ends before its last chunk is no backup.
#[utoipa::path(get, path = "/backup", operation_id = "read_backup", tag = "system",
    responses((status = 200, description = "The backup, a tar file.", content_type = "application/x-tar", body = Vec<u8>),
        Conflicting, Refused))]
pub(super) async fn backup(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    let bytes = engine::backup::write(&app.engine, &actor).await?;
    let headers = [(header::CONTENT_TYPE, "application/x-tar"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// Frees what nobody needs
///
/// And says how much of what. Only for admins. The server does the same by itself, every hour.
#[utoipa::path(post, path = "/gc", operation_id = "collect_garbage", tag = "system", request_body = CollectGarbage,
    responses((status = 200, description = "What was freed, by kind.", body = Data<Vec<Freed>>),
        Conflicting, BadBody, Refused))]
pub(super) async fn collect_garbage(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<CollectGarbage>,
) -> Answer<Vec<Freed>> {
    let ms = |seconds: i64| seconds.saturating_mul(1000);
    let wanted = engine::garbage::gc::Wanted {
        dry_run: body.dry_run,
        jobs_ms: body.keep_jobs_s.map(ms),
        environments_ms: body.keep_environments_s.map(ms),
    };
    let free = move |engine| async move { engine::garbage::gc::run(&engine, &actor, wanted).await };
    let freed = app.command(free).await?;
    let wire = |(kind, freed): (engine::garbage::gc::Kind, engine::garbage::Freed)| Freed {
        kind: kind.word().to_owned(),
        count: freed.count,
        bytes: freed.bytes,
    };
    data(freed.into_iter().map(wire).collect())
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
        unavailable: resources.unavailable,
        cpu_milli_total: capacity.cpu_milli_total,
        cpu_milli_free: capacity.cpu_milli_free,
        memory_bytes_total: capacity.memory_bytes_total,
        memory_bytes_free: capacity.memory_bytes_free,
        gpus: capacity.gpus.into_iter().map(|(kind, total, free)| SystemGpus { kind, total, free }).collect(),
        jobs_running: resources.jobs_running,
        jobs_pending: resources.jobs_pending,
    }
}
