//! Changes an element.

use runyard_domain::{
    ElementId, FieldErrors, ImageId,
    element::{self as rules, Polygon},
};
use runyard_store as store;
use serde_json::{Map, Value};

use super::{Element, hold, no_type, slugs};
use crate::{Actor, Engine, Error, Result};

/// What changes; the inner `None` takes it away.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// Slug of its type.
    pub of_type: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Anything else.
    pub payload: Option<Option<Map<String, Value>>>,
    /// The image.
    pub image: Option<Option<ImageId>>,
    /// Where on the image.
    pub polygon: Option<Option<Polygon>>,
    /// Degrees.
    pub rotation_angle: Option<i64>,
    /// In a mirror.
    pub mirrored: Option<bool>,
    /// From 0 to 1.
    pub confidence: Option<Option<f64>>,
}

/// Changes what is given; the rest stays.
pub async fn patch(engine: &Engine, actor: &Actor, id: ElementId, patch: Patch) -> Result<Element> {
    let mut errors = FieldErrors::default();
    if let Some(of_type) = &patch.of_type {
        rules::check_slug("type", of_type, &mut errors);
    }
    if let Some(name) = &patch.name {
        rules::check_name("name", name, &mut errors);
    }
    rules::check_payload("payload", patch.payload.as_ref().and_then(Option::as_ref), &mut errors);
    if let Some(angle) = patch.rotation_angle {
        rules::check_rotation("rotation_angle", angle, &mut errors);
    }
    rules::check_confidence("confidence", patch.confidence.flatten(), &mut errors);
    errors.finish(())?;
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            let (element, corpus) = hold(tx, &actor, id)?;
            let mut errors = FieldErrors::default();
            if let Some(of_type) = &patch.of_type {
                let known = slugs(tx, corpus.id)?;
                if !known.contains(of_type) {
                    errors.add("type", no_type(of_type, &known));
                }
            }
            let image_id = patch.image.unwrap_or(element.image_id);
            let image = image_id.map(|id| store::image::by_ids(tx, &[id])).transpose()?;
            let image = image.and_then(|found| found.into_values().next());
            if let Some(wanted) = patch.image.flatten()
                && image.as_ref().is_none_or(|image| image.project_id != corpus.project_id)
            {
                errors.add("image", format!("there is no image `{wanted}` in this project"));
            }
            if let Some(polygon) = patch.polygon.as_ref().unwrap_or(&element.polygon) {
                polygon.check("polygon", image.and_then(|image| image.size()), &mut errors);
            }
            errors.finish(())?;
            let row = store::element::Patch {
                of_type: patch.of_type.clone(),
                name: patch.name.clone(),
                payload: patch.payload.clone(),
                image_id: patch.image,
                polygon: patch.polygon.clone(),
                rotation_angle: patch.rotation_angle,
                mirrored: patch.mirrored,
                confidence: patch.confidence,
            };
            store::element::update(tx, id, &row)?.ok_or_else(|| Error::not_found("element", id))
        })
        .await
}
