//! Corpora and the types of their elements: rows. One that is being deleted is not found.

use runyard_domain::{CorpusId, ElementTypeId, Millis, ProjectId};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

/// A corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    /// Id.
    pub id: CorpusId,
    /// Its project.
    pub project_id: ProjectId,
    /// Name, unique in its project.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it was created.
    pub created_at: Millis,
}

/// A type of elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementType {
    /// Id.
    pub id: ElementTypeId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// What elements carry; unique in its corpus.
    pub slug: String,
    /// For people.
    pub display_name: String,
    /// Whether it is only there to hold others.
    pub folder: bool,
}

/// Which corpora. An empty list is no condition.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these ids.
    pub ids: Vec<CorpusId>,
    /// In any of these projects.
    pub project_ids: Vec<ProjectId>,
    /// Any of these names.
    pub names: Vec<String>,
    /// Name like any of these.
    pub name_ilikes: Vec<String>,
    /// Ids that follow this one.
    pub id_after: Option<CorpusId>,
    /// At most this many.
    pub limit: i64,
    /// Leave out this many first.
    pub offset: i64,
}

const COLUMNS: &str = "id, project_id, name, description, created_at";
const TYPE_COLUMNS: &str = "id, corpus_id, slug, display_name, folder";

/// Writes a new corpus. `false`: its id or its name is taken, and nothing is written.
pub fn insert(tx: &mut Tx, corpus: &Corpus) -> Result<bool, Error> {
    let written = tx.execute(
        "INSERT INTO corpora (id, project_id, name, description, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        params![corpus.id, corpus.project_id, &corpus.name, &corpus.description, corpus.created_at],
    )?;
    Ok(written > 0)
}

/// The corpus with this id.
pub fn get(tx: &mut Tx, id: CorpusId) -> Result<Option<Corpus>, Error> {
    one(tx, "id = $1", params![id], "")
}

/// The same, and it stays until the end of the transaction: nobody deletes it before what is written into it is there.
pub fn hold(tx: &mut Tx, id: CorpusId) -> Result<Option<Corpus>, Error> {
    let share = tx.dialect().for_share();
    one(tx, "id = $1", params![id], share)
}

/// The corpus with this name.
pub fn by_name(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Option<Corpus>, Error> {
    one(tx, "project_id = $1 AND name = $2", params![project, name], "")
}

fn one(tx: &mut Tx, condition: &str, values: &[Value], lock: &str) -> Result<Option<Corpus>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM corpora WHERE {condition} AND deleted_at IS NULL{lock}");
    tx.query_opt(&sql, values)?.map(|row| from_row(&row)).transpose()
}

/// Corpora that match, the oldest first.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Corpus>, Error> {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.and("deleted_at IS NULL");
    conditions.any_of(dialect, "id", filter.ids.iter().copied());
    conditions.any_of(dialect, "project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "name", &filter.names);
    conditions.ilike_any(dialect, "name", &filter.name_ilikes);
    if let Some(after) = filter.id_after {
        let place = conditions.bind(after);
        conditions.and(format!("id > {place}"));
    }
    let (limit, offset) = (conditions.bind(filter.limit), conditions.bind(filter.offset));
    let clause = conditions.clause();
    let sql = format!("SELECT {COLUMNS} FROM corpora{clause} ORDER BY id LIMIT {limit} OFFSET {offset}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Changes what is given; `None`: there is no such corpus. A name that is taken is a unique violation.
pub fn update(
    tx: &mut Tx,
    id: CorpusId,
    name: Option<&str>,
    description: Option<&str>,
) -> Result<Option<Corpus>, Error> {
    let sql = format!(
        "UPDATE corpora SET name = coalesce($2, name), description = coalesce($3, description)
          WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}"
    );
    tx.query_opt(&sql, params![id, name, description])?.map(|row| from_row(&row)).transpose()
}

/// Hides a corpus: from now on it is not found, its name is free, and its rows may go.
pub fn hide(tx: &mut Tx, id: CorpusId, now: Millis) -> Result<bool, Error> {
    let sql = "UPDATE corpora SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    Ok(tx.execute(sql, params![id, now])? > 0)
}

/// Corpora that are hidden, and whose rows must go.
pub fn hidden(tx: &mut Tx) -> Result<Vec<CorpusId>, Error> {
    let sql = "SELECT id FROM corpora WHERE deleted_at IS NOT NULL ORDER BY id";
    tx.query(sql, &[])?.iter().map(|row| row.get(0)).collect()
}

/// Deletes a corpus that has no elements any more, with its types, classes and entities.
pub fn delete(tx: &mut Tx, id: CorpusId) -> Result<(), Error> {
    for sql in [
        "DELETE FROM transcription_entities WHERE entity_id IN (SELECT e.id FROM entities e WHERE e.corpus_id = $1)",
        "DELETE FROM entities WHERE corpus_id = $1",
        "DELETE FROM entity_types WHERE corpus_id = $1",
        "DELETE FROM ml_classes WHERE corpus_id = $1",
        "DELETE FROM element_types WHERE corpus_id = $1",
        "DELETE FROM corpora WHERE id = $1",
    ] {
        tx.execute(sql, params![id])?;
    }
    Ok(())
}

/// Whether the project has a corpus, hidden or not.
pub fn exists_in(tx: &mut Tx, project: ProjectId) -> Result<bool, Error> {
    Ok(!tx.query("SELECT 1 FROM corpora WHERE project_id = $1 LIMIT 1", params![project])?.is_empty())
}

/// Writes a new type; whether it was not there yet.
pub fn insert_type(tx: &mut Tx, new: &ElementType) -> Result<bool, Error> {
    let written = tx.execute(
        "INSERT INTO element_types (id, corpus_id, slug, display_name, folder) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        params![new.id, new.corpus_id, &new.slug, &new.display_name, new.folder],
    )?;
    Ok(written > 0)
}

/// All types of a corpus, by slug.
pub fn types(tx: &mut Tx, corpus: CorpusId) -> Result<Vec<ElementType>, Error> {
    let sql = format!("SELECT {TYPE_COLUMNS} FROM element_types WHERE corpus_id = $1 ORDER BY slug");
    tx.query(&sql, params![corpus])?.iter().map(type_from_row).collect()
}

/// Deletes a type; whether there was one. Its elements are the caller's care.
pub fn delete_type(tx: &mut Tx, corpus: CorpusId, slug: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM element_types WHERE corpus_id = $1 AND slug = $2";
    Ok(tx.execute(sql, params![corpus, slug])? > 0)
}

/// Whether the corpus has an element of this type.
pub fn type_is_used(tx: &mut Tx, corpus: CorpusId, slug: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM elements WHERE corpus_id = $1 AND type = $2 LIMIT 1";
    Ok(!tx.query(sql, params![corpus, slug])?.is_empty())
}

fn from_row(row: &Row) -> Result<Corpus, Error> {
    Ok(Corpus {
        id: row.get(0)?,
        project_id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        created_at: row.get(4)?,
    })
}

fn type_from_row(row: &Row) -> Result<ElementType, Error> {
    Ok(ElementType {
        id: row.get(0)?,
        corpus_id: row.get(1)?,
        slug: row.get(2)?,
        display_name: row.get(3)?,
        folder: row.get(4)?,
    })
}
