//! Models: rows, and the filters of their list. Their versions are in `version.rs`, what is in those in `content.rs`.

use runyard_domain::{Millis, ModelId, ProjectId};

use crate::{
    db::{Conditions, Error, Row, Tx},
    params,
    run::Sort,
};

pub mod content;
#[cfg(test)]
mod tests;
pub mod version;

const COLUMNS: &str = "m.id, m.project_id, m.name, m.description, m.created_at, \
    (SELECT count(*) FROM model_versions v WHERE v.model_id = m.id AND v.state = 'available')";

/// A model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Id.
    pub id: ModelId,
    /// Its project.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub name: String,
    /// For people.
    pub description: String,
    /// When.
    pub created_at: Millis,
    /// Available versions; read, never written.
    pub versions: i64,
}

/// Which models, in which order. An empty list is no condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Any of these.
    pub ids: Vec<ModelId>,
    /// In any of these projects.
    pub project_ids: Vec<ProjectId>,
    /// Any of these names.
    pub names: Vec<String>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<ModelId>,
    /// Order; by id and by creation are the same.
    pub sort: Sort,
    /// At most this many.
    pub limit: i64,
    /// Leave out this many first.
    pub offset: i64,
}

impl Default for Filter {
    /// The newest ten.
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            project_ids: Vec::new(),
            names: Vec::new(),
            id_after: None,
            sort: Sort::default(),
            limit: 10,
            offset: 0,
        }
    }
}

/// Writes a new model; `false`: the project has one with this name.
pub fn insert(tx: &mut Tx, model: &Model) -> Result<bool, Error> {
    let written = tx.execute(
        "INSERT INTO models (id, project_id, name, description, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (project_id, name) DO NOTHING",
        params![model.id, model.project_id, &model.name, &model.description, model.created_at],
    )?;
    Ok(written > 0)
}

/// The model with this id.
pub fn get(tx: &mut Tx, id: ModelId) -> Result<Option<Model>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM models m WHERE m.id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// The model with this name in a project.
pub fn by_name(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Option<Model>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM models m WHERE m.project_id = $1 AND m.name = $2");
    tx.query_opt(&sql, params![project, name])?.map(|row| from_row(&row)).transpose()
}

/// Locks the model until the end of the transaction: nobody else begins, finishes, tags or deletes its versions meanwhile.
/// `false`: it is gone.
pub fn lock(tx: &mut Tx, id: ModelId) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM models WHERE id = $1{}", tx.dialect().for_update());
    Ok(tx.query_opt(&sql, params![id])?.is_some())
}

/// Models that match, in order.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Model>, Error> {
    let mut conditions = conditions(tx, filter);
    let place = (filter.limit, filter.offset);
    let page = conditions.page("m.id", None, filter.sort, filter.id_after, place);
    let sql = format!("SELECT {COLUMNS} FROM models m{page}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// How many models match, whatever the filter says of order and place.
pub fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Error> {
    let conditions = conditions(tx, filter);
    let sql = format!("SELECT count(*) FROM models m{}", conditions.clause());
    tx.query_one(&sql, conditions.values())?.get(0)
}

fn conditions(tx: &Tx, filter: &Filter) -> Conditions {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.any_of(dialect, "m.id", filter.ids.iter().copied());
    conditions.any_of(dialect, "m.project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "m.name", &filter.names);
    conditions
}

/// Writes name and description. A name that is taken in the project is a unique violation.
pub fn save(tx: &mut Tx, model: &Model) -> Result<(), Error> {
    tx.execute(
        "UPDATE models SET name = $2, description = $3 WHERE id = $1",
        params![model.id, &model.name, &model.description],
    )?;
    Ok(())
}

/// Deletes a model with all of its versions.
pub fn delete(tx: &mut Tx, id: ModelId) -> Result<(), Error> {
    for table in ["model_files", "model_parts"] {
        let sql = format!(
            "DELETE FROM {table} WHERE version_id IN (SELECT v.id FROM model_versions v WHERE v.model_id = $1)"
        );
        tx.execute(&sql, params![id])?;
    }
    tx.execute("DELETE FROM model_versions WHERE model_id = $1", params![id])?;
    tx.execute("DELETE FROM models WHERE id = $1", params![id])?;
    Ok(())
}

/// Whether the project has a model.
pub fn exists_in(tx: &mut Tx, project: ProjectId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM models WHERE project_id = $1 LIMIT 1";
    Ok(tx.query_opt(sql, params![project])?.is_some())
}

fn from_row(row: &Row) -> Result<Model, Error> {
    Ok(Model {
        id: row.get(0)?,
        project_id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        created_at: row.get(4)?,
        versions: row.get(5)?,
    })
}
