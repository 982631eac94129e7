//! PAI's API as its Python SDK speaks it: translates its requests to the engine calls that our own API makes, and the answers
//! back. Its requests are told by their headers, since other systems' paths are the same. Everything that is an id, a name
//! or a value is text here, and lists are always there: the SDK breaks on anything else.

mod code;
mod event;
mod experiment;
mod id;
mod job;
mod label;
mod log;
mod machine;
mod metric;
mod model;
mod query;
mod refusal;
mod request;
mod settings;
mod show;
pub(crate) mod sign;
mod tensorboard;
mod workspace;

use axum::{
    Router,
    extract::{FromRequestParts, OriginalUri, Request, State},
    http::{StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use runyard_engine::Actor;
use serde_json::{Value, json};
pub use settings::{Executor, Settings};
use tower_http::timeout::TimeoutLayer;

use crate::{
    app::App,
    auth::Caller,
    error::{Form, Problem},
    limits,
    observe::RequestId,
};

/// Where the API is.
const BASE: &str = "/api/v1";

/// Who asks, and the id of what they ask.
pub(super) struct Asked {
    pub(super) actor: Actor,
    request_id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Caller(actor) = Caller::from_request_parts(parts, state).await?;
        let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone());
        Ok(Self { actor, request_id: id.unwrap_or_default() })
    }
}

impl Asked {
    /// An answer with these fields, and the id of the request.
    pub(super) fn answer(&self, mut fields: Value) -> axum::Json<Value> {
        fields["RequestId"] = json!(self.request_id);
        axum::Json(fields)
    }
}

/// What most handlers answer.
type Answer = Result<axum::Json<Value>, Problem>;

/// All of the dialect, with its state: it stands beside all other routes.
pub(crate) fn router(app: &App) -> Router {
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits::ANSWER);
    let api = jobs()
        .merge(others())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(axum::middleware::from_fn_with_state(app.clone(), authenticate))
        .layer(axum::middleware::map_response(refusal::known_status));
    Router::new().nest(BASE, api).fallback(unknown).layer(timeout).with_state(app.clone())
}

/// Training jobs.
fn jobs() -> Router<App> {
    Router::new()
        .route("/trainingjobs", get(job::list).post(job::create))
        .route("/trainingjobs/{id}", get(job::get).delete(job::delete))
        .route("/trainingjobs/{id}/stop", put(job::stop))
        .route("/trainingjobs/{id}/logs", get(log::list))
        .route("/trainingjobs/{id}/labels", post(label::update).delete(label::delete))
        .route("/trainingjobs/{id}/metrics", get(metric::list))
        .route("/trainingjobs/{id}/latestmetrics", get(metric::latest))
        .route("/trainingjobs/{id}/instancemetrics", get(metric::of_instances))
        .route("/trainingjobs/{id}/events", get(event::list))
        .route("/trainingjobs/{id}/instances/{instance}/events", get(event::of_instance))
        .route("/trainingjobs/{id}/errorinfo", get(job::error_info))
        .route("/trainingjobs/{id}/outputmodels", get(model::of_job))
}

/// What clients ask beside jobs.
fn others() -> Router<App> {
    Router::new()
        .route("/defaultWorkspaces", get(workspace::get_default))
        .route("/workspaces", get(workspace::list))
        .route("/workspaces/{id}", get(workspace::get))
        .route("/workspaces/{id}/configs", get(workspace::configs))
        .route("/experiments", get(experiment::list).post(experiment::create))
        .route("/experiments/{id}", get(experiment::get).put(experiment::update).delete(experiment::delete))
        .route("/experiments/{id}/labels", post(experiment::set_labels))
        .route("/experiments/{id}/labels/{key}", delete(experiment::delete_label))
        .route("/models", get(model::list).post(model::create))
        .route("/models/{id}", get(model::get).delete(model::delete))
        .route("/models/{id}/versions", get(model::versions).post(model::create_version))
        .route(
            "/models/{id}/versions/{name}",
            get(model::get_version).put(model::update_version).delete(model::delete_version),
        )
        .route("/ecsspecs", get(machine::specs))
        .route("/images", get(machine::images))
        .route("/algorithms", get(machine::algorithms))
        .route("/tensorboards", get(tensorboard::list).post(tensorboard::create))
        .route("/tensorboards/{id}", get(tensorboard::missing).delete(tensorboard::missing))
}

/// Lets only those through whose signature is right, and tells the handler who they are.
async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match sign::authenticate_acs(&app, &parts).await {
        Ok(actor) => {
            parts.extensions.insert(Caller(actor));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refused) => refused.acs().into_response(),
    }
}

/// Answers here what a client of PAI asks, and lets everything else pass.
pub(crate) async fn divert(State(pai): State<Router>, request: Request, next: Next) -> Response {
    if !is_ours(&request) {
        return next.run(request).await;
    }
    let is_log = request.uri().path().ends_with("/logs");
    let mut response = match tower::ServiceExt::oneshot(pai, request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if is_log && response.status().is_server_error() {
        response = refusal::no_log_yet(&response).into_response();
    }
    response.extensions_mut().insert(refusal::written as Form);
    response
}

/// Whether PAI's SDK sent it: it signs with `acs`, and names the version of the service.
fn is_ours(request: &Request) -> bool {
    let headers = request.headers();
    let signed = headers.get(header::AUTHORIZATION).is_some_and(|text| text.as_bytes().starts_with(b"acs "));
    signed || headers.contains_key("x-acs-version")
}

/// A body that is JSON.
fn body(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is not JSON: {error}"))
    })
}

async fn unknown(OriginalUri(uri): OriginalUri, request: Request) -> Response {
    refusal::unknown_operation(request.method(), uri.path(), request.headers()).into_response()
}
