//! Blueprints: named, versioned templates for runs. A deleted one stays in its row, for the runs made from it.

use std::collections::BTreeMap;

use runyard_domain::{BlueprintId, Millis, ProjectId, resources::Resources};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
    run::Sort,
};

/// A blueprint.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// Id: one per project, name and version.
    pub id: BlueprintId,
    /// Its project.
    pub project_id: ProjectId,
    /// Name.
    pub name: String,
    /// Version, free text.
    pub version: String,
    /// For people.
    pub description: String,
    /// Container image.
    pub image: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// JSON Schema of the config.
    pub config_schema: serde_json::Value,
    /// The task types it serves; empty: any.
    pub task_types: Vec<String>,
    /// Used when a run names none.
    pub resources: Option<Resources>,
    /// Hex SHA-256 of an uploaded source.
    pub source: Option<String>,
    /// Python requirements.
    pub requirements: Vec<String>,
    /// Variables for the program.
    pub env: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Millis,
    /// Who created it: the name of their token.
    pub user_id: String,
    /// When it was deleted.
    pub deleted_at: Option<Millis>,
}

/// Which blueprints, in which order; never deleted ones. An empty list is no condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// In any of these.
    pub project_ids: Vec<ProjectId>,
    /// Any of these.
    pub ids: Vec<BlueprintId>,
    /// Any of these.
    pub names: Vec<String>,
    /// Like any of these (ILIKE, validated).
    pub name_ilikes: Vec<String>,
    /// Any of these.
    pub versions: Vec<String>,
    /// Like any of these (ILIKE, validated).
    pub version_ilikes: Vec<String>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<BlueprintId>,
    /// Order.
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
            project_ids: Vec::new(),
            ids: Vec::new(),
            names: Vec::new(),
            name_ilikes: Vec::new(),
            versions: Vec::new(),
            version_ilikes: Vec::new(),
            id_after: None,
            sort: Sort::default(),
            limit: 10,
            offset: 0,
        }
    }
}

const COLUMNS: &str = "id, project_id, name, version, description, image, command, config_schema, \
    task_types, resources, source, requirements, env, created_at, user_id, deleted_at";

/// Writes a new blueprint. A name and version that its project has already is a unique violation.
pub fn insert(tx: &mut Tx, blueprint: &Blueprint) -> Result<(), Error> {
    let resources = blueprint.resources.as_ref().map(Value::json).transpose()?;
    tx.execute(
        "INSERT INTO blueprints (id, project_id, name, version, description, image, command, config_schema,
                                 task_types, resources, source, requirements, env, created_at, user_id, deleted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        params![
            blueprint.id,
            blueprint.project_id,
            &blueprint.name,
            &blueprint.version,
            &blueprint.description,
            blueprint.image.as_ref(),
            Value::json(&blueprint.command)?,
            &blueprint.config_schema,
            Value::json(&blueprint.task_types)?,
            resources,
            blueprint.source.as_ref(),
            Value::json(&blueprint.requirements)?,
            Value::json(&blueprint.env)?,
            blueprint.created_at,
            &blueprint.user_id,
            blueprint.deleted_at,
        ],
    )?;
    Ok(())
}

/// The blueprint with this id, also when it was deleted (its `deleted_at` says so).
pub fn get(tx: &mut Tx, id: BlueprintId) -> Result<Option<Blueprint>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM blueprints WHERE id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// Blueprints that match, in order.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Blueprint>, Error> {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.and("deleted_at IS NULL");
    conditions.any_of(dialect, "project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "id", filter.ids.iter().copied());
    conditions.any_of(dialect, "name", &filter.names);
    conditions.ilike_any(dialect, "name", &filter.name_ilikes);
    conditions.any_of(dialect, "version", &filter.versions);
    conditions.ilike_any(dialect, "version", &filter.version_ilikes);
    let place = (filter.limit, filter.offset);
    let page = conditions.page("id", Some("blueprints"), filter.sort, filter.id_after, place);
    let sql = format!("SELECT {COLUMNS} FROM blueprints{page}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Deletes a blueprint: it is no longer listed, its name and version are free. Whether it was there.
pub fn delete(tx: &mut Tx, id: BlueprintId, now: Millis) -> Result<bool, Error> {
    let sql = "UPDATE blueprints SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    Ok(tx.execute(sql, params![id, now])? > 0)
}

fn from_row(row: &Row) -> Result<Blueprint, Error> {
    Ok(Blueprint {
        id: row.get(0)?,
        project_id: row.get(1)?,
        name: row.get(2)?,
        version: row.get(3)?,
        description: row.get(4)?,
        image: row.get(5)?,
        command: row.json(6)?,
        config_schema: row.get(7)?,
        task_types: row.json(8)?,
        resources: row.json(9)?,
        source: row.get(10)?,
        requirements: row.json(11)?,
        env: row.json(12)?,
        created_at: row.get(13)?,
        user_id: row.get(14)?,
        deleted_at: row.get(15)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Db, both, project, run::SortField, testing};

    const BY_ID: Sort = Sort { field: SortField::Id, descending: false };

    /// Two projects; in the first `digits` 1.0, 1.1, 2.0-beta and `Digit_s` 1.0, in the second `digits` 1.0.
    async fn five_blueprints(db: &Db) -> (ProjectId, ProjectId) {
        let (first, second) = (testing::project(1), testing::project(2));
        let ids = (first.id, second.id);
        db.write(move |tx| {
            project::insert(tx, &first)?;
            project::insert(tx, &second)?;
            for (n, project, name, version) in [
                (1, first.id, "digits", "1.0"),
                (2, first.id, "digits", "1.1"),
                (3, first.id, "digits", "2.0-BETA"),
                (4, first.id, "Digit_s", "1.0"),
                (5, second.id, "digits", "1.0"),
            ] {
                let (name, version) = (name.to_owned(), version.to_owned());
                insert(tx, &Blueprint { name, version, ..testing::blueprint(n, project) })?;
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        ids
    }

    fn id(n: u8) -> BlueprintId {
        testing::blueprint(n, testing::project(1).id).id
    }

    /// The numbers of the blueprints that match.
    async fn numbers(db: &Db, filter: Filter) -> Vec<u8> {
        let found = db.read(move |tx| list(tx, &filter)).await.unwrap();
        found.iter().map(|blueprint| (0..=255).find(|&n| id(n) == blueprint.id).unwrap()).collect()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    both! {
        async fn a_blueprint_comes_back_as_it_was_written(db) {
            let owner = testing::project(1);
            let full = testing::blueprint(1, owner.id);
            let bare = Blueprint {
                version: "bare".into(),
                image: None,
                command: Vec::new(),
                config_schema: json!(true),
                task_types: Vec::new(),
                resources: None,
                source: None,
                requirements: Vec::new(),
                env: BTreeMap::new(),
                ..testing::blueprint(2, owner.id)
            };
            assert!(full.resources.is_some() && full.source.is_some() && !full.env.is_empty());
            let all = [full.clone(), bare.clone()];
            db.write(move |tx| {
                project::insert(tx, &owner)?;
                all.iter().try_for_each(|blueprint| insert(tx, blueprint))
            })
            .await
            .unwrap();
            assert_eq!(db.read(|tx| get(tx, id(1))).await.unwrap(), Some(full));
            assert_eq!(db.read(|tx| get(tx, id(2))).await.unwrap(), Some(bare));
            assert_eq!(db.read(|tx| get(tx, id(3))).await.unwrap(), None);
        }

        async fn filters_are_any_of_each_and_all_together(db) {
            let (first, second) = five_blueprints(&db).await;
            let all = Filter { sort: BY_ID, ..Filter::default() };
            assert_eq!(numbers(&db, all.clone()).await, [1, 2, 3, 4, 5]);
            assert_eq!(numbers(&db, Filter { project_ids: vec![second], ..all.clone() }).await, [5]);
            assert_eq!(numbers(&db, Filter { project_ids: vec![first, second], ..all.clone() }).await, [1, 2, 3, 4, 5]);
            assert_eq!(numbers(&db, Filter { ids: vec![id(4), id(2), id(9)], ..all.clone() }).await, [2, 4]);
            assert_eq!(numbers(&db, Filter { names: words(&["Digit_s"]), ..all.clone() }).await, [4]);
            assert_eq!(numbers(&db, Filter { versions: words(&["1.0", "1.1"]), ..all.clone() }).await, [1, 2, 4, 5]);
            let both = Filter { names: words(&["digits"]), versions: words(&["1.0"]), project_ids: vec![first], ..all };
            assert_eq!(numbers(&db, both).await, [1]);
        }

        async fn ilike_ignores_case_and_knows_wildcards_and_escapes(db) {
            five_blueprints(&db).await;
            for (patterns, expected) in [
                (&["DIGITS"][..], &[1, 2, 3, 5][..]),
                (&["digit_"], &[1, 2, 3, 5]),
                (&["%_s"], &[1, 2, 3, 4, 5]),
                (&[r"%\_s"], &[4]),
                (&["d"], &[]),
                (&["nothing", "digit__"], &[4]),
            ] {
                let filter = Filter { name_ilikes: words(patterns), sort: BY_ID, ..Filter::default() };
                assert_eq!(numbers(&db, filter).await, expected, "{patterns:?}");
            }
            let beta = Filter { version_ilikes: words(&["2%beta"]), ..Filter::default() };
            assert_eq!(numbers(&db, beta).await, [3]);
        }

        async fn pages_follow_one_another_in_every_order(db) {
            five_blueprints(&db).await;
            for field in [SortField::Id, SortField::CreatedAt] {
                for (descending, expected) in [(false, [1, 2, 3, 4, 5]), (true, [5, 4, 3, 2, 1])] {
                    let page = |id_after, offset| Filter {
                        sort: Sort { field, descending },
                        limit: 2,
                        id_after,
                        offset,
                        ..Filter::default()
                    };
                    assert_eq!(numbers(&db, page(None, 0)).await, expected[..2]);
                    assert_eq!(numbers(&db, page(Some(id(expected[1])), 0)).await, expected[2..4]);
                    assert_eq!(numbers(&db, page(Some(id(expected[3])), 0)).await, expected[4..]);
                    assert_eq!(numbers(&db, page(None, 3)).await, expected[3..]);
                }
            }
        }

        async fn name_and_version_are_unique_in_a_project_among_those_not_deleted(db) {
            let (first, _) = five_blueprints(&db).await;
            let again = Blueprint {
                name: "digits".into(),
                version: "1.0".into(),
                ..testing::blueprint(9, first)
            };
            let twin = again.clone();
            let error = db.write(move |tx| insert(tx, &twin)).await.unwrap_err();
            assert!(error.is_unique_violation(), "{error}");
            assert!(db.write(|tx| delete(tx, id(1), Millis(50))).await.unwrap());
            db.write(move |tx| insert(tx, &again)).await.unwrap();
        }

        async fn a_deleted_blueprint_is_not_listed_but_still_known(db) {
            five_blueprints(&db).await;
            assert!(db.write(|tx| delete(tx, id(2), Millis(50))).await.unwrap());
            assert!(!db.write(|tx| delete(tx, id(2), Millis(60))).await.unwrap());
            let filter = Filter { ids: vec![id(1), id(2)], ..Filter::default() };
            assert_eq!(numbers(&db, filter).await, [1]);
            let deleted = db.read(|tx| get(tx, id(2))).await.unwrap().unwrap();
            assert_eq!(deleted.deleted_at, Some(Millis(50)));
        }
    }
}
