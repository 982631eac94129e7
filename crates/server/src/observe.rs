//! The outermost layer: gives every request an id, every refusal its body, and the operator a count and a line in the log.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

use crate::{app::App, dialects, error, limits};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for answers that have it in their body.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Wraps every route and fallback.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let by_path = dialects::form(request.uri().path());
    let what = format!("{method} {}", request.uri().path());
    // The path itself may be anything: only routes are counted.
    let route = request.extensions().get::<MatchedPath>().map_or("", |route| route.as_str()).to_owned();
    let span = tracing::info_span!("request", id, what);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).instrument(span).await;
    let form = response.extensions_mut().remove::<error::Form>().unwrap_or(by_path);
    let mut response = error::render(response, &id, &what, form).await;
    let took = started.elapsed();
    app.metrics.answered(known(&method), &route, response.status(), took);
    tracing::debug!(request_id = id, request = what, status = response.status().as_u16(), ?took, "answered");
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The client's own id if it is a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_sane = |id: &&str| {
        (1..=limits::REQUEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    match headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_sane) {
        Some(id) => id.to_owned(),
        None => uuid::Uuid::now_v7().to_string(),
    }
}

/// Methods are texts of the client's choice: what is not known is counted as one.
fn known(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(given: &'static str) -> String {
        request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(given))]))
    }

    #[test]
    fn a_sane_request_id_of_the_client_is_kept() {
        assert_eq!(id_for("abc-1.2_3"), "abc-1.2_3");
    }

    #[test]
    fn any_other_request_id_is_replaced() {
        for given in ["", "a b", "a\"b", "<script>"] {
            assert_eq!(id_for(given).len(), 36, "{given}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
