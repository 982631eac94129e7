//! Datasets: rows, their sets and elements, and which server makes an archive. What is in an archive is in `cache_file.rs`.

use std::collections::BTreeMap;

use runyard_domain::{CorpusId, DatasetId, ElementId, Millis, WorkerRunId, dataset::State};

use crate::{
    activity::SelectFrom,
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

pub mod build;
#[cfg(test)]
mod tests;

const COLUMNS: &str = "id, corpus_id, name, description, state, error, seed, task_id, archive_key, archive_size, \
    archive_sha256, archive_files, created_at, updated_at";

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Id.
    pub id: DatasetId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// Name, unique in the corpus.
    pub name: String,
    /// For people.
    pub description: String,
    /// State.
    pub state: State,
    /// Why no archive could be made.
    pub error: Option<String>,
    /// What the last split was made with.
    pub seed: Option<i64>,
    /// Id of the last build: a UUID.
    pub task_id: Option<String>,
    /// The archive of a complete dataset.
    pub archive: Option<Archive>,
    /// When.
    pub created_at: Millis,
    /// When it changed last.
    pub updated_at: Millis,
}

/// An archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Key of the object.
    pub key: String,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256.
    pub sha256: String,
    /// Image files in it.
    pub files: i64,
}

/// A set with the number of its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Name.
    pub name: String,
    /// How many.
    pub elements: i64,
}

/// Which datasets, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these.
    pub ids: Vec<DatasetId>,
    /// Of any of these corpora.
    pub corpus_ids: Vec<CorpusId>,
    /// Any of these names.
    pub names: Vec<String>,
    /// Any of these states.
    pub states: Vec<State>,
    /// In this project only.
    pub project_id: Option<runyard_domain::ProjectId>,
    /// What follows this id.
    pub id_after: Option<DatasetId>,
    /// At most this many.
    pub limit: i64,
}

/// An element in a set, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The set.
    pub set: String,
    /// The element.
    pub element_id: ElementId,
    /// Slug of its type.
    pub of_type: String,
    /// Its name.
    pub name: String,
}

/// By what a split is stratified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stratify {
    /// By the class that is most sure: of one worker run, or of anyone.
    Class(Option<WorkerRunId>),
    /// By type.
    Type,
}

/// Writes a new dataset with empty sets. `false`: its id or its name is taken, and nothing is written.
pub fn insert(tx: &mut Tx, dataset: &Dataset, sets: &[String]) -> Result<bool, Error> {
    let written = tx.execute(
        "INSERT INTO datasets (id, corpus_id, name, description, state, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        params![
            dataset.id,
            dataset.corpus_id,
            &dataset.name,
            &dataset.description,
            dataset.state.word(),
            dataset.created_at,
            dataset.updated_at
        ],
    )?;
    if written == 0 {
        return Ok(false);
    }
    set_sets(tx, dataset.id, sets)?;
    Ok(true)
}

/// The dataset with this id.
pub fn get(tx: &mut Tx, id: DatasetId) -> Result<Option<Dataset>, Error> {
    one(tx, "id = $1", params![id])
}

/// The same, held against other writers until the end of the transaction.
pub fn lock(tx: &mut Tx, id: DatasetId) -> Result<Option<Dataset>, Error> {
    let clause = format!("id = $1{}", tx.dialect().for_update());
    one(tx, &clause, params![id])
}

/// The dataset of a corpus with this name.
pub fn by_name(tx: &mut Tx, corpus: CorpusId, name: &str) -> Result<Option<Dataset>, Error> {
    one(tx, "corpus_id = $1 AND name = $2", params![corpus, name])
}

/// The dataset whose last build this is.
pub fn by_task(tx: &mut Tx, task: &str) -> Result<Option<Dataset>, Error> {
    one(tx, "task_id = $1", params![task])
}

fn one(tx: &mut Tx, clause: &str, values: &[Value]) -> Result<Option<Dataset>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM datasets WHERE {clause}");
    tx.query_opt(&sql, values)?.map(|row| from_row(&row)).transpose()
}

/// Datasets that match, by id.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Dataset>, Error> {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.any_of(dialect, "id", filter.ids.iter().copied());
    conditions.any_of(dialect, "corpus_id", filter.corpus_ids.iter().copied());
    conditions.any_of(dialect, "name", &filter.names);
    conditions.any_of(dialect, "state", filter.states.iter().map(|state| state.word()));
    if let Some(project) = filter.project_id {
        let place = conditions.bind(project);
        conditions.and(format!("corpus_id IN (SELECT c.id FROM corpora c WHERE c.project_id = {place})"));
    }
    if let Some(after) = filter.id_after {
        let place = conditions.bind(after);
        conditions.and(format!("id > {place}"));
    }
    let limit = conditions.bind(filter.limit);
    let sql = format!("SELECT {COLUMNS} FROM datasets{} ORDER BY id LIMIT {limit}", conditions.clause());
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Writes what changes in a dataset's life. A name that is taken is a unique violation.
pub fn save(tx: &mut Tx, dataset: &Dataset) -> Result<(), Error> {
    let archive = dataset.archive.as_ref();
    tx.execute(
        "UPDATE datasets SET name = $2, description = $3, state = $4, error = $5, seed = $6, task_id = $7,
                             archive_key = $8, archive_size = $9, archive_sha256 = $10, archive_files = $11,
                             updated_at = $12
          WHERE id = $1",
        params![
            dataset.id,
            &dataset.name,
            &dataset.description,
            dataset.state.word(),
            dataset.error.clone(),
            dataset.seed,
            dataset.task_id.clone(),
            archive.map(|archive| archive.key.as_str()),
            archive.map(|archive| archive.size),
            archive.map(|archive| archive.sha256.as_str()),
            archive.map(|archive| archive.files),
            dataset.updated_at,
        ],
    )?;
    Ok(())
}

/// The sets of a dataset, in their order.
pub fn sets(tx: &mut Tx, id: DatasetId) -> Result<Vec<Set>, Error> {
    tx.query("SELECT name, elements FROM dataset_sets WHERE dataset_id = $1 ORDER BY ord, name", params![id])?
        .iter()
        .map(|row| Ok(Set { name: row.get(0)?, elements: row.get(1)? }))
        .collect()
}

/// The sets of several datasets.
pub fn sets_of(tx: &mut Tx, ids: &[DatasetId]) -> Result<BTreeMap<DatasetId, Vec<Set>>, Error> {
    let mut all = BTreeMap::<DatasetId, Vec<Set>>::new();
    if ids.is_empty() {
        return Ok(all);
    }
    let values: Vec<Value> = ids.iter().map(|id| (*id).into()).collect();
    let any = tx.dialect().any_of("dataset_id", 1, ids.len());
    let sql = format!(
        "SELECT dataset_id, name, elements FROM dataset_sets WHERE {any} ORDER BY dataset_id, ord, name"
    );
    for row in tx.query(&sql, &values)? {
        all.entry(row.get(0)?).or_default().push(Set { name: row.get(1)?, elements: row.get(2)? });
    }
    Ok(all)
}

/// Makes these the sets, in this order: those that stay keep their elements, the others go with theirs.
pub fn set_sets(tx: &mut Tx, id: DatasetId, names: &[String]) -> Result<(), Error> {
    for old in sets(tx, id)? {
        if !names.contains(&old.name) {
            for table in [
                "dataset_elements WHERE dataset_id = $1 AND set_name",
                "dataset_sets WHERE dataset_id = $1 AND name",
            ] {
                tx.execute(&format!("DELETE FROM {table} = $2"), params![id, &old.name])?;
            }
        }
    }
    for (ord, name) in names.iter().enumerate() {
        tx.execute(
            "INSERT INTO dataset_sets (dataset_id, name, ord, elements) VALUES ($1, $2, $3, 0)
                 ON CONFLICT (dataset_id, name) DO UPDATE SET ord = excluded.ord",
            params![id, name, ord],
        )?;
    }
    Ok(())
}

/// Adds elements to a set; answers how many are new there.
pub fn add(tx: &mut Tx, id: DatasetId, set: &str, from: SelectFrom<'_>) -> Result<i64, Error> {
    let added = crate::activity::select_into_set(tx, id, set, from)?;
    tx.execute(
        "UPDATE dataset_sets SET elements = elements + $3 WHERE dataset_id = $1 AND name = $2",
        params![id, set, added],
    )?;
    Ok(added)
}

/// Takes elements (of one set, or of all sets; these, or all) out; answers how many memberships ended.
pub fn remove(
    tx: &mut Tx,
    id: DatasetId,
    set: Option<&str>,
    elements: Option<&[ElementId]>,
) -> Result<i64, Error> {
    if elements.is_some_and(<[ElementId]>::is_empty) {
        return Ok(0);
    }
    let mut removed = 0;
    for one in sets(tx, id)?.into_iter().filter(|one| set.is_none_or(|set| set == one.name)) {
        let mut conditions = Conditions::default();
        conditions.equal("dataset_id", id);
        conditions.equal("set_name", &one.name);
        conditions.any_of(tx.dialect(), "element_id", elements.into_iter().flatten().copied());
        let sql = format!("DELETE FROM dataset_elements{}", conditions.clause());
        let gone = tx.execute(&sql, conditions.values())? as i64;
        removed += gone;
        lessen(tx, id, &one.name, gone)?;
    }
    Ok(removed)
}

/// So many less are in a set. What is not counted anew is right whoever else takes elements out meanwhile.
fn lessen(tx: &mut Tx, dataset: DatasetId, set: &str, by: i64) -> Result<(), Error> {
    if by > 0 {
        tx.execute(
            "UPDATE dataset_sets SET elements = elements - $3 WHERE dataset_id = $1 AND name = $2",
            params![dataset, set, by],
        )?;
    }
    Ok(())
}

/// Takes deleted elements out of all datasets.
pub fn forget_elements(tx: &mut Tx, elements: &[ElementId]) -> Result<(), Error> {
    let values: Vec<Value> = elements.iter().map(|id| (*id).into()).collect();
    let rows = tx.query_in(&[], &values, |places| {
        format!("DELETE FROM dataset_elements WHERE element_id IN ({places}) RETURNING dataset_id, set_name")
    })?;
    let mut gone = BTreeMap::<(DatasetId, String), i64>::new();
    for row in rows {
        *gone.entry((row.get(0)?, row.get(1)?)).or_default() += 1;
    }
    gone.into_iter().try_for_each(|((dataset, set), count)| lessen(tx, dataset, &set, count))
}

fn recount(tx: &mut Tx, id: DatasetId) -> Result<(), Error> {
    tx.execute(
        "UPDATE dataset_sets SET elements = (
             SELECT count(*) FROM dataset_elements d
              WHERE d.dataset_id = dataset_sets.dataset_id AND d.set_name = dataset_sets.name)
          WHERE dataset_id = $1",
        params![id],
    )?;
    Ok(())
}

/// Elements of a dataset by set and id; `after` is a set and an element in it.
pub fn members(
    tx: &mut Tx,
    id: DatasetId,
    set: Option<&str>,
    after: Option<(&str, ElementId)>,
    limit: i64,
) -> Result<Vec<Member>, Error> {
    let mut conditions = Conditions::default();
    conditions.equal("d.dataset_id", id);
    if let Some(set) = set {
        conditions.equal("d.set_name", set);
    }
    if let Some((set, element)) = after {
        let (set, element) = (conditions.bind(set), conditions.bind(element));
        conditions.and(format!("(d.set_name, d.element_id) > ({set}, {element})"));
    }
    let limit = conditions.bind(limit);
    let sql = format!(
        "SELECT d.set_name, e.id, e.type, e.name FROM dataset_elements d JOIN elements e ON e.id = d.element_id{}
          ORDER BY d.set_name, d.element_id LIMIT {limit}",
        conditions.clause()
    );
    tx.query(&sql, conditions.values())?
        .iter()
        .map(|row| {
            Ok(Member { set: row.get(0)?, element_id: row.get(1)?, of_type: row.get(2)?, name: row.get(3)? })
        })
        .collect()
}

/// The elements of a dataset, each as often as it is in a set, with the stratum that each belongs to. None of them is deleted
/// before the end of the transaction.
pub fn strata(
    tx: &mut Tx,
    id: DatasetId,
    by: Option<Stratify>,
) -> Result<Vec<(ElementId, Option<u32>)>, Error> {
    let mut values = params![id].to_vec();
    let stratum = match by {
        None => "NULL",
        Some(Stratify::Type) => "e.type",
        Some(Stratify::Class(run)) => {
            values.push(run.map(|run| run.to_string()).unwrap_or_default().into());
            "(SELECT c.class_id FROM classifications c
               WHERE c.element_id = d.element_id AND c.state <> 'rejected' AND ($2 = '' OR c.worker_run_id = $2)
               ORDER BY CASE c.state WHEN 'validated' THEN 0 ELSE 1 END, c.confidence DESC, c.class_id LIMIT 1)"
        }
    };
    let keep = tx.dialect().for_key_share_of("e");
    let sql = format!(
        "SELECT d.element_id, {stratum} FROM dataset_elements d JOIN elements e ON e.id = d.element_id
          WHERE d.dataset_id = $1{keep}"
    );
    let mut names = BTreeMap::<String, Vec<usize>>::new();
    let mut members = Vec::new();
    tx.query_each(&sql, &values, |row| {
        if let Some(name) = row.get::<Option<String>>(1)? {
            names.entry(name).or_default().push(members.len());
        }
        members.push((row.get(0)?, None));
        Ok::<_, Error>(())
    })?;
    // Numbered in the order of their names, so that the same classes give the same split.
    for (number, places) in (0..).zip(names.into_values()) {
        for place in places {
            members[place].1 = Some(number);
        }
    }
    Ok(members)
}

/// Writes which set each element is in, in place of all that was; `sets` are the names, by index.
pub fn place(
    tx: &mut Tx,
    id: DatasetId,
    sets: &[String],
    chosen: &BTreeMap<ElementId, usize>,
) -> Result<(), Error> {
    tx.execute("DELETE FROM dataset_elements WHERE dataset_id = $1", params![id])?;
    set_sets(tx, id, sets)?;
    let mut rows = Vec::with_capacity(256);
    for (element, set) in chosen {
        rows.push([id.into(), sets.get(*set).map(String::as_str).into(), (*element).into()]);
        if rows.len() == rows.capacity() {
            write_members(tx, &mut rows)?;
        }
    }
    write_members(tx, &mut rows)?;
    recount(tx, id)
}

fn write_members(tx: &mut Tx, rows: &mut Vec<[Value; 3]>) -> Result<(), Error> {
    tx.insert_rows("dataset_elements", &["dataset_id", "set_name", "element_id"], rows, "")?;
    rows.clear();
    Ok(())
}

/// The datasets of a corpus.
pub fn of_corpus(tx: &mut Tx, corpus: CorpusId) -> Result<Vec<DatasetId>, Error> {
    let sql = "SELECT id FROM datasets WHERE corpus_id = $1 ORDER BY id";
    tx.query(sql, params![corpus])?.iter().map(|row| row.get(0)).collect()
}

/// Deletes a dataset with its sets; whether there was one. Its objects are the caller's.
pub fn delete(tx: &mut Tx, id: DatasetId) -> Result<bool, Error> {
    // The dataset first: that is where other writers wait.
    let there = tx.execute("DELETE FROM datasets WHERE id = $1", params![id])? > 0;
    tx.execute("DELETE FROM dataset_elements WHERE dataset_id = $1", params![id])?;
    tx.execute("DELETE FROM dataset_sets WHERE dataset_id = $1", params![id])?;
    Ok(there)
}

fn from_row(row: &Row) -> Result<Dataset, Error> {
    let state: String = row.get(4)?;
    let archive = match (row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?) {
        (Some(key), Some(size), Some(sha256), Some(files)) => Some(Archive { key, size, sha256, files }),
        _ => None,
    };
    Ok(Dataset {
        id: row.get(0)?,
        corpus_id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        state: state.parse().map_err(|error| Error::Sql(format!("a dataset: {error}")))?,
        error: row.get(5)?,
        seed: row.get(6)?,
        task_id: row.get(7)?,
        archive,
        created_at: row.get(12)?,
        updated_at: row.get(13)?,
    })
}
