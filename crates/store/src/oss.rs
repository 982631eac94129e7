//! Buckets of clients that speak OSS. Their objects are in `object.rs`, the bytes of those in `piece.rs`.

use runyard_domain::{BucketId, Millis, ProjectId};

use crate::{
    db::{Error, Row, Tx},
    params,
};

pub mod object;
pub mod piece;
#[cfg(test)]
mod tests;

const COLUMNS: &str = "id, project_id, name, created_at";

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Id.
    pub id: BucketId,
    /// Its project.
    pub project_id: ProjectId,
    /// Name, on the whole server.
    pub name: String,
    /// When.
    pub created_at: Millis,
}

/// Writes a new bucket; whether the name was free.
pub fn insert(tx: &mut Tx, bucket: &Bucket) -> Result<bool, Error> {
    let sql =
        format!("INSERT INTO oss_buckets ({COLUMNS}) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING");
    let written =
        tx.execute(&sql, params![bucket.id, bucket.project_id, bucket.name.as_str(), bucket.created_at])?;
    Ok(written > 0)
}

/// The bucket with this name.
pub fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Bucket>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM oss_buckets WHERE name = $1");
    tx.query_opt(&sql, params![name])?.map(|row| from_row(&row)).transpose()
}

/// Holds the bucket until the end of the transaction, so that nobody else changes which objects are in it; whether it is there.
pub fn lock(tx: &mut Tx, id: BucketId) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM oss_buckets WHERE id = $1{}", tx.dialect().for_update());
    Ok(tx.query_opt(&sql, params![id])?.is_some())
}

/// Buckets by name, of a project or of all, whose name begins so and comes after `after`.
pub fn list(
    tx: &mut Tx,
    project: Option<ProjectId>,
    prefix: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Bucket>, Error> {
    let mut conditions = crate::Conditions::default();
    if let Some(project) = project {
        conditions.equal("project_id", project);
    }
    object::from(&mut conditions, "name", prefix, object::After::This(after));
    let limit = conditions.bind(limit);
    let clause = conditions.clause();
    let sql = format!("SELECT {COLUMNS} FROM oss_buckets{clause} ORDER BY name LIMIT {limit}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Whether anything is in the bucket, or on its way there.
pub fn is_used(tx: &mut Tx, id: BucketId) -> Result<bool, Error> {
    Ok(!tx.query("SELECT 1 FROM oss_objects WHERE bucket_id = $1 LIMIT 1", params![id])?.is_empty())
}

/// Deletes a bucket that nothing is in.
pub fn delete(tx: &mut Tx, id: BucketId) -> Result<(), Error> {
    tx.execute("DELETE FROM oss_buckets WHERE id = $1", params![id])?;
    Ok(())
}

/// Deletes the empty buckets of a project; the name of one that is not, if there is one.
pub fn delete_empty(tx: &mut Tx, project: ProjectId) -> Result<Option<String>, Error> {
    tx.execute(
        "DELETE FROM oss_buckets WHERE project_id = $1
            AND NOT EXISTS (SELECT 1 FROM oss_objects o WHERE o.bucket_id = oss_buckets.id)",
        params![project],
    )?;
    let left = tx.query(
        "SELECT name FROM oss_buckets WHERE project_id = $1 ORDER BY name LIMIT 1",
        params![project],
    )?;
    left.first().map(|row| row.get(0)).transpose()
}

fn from_row(row: &Row) -> Result<Bucket, Error> {
    Ok(Bucket { id: row.get(0)?, project_id: row.get(1)?, name: row.get(2)?, created_at: row.get(3)? })
}
