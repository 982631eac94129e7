//! Sources over HTTP: streamed in and out, never in memory as a whole.

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use runyard_engine as engine;
use runyard_wire::{Data, source::Source};

use super::{Answer, data};
use crate::{
    app::App,
    auth::Caller,
    body,
    error::Problem,
    limits,
    openapi::{BadBytes, Missing, Refused},
    query::{Nothing, Query},
};

/// Uploads a source
///
/// A folder as `tar.zst`, at most 512 MiB. The same bytes again change nothing.
#[utoipa::path(post, path = "/sources", operation_id = "put_source", tag = "sources",
    request_body(content = Vec<u8>, content_type = "application/zstd", description = "The packed folder."),
    responses((status = 200, description = "The source; a run names its digest.", body = Data<Source>),
        BadBytes, Refused))]
pub(super) async fn put(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    request: Request,
) -> Answer<Source> {
    let (parts, body) = request.into_parts();
    if body::declared(&parts.headers).is_some_and(|length| length > limits::SOURCE as u64) {
        return Err(body::over(&parts.headers, body, limits::SOURCE).await);
    }
    let bytes = body.into_data_stream();
    let put = move |engine| async move { engine::source::put(&engine, &actor, bytes).await };
    data(wire(app.command(put).await?))
}

/// Downloads a source
#[utoipa::path(get, path = "/sources/{digest}", operation_id = "get_source", tag = "sources",
    params(("digest" = String, Path, description = "Hex SHA-256 of the packed bytes.")),
    responses((status = 200, description = "The packed folder.", content_type = "application/zstd", body = Vec<u8>),
        Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    _caller: Caller,
    Path(digest): Path<String>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    let (source, bytes) = engine::source::get(&app.engine, &digest).await?;
    Ok((headers(&source), Body::from_stream(bytes)).into_response())
}

/// Asks for a source
///
/// Whether it is there, and how large it is.
#[utoipa::path(head, path = "/sources/{digest}", operation_id = "head_source", tag = "sources",
    params(("digest" = String, Path, description = "Hex SHA-256 of the packed bytes.")),
    responses((status = 200, description = "It is there."), Missing, Refused))]
pub(super) async fn head(
    State(app): State<App>,
    _caller: Caller,
    Path(digest): Path<String>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<HeaderMap, Problem> {
    Ok(headers(&engine::source::head(&app.engine, &digest).await?))
}

fn headers(source: &engine::source::Source) -> HeaderMap {
    let each: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, "application/zstd".into()),
        (header::CONTENT_LENGTH, source.size.to_string()),
        (header::ETAG, format!("\"{}\"", source.digest)),
    ];
    each.into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
}

fn wire(source: engine::source::Source) -> Source {
    Source { digest: source.digest, size: source.size }
}
