//! Reads JSON bodies. Every wrong field is named at once by its path; no body is larger than its limit in memory.

use std::borrow::Cow;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt;
use runyard_domain::FieldErrors;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{error::Problem, limits, schema};

pub(crate) mod lines;

/// A valid JSON body of at most `LIMIT` bytes; no body counts as `{}`.
pub(crate) struct Valid<T, const LIMIT: usize = { limits::JSON }>(pub(crate) T);

/// The same for large bodies of types whose serde form refuses all that their schema refuses: the schema is only
/// asked for reasons.
pub(crate) struct Bulk<T, const LIMIT: usize>(pub(crate) T);

/// A body of at most `LIMIT` bytes, as it is.
pub(crate) struct Raw<const LIMIT: usize>(pub(crate) Bytes);

impl<S, T, const LIMIT: usize> FromRequest<S> for Valid<T, LIMIT>
where
    S: Send + Sync,
    T: DeserializeOwned + ToSchema + 'static,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        validate(&json::<LIMIT>(request).await?).map(Self)
    }
}

impl<S, T, const LIMIT: usize> FromRequest<S> for Bulk<T, LIMIT>
where
    S: Send + Sync,
    T: DeserializeOwned + ToSchema + 'static,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = json::<LIMIT>(request).await?;
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Self(body)),
            Err(_) => validate(&bytes).map(Self),
        }
    }
}

impl<S: Send + Sync, const LIMIT: usize> FromRequest<S> for Raw<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        read(&parts.headers, body, LIMIT).await.map(Self)
    }
}

async fn json<const LIMIT: usize>(request: Request) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = read(&parts.headers, body, LIMIT).await?;
    if bytes.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let given = parts.headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let mime = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if mime == "application/json" || (mime.starts_with("application/") && mime.ends_with("+json")) {
        return Ok(bytes);
    }
    let given: String = given.chars().take(100).collect();
    let message = match given.as_str() {
        "" => "the body has no content type: send JSON with `Content-Type: application/json`".to_owned(),
        _ => format!("the body is `{given}`: send JSON with `Content-Type: application/json`"),
    };
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    if declared(headers).is_some_and(|length| length > limit as u64) {
        return Err(over(headers, body, limit).await);
    }
    let mut body = body;
    let mut bytes = Vec::new();
    let mut first = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if bytes.len() + first.as_ref().map_or(0, Bytes::len) + chunk.len() > limit {
            return Err(over(headers, body, limit).await);
        }
        // Most bodies are one chunk: no copy is made of those.
        match first.take() {
            None if bytes.is_empty() => first = Some(chunk),
            None => bytes.extend_from_slice(&chunk),
            Some(one) => {
                bytes.reserve(declared(headers).map_or(0, |length| length as usize));
                bytes.extend_from_slice(&one);
                bytes.extend_from_slice(&chunk);
            }
        }
    }
    Ok(first.unwrap_or_else(|| bytes.into()))
}

/// The length that the client says its body has.
pub(crate) fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The refusal of a body over `limit`. Reads on for a moment, for clients that read the answer only when everything
/// is sent.
pub(crate) async fn over(headers: &HeaderMap, mut body: Body, limit: usize) -> Problem {
    let mut left = limits::DRAIN;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Such a client has not sent anything yet, and waits for the answer.
    if !headers.contains_key(header::EXPECT) {
        let _ = tokio::time::timeout(limits::DRAIN_TIME, reading).await;
    }
    Problem::too_large(limit)
}

fn broken(error: &axum::Error) -> Problem {
    let message = format!("the body ended before it was complete ({error}): send it again");
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
}

/// Checks a JSON text against the schema of `T`, then reads it.
fn validate<T: DeserializeOwned + ToSchema + 'static>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("the body is not JSON: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    })?;
    let errors = schema::of::<T>().check(&value);
    if !errors.0.is_empty() {
        return Err(errors.into());
    }
    from_value(value).map_err(Problem::from)
}

/// Reads a value that its schema accepts; what serde still refuses is named by its path.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, FieldErrors> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path: Cow<'static, str> = match error.path().to_string() {
            root if root == "." => Cow::Borrowed(""),
            // `tags[0].name` here is `tags.0.name` everywhere else.
            path => path.replace('[', ".").replace(']', "").into(),
        };
        FieldErrors::one(path, error.into_inner().to_string())
    })
}
