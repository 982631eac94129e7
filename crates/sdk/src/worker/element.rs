//! An element as a worker gets it, from wherever it comes.

use std::path::PathBuf;

use runyard_domain::element::Polygon;
use runyard_wire::{
    activity::{Claimed, ClaimedImage},
    element::Element as Whole,
};
use serde_json::{Map, Value};

/// An element to process.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Id.
    pub id: String,
    /// Slug of its type.
    pub of_type: String,
    /// Name.
    pub name: String,
    /// What was stored with it.
    pub payload: Option<Map<String, Value>>,
    /// The image that it is on.
    pub image: Option<ClaimedImage>,
    /// Where it is on the image; absent: all of it.
    pub polygon: Option<Polygon>,
    /// Degrees, clockwise.
    pub rotation_angle: i64,
    /// Whether it is seen in a mirror.
    pub mirrored: bool,
    /// Which attempt at it this is, from 1; 0 when nothing is written.
    pub attempt: i64,
}

impl Element {
    /// The file of its image, where that is one of this machine (`file://...`).
    pub fn image_file(&self) -> Option<PathBuf> {
        let path = self.image.as_ref()?.url.strip_prefix("file://")?;
        let path = path.strip_prefix("localhost").unwrap_or(path);
        // In an address of a file a plus is a plus.
        let path = runyard_domain::filter::decode(&path.replace('+', "%2B")).ok()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    }
}

impl From<Claimed> for Element {
    fn from(claimed: Claimed) -> Self {
        Self {
            id: claimed.element_id,
            of_type: claimed.of_type,
            name: claimed.name,
            payload: claimed.payload,
            image: claimed.image,
            polygon: claimed.polygon.and_then(|points| serde_json::from_value(points).ok()),
            rotation_angle: claimed.rotation_angle,
            mirrored: claimed.mirrored,
            attempt: claimed.attempt,
        }
    }
}

impl From<Whole> for Element {
    fn from(whole: Whole) -> Self {
        let image = whole.image.map(|image| ClaimedImage {
            id: image.id,
            url: image.url,
            width: image.width,
            height: image.height,
        });
        Self {
            id: whole.id,
            of_type: whole.of_type,
            name: whole.name,
            payload: whole.payload,
            image,
            polygon: whole.polygon,
            rotation_angle: whole.rotation_angle,
            mirrored: whole.mirrored,
            attempt: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(url: &str) -> Option<PathBuf> {
        let image = ClaimedImage { id: "1".into(), url: url.into(), width: None, height: None };
        let claimed = Claimed { image: Some(image), ..Claimed::default() };
        Element::from(claimed).image_file()
    }

    #[test]
    fn only_an_image_of_this_machine_has_a_file() {
        assert_eq!(on("file:///data/a%20b+c.png"), Some("/data/a b+c.png".into()));
        assert_eq!(on("file://localhost/a.png"), Some("/a.png".into()));
        for elsewhere in ["https://host/a.png", "file://host/a.png", "object://images/1.png"] {
            assert_eq!(on(elsewhere), None, "{elsewhere}");
        }
    }
}
