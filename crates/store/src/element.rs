//! Elements: rows, and who is above and below them. What was found about them is in `result.rs`.

use std::collections::HashMap;

use runyard_domain::{CorpusId, ElementId, ImageId, Millis, WorkerRunId, element::Polygon};
use serde_json::{Map, Value as Json};

use crate::{
    db::{Error, Row, Tx, Value},
    params,
};

pub mod delete;
pub mod link;
pub mod list;
pub mod result;
#[cfg(test)]
mod tests;

pub use list::{Filter, MadeBy, Within};

/// Columns of an element in the table called `e`, as [`from_row`] reads them.
const COLUMNS: &str = "e.id, e.corpus_id, e.type, e.name, e.payload, e.image_id, e.polygon, e.rotation_angle, e.mirrored, \
    e.confidence, e.worker_run_id, e.root_element, e.top_level, e.created_at";
/// How many columns these are: what a query adds begins here.
pub const COLUMN_COUNT: usize = 14;

/// An element.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Id.
    pub id: ElementId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// Slug of its type.
    pub of_type: String,
    /// Name; not unique.
    pub name: String,
    /// Anything else.
    pub payload: Option<Map<String, Json>>,
    /// The image that it is on.
    pub image_id: Option<ImageId>,
    /// Where on the image; `None`: all of it.
    pub polygon: Option<Polygon>,
    /// Degrees, clockwise.
    pub rotation_angle: i64,
    /// Whether it is seen in a mirror.
    pub mirrored: bool,
    /// Of whoever found it.
    pub confidence: Option<f64>,
    /// Who made it; `None`: a person.
    pub worker_run_id: Option<WorkerRunId>,
    /// The element under work when it was made.
    pub root_element: Option<ElementId>,
    /// Whether it has no parent.
    pub top_level: bool,
    /// When it was made.
    pub created_at: Millis,
}

/// What may change of an element; the inner `None` takes it away.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// Slug of its type.
    pub of_type: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Anything else.
    pub payload: Option<Option<Map<String, Json>>>,
    /// The image.
    pub image_id: Option<Option<ImageId>>,
    /// Where on the image.
    pub polygon: Option<Option<Polygon>>,
    /// Degrees.
    pub rotation_angle: Option<i64>,
    /// In a mirror.
    pub mirrored: Option<bool>,
    /// Of whoever found it.
    pub confidence: Option<Option<f64>>,
}

/// An element to write, borrowed from wherever it came from: imports are large.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Id.
    pub id: ElementId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// Slug of its type.
    pub of_type: &'a str,
    /// Name.
    pub name: &'a str,
    /// Anything else.
    pub payload: Option<&'a Map<String, Json>>,
    /// The image that it is on.
    pub image_id: Option<ImageId>,
    /// Where on the image.
    pub polygon: Option<&'a Polygon>,
    /// Degrees, clockwise.
    pub rotation_angle: i64,
    /// Whether it is seen in a mirror.
    pub mirrored: bool,
    /// Of whoever found it.
    pub confidence: Option<f64>,
    /// Who made it.
    pub worker_run_id: Option<WorkerRunId>,
    /// The element under work when it was made.
    pub root_element: Option<ElementId>,
    /// Whether it has no parent.
    pub top_level: bool,
    /// When it was made.
    pub created_at: Millis,
}

impl<'a> From<&'a Element> for New<'a> {
    fn from(element: &'a Element) -> Self {
        Self {
            id: element.id,
            corpus_id: element.corpus_id,
            of_type: &element.of_type,
            name: &element.name,
            payload: element.payload.as_ref(),
            image_id: element.image_id,
            polygon: element.polygon.as_ref(),
            rotation_angle: element.rotation_angle,
            mirrored: element.mirrored,
            confidence: element.confidence,
            worker_run_id: element.worker_run_id,
            root_element: element.root_element,
            top_level: element.top_level,
            created_at: element.created_at,
        }
    }
}

/// Writes new elements; parents are the caller's care. An id that is taken is a unique violation.
pub fn insert_all(tx: &mut Tx, elements: &[Element]) -> Result<(), Error> {
    insert_new(tx, elements.iter().map(New::from))
}

/// The same of borrowed ones: no more than some hundreds are copied at a time.
pub fn insert_new<'a>(tx: &mut Tx, elements: impl Iterator<Item = New<'a>>) -> Result<(), Error> {
    let columns = [
        "id",
        "corpus_id",
        "type",
        "name",
        "payload",
        "image_id",
        "polygon",
        "rotation_angle",
        "mirrored",
        "confidence",
        "worker_run_id",
        "root_element",
        "top_level",
        "created_at",
    ];
    let mut elements = elements.peekable();
    while elements.peek().is_some() {
        let part = elements.by_ref().take(512);
        let rows = part.map(|element| row(&element)).collect::<Result<Vec<_>, Error>>()?;
        tx.insert_rows("elements", &columns, &rows, "")?;
    }
    Ok(())
}

fn row(element: &New<'_>) -> Result<[Value; COLUMN_COUNT], Error> {
    Ok([
        element.id.into(),
        element.corpus_id.into(),
        Value::from(element.of_type),
        Value::from(element.name),
        json(element.payload)?,
        element.image_id.into(),
        json(element.polygon)?,
        element.rotation_angle.into(),
        element.mirrored.into(),
        element.confidence.into(),
        element.worker_run_id.into(),
        element.root_element.into(),
        element.top_level.into(),
        element.created_at.into(),
    ])
}

/// The element with this id.
pub fn get(tx: &mut Tx, id: ElementId) -> Result<Option<Element>, Error> {
    tx.query_opt(&format!("SELECT {COLUMNS} FROM elements e WHERE e.id = $1"), params![id])?
        .map(|row| from_row(&row))
        .transpose()
}

/// Those with these ids, by id.
pub fn by_ids(tx: &mut Tx, ids: &[ElementId]) -> Result<HashMap<ElementId, Element>, Error> {
    found(tx, ids, "")
}

/// The same, and they stay as they are until the end of the transaction. Locked in the order of their ids, so that two
/// who want the same ones wait for each other, and not both.
pub fn hold(tx: &mut Tx, ids: &[ElementId]) -> Result<HashMap<ElementId, Element>, Error> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let lock = format!(" ORDER BY e.id{}", tx.dialect().for_update());
    found(tx, &sorted, &lock)
}

fn found(tx: &mut Tx, ids: &[ElementId], lock: &str) -> Result<HashMap<ElementId, Element>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!("SELECT {COLUMNS} FROM elements e WHERE e.id IN ({places}){lock}")
    })?;
    rows.iter().map(|row| from_row(row).map(|element| (element.id, element))).collect()
}

/// Ids of the elements of a corpus with these names; at most three of a name are looked at.
pub fn by_names(
    tx: &mut Tx,
    corpus: CorpusId,
    names: &[String],
) -> Result<HashMap<String, Vec<ElementId>>, Error> {
    let mut found: HashMap<String, Vec<ElementId>> = HashMap::new();
    for name in names {
        let sql = "SELECT id FROM elements WHERE corpus_id = $1 AND name = $2 ORDER BY id LIMIT 3";
        let ids =
            tx.query(sql, params![corpus, name])?.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        found.insert(name.clone(), ids);
    }
    Ok(found)
}

/// Changes what is given; `None`: there is no such element.
pub fn update(tx: &mut Tx, id: ElementId, patch: &Patch) -> Result<Option<Element>, Error> {
    let mut sets = Vec::new();
    let mut values = vec![Value::from(id)];
    let mut set = |column: &str, value: Value| {
        values.push(value);
        sets.push(format!("{column} = ${}", values.len()));
    };
    if let Some(of_type) = &patch.of_type {
        set("type", of_type.into());
    }
    if let Some(name) = &patch.name {
        set("name", name.into());
    }
    if let Some(payload) = &patch.payload {
        set("payload", json(payload.as_ref())?);
    }
    if let Some(image) = patch.image_id {
        set("image_id", image.into());
    }
    if let Some(polygon) = &patch.polygon {
        set("polygon", json(polygon.as_ref())?);
    }
    if let Some(angle) = patch.rotation_angle {
        set("rotation_angle", angle.into());
    }
    if let Some(mirrored) = patch.mirrored {
        set("mirrored", mirrored.into());
    }
    if let Some(confidence) = patch.confidence {
        set("confidence", confidence.into());
    }
    if !sets.is_empty() {
        tx.execute(&format!("UPDATE elements SET {} WHERE id = $1", sets.join(", ")), &values)?;
    }
    get(tx, id)
}

/// A JSON text, or no value.
fn json(value: Option<&impl serde::Serialize>) -> Result<Value, Error> {
    value.map_or(Ok(Value::Null), |value| Value::json(value))
}

/// Ids as values.
fn values<T: Copy + Into<Value>>(ids: &[T]) -> Vec<Value> {
    ids.iter().map(|id| (*id).into()).collect()
}

/// Reads the first columns of a row.
fn from_row(row: &Row) -> Result<Element, Error> {
    Ok(Element {
        id: row.get(0)?,
        corpus_id: row.get(1)?,
        of_type: row.get(2)?,
        name: row.get(3)?,
        payload: row.json(4)?,
        image_id: row.get(5)?,
        polygon: row.json(6)?,
        rotation_angle: row.get(7)?,
        mirrored: row.get(8)?,
        confidence: row.get(9)?,
        worker_run_id: row.get(10)?,
        root_element: row.get(11)?,
        top_level: row.get(12)?,
        created_at: row.get(13)?,
    })
}
