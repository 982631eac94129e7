//! Experiments: names for runs that belong together.

use std::collections::BTreeMap;

use runyard_domain::{ExperimentId, Millis, ProjectId};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
    run::Sort,
};

const COLUMNS: &str = "id, project_id, name, artifact_uri, labels, user_id, created_at, updated_at";

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// Id.
    pub id: ExperimentId,
    /// Its project.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub name: String,
    /// Where what its runs make goes, unless they say otherwise.
    pub artifact_uri: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Who made it.
    pub user_id: String,
    /// When.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// Which experiments. An empty list is no condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// In any of these projects.
    pub project_ids: Vec<ProjectId>,
    /// Any of these names.
    pub names: Vec<String>,
    /// Order; by id and by creation are the same.
    pub sort: Sort,
    /// At most this many.
    pub limit: i64,
    /// Leave out this many first.
    pub offset: i64,
}

/// Writes a new experiment; `false`: the project has one with this name.
pub fn insert(tx: &mut Tx, experiment: &Experiment) -> Result<bool, Error> {
    let sql = format!(
        "INSERT INTO experiments ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (project_id, name) DO NOTHING"
    );
    let written = tx.execute(
        &sql,
        params![
            experiment.id,
            experiment.project_id,
            &experiment.name,
            &experiment.artifact_uri,
            Value::json(&experiment.labels)?,
            &experiment.user_id,
            experiment.created_at,
            experiment.updated_at
        ],
    )?;
    Ok(written > 0)
}

/// The experiment with this id.
pub fn get(tx: &mut Tx, id: ExperimentId) -> Result<Option<Experiment>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM experiments WHERE id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// The same, held against other writers until the end of the transaction.
pub fn lock(tx: &mut Tx, id: ExperimentId) -> Result<Option<Experiment>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM experiments WHERE id = $1{}", tx.dialect().for_update());
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// The experiment with this name in a project.
pub fn by_name(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Option<Experiment>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM experiments WHERE project_id = $1 AND name = $2");
    tx.query_opt(&sql, params![project, name])?.map(|row| from_row(&row)).transpose()
}

/// Those that match, in order.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Experiment>, Error> {
    let mut conditions = conditions(tx, filter);
    let page = conditions.page("id", None, filter.sort, None::<ExperimentId>, (filter.limit, filter.offset));
    let sql = format!("SELECT {COLUMNS} FROM experiments{page}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// How many match on all pages.
pub fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Error> {
    let conditions = conditions(tx, filter);
    let sql = format!("SELECT count(*) FROM experiments{}", conditions.clause());
    tx.query_one(&sql, conditions.values())?.get(0)
}

fn conditions(tx: &Tx, filter: &Filter) -> Conditions {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.any_of(dialect, "project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "name", &filter.names);
    conditions
}

/// Writes name and labels.
pub fn save(tx: &mut Tx, experiment: &Experiment) -> Result<(), Error> {
    tx.execute(
        "UPDATE experiments SET name = $2, labels = $3, updated_at = $4 WHERE id = $1",
        params![experiment.id, &experiment.name, Value::json(&experiment.labels)?, experiment.updated_at],
    )?;
    Ok(())
}

/// Deletes an experiment; its runs stay.
pub fn delete(tx: &mut Tx, id: ExperimentId) -> Result<(), Error> {
    tx.execute("DELETE FROM experiments WHERE id = $1", params![id])?;
    Ok(())
}

/// Deletes the experiments of a project.
pub fn delete_project(tx: &mut Tx, project: ProjectId) -> Result<(), Error> {
    tx.execute("DELETE FROM experiments WHERE project_id = $1", params![project])?;
    Ok(())
}

fn from_row(row: &Row) -> Result<Experiment, Error> {
    Ok(Experiment {
        id: row.get(0)?,
        project_id: row.get(1)?,
        name: row.get(2)?,
        artifact_uri: row.get(3)?,
        labels: row.json(4)?,
        user_id: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{both, project, testing};

    fn experiment(n: u8) -> Experiment {
        Experiment {
            id: ExperimentId::new(Millis(n.into()), [n; 10]),
            project_id: testing::project(1).id,
            name: format!("e-{n}"),
            artifact_uri: "oss://bucket/path/".into(),
            labels: BTreeMap::from([("team".to_owned(), "ocr".to_owned())]),
            user_id: "ann".into(),
            created_at: Millis(n.into()),
            updated_at: Millis(n.into()),
        }
    }

    both! {
        async fn an_experiment_is_read_back_changed_listed_and_deleted(db) {
            db.write(|tx| {
                project::insert(tx, &testing::project(1))?;
                for n in 1..=3 {
                    assert!(insert(tx, &experiment(n))?);
                }
                let taken = Experiment { id: experiment(9).id, ..experiment(1) };
                assert!(!insert(tx, &taken)?, "the name is taken");
                let one = experiment(1);
                assert_eq!(get(tx, one.id)?.as_ref(), Some(&one));
                assert_eq!(by_name(tx, one.project_id, "e-1")?.as_ref(), Some(&one));
                let changed = Experiment { name: "other".into(), labels: BTreeMap::new(), ..one };
                save(tx, &changed)?;
                assert_eq!(lock(tx, changed.id)?.as_ref(), Some(&changed));
                let filter = Filter {
                    project_ids: vec![changed.project_id],
                    names: Vec::new(),
                    sort: Sort::default(),
                    limit: 2,
                    offset: 0,
                };
                let names: Vec<String> = list(tx, &filter)?.into_iter().map(|one| one.name).collect();
                assert_eq!((names, count(tx, &filter)?), (vec!["e-3".to_owned(), "e-2".to_owned()], 3));
                delete(tx, changed.id)?;
                assert_eq!(get(tx, changed.id)?, None);
                delete_project(tx, changed.project_id)?;
                assert_eq!(count(tx, &filter)?, 0);
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        }
    }
}
