//! A metric: one scalar per step and tag, and the series it makes.
//!
//! Values are exact: integers stay integers, NaN keeps its bits, infinities are infinities. Only the wire shows null.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};
use uuid::Uuid;

use crate::{id::RunId, time::Millis};

pub mod definition;
pub mod pack;
pub mod series;

#[cfg(test)]
mod tests;

/// Characters of the longest tag.
pub const MAX_TAG: usize = 500;

/// A metric that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A tag without a character.
    #[error("the tag is empty: a tag has 1 to {MAX_TAG} characters")]
    EmptyTag,
    /// A tag over [`MAX_TAG`].
    #[error("the tag has {0} characters: a tag has 1 to {MAX_TAG}")]
    LongTag(usize),
    /// A tag with a line break or the like.
    #[error("the tag {0:?} has a control character: write it without")]
    ControlInTag(String),
    /// A text that is no id of a metric.
    #[error("`{0}` is not a metric id: take the id of a metric as it was listed")]
    Id(String),
    /// A value that is no scalar.
    #[error("the value is {0}: it must be a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"")]
    Value(String),
}

/// A value of a metric.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// A whole number, written without a decimal point.
    Int(i64),
    /// Any other number, NaN and the infinities.
    Float(f64),
}

/// Equal when the kind and every bit are equal: `1` is not `1.0`, and a NaN equals itself.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Value {
    /// The value as a float, for charts.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Reads a value from JSON: a number, null (NaN), or the texts `NaN`, `Infinity`, `-Infinity`.
    ///
    /// # Errors
    /// Anything else, with what it was.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, Error> {
        match value {
            serde_json::Value::Null => Ok(Self::Float(f64::NAN)),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Ok(Self::Int(int)),
                (None, Some(float)) => Ok(Self::Float(float)),
                (None, None) => Err(Error::Value(number.to_string().chars().take(40).collect())),
            },
            serde_json::Value::String(text) => Self::from_text(text),
            serde_json::Value::Bool(value) => Err(Error::Value(value.to_string())),
            serde_json::Value::Array(_) => Err(Error::Value("a list".into())),
            serde_json::Value::Object(_) => Err(Error::Value("an object".into())),
        }
    }

    fn from_text(text: &str) -> Result<Self, Error> {
        match text {
            "NaN" => Ok(Self::Float(f64::NAN)),
            "Infinity" => Ok(Self::Float(f64::INFINITY)),
            "-Infinity" => Ok(Self::Float(f64::NEG_INFINITY)),
            other => Err(Error::Value(format!("the text {:?}", other.chars().take(40).collect::<String>()))),
        }
    }
}

/// The value on the wire of our own API: NaN and the infinities as the words that [`Value::from_json`] reads.
pub fn exact_value(value: Value) -> serde_json::Value {
    match value {
        Value::Float(float) if float.is_nan() => "NaN".into(),
        Value::Float(f64::INFINITY) => "Infinity".into(),
        Value::Float(f64::NEG_INFINITY) => "-Infinity".into(),
        other => wire_value(other),
    }
}

/// The value on the wire of those that know no more: null for NaN and the infinities.
pub fn wire_value(value: Value) -> serde_json::Value {
    match value {
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

struct Scalar;

impl<'de> de::Visitor<'de> for Scalar {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Float(f64::NAN))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Value::from_text(text).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Err(E::custom(Error::Value(value.to_string())))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(de::Error::custom(Error::Value("a list".into())))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(de::Error::custom(Error::Value("an object".into())))
    }
}

/// One point of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Step.
    pub step: i64,
    /// When it was reported.
    pub at: Millis,
    /// Value.
    pub value: Value,
}

/// Id of a stored point: its run, and its place among all points of the run in the order in which they were stored.
/// As text (run in hex, place in 12 hex digits) ids sort in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The run.
    pub run: RunId,
    /// From 1; rises with every point of the run, whatever its tag or job.
    pub seq: i64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:012x}", self.run.0.simple(), self.seq)
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (run, seq) = text.split_once('-').filter(|(run, seq)| run.len() == 32 && seq.len() >= 12)?;
            let seq = i64::from_str_radix(seq, 16).ok().filter(|seq| *seq >= 0)?;
            Some(Self { run: RunId(Uuid::try_parse(run).ok()?), seq })
        };
        parse().ok_or_else(|| Error::Id(text.chars().take(80).collect()))
    }
}

/// A point as it is reported: with its tag, and a time if the program gave one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// A tag that passed [`check_tag`].
    pub tag: String,
    /// Step.
    pub step: i64,
    /// Value.
    pub value: Value,
    /// When; absent: when it was received.
    pub at: Option<Millis>,
}

/// Whether `tag` may name a series: 1 to [`MAX_TAG`] characters, none of them a control character.
///
/// # Errors
/// What is wrong with it.
pub fn check_tag(tag: &str) -> Result<(), Error> {
    let printable = tag.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    if printable && (1..=MAX_TAG).contains(&tag.len()) {
        return Ok(());
    }
    let length = tag.chars().count();
    if length == 0 {
        return Err(Error::EmptyTag);
    }
    if length > MAX_TAG {
        return Err(Error::LongTag(length));
    }
    if tag.chars().any(char::is_control) {
        return Err(Error::ControlInTag(tag.chars().take(80).collect()));
    }
    Ok(())
}

/// Sorts reported points into their series: tags in the order in which they first appear, points as they came.
pub fn group_by_tag(reported: impl IntoIterator<Item = Reported>, now: Millis) -> Vec<(String, Vec<Point>)> {
    let mut groups: Vec<(String, Vec<Point>)> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut last = 0;
    for Reported { tag, step, value, at } in reported {
        let point = Point { step, at: at.unwrap_or(now), value };
        // Programs report the same tag many times in a row, or the same few tags in turn.
        if groups.get(last).is_none_or(|(known, _)| *known != tag) {
            last = if let Some(known) = index.get(&tag) {
                *known
            } else {
                index.insert(tag.clone(), groups.len());
                groups.push((tag, Vec::new()));
                groups.len() - 1
            };
        }
        groups[last].1.push(point);
    }
    groups
}
