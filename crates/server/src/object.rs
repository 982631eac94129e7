//! `/objects/...`: what signed addresses of a folder's objects lead to. The signature is the only right that counts
//! here: no token is looked at, and nothing is done that was not signed.

use std::ops::Range;

use axum::{
    Router,
    body::{Body, BodyDataStream},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use futures::StreamExt;
use runyard_objects::{Error, SignedGet, SignedPut, SignedRequest, attachment};

use crate::{app::App, error::Problem, limits};

/// The route. It must not be timed: a part may be on its way for as long as it moves.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/objects/{*key}", routing::get(read).put(store))
}

/// An address on this server as a path: whoever asks reaches the server by a name of their own.
pub(crate) fn reference(app: &App, url: String) -> String {
    let own = app.engine.options.url.get().map_or("", |own| own.trim_end_matches('/'));
    match url.strip_prefix(own) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        _ => url,
    }
}

async fn read(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    match verified(&app, &request).map_err(refusal)? {
        SignedRequest::Get(get) => send(&app, &get, asked(request.headers())).await.map_err(refusal),
        SignedRequest::Put(_) => Err(refusal(Error::Denied("this address is for writing".to_owned()))),
    }
}

async fn store(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let verified = verified(&app, &request);
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let stored = match verified {
        Ok(SignedRequest::Put(put)) => receive(&app, &put, &mut body).await,
        Ok(SignedRequest::Get(_)) => Err(Error::Denied("this address is for reading".to_owned())),
        Err(error) => Err(error),
    };
    match stored {
        Ok(etag) => Ok(([(header::ETAG, etag)], StatusCode::OK).into_response()),
        Err(error) => {
            discard(&parts.headers, body).await;
            Err(refusal(error))
        }
    }
}

fn verified(app: &App, request: &Request) -> Result<SignedRequest, Error> {
    let uri = request.uri();
    let address = uri.path_and_query().map_or_else(|| uri.path(), |both| both.as_str());
    app.engine.objects.verify_signed(request.method().as_str(), address, request.headers())
}

async fn receive(app: &App, put: &SignedPut, body: &mut BodyDataStream) -> Result<String, Error> {
    app.engine.objects.put_signed(put, body).await
}

/// Reads what is left of a refused body for a moment, for clients that read the answer only when all is sent.
pub(crate) async fn discard(headers: &HeaderMap, mut body: BodyDataStream) {
    // Such a client has not sent anything yet, and waits for the answer.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut left = limits::DRAIN;
    let reading = async {
        while let Some(Ok(chunk)) = body.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(limits::DRAIN_TIME, reading).await;
}

/// Which bytes a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Whole,
    /// From an offset up to another, that one included.
    From(u64, Option<u64>),
    Last(u64),
}

/// What `Range` says. What it cannot say well, and several ranges at once, count for nothing, as HTTP has it.
pub(crate) fn asked(headers: &HeaderMap) -> Asked {
    // We give no validator, so there is none that could match.
    if headers.contains_key(header::IF_RANGE) {
        return Asked::Whole;
    }
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    range.and_then(read_range).unwrap_or(Asked::Whole)
}

fn read_range(text: &str) -> Option<Asked> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    if first.is_empty() {
        return Some(Asked::Last(last.parse().ok()?));
    }
    let first = first.parse().ok()?;
    if last.is_empty() {
        return Some(Asked::From(first, None));
    }
    let last = last.parse().ok()?;
    (first <= last).then_some(Asked::From(first, Some(last)))
}

async fn send(app: &App, get: &SignedGet, asked: Asked) -> Result<Response, Error> {
    let objects = &app.engine.objects;
    let range = match asked {
        Asked::Whole => 0..u64::MAX,
        Asked::From(first, last) => first..last.map_or(u64::MAX, |last| last.saturating_add(1)),
        Asked::Last(count) => {
            let size = objects.size(&get.key).await?.ok_or_else(|| Error::NotFound(get.key.clone()))?;
            // Nothing of nothing cannot be sent: it begins past the end.
            if count == 0 { size..u64::MAX } else { size.saturating_sub(count)..u64::MAX }
        }
    };
    let (size, bytes) = objects.get_range(&get.key, range.clone()).await?;
    let sent = range.start..range.end.min(size);
    let (status, bytes) = match asked {
        Asked::Whole => (StatusCode::OK, Body::from_stream(bytes)),
        _ if sent.is_empty() => (StatusCode::RANGE_NOT_SATISFIABLE, Body::empty()),
        _ => (StatusCode::PARTIAL_CONTENT, Body::from_stream(bytes)),
    };
    Ok((status, describe(get, status, &sent, size), bytes).into_response())
}

fn describe(get: &SignedGet, status: StatusCode, sent: &Range<u64>, size: u64) -> HeaderMap {
    let mime = get.get.content_type.as_deref().unwrap_or("application/octet-stream").to_owned();
    let length = sent.end.saturating_sub(sent.start);
    let mut each: Vec<(HeaderName, String)> = vec![
        (header::CONTENT_TYPE, mime),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "private".to_owned()),
        // What a program wrote must never act as a page of this server.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    if let Some(name) = &get.get.name {
        each.push((header::CONTENT_DISPOSITION, attachment(name)));
    }
    match status {
        StatusCode::PARTIAL_CONTENT => {
            each.push((header::CONTENT_RANGE, format!("bytes {}-{}/{size}", sent.start, sent.end - 1)));
        }
        StatusCode::RANGE_NOT_SATISFIABLE => each.push((header::CONTENT_RANGE, format!("bytes */{size}"))),
        _ => {}
    }
    each.into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
}

fn refusal(error: Error) -> Problem {
    let message = error.to_string();
    let (status, code) = match error {
        Error::Denied(_) => (StatusCode::FORBIDDEN, "forbidden"),
        Error::TooLarge { limit } => {
            let message =
                format!("this address is for {limit} bytes: if the file has grown, ask for a new one");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message);
        }
        Error::TooSmall { .. } => (StatusCode::BAD_REQUEST, "wrong_size"),
        Error::WrongDigest { .. } => (StatusCode::BAD_REQUEST, "wrong_digest"),
        Error::InvalidPart(_) => (StatusCode::BAD_REQUEST, "invalid_part"),
        Error::InvalidKey { .. } | Error::Interrupted(_) => (StatusCode::BAD_REQUEST, "bad_request"),
        Error::NoUpload { .. } => (StatusCode::NOT_FOUND, "no_upload"),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
        Error::Superseded => (StatusCode::CONFLICT, "superseded"),
        Error::NoSpace(_) => {
            return Problem::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", runyard_engine::NO_SPACE);
        }
        Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        _ => return Problem::fault(message),
    };
    Problem::new(status, code, message)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_range_is_read_or_counts_for_nothing() {
        for (text, expected) in [
            ("bytes=0-4", Asked::From(0, Some(4))),
            ("bytes=7-", Asked::From(7, None)),
            ("bytes=-3", Asked::Last(3)),
            ("bytes=4-0", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("lines=0-4", Asked::Whole),
            ("bytes=99999999999999999999999-", Asked::Whole),
        ] {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]);
            assert_eq!(asked(&headers), expected, "{text}");
        }
        let both = HeaderMap::from_iter([
            (header::RANGE, HeaderValue::from_static("bytes=0-4")),
            (header::IF_RANGE, HeaderValue::from_static("\"e\"")),
        ]);
        assert_eq!(asked(&both), Asked::Whole);
    }
}
