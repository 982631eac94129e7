//! Buckets: made by who writes to them, listed, deleted when they are empty.

use runyard_domain::{BucketId, token::Scope};
use runyard_store::{self as store, Tx};

use super::{Bucket, bucket_name, may_write, readable, writable};
use crate::{Actor, Engine, Error, Result, project};

/// Makes a bucket, in the actor's project (an admin's is the project `default`). One that is there already and that the
/// actor may write to is answered as it is.
///
/// # Errors
/// `bucket` when it cannot be named so; [`Error::Forbidden`] when it belongs to another project.
pub async fn ensure(engine: &Engine, actor: &Actor, name: &str) -> Result<Bucket> {
    may_write(actor)?;
    bucket_name(name)?;
    let (reader, wanted) = (actor.clone(), name.to_owned());
    let found = engine.db.read(move |tx| match readable(tx, &reader, &wanted) {
        Err(Error::NotFound { .. }) => Ok(None),
        found => found.map(Some),
    });
    if let Some(found) = found.await? {
        return Ok(found);
    }
    let (id, now, actor, name) = (engine.id(BucketId::new), engine.now(), actor.clone(), name.to_owned());
    engine
        .db
        .write(move |tx| {
            let project_id = match actor.scope {
                Scope::Project(own) | Scope::Run(own, _) => own,
                Scope::Admin => project::resolve(tx, &actor, project::DEFAULT)?.id,
            };
            let bucket = Bucket { id, project_id, name: name.clone(), created_at: now };
            if store::oss::insert(tx, &bucket)? {
                return Ok(bucket);
            }
            // Somebody else was faster.
            writable(tx, &actor, &name)
        })
        .await
}

/// The bucket.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] when it belongs to another project.
pub async fn get(engine: &Engine, actor: &Actor, name: &str) -> Result<Bucket> {
    let (actor, name) = (actor.clone(), name.to_owned());
    engine.db.read(move |tx| readable(tx, &actor, &name)).await
}

/// Buckets that the actor may read, by name, behind `after`; one more than `limit` when there are more.
pub async fn list(
    engine: &Engine,
    actor: &Actor,
    prefix: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Bucket>> {
    let project = match actor.scope {
        Scope::Admin => None,
        Scope::Project(own) | Scope::Run(own, _) => Some(own),
    };
    let (prefix, after) = (prefix.to_owned(), after.to_owned());
    let list = move |tx: &mut Tx<'_>| store::oss::list(tx, project, &prefix, &after, limit + 1);
    Ok(engine.db.read(list).await?)
}

/// Deletes an empty bucket.
///
/// # Errors
/// `bucket_not_empty` while there are objects or uploads in it.
pub async fn delete(engine: &Engine, actor: &Actor, name: &str) -> Result<()> {
    let (actor, name) = (actor.clone(), name.to_owned());
    engine
        .db
        .write(move |tx| {
            let bucket = writable(tx, &actor, &name)?;
            if !store::oss::lock(tx, bucket.id)? {
                return Err(Error::not_found("bucket", &name));
            }
            if store::oss::is_used(tx, bucket.id)? {
                let message =
                    format!("the bucket `{name}` has objects or uploads in it: delete or abort those first");
                return Err(Error::Conflict { code: "bucket_not_empty", message });
            }
            Ok(store::oss::delete(tx, bucket.id)?)
        })
        .await
}
