//! Lists of elements: of a corpus, below an element, above one. A page is a range of an index; rows are read for it alone.

use runyard_domain::{CorpusId, ElementId, WorkerRunId};

use super::{COLUMNS, Element, from_row, link::ABOVE};
use crate::db::{Conditions, Dialect, Error, Tx, Value};

/// Where elements are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// In a corpus.
    Corpus(CorpusId),
    /// Right below an element, in the order of its children; or everything below it, by id.
    Below(ElementId, Depth),
    /// Right above an element, or everything above it; by id.
    Above(ElementId, Depth),
}

/// How far is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One level.
    One,
    /// All levels.
    All,
}

/// Who made something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeBy {
    /// People.
    People,
    /// Any of these worker runs.
    WorkerRuns(Vec<WorkerRunId>),
}

/// Which elements. An empty list is no condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Where.
    pub within: Within,
    /// Any of these ids.
    pub ids: Vec<ElementId>,
    /// Any of these types.
    pub types: Vec<String>,
    /// None of these types.
    pub not_types: Vec<String>,
    /// Any of these names.
    pub names: Vec<String>,
    /// Name like any of these.
    pub name_ilikes: Vec<String>,
    /// With no parent, or with one.
    pub top_level: Option<bool>,
    /// Made by these.
    pub made_by: Option<MadeBy>,
    /// With a transcription by these.
    pub transcribed_by: Option<MadeBy>,
    /// What follows this one in the order of the list.
    pub id_after: Option<ElementId>,
    /// At most this many.
    pub limit: i64,
    /// Leave out this many first.
    pub offset: i64,
}

impl Filter {
    /// The first hundred.
    pub fn within(within: Within) -> Self {
        Self {
            within,
            ids: Vec::new(),
            types: Vec::new(),
            not_types: Vec::new(),
            names: Vec::new(),
            name_ilikes: Vec::new(),
            top_level: None,
            made_by: None,
            transcribed_by: None,
            id_after: None,
            limit: 100,
            offset: 0,
        }
    }
}

/// Elements that match, in order.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Element>, Error> {
    let (sql, values) = query(tx.dialect(), filter);
    tx.query(&sql, &values)?.iter().map(from_row).collect()
}

/// How many match, whatever the page.
pub fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Error> {
    let filter = Filter { id_after: None, ..filter.clone() };
    let (with, from, conditions, _) = parts(tx.dialect(), &filter);
    let sql = format!("{with} SELECT count(*) FROM {from}{}", conditions.clause());
    tx.query_one(&sql, conditions.values())?.get(0)
}

/// What is asked: the statement and its values.
pub fn query(dialect: Dialect, filter: &Filter) -> (String, Vec<Value>) {
    let (with, from, mut conditions, order) = parts(dialect, filter);
    let (limit, offset) = (conditions.bind(filter.limit), conditions.bind(filter.offset));
    let clause = conditions.clause();
    let sql =
        format!("{with} SELECT {COLUMNS} FROM {from}{clause} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
    (sql, conditions.values().to_vec())
}

/// `WITH`, tables, conditions and order.
fn parts(dialect: Dialect, filter: &Filter) -> (&'static str, &'static str, Conditions, &'static str) {
    let mut conditions = Conditions::default();
    let (with, from, order) = match filter.within {
        Within::Corpus(corpus) => {
            conditions.equal("e.corpus_id", corpus);
            ("", "elements e", "e.id")
        }
        Within::Below(id, Depth::One) => {
            conditions.equal("p.parent_id", id);
            ("", "element_parents p JOIN elements e ON e.id = p.child_id", "p.ord, p.child_id")
        }
        Within::Above(id, Depth::One) => {
            conditions.equal("p.child_id", id);
            ("", "element_parents p JOIN elements e ON e.id = p.parent_id", "e.id")
        }
        Within::Below(id, Depth::All) => {
            conditions.bind(id);
            (BELOW, "elements e", "e.id")
        }
        Within::Above(id, Depth::All) => {
            conditions.bind(id);
            (ABOVE, "elements e", "e.id")
        }
    };
    match with {
        BELOW => conditions.and("e.id IN (SELECT id FROM below)"),
        ABOVE => conditions.and("e.id IN (SELECT id FROM above)"),
        _ => {}
    }
    narrow(dialect, &mut conditions, filter);
    (with, from, conditions, order)
}

/// `below(id)`: everything below the element `$1`.
const BELOW: &str = "WITH RECURSIVE below(id) AS (
        SELECT p.child_id FROM element_parents p WHERE p.parent_id = $1
        UNION SELECT p.child_id FROM element_parents p JOIN below ON p.parent_id = below.id)";

fn narrow(dialect: Dialect, conditions: &mut Conditions, filter: &Filter) {
    conditions.any_of(dialect, "e.id", filter.ids.iter().copied());
    conditions.any_of(dialect, "e.type", &filter.types);
    if !filter.not_types.is_empty() {
        let places: Vec<String> = filter.not_types.iter().map(|one| conditions.bind(one)).collect();
        conditions.and(format!("e.type NOT IN ({})", places.join(", ")));
    }
    conditions.any_of(dialect, "e.name", &filter.names);
    conditions.ilike_any(dialect, "e.name", &filter.name_ilikes);
    match filter.top_level {
        // As the index has it.
        Some(true) => conditions.and("e.top_level = 1"),
        Some(false) => conditions.and("e.top_level = 0"),
        None => {}
    }
    if let Some(by) = &filter.made_by {
        made_by(dialect, conditions, "e.worker_run_id", by, |clause| clause);
    }
    if let Some(by) = &filter.transcribed_by {
        made_by(dialect, conditions, "t.worker_run_id", by, |clause| {
            format!("EXISTS (SELECT 1 FROM transcriptions t WHERE t.element_id = e.id AND {clause})")
        });
    }
    if let Some(after) = filter.id_after {
        let place = conditions.bind(after);
        conditions.and(match filter.within {
            Within::Below(_, Depth::One) => format!(
                "(p.ord, p.child_id) > ((SELECT a.ord FROM element_parents a
                    WHERE a.parent_id = p.parent_id AND a.child_id = {place}), {place})"
            ),
            _ => format!("e.id > {place}"),
        });
    }
}

/// Adds the condition that `column` tells one of these; `wrap` puts it where the column is.
pub(super) fn made_by(
    dialect: Dialect,
    conditions: &mut Conditions,
    column: &str,
    by: &MadeBy,
    wrap: impl Fn(String) -> String,
) {
    let clause = match by {
        MadeBy::People => format!("{column} IS NULL"),
        MadeBy::WorkerRuns(runs) => {
            let first = conditions.values().len() + 1;
            for run in runs {
                conditions.bind(*run);
            }
            dialect.any_of(column, first, runs.len())
        }
    };
    conditions.and(wrap(clause));
}
