//! Every answer that is no success: one type, one body. Never shows the inside of a fault to a client.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use runyard_domain::FieldErrors;
use runyard_engine as engine;
use runyard_wire as wire;
use serde_json::Value;

/// Why a request was refused. Travels in the response's extensions until [`render`] writes the body, because only
/// there the request's id is known.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) errors: Option<BTreeMap<String, Vec<String>>>,
    /// What a dialect answers instead of words, where its clients read more than words out of a refusal.
    pub(crate) instead: Option<Box<Value>>,
    expected_offset: Option<i64>,
    /// For the server's log only.
    fault: Option<Box<str>>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, errors: None, instead: None, expected_offset: None, fault: None }
    }

    /// One wrong field.
    pub(crate) fn field(path: &str, message: impl Into<String>) -> Self {
        FieldErrors::one(path, message).into()
    }

    /// The same, with a body that is written as it is, in the forms of dialects.
    pub(crate) fn instead(self, body: Value) -> Self {
        Self { instead: Some(Box::new(body)), ..self }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// A body over its limit, in bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let limit = if limit >= 1 << 20 && limit.is_multiple_of(1 << 20) {
            format!("{} MiB", limit >> 20)
        } else {
            format!("{limit} bytes")
        };
        let message = format!("the body is over the limit of {limit}: send it in smaller parts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// A fault of the server: the client gets a neutral sentence, the log gets `fault`.
    pub(crate) fn fault(fault: impl Into<String>) -> Self {
        let message = "the server failed: try again, and quote the request id to the operator, whose log has the reason";
        Self {
            fault: Some(fault.into().into_boxed_str()),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
        }
    }
}

impl From<FieldErrors> for Problem {
    fn from(fields: FieldErrors) -> Self {
        engine::Error::Invalid { fields }.into()
    }
}

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Self {
        use engine::Error as E;
        let message = error.to_string();
        match error {
            E::Invalid { fields } => Self {
                errors: Some(fields.0),
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
            },
            E::NotFound { .. } => Self::not_found(message),
            E::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, code, message),
            E::SameContent { .. } => Self::new(StatusCode::CONFLICT, "same_content", message),
            E::OffsetGap { expected, .. } => Self {
                expected_offset: Some(expected),
                ..Self::new(StatusCode::CONFLICT, "offset_gap", message)
            },
            E::Incomplete { .. } => Self::new(StatusCode::CONFLICT, "incomplete", message),
            E::Unauthorized(_) => Self::unauthorized(message),
            E::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            E::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message),
            E::Busy(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message),
            E::Internal(_) => Self::fault(message),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a refusal, with the request's id: its content type and text. One in a response's extensions goes
/// before the one of the path, for dialects whose requests are not told by their path.
pub(crate) type Form = fn(Problem, &str) -> (&'static str, String);

/// The form of our own API.
pub(crate) fn form(problem: Problem, request_id: &str) -> (&'static str, String) {
    let body = wire::error::Error {
        error: problem.message,
        code: problem.code.to_owned(),
        request_id: request_id.to_owned(),
        errors: problem.errors,
        expected_offset: problem.expected_offset,
    };
    ("application/json", serde_json::to_string(&body).unwrap_or_default())
}

/// Gives every answer that is no success its body; `what` is the method and path, for sentences and the log.
pub(crate) async fn render(mut response: Response, request_id: &str, what: &str, form: Form) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            of_framework(&mut response, what).await
        }
        None => return response,
    };
    if problem.status.is_server_error() {
        let fault = problem.fault.as_deref().unwrap_or(&problem.message);
        tracing::error!(request_id, request = what, status = problem.status.as_u16(), "{fault}");
    }
    let status = problem.status;
    let (mime, text) = form(problem, request_id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    headers.remove(header::CONTENT_LENGTH);
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"runyard\""));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    *response.body_mut() = Body::from(text);
    response
}

/// An answer that axum or a layer gave: its words, in our envelope.
async fn of_framework(response: &mut Response, what: &str) -> Problem {
    let status = response.status();
    let body = axum::body::to_bytes(std::mem::take(response.body_mut()), 64 << 10).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    let (code, fallback) = match status {
        StatusCode::BAD_REQUEST => ("bad_request", "the request cannot be read"),
        StatusCode::NOT_FOUND => ("not_found", "there is nothing here"),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "the method is not supported here"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
            ("busy", "the server did not get to it in time: try again")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is over the limit"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "the content type is not supported"),
        _ if status.is_server_error() => {
            return Problem { status, ..Problem::fault(format!("{what} answered {status}: {text}")) };
        }
        _ => ("bad_request", "the request was refused"),
    };
    let message = if text.is_empty() { fallback.to_owned() } else { text };
    Problem::new(status, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rendered(response: impl IntoResponse) -> (StatusCode, wire::error::Error, Response) {
        let mut response = render(response.into_response(), "r-1", "GET /x", form).await;
        let body = axum::body::to_bytes(std::mem::take(response.body_mut()), usize::MAX).await.unwrap();
        let error: wire::error::Error = serde_json::from_slice(&body).unwrap();
        assert_eq!(error.request_id, "r-1");
        (response.status(), error, response)
    }

    #[tokio::test]
    async fn every_error_of_the_engine_has_its_status_and_word() {
        use engine::Error as E;
        let cases = [
            (E::field("config.lr", "must be a number"), 422, "invalid"),
            (E::not_found("run", "x"), 404, "not_found"),
            (E::conflict("the run has ended"), 409, "conflict"),
            (E::Conflict { code: "stale_epoch", message: "superseded".into() }, 409, "stale_epoch"),
            (E::OffsetGap { given: 9, expected: 5 }, 409, "offset_gap"),
            (E::Incomplete { stored: runyard_domain::job::StreamLengths::default() }, 409, "incomplete"),
            (E::Unauthorized("expired".into()), 401, "unauthorized"),
            (E::Forbidden("not yours".into()), 403, "forbidden"),
            (E::TooLarge("over 512 MiB".into()), 413, "too_large"),
            (E::Busy("the database is busy".into()), 503, "busy"),
            (E::Internal("disk I/O error".into()), 500, "internal"),
        ];
        for (error, status, code) in cases {
            let (got, body, _) = rendered(Problem::from(error)).await;
            assert_eq!((got.as_u16(), body.code.as_str()), (status, code));
            assert_eq!(body.errors.is_some(), status == 422);
        }
    }

    #[tokio::test]
    async fn a_gap_says_where_to_go_on_and_a_wrong_field_its_path() {
        let (_, body, _) = rendered(Problem::from(engine::Error::OffsetGap { given: 9, expected: 5 })).await;
        assert_eq!(body.expected_offset, Some(5));
        let (_, body, _) = rendered(Problem::field("config.lr", "must be a number")).await;
        assert_eq!(body.errors.unwrap()["config.lr"], ["must be a number"]);
    }

    #[tokio::test]
    async fn the_inside_of_a_fault_stays_inside() {
        let (_, body, _) = rendered(Problem::from(engine::Error::Internal("/secret/path".into()))).await;
        assert!(!body.error.contains("secret"), "{}", body.error);
        let (status, body, _) = rendered((StatusCode::BAD_GATEWAY, "/secret/path")).await;
        assert_eq!(status, 502);
        assert!(!body.error.contains("secret"), "{}", body.error);
    }

    #[tokio::test]
    async fn headers_say_what_to_do_next() {
        let (_, _, response) = rendered(Problem::unauthorized("no token")).await;
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"runyard\"");
        let (_, _, response) = rendered(Problem::from(engine::Error::Busy("full".into()))).await;
        assert_eq!(response.headers()["retry-after"], "1");
    }

    #[tokio::test]
    async fn what_the_framework_refuses_gets_the_envelope_too() {
        let (_, body, _) = rendered((StatusCode::BAD_REQUEST, "Invalid URL: bad UTF-8")).await;
        assert_eq!((body.code.as_str(), body.error.as_str()), ("bad_request", "Invalid URL: bad UTF-8"));
        let (_, body, _) = rendered(StatusCode::METHOD_NOT_ALLOWED).await;
        assert_eq!(body.code, "method_not_allowed");
        let (_, body, _) = rendered(Problem::too_large(2 << 20)).await;
        assert!(body.error.contains("2 MiB"), "{}", body.error);
    }
}
