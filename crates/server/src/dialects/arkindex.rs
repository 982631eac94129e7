//! Arkindex's API as its workers and command line speak it: translates their requests to the engine calls that our own API
//! makes, and the answers back. Refuses in JSON only, because clients act on what they find in a refusal: of a text with
//! the letters `id` in it, they conclude that a version exists, and delete theirs.

mod activity;
mod artifact;
mod classification;
mod corpus;
mod dataset;
mod element;
mod embedding;
mod entity;
mod export;
mod image;
mod metadata;
mod model;
mod model_version;
mod multipart;
mod page;
mod ponos;
mod process;
mod refusal;
mod settings;
mod site;
mod transcription;
mod wanted;
mod worker_run;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::IntoResponse,
    routing::{delete, get, post, put},
};
pub use settings::Settings;
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
    let api = runs()
        .merge(models())
        .merge(elements())
        .merge(results())
        .merge(datasets())
        .fallback(unknown)
        .layer(middleware::from_fn_with_state((app.clone(), SCHEMES), auth::authenticate_by))
        .layer(middleware::map_response(refusal::known_status));
    let open = Router::new().route(&format!("{BASE}/openapi/"), get(document));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits::ANSWER);
    open.nest(BASE, api).layer(timeout)
}

/// Worker runs, processes and tasks.
fn runs() -> Router<App> {
    Router::new()
        .route("/process/workers/{id}/", get(worker_run::get))
        .route("/workers/runs/{id}/configuration/", get(worker_run::configuration))
        .route("/workers/versions/{id}/", get(worker_run::version))
        .route("/workers/versions/{id}/activity/", put(activity::update))
        .route("/process/start-activity/", post(activity::start_next))
        .route("/process/{id}/elements/", get(process::elements))
        .route("/process/{id}/sets/", get(process::sets))
        .route("/secret/{name}", get(ponos::secret))
        .route("/task/{id}/", get(ponos::task))
        .route("/task/{id}/from-agent/", get(ponos::task))
        .route("/task/{id}/artifacts/", get(artifact::list).post(artifact::create))
        .route("/task/{id}/artifact/{path}", get(artifact::download))
}

/// Models and their versions.
fn models() -> Router<App> {
    Router::new()
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
}

/// Corpora, elements and images.
fn elements() -> Router<App> {
    Router::new()
        .route("/corpus/{id}/", get(corpus::get))
        .route("/corpus/{id}/elements/", get(element::list))
        .route("/corpus/{id}/export/", get(export::list).post(export::start))
        .route("/export/{id}/", get(export::download))
        .route("/elements/type/", post(corpus::create_type))
        .route("/elements/create/", post(element::create))
        .route("/elements/{id}/children/", get(element::children))
        .route("/elements/{id}/parents/", get(element::parents))
        .route("/element/{id}/", get(element::get).patch(element::patch))
        .route("/element/{id}/children/bulk/", post(element::create_bulk))
        .route("/element/{id}/parent/{parent}/", post(element::link_parent))
        .route("/element/parent/{id}/", post(element::link_children))
        .route("/image/iiif/url/", post(image::create_iiif))
}

/// What is found about elements.
fn results() -> Router<App> {
    Router::new()
        .route("/corpus/{id}/classes/", get(classification::classes).post(classification::create_class))
        .route("/classifications/", post(classification::create))
        .route("/classification/bulk/", post(classification::create_bulk))
        .route("/element/{id}/transcription/", post(transcription::create))
        .route("/element/{id}/transcriptions/", get(transcription::list))
        .route("/element/{id}/transcriptions/bulk/", post(transcription::create_on_children))
        .route("/transcription/bulk/", post(transcription::create_bulk))
        .route("/corpus/{id}/entity-types/", get(entity::types))
        .route("/corpus/{id}/entities/", get(entity::list))
        .route("/entity/types/", post(entity::create_type))
        .route("/entity/", post(entity::create))
        .route("/transcription/{id}/entity/", post(entity::place_one))
        .route("/transcription/{id}/entities/", get(entity::places))
        .route("/transcription/{id}/entities/bulk/", post(entity::place_many))
        .route("/element/{id}/metadata/", get(metadata::list).post(metadata::create))
        .route("/element/{id}/metadata/bulk/", post(metadata::create_bulk))
        .route("/element/{id}/embedding/", get(embedding::list).post(embedding::create))
}

/// Datasets.
fn datasets() -> Router<App> {
    Router::new()
        .route("/corpus/{id}/datasets/", post(dataset::create))
        .route("/datasets/{id}/", get(dataset::get).patch(dataset::patch))
        .route("/datasets/{id}/elements/", get(dataset::elements).post(dataset::add))
        .route("/datasets/{id}/elements/{element}/", delete(dataset::remove))
        .route("/datasets/{id}/sets/{set}/", get(dataset::set))
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
