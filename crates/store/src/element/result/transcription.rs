//! Texts on elements.

use std::collections::HashMap;

use runyard_domain::{ElementId, TranscriptionId, element::Orientation};

use super::{Origin, values};
use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    element::{
        MadeBy,
        list::{Depth, made_by},
    },
    params,
};

/// A text on an element.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcription {
    /// Id.
    pub id: TranscriptionId,
    /// The element.
    pub element_id: ElementId,
    /// The text.
    pub text: String,
    /// From 0 to 1.
    pub confidence: Option<f64>,
    /// How it is written.
    pub orientation: Orientation,
    /// Where it comes from.
    pub origin: Origin,
}

/// Which transcriptions of an element, or of everything below it too.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The element.
    pub element_id: ElementId,
    /// [`Depth::All`]: also those of everything below it.
    pub depth: Depth,
    /// On elements of this type.
    pub element_type: Option<String>,
    /// Made by these.
    pub made_by: Option<MadeBy>,
    /// Leave out this many first.
    pub offset: i64,
    /// At most this many.
    pub limit: i64,
}

const COLUMNS: &str = "t.id, t.element_id, t.text, t.confidence, t.orientation";

/// Writes transcriptions.
pub fn insert_all(tx: &mut Tx, all: &[Transcription]) -> Result<(), Error> {
    let columns = [
        "id",
        "element_id",
        "text",
        "confidence",
        "orientation",
        "worker_run_id",
        "root_element",
        "created_at",
    ];
    let row = |one: &Transcription| {
        let [run, root, at] = one.origin.values();
        let (text, orientation) = (Value::from(&one.text), Value::from(one.orientation.word()));
        [one.id.into(), one.element_id.into(), text, one.confidence.into(), orientation, run, root, at]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    tx.insert_rows("transcriptions", &columns, &rows, "")?;
    Ok(())
}

/// The transcription with this id.
pub fn get(tx: &mut Tx, id: TranscriptionId) -> Result<Option<Transcription>, Error> {
    let sql = format!("SELECT {COLUMNS}, {} FROM transcriptions t WHERE t.id = $1", Origin::COLUMNS);
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// Those of these elements, the oldest first.
pub fn of_elements(tx: &mut Tx, ids: &[ElementId]) -> Result<Vec<Transcription>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!(
            "SELECT {COLUMNS}, {} FROM transcriptions t WHERE t.element_id IN ({places}) ORDER BY t.id",
            Origin::COLUMNS
        )
    })?;
    rows.iter().map(from_row).collect()
}

/// Those that match, the oldest first.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Transcription>, Error> {
    let (with, from, mut conditions) = query(tx, filter);
    let (limit, offset) = (conditions.bind(filter.limit), conditions.bind(filter.offset));
    let sql = format!(
        "{with} SELECT {COLUMNS}, t.worker_run_id, t.root_element, t.created_at FROM {from}{}
          ORDER BY t.id LIMIT {limit} OFFSET {offset}",
        conditions.clause()
    );
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// How many match, whatever the page.
pub fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Error> {
    let (with, from, conditions) = query(tx, filter);
    let sql = format!("{with} SELECT count(*) FROM {from}{}", conditions.clause());
    tx.query_one(&sql, conditions.values())?.get(0)
}

fn query(tx: &Tx, filter: &Filter) -> (&'static str, &'static str, Conditions) {
    let mut conditions = Conditions::default();
    let (with, from) = match filter.depth {
        Depth::One => {
            conditions.equal("e.id", filter.element_id);
            ("", "transcriptions t JOIN elements e ON e.id = t.element_id")
        }
        Depth::All => {
            conditions.bind(filter.element_id);
            (
                "WITH RECURSIVE below(id) AS (
                     SELECT e.id FROM elements e WHERE e.id = $1
                     UNION SELECT p.child_id FROM element_parents p JOIN below ON p.parent_id = below.id)",
                "below JOIN elements e ON e.id = below.id JOIN transcriptions t ON t.element_id = e.id",
            )
        }
    };
    if let Some(of_type) = &filter.element_type {
        conditions.equal("e.type", of_type);
    }
    if let Some(by) = &filter.made_by {
        made_by(tx.dialect(), &mut conditions, "t.worker_run_id", by, |clause| clause);
    }
    (with, from, conditions)
}

/// Those with these ids, by id.
pub fn by_ids(
    tx: &mut Tx,
    ids: &[TranscriptionId],
) -> Result<HashMap<TranscriptionId, Transcription>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!("SELECT {COLUMNS}, {} FROM transcriptions t WHERE t.id IN ({places})", Origin::COLUMNS)
    })?;
    rows.iter().map(|row| from_row(row).map(|one| (one.id, one))).collect()
}

fn from_row(row: &Row) -> Result<Transcription, Error> {
    let orientation: String = row.get(4)?;
    Ok(Transcription {
        id: row.get(0)?,
        element_id: row.get(1)?,
        text: row.get(2)?,
        confidence: row.get(3)?,
        orientation: Orientation::from_word(&orientation)
            .ok_or_else(|| Error::Sql(format!("`{orientation}` is not an orientation of a text")))?,
        origin: Origin::from_row(row, 5)?,
    })
}
