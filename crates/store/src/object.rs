//! Which objects the rows refer to: what a backup has to hold.

use runyard_domain::{ModelVersionId, RunId};

use crate::{
    db::{Error, Row, Tx},
    params,
};

/// Hands digest and size of every source to `each`.
pub fn sources<E: From<Error>>(
    tx: &mut Tx,
    mut each: impl FnMut(String, i64) -> Result<(), E>,
) -> Result<(), E> {
    tx.query_each("SELECT digest, size FROM sources ORDER BY digest", &[], |row| pair(&row, &mut each))
}

/// Hands key and size of every file of complete checkpoints and artifacts to `each`.
pub fn files<E: From<Error>>(
    tx: &mut Tx,
    mut each: impl FnMut(String, i64) -> Result<(), E>,
) -> Result<(), E> {
    tx.query_each(
        "SELECT s.key_prefix || f.path, f.size FROM file_sets s JOIN files f ON f.file_set_id = s.id
          WHERE s.status = 'complete'",
        &[],
        |row| pair(&row, &mut each),
    )
}

/// Hands key and size of the archive of every available version of a model to `each`.
pub fn archives<E: From<Error>>(
    tx: &mut Tx,
    mut each: impl FnMut(String, i64) -> Result<(), E>,
) -> Result<(), E> {
    tx.query_each(
        "SELECT object_key, archive_size FROM model_versions
          WHERE state = 'available' AND archive_size IS NOT NULL ORDER BY id",
        &[],
        |row| pair(&row, &mut each),
    )
}

/// Hands run, path and size of every loose file that may have arrived to `each`.
pub fn loose<E: From<Error>>(
    tx: &mut Tx,
    mut each: impl FnMut(RunId, &str, i64) -> Result<(), E>,
) -> Result<(), E> {
    tx.query_each("SELECT run_id, path, size FROM loose_files ORDER BY run_id, path", &[], |row| {
        let path: String = row.get(1)?;
        each(row.get(0)?, &path, row.get(2)?)
    })
}

/// Hands key and size of the archive of every dataset that is complete to `each`.
pub fn datasets<E: From<Error>>(
    tx: &mut Tx,
    mut each: impl FnMut(String, i64) -> Result<(), E>,
) -> Result<(), E> {
    tx.query_each(
        "SELECT archive_key, archive_size FROM datasets WHERE state = 'complete' AND archive_key IS NOT NULL ORDER BY id",
        &[],
        |row| pair(&row, &mut each),
    )
}

/// Hands key and size of every piece of the objects of buckets to `each`.
pub fn pieces<E: From<Error>>(
    tx: &mut Tx,
    mut each: impl FnMut(String, i64) -> Result<(), E>,
) -> Result<(), E> {
    tx.query_each(
        "SELECT p.object_key, p.size FROM oss_objects o JOIN oss_pieces p ON p.object_id = o.id WHERE o.current = 1",
        &[],
        |row| pair(&row, &mut each),
    )
}

/// Whether this key is where a version of a model has its bytes, or belongs to the version `id` while it is not available.
pub fn is_archive(tx: &mut Tx, key: &str, id: ModelVersionId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM model_versions WHERE id = $2 AND (object_key = $1 OR state = 'created')";
    Ok(tx.query_opt(sql, params![key, id])?.is_some())
}

fn pair<E: From<Error>>(row: &Row, each: &mut impl FnMut(String, i64) -> Result<(), E>) -> Result<(), E> {
    each(row.get(0)?, row.get(1)?)
}
