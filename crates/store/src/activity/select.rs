//! Selections as SQL: which elements a worker run works through, or a set of a dataset gets. One statement, whatever their
//! number; elements that are there already stay as they are.

use runyard_domain::{
    CorpusId, DatasetId, ElementId, Millis, WorkerRunId,
    worker_run::{Query, Selection},
};

use crate::{
    db::{Conditions, Error, Tx, Value},
    params,
};

/// Elements named in one statement, at most.
const NAMED: usize = 5_000;

/// What a selection is looked up in.
#[derive(Debug, Clone, Copy)]
pub struct SelectFrom<'a> {
    /// Only elements of this corpus.
    pub corpus: CorpusId,
    /// Which of them.
    pub selection: &'a Selection,
}

/// Queues the elements of a selection; answers how many are new.
pub fn select(tx: &mut Tx, run: WorkerRunId, from: SelectFrom<'_>, now: Millis) -> Result<i64, Error> {
    let mut added = 0;
    for (sql, values) in select_statements(tx, run, from, now) {
        added += tx.execute(&sql, &values)? as i64;
    }
    Ok(added)
}

/// The statements behind [`select`].
pub(super) fn select_statements(
    tx: &Tx,
    run: WorkerRunId,
    from: SelectFrom<'_>,
    now: Millis,
) -> Vec<(String, Vec<Value>)> {
    let statement = |(clause, mut conditions): (String, Conditions)| {
        let (run, now) = (conditions.bind(run), conditions.bind(now));
        let sql = format!(
            "INSERT INTO activities (worker_run_id, element_id, state, attempt, lost, updated_at)
             SELECT {run}, e.id, 'queued', 0, 0, CAST({now} AS BIGINT) FROM {clause}{} ORDER BY e.id
                 ON CONFLICT (worker_run_id, element_id) DO NOTHING",
            conditions.clause()
        );
        (sql, conditions.values().to_vec())
    };
    selected(tx, from).into_iter().map(statement).collect()
}

/// Adds the elements of a selection to a set; answers how many are new there. None of them is deleted meanwhile: that would
/// leave its place behind.
pub(crate) fn select_into_set(
    tx: &mut Tx,
    dataset: DatasetId,
    set: &str,
    from: SelectFrom<'_>,
) -> Result<i64, Error> {
    let mut added = 0;
    let keep = tx.dialect().for_key_share_of("e");
    for (clause, mut conditions) in selected(tx, from) {
        let (dataset, set) = (conditions.bind(dataset), conditions.bind(set));
        let sql = format!(
            "INSERT INTO dataset_elements (dataset_id, set_name, element_id)
             SELECT {dataset}, {set}, e.id FROM {clause}{} ORDER BY e.id{keep}
                 ON CONFLICT (dataset_id, set_name, element_id) DO NOTHING",
            conditions.clause()
        );
        added += tx.execute(&sql, conditions.values())? as i64;
    }
    Ok(added)
}

/// Those of these elements that the corpus has.
pub fn elements_of(tx: &mut Tx, corpus: CorpusId, ids: &[ElementId]) -> Result<Vec<ElementId>, Error> {
    let values: Vec<Value> = ids.iter().map(|id| (*id).into()).collect();
    let rows = tx.query_in(params![corpus], &values, |places| {
        format!("SELECT id FROM elements WHERE corpus_id = $1 AND id IN ({places})")
    })?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// What stands behind FROM, and the conditions, of each statement that the selection needs; the elements are `e`.
fn selected(tx: &Tx, from: SelectFrom<'_>) -> Vec<(String, Conditions)> {
    let SelectFrom { corpus, selection } = from;
    let dialect = tx.dialect();
    let mut base = Conditions::default();
    base.equal("e.corpus_id", corpus);
    let mut statements = Vec::new();
    for part in selection.elements.chunks(NAMED) {
        let mut conditions = base.clone();
        conditions.any_of(dialect, "e.id", part.iter().copied());
        statements.push(("elements e".to_owned(), conditions));
    }
    if let Some(query) = &selection.query {
        let mut conditions = base.clone();
        asked_for(tx, query, &mut conditions);
        statements.push(("elements e".to_owned(), conditions));
    }
    for set in &selection.sets {
        let mut conditions = base.clone();
        conditions.equal("s.dataset_id", set.dataset);
        conditions.equal("s.set_name", &set.set);
        conditions.and("e.id = s.element_id");
        // SQLite walks them in this order: else it would look for each element of the corpus in the set.
        statements.push(("dataset_elements s CROSS JOIN elements e".to_owned(), conditions));
    }
    statements
}

fn asked_for(tx: &Tx, query: &Query, conditions: &mut Conditions) {
    if let Some(of_type) = &query.of_type {
        conditions.equal("e.type", of_type);
    }
    conditions.ilike_any(tx.dialect(), "e.name", query.name_ilike.as_slice());
    if let Some(parent) = query.parent {
        let parent = conditions.bind(parent);
        conditions.and(if query.recursive {
            // UNION, not UNION ALL: a child with two parents, or a circle, is walked once.
            format!(
                "e.id IN (WITH RECURSIVE below (id) AS (
                     SELECT child_id FROM element_parents WHERE parent_id = {parent}
                      UNION SELECT p.child_id FROM element_parents p JOIN below b ON p.parent_id = b.id)
                 SELECT id FROM below)"
            )
        } else {
            format!("e.id IN (SELECT child_id FROM element_parents WHERE parent_id = {parent})")
        });
    }
    if let Some(run) = query.without_results_of {
        let run = conditions.bind(run);
        let mut none = |from: &str| conditions.and(format!("NOT EXISTS (SELECT 1 FROM {from})"));
        none(&format!(
            "activities d WHERE d.worker_run_id = {run} AND d.element_id = e.id AND d.state = 'processed'"
        ));
        for table in ["classifications", "transcriptions", "metadata"] {
            none(&format!("{table} d WHERE d.element_id = e.id AND d.worker_run_id = {run}"));
        }
        none(&format!("elements d WHERE d.root_element = e.id AND d.worker_run_id = {run}"));
    }
}
