//! Archives in parts, as newer workers send them: begun, one address per part, completed, which validates too.

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runyard_domain::{FieldErrors, ModelVersionId};
use runyard_engine::{self as engine, model::foreign};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    model_version::{self, ModelVersion, patiently},
    site::Site,
};
use crate::{app::App, auth::Caller, body::Valid, error::Problem};

/// The one kind of object that is sent in parts.
const MODEL_VERSION: &str = "model_version";

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewUpload)]
pub(super) struct NewUpload {
    object_type: String,
    object_id: String,
}

#[derive(Serialize)]
pub(super) struct Upload {
    upload_id: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewUploadPart)]
pub(super) struct NewPart {
    object_type: String,
    object_id: String,
    upload_id: String,
    #[schema(minimum = 1, maximum = 10_000)]
    part_number: i64,
    /// Base64.
    md5_hash: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Part {
    url: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexSentUpload)]
pub(super) struct Sent {
    object_type: String,
    object_id: String,
    upload_id: String,
    #[schema(min_items = 1, max_items = 10_000)]
    parts: Vec<SentPart>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexSentPart)]
struct SentPart {
    #[schema(minimum = 1, maximum = 10_000)]
    part_number: i64,
    etag: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexAbortedUpload)]
pub(super) struct Aborted {
    object_type: String,
    object_id: String,
    upload_id: String,
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<NewUpload>,
) -> Result<(StatusCode, Json<Upload>), Problem> {
    let id = version(&new.object_type, &new.object_id)?;
    let begin = move |engine| async move { foreign::begin_parts(&engine, &actor, id).await };
    let upload_id = app.command(begin).await?;
    Ok((StatusCode::CREATED, Json(Upload { upload_id })))
}

pub(super) async fn part(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Valid(new): Valid<NewPart>,
) -> Result<(StatusCode, Json<Part>), Problem> {
    let id = version(&new.object_type, &new.object_id)?;
    let md5 = match new.md5_hash.map(|text| digest(&text)) {
        Some(None) => return Err(Problem::field("md5_hash", "Must be the 16 bytes of an MD5 in base64.")),
        md5 => md5.flatten(),
    };
    let signed = foreign::sign_part(&app.engine, &actor, id, &new.upload_id, new.part_number, md5).await?;
    Ok((StatusCode::CREATED, Json(Part { url: site.address(&app, signed.url) })))
}

/// Whatever another version has the content of is answered in its place: for workers that do this, there is no conflict.
pub(super) async fn complete(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Valid(sent): Valid<Sent>,
) -> Result<Json<ModelVersion>, Problem> {
    let id = version(&sent.object_type, &sent.object_id)?;
    let parts = sent.parts.into_iter().map(|part| (part.part_number, part.etag)).collect();
    let finished = foreign::complete_parts(&app.engine, &actor, id, &sent.upload_id, parts);
    let finished = patiently(finished).await?;
    Ok(Json(model_version::show(&app, &site, finished, None)?))
}

pub(super) async fn abort(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(aborted): Valid<Aborted>,
) -> Result<StatusCode, Problem> {
    let id = version(&aborted.object_type, &aborted.object_id)?;
    let abort = move |engine| async move {
        match foreign::abort_parts(&engine, &actor, id, &aborted.upload_id).await {
            // There is nothing left to give up.
            Err(engine::Error::Conflict { code: "available" | "failed", .. }) => Ok(()),
            aborted => aborted,
        }
    };
    app.command(abort).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The version that is sent in parts.
fn version(object_type: &str, object_id: &str) -> Result<ModelVersionId, Problem> {
    let mut errors = FieldErrors::default();
    if object_type != MODEL_VERSION {
        let shown: String = object_type.chars().take(80).collect();
        errors.add(
            "object_type",
            format!("`{shown}` is not sent in parts here: the one kind is {MODEL_VERSION}"),
        );
    }
    let id = object_id
        .parse()
        .map_err(|error: runyard_domain::id::Error| errors.add("object_id", error.to_string()));
    errors.finish(())?;
    id.map_err(|()| Problem::fault("a wrong id without a message"))
}

fn digest(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
