//! Models and their versions: what their names may be, which states a version has, how its archive is cut into parts, and
//! how people refer to one. Never says that the content of a version may change once it is available.

use semver::Version;
use serde_json::{Map, Value};

use crate::{FieldErrors, ModelVersionId};

#[cfg(test)]
mod tests;

/// Characters of the longest name of a model, tag or source key.
pub const MAX_NAME: usize = 200;
/// Bytes of the longest config of a version, as JSON.
pub const MAX_CONFIG_BYTES: usize = 256 << 10;
/// Files, folders and links of one version.
pub const MAX_ENTRIES: i64 = 1_000_000;
/// Bytes of all files of one version: 5 TiB, because its archive is one object.
pub const MAX_BYTES: i64 = 5 << 40;
/// Parts that one request asks addresses for.
pub const MAX_ASKED: usize = 100;
/// Parts of one archive.
pub const MAX_PARTS: i64 = 10_000;
/// Bytes of a part of an archive, but for the last one; more only where there would be too many parts.
pub const PART_BYTES: i64 = 16 << 20;

/// How far a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its archive was not verified yet.
    Created,
    /// Its archive was verified: its content never changes any more.
    Available,
    /// What arrived was not what was said; it never becomes available.
    Error,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Created, Self::Available, Self::Error];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Available => "available",
            Self::Error => "error",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// The name of a model or a tag, at `path`: `NAME@TAG` must say which is which, and a name stands in addresses.
pub fn check_name(path: &str, name: &str, errors: &mut FieldErrors) {
    let length = name.chars().count();
    if !(1..=MAX_NAME).contains(&length) {
        errors.add(path, format!("must have 1 to {MAX_NAME} characters, and has {length}"));
    }
    if let Some(c) = name.chars().find(|c| c.is_control() || matches!(c, '@' | '/')) {
        errors.add(path, format!("must not contain {c:?}: neither `@` nor `/` nor control characters"));
    }
    if name.trim() != name {
        errors.add(path, "must not begin or end with a space");
    }
    if matches!(name, "." | "..") {
        errors.add(path, format!("must not be `{name}`, which addresses read as a folder"));
    }
}

/// What tells a publish from others of its model, at `path`.
pub fn check_source_key(path: &str, key: &str, errors: &mut FieldErrors) {
    if !(1..=MAX_NAME).contains(&key.chars().count()) || key.chars().any(char::is_control) {
        errors.add(path, format!("must be 1 to {MAX_NAME} characters, none of them a control character"));
    }
}

/// The config of a version, at `path`.
pub fn check_config(path: &str, config: &Map<String, Value>, errors: &mut FieldErrors) {
    let bytes = serde_json::to_string(config).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_CONFIG_BYTES {
        errors.add(
            path,
            format!("has {bytes} bytes as JSON: at most {MAX_CONFIG_BYTES} are allowed; put it in a file"),
        );
    }
}

/// A version as Semantic Versioning 2.0.0 writes it, at `path`.
pub fn check_semver(path: &str, text: &str, errors: &mut FieldErrors) {
    if let Err(error) = Version::parse(text) {
        let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
        errors.add(
            path,
            format!(
                "`{shown}` is no version of SemVer 2.0.0 ({error}): write MAJOR.MINOR.PATCH, such as 1.0.0"
            ),
        );
    }
}

/// How many bytes each part of the archive has, but for the last one, when its files have so many: enough that there are
/// never too many parts, also when nothing could be compressed.
pub fn part_size(size: i64, files: i64) -> i64 {
    // What tar says of each entry, and what zstd adds where it cannot compress.
    let most =
        size.saturating_add(size / 100).saturating_add(files.saturating_mul(2_560)).saturating_add(1 << 20);
    let mut part = PART_BYTES;
    while most / part >= MAX_PARTS {
        part *= 2;
    }
    part
}

/// How people refer to a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The newest available one of a model.
    Newest(String),
    /// The one with a tag.
    Tagged(String, String),
    /// By id.
    Id(ModelVersionId),
}

/// Why a text refers to no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` refers to no model version: write NAME, NAME@TAG or the id of a version ({reason})")]
pub struct ReferenceError {
    text: String,
    reason: String,
}

impl Reference {
    /// Reads `name`, `name@tag` or a version's id.
    ///
    /// # Errors
    /// A name or a tag that none can have.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (name, tag) = match text.split_once('@') {
            Some((name, tag)) => (name, Some(tag)),
            None => (text, None),
        };
        let mut errors = FieldErrors::default();
        check_name("the name", name, &mut errors);
        if let Some(tag) = tag {
            check_name("the tag", tag, &mut errors);
        }
        errors.finish(()).map_err(|errors| ReferenceError {
            text: text.chars().take(80).flat_map(char::escape_default).collect(),
            reason: errors.to_string(),
        })?;
        Ok(match tag {
            Some(tag) => Self::Tagged(name.to_owned(), tag.to_owned()),
            None => Self::Newest(name.to_owned()),
        })
    }
}
