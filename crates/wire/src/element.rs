//! Elements.

use runyard_domain::element::{NewElement, Polygon, Results};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    image::{Image, NewImageSchema},
    result::{Classification, Metadata, ResultsSchema},
};

/// An element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Element {
    /// Id.
    pub id: String,
    /// Its corpus.
    pub corpus_id: String,
    /// Slug of its type.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Name; not unique.
    pub name: String,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// The image that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Points `[x, y]` on the image; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<i64>>>)]
    pub polygon: Option<Polygon>,
    /// Degrees, clockwise.
    pub rotation_angle: i64,
    /// Whether it is seen in a mirror.
    pub mirrored: bool,
    /// From 0 to 1, of whoever found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Who made it; absent: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
    /// Whether it has no parent.
    pub top_level: bool,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Ids of its parents, with `with=parents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<Vec<String>>,
    /// Whether it has children, with `with=has_children`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_children: Option<bool>,
    /// Its classifications, with `with=classifications`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifications: Option<Vec<Classification>>,
    /// Its metadata, with `with=metadata`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Vec<Metadata>>,
}

/// Makes elements, all or none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostElements {
    /// 1 to 10,000 elements; parents come before their children.
    #[schema(value_type = Vec<NewElementSchema>)]
    pub elements: Vec<NewElement>,
}

/// An element to be made: a line of an import.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewElement)]
#[expect(dead_code, reason = "only its schema is used")]
#[serde(deny_unknown_fields)]
pub struct NewElementSchema {
    /// An id of your choice: the same element again changes nothing. Absent: a new one.
    id: Option<String>,
    /// Slug of its type.
    r#type: String,
    /// Name: 1 to 250 characters.
    name: String,
    /// Ids or names of its parents, which are there or come earlier in the same request.
    #[serde(default)]
    #[schema(required = false)]
    parents: Vec<String>,
    /// The image that it is on; absent with a polygon: that of its first parent.
    image: Option<NewImageSchema>,
    /// Points `[x, y]` on the image, at least 3 different ones; absent: all of it. What is between two pixels is rounded.
    polygon: Option<Vec<Vec<f64>>>,
    /// Degrees, clockwise, from 0 to 359; absent: 0.
    #[serde(default)]
    #[schema(required = false)]
    rotation_angle: i64,
    /// Whether it is seen in a mirror; absent: no.
    #[serde(default)]
    #[schema(required = false)]
    mirrored: bool,
    /// From 0 to 1.
    confidence: Option<f64>,
    /// Anything else: at most 64 KiB of JSON.
    payload: Option<Map<String, Value>>,
    /// What is known about it already.
    results: Option<ResultsSchema>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ElementsMade {
    /// Ids in the order of the request.
    pub ids: Vec<String>,
    /// How many of them are new.
    pub created: i64,
}

/// Changes an element; an absent field stays, null takes away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ElementPatch {
    /// Slug of another type of the corpus.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub of_type: Option<String>,
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Anything else, replaced.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<Map<String, Value>>)]
    pub payload: Option<Option<Map<String, Value>>>,
    /// Id of another image of the project.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub image_id: Option<Option<String>>,
    /// Points on the image.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<Vec<Vec<f64>>>)]
    pub polygon: Option<Option<Polygon>>,
    /// Degrees, clockwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rotation_angle: Option<i64>,
    /// Whether it is seen in a mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mirrored: Option<bool>,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    pub confidence: Option<Option<f64>>,
}

/// What is there is `Some`, null too.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Puts elements below another one, behind the children that it has.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddChildren {
    /// 1 to 10,000 ids.
    pub children: Vec<String>,
}

/// Adds results to an element.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddResults {
    /// Who found them; absent: you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
    /// Deletes first what the worker run wrote about the element before; absent: no.
    #[serde(default)]
    #[schema(required = false)]
    pub replace: bool,
    /// The results.
    #[schema(value_type = ResultsSchema)]
    pub results: Results,
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ElementsDeleted {
    /// How many elements are gone.
    pub deleted: i64,
}
