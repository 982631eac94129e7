//! Embeddings of elements. None are kept here, and who wants to write one is told so.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::ElementId;
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

#[derive(Serialize)]
pub(super) struct Embedding {
    id: String,
    value: Vec<f64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewEmbedding)]
pub(super) struct New {}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(element): Id<ElementId>,
    Lenient(asked): Lenient<page::Asked>,
) -> Result<Json<Numbered<Embedding>>, Problem> {
    engine::element::get(&app.engine, &actor, element).await?;
    let window = page::window(asked.page, asked.page_size);
    Ok(Json(page::whole(&site, window, Vec::new())?))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(element): Id<ElementId>,
    Valid(New {}): Valid<New>,
) -> Problem {
    match engine::element::get(&app.engine, &actor, element).await {
        Ok(_) => {
            let message = "embeddings are not kept here: upload them as an artifact of the task";
            Problem::new(StatusCode::BAD_REQUEST, "no_embeddings", message)
        }
        Err(error) => error.into(),
    }
}
