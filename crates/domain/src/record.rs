//! The records file: one JSON object per line, each one report of the program, from any language.
//!
//! A line that is no record is refused with a sentence for the person who wrote the program; it never stops the rest.

use std::fmt;

use serde::{
    Deserialize, Serialize,
    de::{self, IgnoredAny, MapAccess},
};
use serde_json::Number;

use crate::{
    checkpoint::MAX_NAME,
    metric::{self, Reported, Value},
    time::Millis,
};

mod model;
#[cfg(test)]
mod tests;

pub use model::Model;

/// Bytes of the longest line, without its newline.
pub const MAX_LINE: usize = 1 << 20;
/// Operations that one progress report may name.
pub const MAX_OPERATIONS: usize = 100;
/// Characters of an operation's name and of its units.
pub const MAX_OPERATION: usize = 200;
/// Bytes of a path.
pub const MAX_PATH: usize = 4096;

/// One report.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// `{"metric": {..}}`: one point.
    Metric(Reported),
    /// `{"metrics": [..]}`: several points.
    Metrics(Vec<Reported>),
    /// `{"progress": [..]}`: all operations under way; replaces what was said before.
    Progress(Vec<Progress>),
    /// `{"checkpoint": {..}}`: the files in a folder are a checkpoint, complete on the disk.
    Checkpoint(Checkpoint),
    /// `{"artifact": {..}}`: a file or folder that is to be kept with the run.
    Artifact(Artifact),
    /// `{"model": {..}}`: a file or folder that is to be published as a version of a model.
    Model(Model),
}

/// Files that a program can resume from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The step it was taken at.
    #[serde(deserialize_with = "whole")]
    pub global_step: i64,
    /// The folder (or file): below `$RUNYARD_ML`, or an absolute path there.
    #[serde(deserialize_with = "path")]
    pub path: String,
}

/// A file or folder that is kept with the run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Where it is: below `$RUNYARD_ML`, or an absolute path there.
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// What it is called; absent: the last part of the path.
    #[serde(default, deserialize_with = "name")]
    pub name: Option<String>,
    /// What sort of thing it is, free text such as `model`.
    #[serde(default, rename = "type", deserialize_with = "name")]
    pub kind: Option<String>,
}

impl Artifact {
    /// What it is called.
    pub fn name(&self) -> &str {
        let last = || self.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        self.name.as_deref().unwrap_or_else(last)
    }
}

/// A named operation under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Its name.
    pub operation: String,
    /// How far.
    pub value: Number,
    /// How far it goes.
    pub final_value: Number,
    /// Of what.
    pub units: String,
    /// When it was reported, in epoch milliseconds; absent: when it was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
}

/// A line that is no record, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Over [`MAX_LINE`].
    #[error("the line has {0} bytes: at most {MAX_LINE} are allowed; write several records instead of one")]
    TooLong(usize),
    /// Nothing but white space.
    #[error("the line is empty: write one JSON object per line")]
    Empty,
    /// Not JSON.
    #[error("the line is no JSON: {0}")]
    Syntax(String),
    /// JSON of another shape.
    #[error("the line is no record: {0}")]
    Shape(String),
}

/// Reads one line, without its newline.
///
/// # Errors
/// What is wrong with the line, in a sentence.
pub fn parse_line(line: &[u8]) -> Result<Record, Error> {
    if line.len() > MAX_LINE {
        return Err(Error::TooLong(line.len()));
    }
    serde_json::from_slice(line)
        .map_err(|error| if line.trim_ascii().is_empty() { Error::Empty } else { explain(&error) })
}

/// Whether a list of operations may be stored; the message for a person otherwise.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_progress(progress: &[Progress]) -> Result<(), String> {
    if progress.len() > MAX_OPERATIONS {
        return Err(format!(
            "progress names {} operations: at most {MAX_OPERATIONS} are allowed",
            progress.len()
        ));
    }
    for (i, operation) in progress.iter().enumerate() {
        for (field, text) in [("operation", &operation.operation), ("units", &operation.units)] {
            let length = text.chars().count();
            if length > MAX_OPERATION {
                return Err(format!(
                    "progress[{i}].{field} has {length} characters: at most {MAX_OPERATION} are allowed"
                ));
            }
            if text.chars().any(char::is_control) {
                return Err(format!("progress[{i}].{field} has a control character: write it without"));
            }
        }
        if operation.operation.is_empty() {
            return Err(format!("progress[{i}].operation is empty: name the operation"));
        }
    }
    Ok(())
}

/// Whether a path may name something below `$RUNYARD_ML`. Links are looked at where the files are.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn check_path(path: &str) -> Result<(), String> {
    if path.split('/').all(|part| part.is_empty() || part == ".") {
        return Err(format!("the path `{path}` names no file or folder: write one below $RUNYARD_ML"));
    }
    if path.len() > MAX_PATH {
        return Err(format!("the path has {} bytes: at most {MAX_PATH} are allowed", path.len()));
    }
    if path.contains('\0') {
        return Err("the path has a NUL in it: write it without".into());
    }
    if path.split('/').any(|part| part == "..") {
        return Err(format!("the path `{path}` has `..` in it: write it without, below $RUNYARD_ML"));
    }
    Ok(())
}

/// Whether this may be the name (or the type) of an artifact: part of a command line and of a path on other machines.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length > MAX_NAME {
        return Err(format!("the name has {length} characters: at most {MAX_NAME} are allowed"));
    }
    if matches!(name, "" | "." | "..") || name.contains('/') || name.chars().any(char::is_control) {
        let shown: String = name.escape_default().collect();
        return Err(format!("`{shown}` is no name: write one without `/` and control characters"));
    }
    Ok(())
}

/// serde_json's message without "line 1", which says nothing here, and cut to a readable length.
fn explain(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = text.strip_suffix(&place).unwrap_or(&text);
    let cut: String = message.chars().take(300).collect();
    if error.is_data() {
        Error::Shape(cut)
    } else {
        Error::Syntax(format!("{cut} at byte {}", error.column()))
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneKey)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Metric,
    Metrics,
    Progress,
    Checkpoint,
    Artifact,
    Model,
}

const KEYS: &str = "`metric`, `metrics`, `progress`, `checkpoint`, `artifact`, `model`";

struct OneKey;

impl<'de> de::Visitor<'de> for OneKey {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with one of the keys {KEYS}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let custom = <A::Error as de::Error>::custom::<&str>;
        let record = match map.next_key()? {
            None => {
                return Err(de::Error::custom(format_args!(
                    "the object is empty: write one of the keys {KEYS}"
                )));
            }
            Some(Key::Metric) => Record::Metric(map.next_value::<Line>()?.0),
            Some(Key::Metrics) => {
                Record::Metrics(map.next_value::<Vec<Line>>()?.into_iter().map(|line| line.0).collect())
            }
            Some(Key::Progress) => {
                let progress: Vec<Progress> = map.next_value()?;
                check_progress(&progress).map_err(de::Error::custom)?;
                Record::Progress(progress)
            }
            Some(Key::Checkpoint) => Record::Checkpoint(map.next_value()?),
            Some(Key::Artifact) => {
                let artifact: Artifact = map.next_value()?;
                check_name(artifact.name()).map_err(de::Error::custom)?;
                Record::Artifact(artifact)
            }
            Some(Key::Model) => Record::Model(map.next_value::<Published>()?.0),
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(record),
            Some(_) => {
                Err(custom("the object has more than one key: write each record on a line of its own"))
            }
        }
    }
}

/// A model as a line writes it, checked.
#[derive(Deserialize)]
struct Published(#[serde(deserialize_with = "model::checked")] Model);

/// A point as a line writes it, checked.
struct Line(Reported);

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            tag: String,
            global_step: Step,
            value: Value,
            #[serde(default)]
            created_at: Option<i64>,
        }
        let raw = Raw::deserialize(deserializer)?;
        metric::check_tag(&raw.tag).map_err(de::Error::custom)?;
        let at = raw.created_at.map(Millis);
        Ok(Self(Reported { tag: raw.tag, step: raw.global_step.0, value: raw.value, at }))
    }
}

fn whole<'de, D: de::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Step::deserialize(deserializer).map(|step| step.0)
}

fn path<'de, D: de::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    check_path(&path).map_err(de::Error::custom)?;
    Ok(path)
}

fn name<'de, D: de::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    name.as_deref().map_or(Ok(()), check_name).map_err(de::Error::custom)?;
    Ok(name)
}

/// A whole number that says what it must be when it is not.
struct Step(i64);

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl de::Visitor<'_> for Whole {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a whole number of 64 bits for `global_step`, without a decimal point or exponent",
                )
            }

            fn visit_i64<E>(self, value: i64) -> Result<Step, E> {
                Ok(Step(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Step, E> {
                i64::try_from(value)
                    .map(Step)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
        }
        deserializer.deserialize_i64(Whole)
    }
}
