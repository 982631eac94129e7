//! Classes of corpora, and which elements belong to them.

use std::collections::HashMap;

use runyard_domain::{
    ClassId, ClassificationId, CorpusId, ElementId, element::ClassificationState, id::Series,
};

use super::{Origin, values};
use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

/// A class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Id.
    pub id: ClassId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// Name, unique in its corpus.
    pub name: String,
}

/// That an element belongs to a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// Id.
    pub id: ClassificationId,
    /// The element.
    pub element_id: ElementId,
    /// The class.
    pub class_id: ClassId,
    /// From 0 to 1.
    pub confidence: f64,
    /// Whether who wrote it is sure.
    pub high_confidence: bool,
    /// What people said of it.
    pub state: ClassificationState,
    /// Where it comes from.
    pub origin: Origin,
}

/// A classification of an element that has the class from the same worker run (or from people) already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Replaces the old one.
    Replaces,
    /// Is left out.
    IsLeftOut,
}

/// Names of a list in a page; all of them when nothing else is said.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Name like this.
    pub name_ilike: Option<String>,
    /// Leave out this many first.
    pub offset: i64,
    /// At most this many.
    pub limit: Option<i64>,
}

/// Ids of the classes of a corpus with these names; those that are not there are made.
pub fn put_all<'a>(
    tx: &mut Tx,
    corpus: CorpusId,
    names: &[&'a str],
    ids: &mut Series,
) -> Result<HashMap<&'a str, ClassId>, Error> {
    named(tx, "ml_classes", corpus, names, ids, |ids| ClassId(ids.take()))
}

/// Ids of the rows of a table of names with these names; those that are not there are made. Names are written in their order,
/// so that two who write the same ones wait for each other, and not both.
pub(super) fn named<'a, T: crate::db::FromValue + Into<Value> + Copy>(
    tx: &mut Tx,
    table: &str,
    corpus: CorpusId,
    names: &[&'a str],
    ids: &mut Series,
    id: impl Fn(&mut Series) -> T,
) -> Result<HashMap<&'a str, T>, Error> {
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = HashMap::new();
    for attempt in [true, false] {
        let missing: Vec<&str> = wanted.iter().copied().filter(|name| !found.contains_key(name)).collect();
        if missing.is_empty() {
            break;
        }
        let texts: Vec<Value> = missing.iter().map(|name| Value::from(*name)).collect();
        let rows = tx.query_in(params![corpus], &texts, |places| {
            format!("SELECT name, id FROM {table} WHERE corpus_id = $1 AND name IN ({places})")
        })?;
        for row in rows {
            let name: String = row.get(0)?;
            if let Ok(at) = wanted.binary_search(&name.as_str()) {
                found.insert(wanted[at], row.get(1)?);
            }
        }
        if attempt {
            let new = missing.iter().filter(|name| !found.contains_key(*name));
            let new: Vec<_> = new.map(|name| [id(ids).into(), corpus.into(), Value::from(*name)]).collect();
            tx.insert_rows(table, &["id", "corpus_id", "name"], &new, "ON CONFLICT DO NOTHING")?;
        }
    }
    match wanted.iter().find(|name| !found.contains_key(*name)) {
        None => Ok(found),
        Some(name) => Err(Error::Conflict(format!("`{name}` was taken away while it was written"))),
    }
}

/// The class with this name.
pub fn by_name(tx: &mut Tx, corpus: CorpusId, name: &str) -> Result<Option<Class>, Error> {
    let sql = "SELECT id, corpus_id, name FROM ml_classes WHERE corpus_id = $1 AND name = $2";
    tx.query_opt(sql, params![corpus, name])?.map(|row| class_from_row(&row)).transpose()
}

/// Writes a new class. A name that is taken is a unique violation.
pub fn insert(tx: &mut Tx, class: &Class) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO ml_classes (id, corpus_id, name) VALUES ($1, $2, $3)",
        params![class.id, class.corpus_id, &class.name],
    )?;
    Ok(())
}

/// Classes of a corpus, by name.
pub fn list(tx: &mut Tx, corpus: CorpusId, page: &Page) -> Result<Vec<Class>, Error> {
    let (conditions, end) = paged(tx, corpus, page);
    let sql = format!("SELECT id, corpus_id, name FROM ml_classes{} ORDER BY name{end}", conditions.clause());
    tx.query(&sql, conditions.values())?.iter().map(class_from_row).collect()
}

/// How many there are, whatever the page.
pub fn count(tx: &mut Tx, corpus: CorpusId) -> Result<i64, Error> {
    tx.query_one("SELECT count(*) FROM ml_classes WHERE corpus_id = $1", params![corpus])?.get(0)
}

/// The conditions and the end of a list of names.
pub(super) fn paged(tx: &Tx, corpus: CorpusId, page: &Page) -> (Conditions, String) {
    let mut conditions = Conditions::default();
    conditions.equal("corpus_id", corpus);
    conditions.ilike_any(tx.dialect(), "name", page.name_ilike.as_slice());
    let limit = conditions.bind(page.limit.unwrap_or(i64::MAX));
    let offset = conditions.bind(page.offset);
    (conditions, format!(" LIMIT {limit} OFFSET {offset}"))
}

/// Those of a corpus with these ids, by id.
pub fn by_ids(tx: &mut Tx, corpus: CorpusId, ids: &[ClassId]) -> Result<HashMap<ClassId, Class>, Error> {
    let rows = tx.query_in(params![corpus], &values(ids), |places| {
        format!("SELECT id, corpus_id, name FROM ml_classes WHERE corpus_id = $1 AND id IN ({places})")
    })?;
    rows.iter().map(|row| class_from_row(row).map(|class| (class.id, class))).collect()
}

/// Writes classifications; answers how many were not there yet, and with [`Again::Replaces`] how many there are.
pub fn insert_all(tx: &mut Tx, all: &[Classification], again: Again) -> Result<u64, Error> {
    let columns = [
        "id",
        "element_id",
        "class_id",
        "confidence",
        "high_confidence",
        "state",
        "worker_run_id",
        "root_element",
        "created_at",
    ];
    let row = |one: &Classification| {
        let [run, root, at] = one.origin.values();
        [
            one.id.into(),
            one.element_id.into(),
            one.class_id.into(),
            one.confidence.into(),
            one.high_confidence.into(),
            Value::from(one.state.word()),
            run,
            root,
            at,
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let conflict = match again {
        Again::IsLeftOut => "ON CONFLICT DO NOTHING",
        Again::Replaces => {
            "ON CONFLICT (element_id, class_id, (coalesce(worker_run_id, ''))) DO UPDATE
                SET id = excluded.id, confidence = excluded.confidence, high_confidence = excluded.high_confidence,
                    state = excluded.state, root_element = excluded.root_element, created_at = excluded.created_at"
        }
    };
    tx.insert_rows("classifications", &columns, &rows, conflict)
}

/// Classifications of these elements with the names of their classes, the oldest first.
pub fn of_elements(tx: &mut Tx, ids: &[ElementId]) -> Result<Vec<(Classification, String)>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!(
            "SELECT c.id, c.element_id, c.class_id, c.confidence, c.high_confidence, c.state, c.worker_run_id,
                    c.root_element, c.created_at, k.name
               FROM classifications c JOIN ml_classes k ON k.id = c.class_id
              WHERE c.element_id IN ({places}) ORDER BY c.created_at, c.id"
        )
    })?;
    rows.iter().map(|row| Ok((from_row(row)?, row.get(9)?))).collect()
}

fn from_row(row: &Row) -> Result<Classification, Error> {
    let state: String = row.get(5)?;
    Ok(Classification {
        id: row.get(0)?,
        element_id: row.get(1)?,
        class_id: row.get(2)?,
        confidence: row.get(3)?,
        high_confidence: row.get(4)?,
        state: ClassificationState::from_word(&state)
            .ok_or_else(|| Error::Sql(format!("`{state}` is not a state of a classification")))?,
        origin: Origin::from_row(row, 6)?,
    })
}

fn class_from_row(row: &Row) -> Result<Class, Error> {
    Ok(Class { id: row.get(0)?, corpus_id: row.get(1)?, name: row.get(2)? })
}
