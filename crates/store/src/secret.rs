//! Secrets of projects: their names, and their values as the caller encrypted them. Never sees a value.

use runyard_domain::{Millis, ProjectId};

use crate::{
    db::{Error, Row, Tx},
    params,
};

/// A secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its project.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub name: String,
    /// The value, encrypted.
    pub ciphertext: Vec<u8>,
    /// When it was set first.
    pub created_at: Millis,
    /// When it was set last.
    pub updated_at: Millis,
}

const COLUMNS: &str = "project_id, name, ciphertext, created_at, updated_at";

/// Writes a secret, in place of the value that it had; answers it as it is then.
pub fn put(tx: &mut Tx, secret: &Secret) -> Result<Secret, Error> {
    let sql = format!(
        "INSERT INTO secrets ({COLUMNS}) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, name) DO UPDATE
            SET ciphertext = excluded.ciphertext, updated_at = excluded.updated_at
         RETURNING {COLUMNS}"
    );
    let values =
        params![secret.project_id, &secret.name, &secret.ciphertext, secret.created_at, secret.updated_at,];
    from_row(&tx.query_one(&sql, values)?)
}

/// The secret of a project with this name.
pub fn get(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Option<Secret>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM secrets WHERE project_id = $1 AND name = $2");
    tx.query_opt(&sql, params![project, name])?.map(|row| from_row(&row)).transpose()
}

/// Those of a project, by name.
pub fn list(tx: &mut Tx, project: ProjectId) -> Result<Vec<Secret>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM secrets WHERE project_id = $1 ORDER BY name");
    tx.query(&sql, params![project])?.iter().map(from_row).collect()
}

/// How many a project has.
pub fn count(tx: &mut Tx, project: ProjectId) -> Result<i64, Error> {
    tx.query_one("SELECT count(*) FROM secrets WHERE project_id = $1", params![project])?.get(0)
}

/// Deletes a secret; whether there was one.
pub fn delete(tx: &mut Tx, project: ProjectId, name: &str) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM secrets WHERE project_id = $1 AND name = $2", params![project, name])? > 0)
}

fn from_row(row: &Row) -> Result<Secret, Error> {
    Ok(Secret {
        project_id: row.get(0)?,
        name: row.get(1)?,
        ciphertext: row.get(2)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, both, project, testing};

    fn secret(n: u8, name: &str, at: i64) -> Secret {
        Secret {
            project_id: testing::project(n).id,
            name: name.to_owned(),
            ciphertext: vec![0, n, 255],
            created_at: Millis(at),
            updated_at: Millis(at),
        }
    }

    async fn two_projects(db: &Db) {
        db.write(|tx| [1, 2].into_iter().try_for_each(|n| project::insert(tx, &testing::project(n))))
            .await
            .unwrap();
    }

    both! {
        async fn a_secret_belongs_to_a_project_and_is_listed_by_name(db) {
            two_projects(&db).await;
            let all = [secret(1, "hf", 1), secret(1, "aws", 2), secret(2, "hf", 3)];
            let written = all.clone();
            db.write(move |tx| written.iter().try_for_each(|secret| put(tx, secret).map(drop))).await.unwrap();
            let first = testing::project(1).id;
            let (listed, one, none, count) = db
                .read(move |tx| {
                    Ok::<_, Error>((list(tx, first)?, get(tx, first, "hf")?, get(tx, first, "HF")?, count(tx, first)?))
                })
                .await
                .unwrap();
            assert_eq!(listed, [all[1].clone(), all[0].clone()]);
            assert_eq!((one, none, count), (Some(all[0].clone()), None, 2));
        }

        async fn a_new_value_takes_the_place_of_the_old_one_and_keeps_the_day_of_its_birth(db) {
            two_projects(&db).await;
            let newer = Secret { ciphertext: vec![9], ..secret(1, "hf", 50) };
            let put_both = move |tx: &mut Tx| {
                put(tx, &secret(1, "hf", 1))?;
                put(tx, &newer)
            };
            let stored = db.write(put_both).await.unwrap();
            assert_eq!((stored.created_at, stored.updated_at), (Millis(1), Millis(50)));
            assert_eq!(stored.ciphertext, [9]);
        }

        async fn a_deleted_secret_is_gone_and_a_project_takes_its_own_along(db) {
            two_projects(&db).await;
            let (first, second) = (testing::project(1).id, testing::project(2).id);
            let (deleted, again, left) = db
                .write(move |tx| {
                    for secret in [secret(1, "a", 1), secret(1, "b", 1), secret(2, "a", 1)] {
                        put(tx, &secret)?;
                    }
                    let (deleted, again) = (delete(tx, first, "a")?, delete(tx, first, "a")?);
                    project::delete(tx, first)?;
                    Ok::<_, Error>((deleted, again, (list(tx, first)?, list(tx, second)?.len())))
                })
                .await
                .unwrap();
            assert_eq!((deleted, again, left), (true, false, (Vec::new(), 1)));
        }

        async fn a_secret_of_an_unknown_project_is_refused(db) {
            let error = db.write(|tx| put(tx, &secret(1, "hf", 1))).await.unwrap_err();
            assert!(error.is_foreign_key_violation(), "{error}");
        }
    }
}
