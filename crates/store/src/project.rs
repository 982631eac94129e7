//! Projects: they own everything below them.

use runyard_domain::{Millis, ProjectId};

use crate::{
    db::{Error, Row, Tx},
    params,
};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Id.
    pub id: ProjectId,
    /// Unique name.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it was created.
    pub created_at: Millis,
}

const COLUMNS: &str = "id, name, description, created_at";

/// Writes a new project. A name that is taken is a unique violation.
pub fn insert(tx: &mut Tx, project: &Project) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO projects (id, name, description, created_at) VALUES ($1, $2, $3, $4)",
        params![project.id, &project.name, &project.description, project.created_at],
    )?;
    Ok(())
}

/// The project with this id.
pub fn get(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM projects WHERE id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// The project with this name.
pub fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Project>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM projects WHERE name = $1");
    tx.query_opt(&sql, params![name])?.map(|row| from_row(&row)).transpose()
}

/// All projects, by name.
pub fn list(tx: &mut Tx) -> Result<Vec<Project>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM projects ORDER BY name");
    tx.query(&sql, &[])?.iter().map(from_row).collect()
}

/// Changes name and description where one is given; `None`: there is no such project. A name that is taken is a
/// unique violation.
pub fn update(
    tx: &mut Tx,
    id: ProjectId,
    name: Option<&str>,
    description: Option<&str>,
) -> Result<Option<Project>, Error> {
    let sql = format!(
        "UPDATE projects SET name = coalesce($2, name), description = coalesce($3, description)
          WHERE id = $1 RETURNING {COLUMNS}"
    );
    tx.query_opt(&sql, params![id, name, description])?.map(|row| from_row(&row)).transpose()
}

/// Deletes a project with its tokens, secrets and blueprints; whether there was one. With runs it is a foreign key violation.
pub fn delete(tx: &mut Tx, id: ProjectId) -> Result<bool, Error> {
    tx.execute("DELETE FROM tokens WHERE project_id = $1", params![id])?;
    tx.execute("DELETE FROM secrets WHERE project_id = $1", params![id])?;
    tx.execute("DELETE FROM blueprints WHERE project_id = $1", params![id])?;
    Ok(tx.execute("DELETE FROM projects WHERE id = $1", params![id])? > 0)
}

fn from_row(row: &Row) -> Result<Project, Error> {
    Ok(Project { id: row.get(0)?, name: row.get(1)?, description: row.get(2)?, created_at: row.get(3)? })
}

#[cfg(test)]
mod tests {
    use runyard_domain::{BlueprintId, TokenId, token::Scope};

    use super::*;
    use crate::{blueprint, both, testing, token};

    fn project(n: u8, name: &str) -> Project {
        let id = ProjectId::new(Millis(i64::from(n)), [n; 10]);
        Project { id, name: name.into(), description: "of the tests".into(), created_at: Millis(n.into()) }
    }

    both! {
        async fn a_project_is_found_by_id_and_by_name(db) {
            let (vision, speech) = (project(1, "vision"), project(2, "speech"));
            let all = [vision.clone(), speech.clone()];
            db.write(move |tx| all.iter().try_for_each(|project| insert(tx, project))).await.unwrap();
            let found = db
                .read(move |tx| {
                    let by_name = by_name(tx, "speech")?;
                    Ok::<_, Error>((get(tx, vision.id)?, by_name, super::by_name(tx, "Vision")?, list(tx)?))
                })
                .await
                .unwrap();
            assert_eq!(found.0.unwrap().name, "vision");
            assert_eq!(found.1, Some(speech.clone()));
            assert_eq!(found.2, None, "names are told apart by case");
            assert_eq!(found.3.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["speech", "vision"]);
        }

        async fn projects_are_listed_by_name_byte_by_byte(db) {
            let names = ["b", "a", "B", "a-1", "a1", "é"];
            db.write(move |tx| {
                (0u8..).zip(names).try_for_each(|(n, name)| insert(tx, &project(n, name)))
            })
            .await
            .unwrap();
            let listed = db.read(list).await.unwrap();
            let listed: Vec<_> = listed.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(listed, ["B", "a", "a-1", "a1", "b", "é"]);
        }

        async fn a_name_is_taken_once(db) {
            db.write(|tx| insert(tx, &project(1, "vision"))).await.unwrap();
            db.write(|tx| insert(tx, &project(2, "speech"))).await.unwrap();
            let error = db.write(|tx| insert(tx, &project(3, "vision"))).await.unwrap_err();
            assert!(error.is_unique_violation(), "{error}");
            let id = project(2, "").id;
            let error = db.write(move |tx| update(tx, id, Some("vision"), None)).await.unwrap_err();
            assert!(error.is_unique_violation(), "{error}");
            assert_eq!(db.read(list).await.unwrap().len(), 2);
        }

        async fn an_update_changes_only_what_is_given(db) {
            let old = project(1, "vision");
            let id = old.id;
            db.write(move |tx| insert(tx, &old)).await.unwrap();
            let renamed = db.write(move |tx| update(tx, id, Some("sight"), None)).await.unwrap().unwrap();
            assert_eq!((renamed.name.as_str(), renamed.description.as_str()), ("sight", "of the tests"));
            let described = db.write(move |tx| update(tx, id, None, Some(""))).await.unwrap().unwrap();
            assert_eq!((described.name.as_str(), described.description.as_str()), ("sight", ""));
            let nobody = project(9, "").id;
            assert_eq!(db.write(move |tx| update(tx, nobody, Some("x"), None)).await.unwrap(), None);
        }

        async fn deleting_a_project_takes_its_tokens_and_blueprints_and_no_others(db) {
            let (gone, stays) = (project(1, "gone"), project(2, "stays"));
            let (gone_id, stays_id) = (gone.id, stays.id);
            db.write(move |tx| {
                for (n, project) in [(1, &gone), (2, &stays)] {
                    insert(tx, project)?;
                    token::insert(tx, &testing::token(n, Scope::Project(project.id)))?;
                    blueprint::insert(tx, &testing::blueprint(n, project.id))?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
            assert!(db.write(move |tx| delete(tx, gone_id)).await.unwrap());
            assert!(!db.write(move |tx| delete(tx, gone_id)).await.unwrap());
            let (projects, tokens, blueprints) = db
                .read(|tx| Ok::<_, Error>((list(tx)?, token::list(tx, None, true)?, blueprint::list(tx, &blueprint::Filter::default())?)))
                .await
                .unwrap();
            assert_eq!(projects.iter().map(|p| p.id).collect::<Vec<_>>(), [stays_id]);
            assert_eq!(tokens.iter().map(|t| t.id).collect::<Vec<_>>(), [TokenId::new(Millis(2), [2; 10])]);
            assert_eq!(blueprints.iter().map(|b| b.id).collect::<Vec<_>>(), [BlueprintId::new(Millis(2), [2; 10])]);
        }
    }
}
