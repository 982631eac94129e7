//! `/oss-objects/...`: objects in several pieces, for who has a signed address. The signature is the only right that counts.

use axum::{
    extract::{Query, State},
    http::HeaderMap,
};
use runyard_domain::{BucketObjectId, Millis};
use runyard_engine::oss::channel;
use serde::Deserialize;

use super::{Answer, headers::described, object::ranged};
use crate::{
    app::{App, Id},
    error::Problem,
};

/// What an address says beside the object.
#[derive(Deserialize)]
pub(super) struct Signed {
    expires: i64,
    signature: String,
}

pub(super) async fn read(
    State(app): State<App>,
    Id(id): Id<BucketObjectId>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
) -> Answer {
    let found = channel::by_address(&app.engine, id, Millis(signed.expires), &signed.signature).await?;
    let mut described = described(&found);
    described.insert(
        axum::http::header::CONTENT_TYPE,
        axum::http::HeaderValue::from_static("application/octet-stream"),
    );
    ranged(&app, &found, crate::object::asked(&headers), described).await.map_err(own_words)
}

/// No client of OSS asks here.
fn own_words(problem: Problem) -> Problem {
    match problem.code {
        "NoSuchKey" => Problem::not_found(problem.message),
        _ => problem,
    }
}
