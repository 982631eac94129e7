//! Chariot's training API: translates its requests to the engine calls that our own API makes, and the answers back.
//! Takes what it does not know without a word; answers exactly the fields and types that Chariot's clients read.

mod blueprint;
mod checkpoint;
mod event;
mod form;
mod login;
mod metric;
mod run;
mod select;
mod settings;

use std::{collections::BTreeMap, str::FromStr};

use axum::{
    Json, Router,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use runyard_domain::ProjectId;
use runyard_engine as engine;
use runyard_wire::Data;
use serde::Serialize;
use tower_http::timeout::TimeoutLayer;

pub use settings::{Epoch, Settings};

use crate::{
    app::App,
    auth,
    error::{Form, Problem},
    limits,
};

/// Where the API is.
const BASE: &str = "/api/training/v2";
/// Where credentials are exchanged for a token.
const LOGIN: &str = "/auth/client/v2/chariot/login";
/// Written by hand from what is known of the original: generated clients depend on its every name.
const DOCUMENT: &str = include_str!("chariot/openapi.json");

/// What most handlers answer.
type Answer<T> = Result<Json<Data<T>>, Problem>;

#[expect(clippy::unnecessary_wraps, reason = "it is what handlers end with")]
fn data<T>(data: T) -> Answer<T> {
    Ok(Json(Data { data }))
}

/// All of the dialect.
pub(crate) fn router(app: &App) -> Router<App> {
    let api = Router::new()
        .route("/runs", get(run::list).post(run::create))
        .route("/runs/{id}", get(run::get).delete(run::delete))
        .route("/runs/{id}/events", get(event::list))
        .route("/runs/{id}/stop", post(run::stop))
        .route("/runs/{id}/restart", post(run::restart))
        .route("/metrics", get(metric::list))
        .route("/metrics/tags", get(metric::tags))
        .route("/checkpoints", get(checkpoint::list))
        .route("/blueprints", get(blueprint::list))
        .route("/blueprints/{id}", get(blueprint::get))
        .route("/blueprints/{id}/validate", post(blueprint::validate))
        .fallback(async || unknown_path())
        .layer(middleware::from_fn_with_state(app.clone(), auth::authenticate));
    let open = Router::new()
        .route(&format!("{BASE}/openapi.json"), get(document))
        .route(LOGIN, post(login::exchange));
    // A large checkpoint takes as long as it takes to be packed.
    let long = Router::new()
        .route(&format!("{BASE}/checkpoints/{{id}}/model"), post(checkpoint::create_model))
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::authenticate));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits::ANSWER);
    open.nest(BASE, api).layer(timeout).merge(long)
}

async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], DOCUMENT)
}

/// Whether the path is below `/api/SERVICE/vN`, as Chariot's services are; ours are below `/api/v2`.
pub(crate) fn owns(path: &str) -> bool {
    let Some((service, rest)) = path.strip_prefix("/api/").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let version = rest.split('/').next().unwrap_or_default();
    let number = version.strip_prefix('v').unwrap_or_default();
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    is_word(service) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// The code of what leads nowhere; the original's server says that in plain text.
const UNKNOWN_PATH: &str = "unknown_path";

/// There is nothing at a path of this dialect.
pub(crate) fn unknown_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, UNKNOWN_PATH, "404 page not found")
}

/// How refusals at a path of this dialect are written.
pub(crate) fn form(path: &str) -> Option<Form> {
    match path {
        LOGIN => Some(login::refusal),
        path if owns(path) => Some(refusal),
        _ => None,
    }
}

#[derive(Serialize)]
struct Refusal {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<BTreeMap<String, Vec<String>>>,
}

fn refusal(problem: Problem, _: &str) -> (&'static str, String) {
    if problem.code == UNKNOWN_PATH {
        return ("text/plain; charset=utf-8", format!("{}\n", problem.message));
    }
    let error = match problem.status {
        // Whatever is wrong with it, to the letter.
        StatusCode::UNAUTHORIZED => "invalid bearer token".to_owned(),
        _ => problem.message,
    };
    let body = Refusal { error, errors: problem.errors };
    ("application/json", serde_json::to_string(&body).unwrap_or_default())
}

/// The ids of a filter. A text that is no id is nobody's; `None`: nothing can match.
fn ids<T: FromStr>(texts: &[String]) -> Option<Vec<T>> {
    let known: Vec<T> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    (texts.is_empty() || !known.is_empty()).then_some(known)
}

/// The projects of a filter, by id or name. `None`: nothing can match.
async fn projects(
    app: &App,
    actor: &engine::Actor,
    texts: &[String],
) -> Result<Option<Vec<ProjectId>>, Problem> {
    let mut known = Vec::with_capacity(texts.len());
    for text in texts {
        if let Ok(id) = text.parse() {
            known.push(id);
            continue;
        }
        match engine::project::get(&app.engine, actor, text).await {
            Ok(project) => known.push(project.id),
            Err(engine::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((texts.is_empty() || !known.is_empty()).then_some(known))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Whether a list takes the parameters that the document says, and selects from the same fields.
    #[track_caller]
    pub(super) fn agrees(path: &str, parameters: &BTreeSet<String>, fields: &[&str]) {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let named = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let named: Vec<&serde_json::Value> = named
            .iter()
            .map(|parameter| match parameter["$ref"].as_str() {
                Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                None => parameter,
            })
            .collect();
        let names = named.iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned());
        assert_eq!(&names.collect::<BTreeSet<_>>(), parameters);
        let select = named.iter().find(|parameter| parameter["name"] == "select").unwrap();
        let select = select["items"]["enum"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let known = fields.iter().copied().chain(["*"]);
        assert_eq!(select.collect::<BTreeSet<_>>(), known.collect());
    }

    #[test]
    fn services_are_words_and_our_own_api_is_none_of_them() {
        for path in
            ["/api/training/v2/runs", "/api/training/v1", "/api/identity/v2/users/me/", "/api/no-such/v12/x"]
        {
            assert!(owns(path), "{path}");
        }
        for path in [
            "/api/v2/runs",
            "/api/v2/v2/x",
            "/api/v1/x/",
            "/api/2.0/mlflow/runs",
            "/api/training/x",
            "/healthz",
        ] {
            assert!(!owns(path), "{path}");
        }
    }

    #[test]
    fn every_token_that_does_not_work_is_refused_in_the_same_words() {
        for message in ["this token was revoked", "no token was sent"] {
            let (mime, body) = refusal(Problem::unauthorized(message), "r-1");
            assert_eq!((mime, body.as_str()), ("application/json", r#"{"error":"invalid bearer token"}"#));
        }
    }

    #[test]
    fn wrong_fields_are_named_beside_the_sentence() {
        let (_, body) = refusal(Problem::field("config.lr", "must be a number"), "r-1");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["errors"], serde_json::json!({"config.lr": ["must be a number"]}));
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let references: Vec<&str> =
            DOCUMENT.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(references.len() > 50);
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
