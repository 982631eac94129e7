//! Images.

use runyard_domain::element::NewImage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An image: one for each address in a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// Id.
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// Where it is.
    pub url: String,
    /// Pixels; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    /// Pixels; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
    /// Where else it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_url: Option<String>,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// Names images by their addresses.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutImages {
    /// Id or name of their project; absent: the token's own, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// 1 to 1,000 images.
    #[schema(value_type = Vec<NewImageSchema>)]
    pub images: Vec<NewImage>,
}

/// An image by its id, or by its address.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewImage)]
#[expect(dead_code, reason = "only its schema is used")]
#[serde(deny_unknown_fields)]
pub struct NewImageSchema {
    /// Id of an image of the project. With an address: the id that the image gets, if it is new.
    id: Option<String>,
    /// Where it is: `https://...`, `file:///...`, `s3://...`.
    url: Option<String>,
    /// Pixels; both sides or none.
    width: Option<i64>,
    /// Pixels.
    height: Option<i64>,
    /// Where else it is.
    s3_url: Option<String>,
}
