//! The values that both engines understand: integers, floats, texts and bytes. Everything else is one of these.

use runyard_domain::{
    BlueprintId, BucketId, BucketObjectId, ClassId, ClassificationId, CorpusId, DatasetId, ElementId,
    ElementTypeId, EntityId, EntityTypeId, ExperimentId, FileSetId, ImageId, JobId, MetadataId, Millis,
    ModelId, ModelVersionId, ProjectId, RunId, TokenId, TranscriptionEntityId, TranscriptionId, WorkerRunId,
};
use serde::{Serialize, de::DeserializeOwned};

use super::Error;

/// A parameter, or a column of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// `BIGINT`; booleans are 0 and 1.
    Int(i64),
    /// `DOUBLE PRECISION`. SQLite turns NaN into NULL: keep such numbers in bytes.
    Real(f64),
    /// `TEXT`; without zero bytes.
    Text(String),
    /// `BLOB`, `BYTEA`.
    Bytes(Vec<u8>),
}

impl Value {
    /// Anything serializable as JSON text.
    pub fn json(value: &impl Serialize) -> Result<Self, Error> {
        serde_json::to_string(value)
            .map(Self::Text)
            .map_err(|e| Error::Sql(format!("not storable as json: {e}")))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// The parameters of a statement, `$1` first: `params![id, name, now]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::db::Value::from($value)),*] as &[$crate::db::Value]
    };
}

macro_rules! from {
    ($($type:ty => |$value:ident| $into:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $into
            }
        })*
    };
}

from! {
    i64 => |v| Self::Int(v);
    i32 => |v| Self::Int(v.into());
    u32 => |v| Self::Int(v.into());
    usize => |v| Self::Int(i64::try_from(v).unwrap_or(i64::MAX));
    bool => |v| Self::Int(v.into());
    f64 => |v| Self::Real(v);
    &str => |v| Self::Text(v.to_owned());
    String => |v| Self::Text(v);
    &String => |v| Self::Text(v.clone());
    &[u8] => |v| Self::Bytes(v.to_vec());
    Vec<u8> => |v| Self::Bytes(v);
    &Vec<u8> => |v| Self::Bytes(v.clone());
    Millis => |v| Self::Int(v.0);
    &serde_json::Value => |v| Self::Text(v.to_string());
    serde_json::Value => |v| Self::Text(v.to_string());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// What the type is called when a column is something else.
    const EXPECTED: &'static str;

    /// The value as this type, if it is one.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! read {
    ($($type:ty, $expected:literal, $pattern:pat => $read:expr;)*) => {
        $(impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $pattern => $read,
                    _ => None,
                }
            }
        })*
    };
}

read! {
    i64, "an integer", Value::Int(v) => Some(*v);
    bool, "0 or 1", Value::Int(v) => match v { 0 => Some(false), 1 => Some(true), _ => None };
    String, "a text", Value::Text(v) => Some(v.clone());
    Vec<u8>, "bytes", Value::Bytes(v) => Some(v.clone());
    Millis, "a time in milliseconds", Value::Int(v) => Some(Self(*v));
    serde_json::Value, "a json text", Value::Text(v) => serde_json::from_str(v).ok();
}

impl FromValue for f64 {
    const EXPECTED: &'static str = "a float";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Real(v) => Some(*v),
            // SQLite computes with integers where PostgreSQL already has a float.
            Value::Int(v) => Some(*v as Self),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

macro_rules! ids {
    ($($id:ty, $expected:literal;)*) => {
        $(impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Self::Text(id.to_string())
            }
        }

        impl FromValue for $id {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }
        })*
    };
}

ids! {
    ProjectId, "a project id";
    BlueprintId, "a blueprint id";
    FileSetId, "a file set id";
    ModelId, "a model id";
    ModelVersionId, "a model version id";
    RunId, "a run id";
    JobId, "a job id";
    TokenId, "a token id";
    CorpusId, "a corpus id";
    ElementId, "an element id";
    WorkerRunId, "a worker run id";
    DatasetId, "a dataset id";
    ElementTypeId, "an element type id";
    ImageId, "an image id";
    TranscriptionId, "a transcription id";
    ClassId, "a class id";
    ClassificationId, "a classification id";
    EntityTypeId, "an entity type id";
    EntityId, "an entity id";
    ExperimentId, "an experiment id";
    TranscriptionEntityId, "a transcription entity id";
    MetadataId, "a metadata id";
    BucketId, "a bucket id";
    BucketObjectId, "an object id";
}

/// A row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub(super) Vec<Value>);

impl Row {
    /// Column `index`, from 0, as a `T`.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, Error> {
        let value = self.value(index)?;
        T::from_value(value).ok_or_else(|| {
            Error::Sql(format!("column {index} is {}, expected {}", value.kind(), T::EXPECTED))
        })
    }

    /// Column `index`, from 0: a JSON text as a `T`. NULL reads as JSON's `null`.
    pub fn json<T: DeserializeOwned>(&self, index: usize) -> Result<T, Error> {
        let text = match self.value(index)? {
            Value::Text(text) => text.as_str(),
            Value::Null => "null",
            value => return Err(Error::Sql(format!("column {index} is {}, expected json", value.kind()))),
        };
        serde_json::from_str(text).map_err(|e| Error::Sql(format!("column {index} is no such json: {e}")))
    }

    /// Column `index`, from 0, taken out of the row without a copy; NULL is left in its place.
    pub fn take(&mut self, index: usize) -> Result<Value, Error> {
        let columns = self.0.len();
        let value = self.0.get_mut(index).ok_or_else(|| no_column(index, columns))?;
        Ok(std::mem::replace(value, Value::Null))
    }

    fn value(&self, index: usize) -> Result<&Value, Error> {
        self.0.get(index).ok_or_else(|| no_column(index, self.0.len()))
    }
}

fn no_column(index: usize, columns: usize) -> Error {
    Error::Sql(format!("there is no column {index}: the row has {columns}"))
}
