//! Tokens, without their secrets: only a hash of each is stored, and of those with an access key the secret encrypted.

use runyard_domain::{Millis, ProjectId, RunId, TokenId, token::Scope};

use crate::{
    db::{Conditions, Error, Row, Tx},
    params,
};

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Id (not the secret).
    pub id: TokenId,
    /// For people.
    pub name: String,
    /// What it may touch.
    pub scope: Scope,
    /// Hex SHA-256 of the secret.
    pub hash: String,
    /// When it was created.
    pub created_at: Millis,
    /// When it stops working, if ever.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// For clients that sign their requests.
    pub access_key: Option<AccessKey>,
}

/// What makes a token one of a client that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// What the client says it is.
    pub id: String,
    /// The token's secret, encrypted by the caller of this crate.
    pub sealed: Vec<u8>,
}

const COLUMNS: &str = "id, name, scope, project_id, run_id, hash, created_at, expires_at, revoked_at, access_key_id, \
                       sealed_secret";

/// Writes a new token. A hash or an id that is there already is a unique violation.
pub fn insert(tx: &mut Tx, token: &Token) -> Result<(), Error> {
    let (project, run) = match token.scope {
        Scope::Admin => (None, None),
        Scope::Project(project) => (Some(project), None),
        Scope::Run(project, run) => (Some(project), Some(run)),
    };
    tx.execute(
        "INSERT INTO tokens (id, name, scope, project_id, run_id, hash, created_at, expires_at, revoked_at,
                             access_key_id, sealed_secret)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            token.id,
            &token.name,
            token.scope.word(),
            project,
            run,
            &token.hash,
            token.created_at,
            token.expires_at,
            token.revoked_at,
            token.access_key.as_ref().map(|key| key.id.as_str()),
            token.access_key.as_ref().map(|key| key.sealed.as_slice()),
        ],
    )?;
    Ok(())
}

/// The token with this id.
pub fn get(tx: &mut Tx, id: TokenId) -> Result<Option<Token>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// The token whose secret has this hash, also when it is expired or revoked.
pub fn by_hash(tx: &mut Tx, hash: &str) -> Result<Option<Token>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1");
    tx.query_opt(&sql, params![hash])?.map(|row| from_row(&row)).transpose()
}

/// The token with this access key, also when it is expired or revoked.
pub fn by_access_key(tx: &mut Tx, id: &str) -> Result<Option<Token>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE access_key_id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// Tokens that are not revoked, oldest first: of one project, or all; those of jobs only when asked for.
pub fn list(tx: &mut Tx, project: Option<ProjectId>, of_jobs: bool) -> Result<Vec<Token>, Error> {
    let mut conditions = Conditions::default();
    conditions.and("revoked_at IS NULL");
    if let Some(project) = project {
        conditions.equal("project_id", project);
    }
    if !of_jobs {
        conditions.and("run_id IS NULL");
    }
    let sql = format!("SELECT {COLUMNS} FROM tokens{} ORDER BY id", conditions.clause());
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Revokes a token; whether it was there and not revoked before.
pub fn revoke(tx: &mut Tx, id: TokenId, now: Millis) -> Result<bool, Error> {
    let sql = "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, params![id, now])? > 0)
}

/// Deletes the tokens of a run's jobs; answers how many.
pub fn delete_for_run(tx: &mut Tx, run: RunId) -> Result<u64, Error> {
    tx.execute("DELETE FROM tokens WHERE run_id = $1", params![run])
}

/// Deletes tokens that expired or were revoked before this time; answers how many.
pub fn prune(tx: &mut Tx, before: Millis) -> Result<u64, Error> {
    tx.execute("DELETE FROM tokens WHERE expires_at < $1 OR revoked_at < $1", params![before])
}

fn from_row(row: &Row) -> Result<Token, Error> {
    let word: String = row.get(2)?;
    let scope = match (word.as_str(), row.get(3)?, row.get(4)?) {
        ("admin", None, None) => Scope::Admin,
        ("project", Some(project), None) => Scope::Project(project),
        ("run", Some(project), Some(run)) => Scope::Run(project, run),
        _ => return Err(Error::Sql(format!("a token in the database has an impossible scope `{word}`"))),
    };
    Ok(Token {
        id: row.get(0)?,
        name: row.get(1)?,
        scope,
        hash: row.get(5)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        revoked_at: row.get(8)?,
        access_key: row
            .get::<Option<String>>(9)?
            .map(|id| Ok::<_, Error>(AccessKey { id, sealed: row.get(10)? }))
            .transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, both, project, testing};

    fn run(n: u8) -> RunId {
        RunId::new(Millis(n.into()), [n; 10])
    }

    /// Two projects; an admin token (1), one of each project (2, 3), one of a run in the first (4).
    async fn four_tokens(db: &Db) -> (ProjectId, ProjectId) {
        let (first, second) = (testing::project(1), testing::project(2));
        let ids = (first.id, second.id);
        db.write(move |tx| {
            project::insert(tx, &first)?;
            project::insert(tx, &second)?;
            let scopes = [
                Scope::Admin,
                Scope::Project(first.id),
                Scope::Project(second.id),
                Scope::Run(first.id, run(7)),
            ];
            (1..).zip(scopes).try_for_each(|(n, scope)| insert(tx, &testing::token(n, scope)))
        })
        .await
        .unwrap();
        ids
    }

    async fn names(db: &Db, project: Option<ProjectId>, of_jobs: bool) -> Vec<String> {
        let tokens = db.read(move |tx| list(tx, project, of_jobs)).await.unwrap();
        tokens.into_iter().map(|token| token.name).collect()
    }

    both! {
        async fn a_token_is_found_by_its_hash_and_keeps_its_scope(db) {
            let (first, second) = four_tokens(&db).await;
            let scopes = [
                Scope::Admin,
                Scope::Project(first),
                Scope::Project(second),
                Scope::Run(first, run(7)),
            ];
            for (n, scope) in (1..).zip(scopes) {
                let expected = testing::token(n, scope);
                let hash = expected.hash.clone();
                let id = expected.id;
                assert_eq!(db.read(move |tx| by_hash(tx, &hash)).await.unwrap().as_ref(), Some(&expected));
                assert_eq!(db.read(move |tx| get(tx, id)).await.unwrap(), Some(expected));
            }
            assert_eq!(db.read(|tx| by_hash(tx, "nobody's")).await.unwrap(), None);
        }

        async fn the_same_secret_is_stored_once(db) {
            four_tokens(&db).await;
            let mut twin = testing::token(9, Scope::Admin);
            twin.hash = testing::token(1, Scope::Admin).hash;
            let error = db.write(move |tx| insert(tx, &twin)).await.unwrap_err();
            assert!(error.is_unique_violation(), "{error}");
        }

        async fn a_token_is_found_by_its_access_key_and_no_other_has_it(db) {
            let key = AccessKey { id: "RYD1".into(), sealed: vec![0, 1, 255] };
            let token = Token { access_key: Some(key), ..testing::token(1, Scope::Admin) };
            let twin = Token { access_key: token.access_key.clone(), ..testing::token(2, Scope::Admin) };
            let written = token.clone();
            db.write(move |tx| insert(tx, &written)).await.unwrap();
            assert_eq!(db.read(|tx| by_access_key(tx, "RYD1")).await.unwrap(), Some(token));
            assert_eq!(db.read(|tx| by_access_key(tx, "ryd1")).await.unwrap(), None);
            let error = db.write(move |tx| insert(tx, &twin)).await.unwrap_err();
            assert!(error.is_unique_violation(), "{error}");
        }

        async fn a_token_of_an_unknown_project_is_refused(db) {
            let stray = testing::token(1, Scope::Project(testing::project(1).id));
            let error = db.write(move |tx| insert(tx, &stray)).await.unwrap_err();
            assert!(error.is_foreign_key_violation(), "{error}");
        }

        async fn tokens_of_jobs_are_listed_only_when_asked_for(db) {
            let (first, second) = four_tokens(&db).await;
            assert_eq!(names(&db, None, false).await, ["token 1", "token 2", "token 3"]);
            assert_eq!(names(&db, None, true).await, ["token 1", "token 2", "token 3", "token 4"]);
            assert_eq!(names(&db, Some(first), true).await, ["token 2", "token 4"]);
            assert_eq!(names(&db, Some(second), false).await, ["token 3"]);
        }

        async fn a_revoked_token_is_no_longer_listed_and_says_since_when(db) {
            let (first, _) = four_tokens(&db).await;
            let token = testing::token(2, Scope::Project(first));
            let id = token.id;
            assert!(db.write(move |tx| revoke(tx, id, Millis(50))).await.unwrap());
            assert!(!db.write(move |tx| revoke(tx, id, Millis(60))).await.unwrap());
            let found = db.read(move |tx| by_hash(tx, &token.hash)).await.unwrap().unwrap();
            assert_eq!(found.revoked_at, Some(Millis(50)));
            assert_eq!(names(&db, None, false).await, ["token 1", "token 3"]);
        }

        async fn a_run_takes_its_tokens_along(db) {
            four_tokens(&db).await;
            assert_eq!(db.write(|tx| delete_for_run(tx, run(8))).await.unwrap(), 0);
            assert_eq!(db.write(|tx| delete_for_run(tx, run(7))).await.unwrap(), 1);
            assert_eq!(names(&db, None, true).await, ["token 1", "token 2", "token 3"]);
        }

        async fn only_what_expired_or_was_revoked_long_ago_is_pruned(db) {
            db.write(|tx| {
                for (n, expires_at, revoked_at) in
                    [(1, None, None), (2, Some(99), None), (3, Some(100), None), (4, None, Some(99)), (5, None, Some(100))]
                {
                    let (expires_at, revoked_at) = (expires_at.map(Millis), revoked_at.map(Millis));
                    insert(tx, &Token { expires_at, revoked_at, ..testing::token(n, Scope::Admin) })?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
            assert_eq!(db.write(|tx| prune(tx, Millis(100))).await.unwrap(), 2);
            let left: Vec<_> = [1, 2, 3, 4, 5].map(|n| testing::token(n, Scope::Admin).id).into();
            let found = db
                .read(move |tx| left.iter().map(|id| Ok(get(tx, *id)?.is_some())).collect::<Result<Vec<_>, Error>>())
                .await
                .unwrap();
            assert_eq!(found, [true, false, true, false, true]);
        }
    }
}
