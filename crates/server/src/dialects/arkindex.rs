//! Arkindex's API as its workers and command line speak it: translates their requests to the engine calls that our own API
//! makes, and the answers back. Refuses in JSON only, because clients act on what they find in a refusal: of a text with
//! the letters `id` in it, they conclude that a version exists, and delete theirs.

mod model;
mod model_version;
mod multipart;
mod page;
mod ponos;
mod refusal;
mod site;
mod worker_run;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use tower_http::timeout::TimeoutLayer;

use crate::{
    app::App,
    auth,
    error::{Form, Problem},
    limits,
};

/// Where the API is.
const BASE: &str = "/api/v1";
/// Written by hand: what clients call and how is in it, by names that they have built in. arkindex-client 1.1.0 reads it
/// as YAML and refuses much of what the standard allows, so every change is loaded by the real clients in `tests/arkindex`.
const DOCUMENT: &str = include_str!("arkindex/openapi.json");
/// What stands before a token: of people, of tasks, of everybody.
const SCHEMES: auth::Schemes = &["Token", "Ponos", "Bearer"];

/// All of the dialect.
pub(crate) fn router(app: &App) -> Router<App> {
    let api = Router::new()
        .route("/process/workers/{id}/", get(worker_run::get))
        .route("/workers/runs/{id}/configuration/", get(worker_run::configuration))
        .route("/secret/{name}", get(ponos::secret))
        .route("/task/{id}/", get(ponos::task))
        .route("/task/{id}/from-agent/", get(ponos::task))
        .route("/models/", get(model::list).post(model::create))
        .route("/model/{id}/", get(model::get))
        .route("/model/{id}/versions/", get(model_version::list).post(model_version::create))
        .route(
            "/modelversion/{id}/",
            get(model_version::get)
                .put(model_version::update)
                .patch(model_version::patch)
                .delete(model_version::delete),
        )
        .route("/modelversion/{id}/validate/", post(model_version::validate))
        .route("/multipart/create/", post(multipart::create))
        .route("/multipart/part/", post(multipart::part))
        .route("/multipart/complete/", post(multipart::complete))
        .route("/multipart/abort/", post(multipart::abort))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state((app.clone(), SCHEMES), auth::authenticate_by))
        .layer(middleware::map_response(refusal::known_status));
    let open = Router::new().route(&format!("{BASE}/openapi/"), get(document));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits::ANSWER);
    open.nest(BASE, api).layer(timeout)
}

async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], DOCUMENT)
}

async fn unknown(request: Request) -> Problem {
    unknown_path(request.uri().path())
}

/// Whether the path is of this dialect.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// There is nothing at a path of this dialect.
pub(crate) fn unknown_path(path: &str) -> Problem {
    let path: String = path.chars().take(200).collect();
    Problem::not_found(format!(
        "there is nothing at `{path}`: {BASE}/openapi/ says what is known here of Arkindex's API, to the last slash"
    ))
}

/// How refusals at a path of this dialect are written.
pub(crate) fn form(path: &str) -> Option<Form> {
    owns(path).then_some(refusal::written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_its_base_is_its_own() {
        for path in ["/api/v1", "/api/v1/", "/api/v1/openapi/", "/api/v1/no/such"] {
            assert!(owns(path), "{path}");
        }
        for path in ["/api/v10/x", "/api/v2/runs", "/api/training/v1", "/objects/x"] {
            assert!(!owns(path), "{path}");
        }
    }
}
