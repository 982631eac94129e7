//! Puts routes and layers together: which routes need a token, what is compressed, what a request may take.

use axum::{
    Router,
    extract::Request,
    http::{Extensions, HeaderMap, StatusCode, Version, header},
    middleware,
    response::Response,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{Predicate, SizeAbove},
    },
    timeout::{RequestBodyTimeoutLayer, TimeoutLayer},
};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    api,
    app::App,
    auth, dialects,
    error::Problem,
    limits, object, observe,
    openapi::{self, Document},
};

/// Routes that answer soon, routes that may take long, and routes that need no token.
struct Routes {
    soon: OpenApiRouter<App>,
    long: OpenApiRouter<App>,
    open: OpenApiRouter<App>,
}

fn routes() -> Routes {
    Routes {
        soon: OpenApiRouter::new().nest("/api/v2", api::soon()),
        long: OpenApiRouter::new().nest("/api/v2", api::long()),
        open: api::open(),
    }
}

/// The OpenAPI document of all routes.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let Routes { soon, long, open } = routes();
    let all = OpenApiRouter::<App>::with_openapi(Document::openapi()).merge(soon).merge(long).merge(open);
    openapi::plain_wildcards(all.into_openapi())
}

/// The whole HTTP surface.
pub(crate) fn router(app: App) -> Router {
    let Routes { soon, long, open } = routes();
    let (soon, long, open) = (Router::from(soon), Router::from(long), Router::from(open));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits::ANSWER);
    let closed = soon
        .route_layer(timeout)
        .merge(long)
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::authenticate));
    open.route_layer(timeout)
        .merge(closed)
        .merge(object::router())
        .merge(dialects::router(&app))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(dialects::pai::router(&app), dialects::pai::divert))
        .layer(RequestBodyTimeoutLayer::new(limits::BODY_IDLE))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(1024).and(is_json)))
        .layer(middleware::from_fn_with_state(dialects::oss::router(&app), dialects::oss::divert))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

async fn unknown_path(request: Request) -> Problem {
    if let Some(problem) = dialects::unknown_path(request.uri().path()) {
        return problem;
    }
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::not_found(format!(
        "there is nothing at `{path}`: the API is at /api/v2, described by /api/v2/openapi.json"
    ))
}

async fn unknown_method(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    let method: String = request.method().as_str().chars().take(20).collect();
    let message = format!("`{path}` does not support {method}: the header `Allow` says what it supports");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// Logs, sources and event streams are sent as they are.
fn is_json(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|mime| mime.as_bytes().starts_with(b"application/json"))
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    axum::response::IntoResponse::into_response(Problem::fault(format!("a handler panicked: {what}")))
}
