//! Idempotency keys: a create that is repeated with the same key makes nothing new.

use runyard_domain::Millis;

use crate::{
    db::{Error, Tx},
    params,
};

/// What a claim of a key found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nobody had the key; it now stands for the resource that was claimed with it.
    Fresh,
    /// The same request was made before: this is the resource that it made.
    Same(String),
    /// The key was used before, for another request.
    Different,
}

/// What is claimed.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Whose key it is, and for what: keys of different callers and verbs never meet.
    pub scope: &'a str,
    /// The key that the caller chose.
    pub key: &'a str,
    /// Hash of the request.
    pub request_hash: &'a str,
    /// What the request is about to make; unique to this attempt.
    pub resource_id: &'a str,
}

/// Claims a key, in the transaction that makes the resource: both are there, or neither. Of two at the same time, the
/// second waits for the first.
pub fn claim(tx: &mut Tx, key: &Key<'_>, now: Millis) -> Result<Claim, Error> {
    // An update that changes nothing: so the row comes back whoever wrote it, and is held until the end.
    let row = tx.query_one(
        "INSERT INTO idempotency (scope, key, request_hash, resource_id, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (scope, key) DO UPDATE SET scope = excluded.scope
          RETURNING request_hash, resource_id",
        params![key.scope, key.key, key.request_hash, key.resource_id, now],
    )?;
    let (request_hash, resource_id): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(if resource_id == key.resource_id {
        Claim::Fresh
    } else if request_hash == key.request_hash {
        Claim::Same(resource_id)
    } else {
        Claim::Different
    })
}

/// What a key stands for, if it was claimed.
pub fn find(tx: &mut Tx, scope: &str, key: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT resource_id FROM idempotency WHERE scope = $1 AND key = $2";
    tx.query_opt(sql, params![scope, key])?.map(|row| row.get(0)).transpose()
}

/// Forgets keys older than this time; answers how many.
pub fn prune(tx: &mut Tx, before: Millis) -> Result<u64, Error> {
    tx.execute("DELETE FROM idempotency WHERE created_at < $1", params![before])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, both, project, testing};

    async fn claim_of(db: &Db, scope: &str, key: &str, request_hash: &str, resource_id: &str) -> Claim {
        let [scope, key, request_hash, resource_id] =
            [scope, key, request_hash, resource_id].map(str::to_owned);
        db.write(move |tx| {
            let key =
                Key { scope: &scope, key: &key, request_hash: &request_hash, resource_id: &resource_id };
            claim(tx, &key, Millis(100))
        })
        .await
        .unwrap()
    }

    both! {
        async fn a_repeated_request_finds_what_the_first_one_made(db) {
            assert_eq!(claim_of(&db, "ann/runs", "k", "hash", "one").await, Claim::Fresh);
            assert_eq!(claim_of(&db, "ann/runs", "k", "hash", "two").await, Claim::Same("one".into()));
            assert_eq!(claim_of(&db, "ann/runs", "k", "other", "three").await, Claim::Different);
            assert_eq!(claim_of(&db, "ann/runs", "l", "hash", "four").await, Claim::Fresh);
            assert_eq!(claim_of(&db, "bob/runs", "k", "hash", "five").await, Claim::Fresh);
            let found = |key| db.read(move |tx| find(tx, "ann/runs", key));
            assert_eq!(found("l").await.unwrap().as_deref(), Some("four"));
            assert_eq!(found("m").await.unwrap(), None);
        }

        async fn a_create_that_fails_leaves_the_key_free(db) {
            let failed = db
                .write(|tx| {
                    let key = Key { scope: "s", key: "k", request_hash: "h", resource_id: "one" };
                    claim(tx, &key, Millis(100))?;
                    project::insert(tx, &testing::project(1))?;
                    project::insert(tx, &testing::project(1))
                })
                .await;
            assert!(failed.unwrap_err().is_unique_violation());
            assert_eq!(claim_of(&db, "s", "k", "h", "two").await, Claim::Fresh);
            assert_eq!(db.read(project::list).await.unwrap(), []);
        }

        async fn of_many_at_once_one_makes_it_and_all_others_find_it(db) {
            let claims: Vec<_> = (0..20)
                .map(|n| {
                    let db = db.clone();
                    tokio::spawn(async move { (n, claim_of(&db, "s", "k", "h", &n.to_string()).await) })
                })
                .collect();
            let mut fresh = Vec::new();
            let mut same = Vec::new();
            for claim in claims {
                match claim.await.unwrap() {
                    (n, Claim::Fresh) => fresh.push(n.to_string()),
                    (_, Claim::Same(id)) => same.push(id),
                    (n, Claim::Different) => panic!("{n} found another request"),
                }
            }
            assert_eq!(fresh.len(), 1);
            assert_eq!(same, vec![fresh[0].clone(); 19]);
        }

        async fn old_keys_are_pruned(db) {
            claim_of(&db, "s", "k", "h", "one").await;
            assert_eq!(db.write(|tx| prune(tx, Millis(100))).await.unwrap(), 0);
            assert_eq!(db.write(|tx| prune(tx, Millis(101))).await.unwrap(), 1);
            assert_eq!(claim_of(&db, "s", "k", "h", "two").await, Claim::Fresh);
        }
    }
}
