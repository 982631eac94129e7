//! Elements: items of a corpus with types, names, parents and children, and on images with polygons. What may be written,
//! and the results that workers write. Never knows who writes, nor whether a type or a parent is there.

use std::fmt::Display;

use serde_json::{Map, Value};

use crate::FieldErrors;

pub mod new;
pub mod polygon;
pub mod result;
#[cfg(test)]
mod tests;

pub use new::{NewElement, NewImage};
pub use polygon::Polygon;
pub use result::{
    Child, Classification, ClassificationState, Entity, Metadata, MetadataType, Orientation, Results,
    Transcription,
};

/// Elements of one request.
pub const MAX_ELEMENTS: usize = 10_000;
/// Parents of one element that are named when it is made.
pub const MAX_PARENTS: usize = 100;
/// Characters of a name: of a corpus, an element, a class, a type.
pub const MAX_NAME: usize = 250;
/// Characters of the slug of an element type.
pub const MAX_SLUG: usize = 50;
/// Bytes of a payload, as JSON.
pub const MAX_PAYLOAD: usize = 64 << 10;
/// Characters of an image's address.
pub const MAX_URL: usize = 2_000;
/// Pixels along one side of an image.
pub const MAX_SIDE: i64 = 1_000_000;
/// Levels of parents that are followed.
pub const MAX_DEPTH: usize = 100;

/// Notes what is wrong with a name.
pub fn check_name(path: &str, name: &str, errors: &mut FieldErrors) {
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME {
        let what = if length == 0 { "is empty".to_owned() } else { format!("has {length} characters") };
        let what = if length > 0 && length <= MAX_NAME { "is blank".to_owned() } else { what };
        errors.add(path, format!("{what}: a name has 1 to {MAX_NAME} characters"));
    } else if name.chars().any(char::is_control) {
        errors.add(path, "has a control character, such as a line break: write it without");
    }
}

/// Notes what is wrong with the slug of an element type.
pub fn check_slug(path: &str, slug: &str, errors: &mut FieldErrors) {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if slug.is_empty() || slug.len() > MAX_SLUG || !slug.chars().all(fits) {
        errors.add(
            path,
            format!(
                "is {}: a type has 1 to {MAX_SLUG} letters, digits, `-` and `_`, such as `page`",
                quoted(slug)
            ),
        );
    }
}

/// Notes what is wrong with a confidence.
pub fn check_confidence(path: &str, confidence: Option<f64>, errors: &mut FieldErrors) {
    if let Some(confidence) = confidence
        && !(0.0..=1.0).contains(&confidence)
    {
        errors.add(path, format!("is {confidence}: a confidence is from 0 to 1"));
    }
}

/// Notes what is wrong with a rotation.
pub fn check_rotation(path: &str, angle: i64, errors: &mut FieldErrors) {
    if !(0..360).contains(&angle) {
        errors.add(path, format!("is {angle}: a rotation is from 0 to 359 degrees"));
    }
}

/// Notes what is wrong with a payload.
pub fn check_payload(path: &str, payload: Option<&Map<String, Value>>, errors: &mut FieldErrors) {
    let Some(payload) = payload else { return };
    let size = serde_json::to_string(payload).map_or(0, |text| text.len());
    if size > MAX_PAYLOAD {
        errors.add(path, format!("has {size} bytes as JSON: a payload has at most {MAX_PAYLOAD}"));
    }
}

/// Notes what is wrong with the address of an image.
pub fn check_url(path: &str, url: &str, errors: &mut FieldErrors) {
    let length = url.chars().count();
    if length > MAX_URL {
        errors.add(path, format!("has {length} characters: an address has at most {MAX_URL}"));
        return;
    }
    let scheme = url.split_once(':').filter(|(scheme, rest)| {
        let mut letters = scheme.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
    });
    if scheme.is_none() || url.chars().any(|c| c.is_control() || c == ' ') {
        errors.add(
            path,
            format!(
                "is {}: write a whole address, such as https://host/page.jpg or file:///data/page.jpg",
                quoted(url)
            ),
        );
    }
}

/// Notes what is wrong with the size of an image, of which both sides or none are known.
pub fn check_size(path: &str, width: Option<i64>, height: Option<i64>, errors: &mut FieldErrors) {
    for (name, side, other) in [("width", width, height), ("height", height, width)] {
        match side {
            Some(side) if !(1..=MAX_SIDE).contains(&side) => {
                errors.add(join(path, name), format!("is {side}: a side has 1 to {MAX_SIDE} pixels"));
            }
            None if other.is_some() => {
                errors.add(join(path, name), "is needed: give both sides of the image, or none");
            }
            _ => {}
        }
    }
}

/// `path.name`; the name alone where there is no path.
pub fn join(path: &str, name: impl Display) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// The beginning of a text, for sentences.
pub(crate) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(60).is_some() { ".." } else { "" };
    format!("`{start}{more}`")
}
