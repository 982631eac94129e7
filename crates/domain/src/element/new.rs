//! An element to be made: a row of an import. Never says whether its type, image or parents are there.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::{
    MAX_PARENTS, Polygon, Results, check_confidence, check_name, check_payload, check_rotation, check_size,
    check_slug, check_url, join,
};
use crate::{ElementId, FieldErrors, ImageId};

/// An element to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewElement {
    /// Its id; absent: a new one. With an id, the same element again changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "id")]
    pub id: Option<ElementId>,
    /// Slug of its type.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Name.
    pub name: String,
    /// Ids or names of its parents, which must be there or come earlier in the same request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// The image that it is on; absent with a polygon: that of its first parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<NewImage>,
    /// Where on the image; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polygon: Option<Polygon>,
    /// Degrees, clockwise.
    #[serde(default)]
    pub rotation_angle: i64,
    /// Whether it is seen in a mirror.
    #[serde(default)]
    pub mirrored: bool,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// What is known about it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Results>,
}

/// An image by its id, or by its address: one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// Id of an image of the project. With an address: the id that the image gets, if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "id")]
    pub id: Option<ImageId>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
    /// Where else it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_url: Option<String>,
}

/// Reads an id with the words that ids have everywhere.
fn id<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

impl NewElement {
    /// Notes what is wrong, each field below `path`; a polygon is held against its image where it is known.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        check_slug(&join(path, "type"), &self.of_type, errors);
        check_name(&join(path, "name"), &self.name, errors);
        if self.parents.len() > MAX_PARENTS {
            let count = self.parents.len();
            errors.add(
                join(path, "parents"),
                format!("are {count}: an element is made with at most {MAX_PARENTS}"),
            );
        }
        let size = self.image.as_ref().and_then(NewImage::size);
        if let Some(image) = &self.image {
            image.check(&join(path, "image"), errors);
        }
        if let Some(polygon) = &self.polygon {
            polygon.check(&join(path, "polygon"), size, errors);
        }
        check_rotation(&join(path, "rotation_angle"), self.rotation_angle, errors);
        check_confidence(&join(path, "confidence"), self.confidence, errors);
        check_payload(&join(path, "payload"), self.payload.as_ref(), errors);
        if let Some(results) = &self.results {
            results.check(&join(path, "results"), size, errors);
        }
    }
}

impl NewImage {
    /// Width and height, where both are given.
    pub fn size(&self) -> Option<(i64, i64)> {
        Some((self.width?, self.height?))
    }

    /// Notes what is wrong, each field below `path`.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        match (&self.id, &self.url) {
            (None, None) => {
                errors.add(path, "names no image: give its `url`, or the `id` of one that is there");
            }
            (_, Some(url)) => check_url(&join(path, "url"), url, errors),
            (Some(_), None) => {
                if self.width.is_some() || self.height.is_some() || self.s3_url.is_some() {
                    errors.add(path, "has an `id` and no `url`: an image that is there is not changed here");
                }
            }
        }
        check_size(path, self.width, self.height, errors);
        if let Some(url) = &self.s3_url {
            check_url(&join(path, "s3_url"), url, errors);
        }
    }
}
