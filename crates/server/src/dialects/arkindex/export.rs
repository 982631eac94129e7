//! Exports of corpora. None are made here: Arkindex's format is read by this product and not written. What a dataset worker needs
//! is in the archive of its dataset.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use runyard_domain::CorpusId;
use runyard_engine as engine;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    page::{self, Numbered},
    site::Site,
};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    query::Lenient,
};

/// Why there is none.
const NONE: &str =
    "exports are not made here: build a dataset, and read its archive (ListArtifacts, DownloadArtifact)";

#[derive(Serialize)]
pub(super) struct Export {
    id: String,
    state: String,
    created: String,
    updated: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewExport)]
pub(super) struct New {}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(corpus): Id<CorpusId>,
    Lenient(asked): Lenient<page::Asked>,
) -> Result<Json<Numbered<Export>>, Problem> {
    engine::corpus::get(&app.engine, &actor, corpus).await?;
    let window = page::window(asked.page, asked.page_size);
    Ok(Json(page::whole(&site, window, Vec::new())?))
}

pub(super) async fn start(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(corpus): Id<CorpusId>,
    Valid(New {}): Valid<New>,
) -> Problem {
    match engine::corpus::get(&app.engine, &actor, corpus).await {
        Ok(_) => Problem::new(StatusCode::BAD_REQUEST, "no_exports", NONE),
        Err(error) => error.into(),
    }
}

pub(super) async fn download(Path(id): Path<String>) -> Problem {
    let id: String = id.chars().take(200).collect();
    Problem::not_found(format!("there is no export `{id}`: {NONE}"))
}
