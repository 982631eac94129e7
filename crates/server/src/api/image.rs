//! Images over HTTP. No image travels through here, only where it is.

use axum::extract::State;
use runyard_domain::{FieldErrors, ImageId};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    image::{Image, PutImages},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data, project};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    openapi::{BadBody, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Which images.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// Any of these addresses.
    #[serde(default)]
    #[param(required = false)]
    url: Vec<String>,
    /// Ids that follow this one.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// At most so many; 100 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Lists images
#[utoipa::path(get, path = "/images", operation_id = "list_images", tag = "images", params(Wanted),
    responses((status = 200, description = "Images, the oldest first.", body = Data<Vec<Image>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Image>> {
    let mut errors = FieldErrors::default();
    let filter = engine::image::Filter {
        project_ids: project::ids(&app, &actor, &mut errors, wanted.project_id).await?,
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        urls: wanted.url,
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        limit: wanted.limit.unwrap_or(100),
    };
    errors.finish(())?;
    let images = engine::image::list(&app.engine, &actor, filter).await?;
    data(images.into_iter().map(wire).collect())
}

/// Names images
///
/// Those whose address the project knows stay as they are, but for a size that was not known. Nothing is fetched.
#[utoipa::path(post, path = "/images", operation_id = "put_images", tag = "images", request_body = PutImages,
    responses((status = 200, description = "Images in the order of the request.", body = Data<Vec<Image>>),
        Missing, BadBody, Refused))]
pub(super) async fn put(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<PutImages>,
) -> Answer<Vec<Image>> {
    let put =
        move |engine| async move { engine::image::put(&engine, &actor, new.project_id, new.images).await };
    data(app.command(put).await?.into_iter().map(wire).collect())
}

/// Reads an image
#[utoipa::path(get, path = "/images/{image_id}", operation_id = "get_image", tag = "images",
    params(("image_id" = String, Path, description = "Id of the image.")),
    responses((status = 200, description = "The image.", body = Data<Image>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ImageId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Image> {
    data(wire(engine::image::get(&app.engine, &actor, id).await?))
}

pub(super) fn wire(image: engine::image::Image) -> Image {
    Image {
        id: image.id.to_string(),
        project_id: image.project_id.to_string(),
        url: image.url,
        width: image.width,
        height: image.height,
        s3_url: image.s3_url,
        created_at: image.created_at.0,
    }
}
