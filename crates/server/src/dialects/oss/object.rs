//! One object: stored, read in ranges and under conditions, described. Bytes pass through; nothing keeps them.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use runyard_engine::{
    self as engine,
    oss::{Object, put::NewObject, read},
};
use runyard_objects::PUT_MAX;

use super::{
    Answer,
    asked::Asked,
    condition::{self, Met, READING},
    headers::{basic, described, flag, kept, md5, no_acl, set, stored},
    refusal::refused,
    written,
    xml::Writer,
};
use crate::{
    app::App,
    error::Problem,
    object::{Asked as Range, discard},
};

/// Words of an address that say what an answer's headers are to be.
pub(super) const OVERRIDES: &[(&str, &str)] = &[
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"),
    ("response-content-type", "content-type"),
    ("response-expires", "expires"),
];

/// What is said of an object before its bytes come.
pub(super) fn new(asked: &Asked, (bucket, key): (String, String)) -> Result<NewObject, Problem> {
    let headers = kept(asked)?;
    let (md5, forbid_overwrite) = (md5(asked)?, flag(asked, "x-oss-forbid-overwrite")?);
    Ok(NewObject { bucket, key, headers, md5, forbid_overwrite })
}

/// Refuses what says itself that it is too large.
pub(super) fn check_length(headers: &HeaderMap) -> Result<(), Problem> {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length.filter(|length| *length > PUT_MAX) {
        None => Ok(()),
        Some(length) => Err(refused(engine::Error::TooLarge(format!(
            "{length} bytes are too many for one request: send up to {PUT_MAX} at once, and more in parts"
        )))),
    }
}

pub(super) async fn put(app: &App, asked: &Asked, place: (String, String), body: Body) -> Answer {
    let new = check_length(&asked.headers).and_then(|()| new(asked, place));
    let new = match new {
        Ok(new) => new,
        Err(problem) => {
            discard(&asked.headers, body.into_data_stream()).await;
            return Err(problem);
        }
    };
    let mut body = body.into_data_stream();
    match engine::oss::put::put(&app.engine, &asked.actor, new, &mut body).await {
        Ok(object) => Ok(stored(&object.etag, object.crc64).into_response()),
        Err(error) => {
            discard(&asked.headers, body).await;
            Err(refused(error))
        }
    }
}

pub(super) async fn head(app: &App, asked: &Asked, (bucket, key): (String, String)) -> Answer {
    let (_, object) = read::find(&app.engine, &asked.actor, &bucket, &key).await.map_err(refused)?;
    let mut headers = if asked.has("objectMeta") { basic(&object) } else { described(&object) };
    if condition::check(asked, READING, &object)? == Met::NotModified {
        return Ok(not_modified(&object));
    }
    set(&mut headers, "content-length", &object.size.to_string());
    Ok((headers, Body::empty()).into_response())
}

pub(super) async fn get(app: &App, asked: &Asked, (bucket, key): (String, String)) -> Answer {
    // One that was replaced between the look at its row and the look at its bytes is looked for once more.
    for last in [false, true] {
        let (_, object) = read::find(&app.engine, &asked.actor, &bucket, &key).await.map_err(refused)?;
        if condition::check(asked, READING, &object)? == Met::NotModified {
            return Ok(not_modified(&object));
        }
        match send(app, asked, &object).await {
            Err(problem) if problem.code == "NoSuchKey" && !last => {}
            sent => return sent,
        }
    }
    Err(refused(engine::Error::not_found("object", key)))
}

async fn send(app: &App, asked: &Asked, object: &Object) -> Answer {
    let mut headers = described(object);
    for (word, name) in OVERRIDES {
        if let Some(value) = asked.value(word) {
            set(&mut headers, name, value);
        }
    }
    let range = crate::object::asked(&asked.headers);
    ranged(app, object, range, headers).await
}

/// The bytes of a range, with the headers that say which.
pub(super) async fn ranged(app: &App, object: &Object, range: Range, mut headers: HeaderMap) -> Answer {
    let size = object.size.cast_unsigned();
    let wanted = match range {
        Range::Whole => 0..size,
        Range::From(first, last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
        Range::Last(count) => size.saturating_sub(count)..size,
    };
    let status = match range {
        Range::Whole => StatusCode::OK,
        _ if wanted.is_empty() => {
            let message = format!("the object has {size} bytes: the range begins behind them");
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message);
            let mut response = problem.into_response();
            set(response.headers_mut(), "content-range", &format!("bytes */{size}"));
            return Ok(response);
        }
        _ => {
            let shown = format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1);
            set(&mut headers, "content-range", &shown);
            StatusCode::PARTIAL_CONTENT
        }
    };
    set(&mut headers, "content-length", &(wanted.end - wanted.start).to_string());
    let bytes = read::read(&app.engine, object, wanted).await.map_err(refused)?;
    Ok((status, headers, Body::from_stream(bytes)).into_response())
}

fn not_modified(object: &Object) -> Response {
    (StatusCode::NOT_MODIFIED, basic(object)).into_response()
}

pub(super) async fn acl(app: &App, asked: &Asked, (bucket, key): (String, String)) -> Answer {
    let (bucket, _) = read::find(&app.engine, &asked.actor, &bucket, &key).await.map_err(refused)?;
    let mut xml = Writer::new("AccessControlPolicy");
    super::bucket::owner(&mut xml, &bucket);
    xml.begin("AccessControlList");
    xml.text("Grant", "default");
    Ok(written(xml.end()))
}

/// Everything is private, so an object can only be made what it is.
pub(super) async fn put_acl(app: &App, asked: &Asked, (bucket, key): (String, String)) -> Answer {
    read::find(&app.engine, &asked.actor, &bucket, &key).await.map_err(refused)?;
    match asked.header("x-oss-object-acl")?.unwrap_or("default") {
        "default" | "private" => Ok(StatusCode::OK.into_response()),
        other => Err(no_acl(other)),
    }
}
