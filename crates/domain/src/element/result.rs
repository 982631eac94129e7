//! What a worker says of an element: classifications, transcriptions with entities, metadata, child elements. The form in
//! which a commit carries it. Never says which worker said it: that is beside it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Polygon, check_confidence, check_name, check_payload, check_rotation, check_slug, check_url, join, quoted,
};
use crate::FieldErrors;

/// Results of one element, of all kinds together, those of its children included.
pub const MAX_RESULTS: usize = 10_000;
/// Children within children.
pub const MAX_NESTED: usize = 8;
/// Characters of a transcription.
pub const MAX_TEXT: usize = 100_000;
/// Characters of the value of metadata.
pub const MAX_VALUE: usize = 20_000;

/// All that a worker found about one element.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Results {
    /// Classes that it belongs to, each at most once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classifications: Vec<Classification>,
    /// Texts on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transcriptions: Vec<Transcription>,
    /// Metadata.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Metadata>,
    /// Elements that were found on it; in this order they are its children.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Child>,
}

/// That an element belongs to a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// Name of the class; made in the corpus when it is not there yet.
    pub class: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Whether the worker is sure.
    #[serde(default)]
    pub high_confidence: bool,
    /// What people said of it.
    #[serde(default)]
    pub state: ClassificationState,
}

/// What people said of a classification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassificationState {
    /// Nothing yet.
    #[default]
    Pending,
    /// It is right.
    Validated,
    /// It is wrong.
    Rejected,
}

/// A text on an element.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcription {
    /// The text.
    pub text: String,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How it is written.
    #[serde(default)]
    pub orientation: Orientation,
    /// Entities in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// Lines from left to right.
    #[default]
    HorizontalLr,
    /// Lines from right to left.
    HorizontalRl,
    /// Columns, the first one on the left.
    VerticalLr,
    /// Columns, the first one on the right.
    VerticalRl,
}

/// A person, place, date, ... in a transcription.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// Name of its type; made in the corpus when it is not there yet.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Where it begins, in characters from the start of the text.
    pub offset: i64,
    /// How many characters it has.
    pub length: i64,
    /// Its name; absent: the text there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Anything else that is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metas: Option<Map<String, Value>>,
}

/// A named fact about an element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// What sort of value it is.
    #[serde(rename = "type")]
    pub of_type: MetadataType,
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// What sort of value metadata has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetadataType {
    /// Plain text.
    Text,
    /// HTML.
    Html,
    /// Markdown.
    Markdown,
    /// A date, in any words.
    Date,
    /// A place.
    Location,
    /// A call number or the like.
    Reference,
    /// A number.
    Numeric,
    /// An address.
    Url,
}

/// An element that was found on another one. Where it has a polygon and no image, it is on its parent's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// Slug of its type, which the corpus must have.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Name.
    pub name: String,
    /// Where it is on the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polygon: Option<Polygon>,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Degrees, clockwise.
    #[serde(default)]
    pub rotation_angle: i64,
    /// Whether it is seen in a mirror.
    #[serde(default)]
    pub mirrored: bool,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// What was found about it, and on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Box<Results>>,
}

impl Results {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.classifications.is_empty()
            && self.transcriptions.is_empty()
            && self.metadata.is_empty()
            && self.children.is_empty()
    }

    /// How many results of all kinds there are, those of children included.
    pub fn count(&self) -> usize {
        let entities: usize = self.transcriptions.iter().map(|one| one.entities.len()).sum();
        let below: usize =
            self.children.iter().map(|child| 1 + child.results.as_ref().map_or(0, |own| own.count())).sum();
        self.classifications.len() + self.transcriptions.len() + self.metadata.len() + entities + below
    }

    /// Notes what is wrong, each field below `path`; `size` is that of the element's image, where that is known.
    pub fn check(&self, path: &str, size: Option<(i64, i64)>, errors: &mut FieldErrors) {
        let count = self.count();
        if count > MAX_RESULTS {
            errors.add(path, format!("has {count} results: send at most {MAX_RESULTS} for one element"));
            return;
        }
        self.check_nested(path, size, 0, errors);
    }

    fn check_nested(&self, path: &str, size: Option<(i64, i64)>, depth: usize, errors: &mut FieldErrors) {
        let at = |kind: &str, index: usize| join(path, format_args!("{kind}.{index}"));
        let mut classes = std::collections::BTreeMap::new();
        for (index, one) in self.classifications.iter().enumerate() {
            let path = at("classifications", index);
            one.check(&path, errors);
            if let Some(first) = classes.insert(one.class.as_str(), index) {
                let class = quoted(&one.class);
                errors.add(
                    join(&path, "class"),
                    format!("is {class}, as that of {first}: an element has a class once"),
                );
            }
        }
        for (index, one) in self.transcriptions.iter().enumerate() {
            one.check(&at("transcriptions", index), errors);
        }
        for (index, one) in self.metadata.iter().enumerate() {
            one.check(&at("metadata", index), errors);
        }
        if depth == MAX_NESTED && !self.children.is_empty() {
            errors.add(join(path, "children"), format!("are nested more than {MAX_NESTED} deep"));
            return;
        }
        for (index, child) in self.children.iter().enumerate() {
            let path = at("children", index);
            child.check(&path, size, errors);
            if let Some(results) = &child.results {
                results.check_nested(&join(&path, "results"), size, depth + 1, errors);
            }
        }
    }
}

impl Classification {
    /// Notes what is wrong, each field below `path`.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        check_name(&join(path, "class"), &self.class, errors);
        check_confidence(&join(path, "confidence"), Some(self.confidence), errors);
    }
}

impl Transcription {
    /// Notes what is wrong, each field below `path`.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        let length = self.text.chars().count();
        if length == 0 || length > MAX_TEXT {
            errors.add(
                join(path, "text"),
                format!("has {length} characters: a transcription has 1 to {MAX_TEXT}"),
            );
        }
        check_confidence(&join(path, "confidence"), self.confidence, errors);
        for (index, entity) in self.entities.iter().enumerate() {
            entity.check(&join(path, format_args!("entities.{index}")), length as i64, errors);
        }
    }
}

impl Entity {
    /// Notes what is wrong in a text of `length` characters, each field below `path`.
    pub fn check(&self, path: &str, length: i64, errors: &mut FieldErrors) {
        check_name(&join(path, "type"), &self.of_type, errors);
        if let Some(name) = &self.name {
            check_entity_name(&join(path, "name"), name, errors);
        }
        check_place(path, self.offset, self.length, length, errors);
        check_confidence(&join(path, "confidence"), self.confidence, errors);
        check_payload(&join(path, "metas"), self.metas.as_ref(), errors);
    }
}

/// Notes what is wrong with the name of an entity, which may be any piece of a text.
pub fn check_entity_name(path: &str, name: &str, errors: &mut FieldErrors) {
    let length = name.chars().count();
    if length == 0 || length > MAX_TEXT {
        errors.add(path, format!("has {length} characters: the name of an entity has 1 to {MAX_TEXT}"));
    }
}

/// Notes what is wrong with the place of an entity in a text of `text` characters.
pub fn check_place(path: &str, offset: i64, length: i64, text: i64, errors: &mut FieldErrors) {
    if offset < 0 {
        errors.add(join(path, "offset"), format!("is {offset}: the text begins at 0"));
    } else if length < 1 {
        errors.add(join(path, "length"), format!("is {length}: an entity has at least 1 character"));
    } else if offset.saturating_add(length) > text {
        let end = offset.saturating_add(length);
        errors.add(join(path, "length"), format!("reaches to character {end}, but the text has {text}"));
    }
}

impl Metadata {
    /// Notes what is wrong, each field below `path`.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        check_name(&join(path, "name"), &self.name, errors);
        let (at, length) = (join(path, "value"), self.value.chars().count());
        if length == 0 || length > MAX_VALUE {
            errors.add(at, format!("has {length} characters: a value has 1 to {MAX_VALUE}"));
            return;
        }
        match self.of_type {
            MetadataType::Numeric if !self.value.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
                errors.add(at, format!("is {}: numeric metadata is a number", quoted(&self.value)));
            }
            MetadataType::Url => check_url(&at, &self.value, errors),
            _ => {}
        }
    }
}

impl Child {
    /// Notes what is wrong with the child itself, each field below `path`.
    pub fn check(&self, path: &str, size: Option<(i64, i64)>, errors: &mut FieldErrors) {
        check_slug(&join(path, "type"), &self.of_type, errors);
        check_name(&join(path, "name"), &self.name, errors);
        if let Some(polygon) = &self.polygon {
            polygon.check(&join(path, "polygon"), size, errors);
        }
        check_confidence(&join(path, "confidence"), self.confidence, errors);
        check_rotation(&join(path, "rotation_angle"), self.rotation_angle, errors);
        check_payload(&join(path, "payload"), self.payload.as_ref(), errors);
    }
}

/// Words of an enum, in the database and on the wire.
macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal,)+ })+) => {
        $(impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire and in the database.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        })+
    };
}

words! {
    ClassificationState {
        Pending = "pending",
        Validated = "validated",
        Rejected = "rejected",
    }
    Orientation {
        HorizontalLr = "horizontal-lr",
        HorizontalRl = "horizontal-rl",
        VerticalLr = "vertical-lr",
        VerticalRl = "vertical-rl",
    }
    MetadataType {
        Text = "text",
        Html = "html",
        Markdown = "markdown",
        Date = "date",
        Location = "location",
        Reference = "reference",
        Numeric = "numeric",
        Url = "url",
    }
}

impl Entity {
    /// Its name: the one that was given, or the text at its place.
    pub fn name_in(&self, text: &str) -> String {
        self.name.clone().unwrap_or_else(|| {
            let (offset, length) = (self.offset.max(0) as usize, self.length.max(0) as usize);
            text.chars().skip(offset).take(length).collect()
        })
    }
}
