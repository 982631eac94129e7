//! What is in a version's archive, and which of its parts have arrived. A version may have a million files, so nothing here
//! takes a round trip for each.

use std::fmt::Write as _;

use runyard_domain::ModelVersionId;

use crate::{
    db::{Error, Row, Tx, Value},
    params,
};

/// Rows of one statement.
const ROWS: usize = 200;

/// A file, folder or link of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the root.
    pub path: String,
    /// `file`, `executable`, `folder` or `link`.
    pub kind: String,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256 of the bytes, or of what a link points to; empty for a folder.
    pub sha256: String,
}

/// A part that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: i64,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256, when it was said.
    pub sha256: Option<String>,
    /// Hex MD5, when it was said.
    pub md5: Option<String>,
    /// What the object store answered.
    pub etag: String,
}

/// Writes what is in a version; it had nothing before.
pub fn insert_files(tx: &mut Tx, version: ModelVersionId, files: &[File]) -> Result<(), Error> {
    let row =
        |file: &File| [(&file.path).into(), (&file.kind).into(), file.size.into(), (&file.sha256).into()];
    let into = "model_files (version_id, path, kind, size, sha256)";
    insert(tx, version, into, "", files.iter().map(row))
}

/// What is in a version, by path, after `path_after`.
pub fn files(
    tx: &mut Tx,
    version: ModelVersionId,
    path_after: Option<&str>,
    limit: i64,
) -> Result<Vec<File>, Error> {
    let sql = "SELECT path, kind, size, sha256 FROM model_files WHERE version_id = $1 AND path > $2 ORDER BY path LIMIT $3";
    let read =
        |row: &Row| Ok(File { path: row.get(0)?, kind: row.get(1)?, size: row.get(2)?, sha256: row.get(3)? });
    tx.query(sql, params![version, path_after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// Notes parts that have arrived; of a part that came twice the last one counts.
pub fn put_parts(tx: &mut Tx, version: ModelVersionId, parts: &[Part]) -> Result<(), Error> {
    let row = |part: &Part| {
        let (sha256, md5) = (part.sha256.clone(), part.md5.clone());
        [part.number.into(), part.size.into(), sha256.into(), md5.into(), (&part.etag).into()]
    };
    let into = "model_parts (version_id, number, size, sha256, md5, etag)";
    let again =
        " ON CONFLICT (version_id, number) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256,
                      md5 = excluded.md5, etag = excluded.etag";
    insert(tx, version, into, again, parts.iter().map(row))
}

/// The parts that have arrived, by number.
pub fn parts(tx: &mut Tx, version: ModelVersionId) -> Result<Vec<Part>, Error> {
    let sql = "SELECT number, size, sha256, md5, etag FROM model_parts WHERE version_id = $1 ORDER BY number";
    let read = |row: &Row| {
        Ok(Part {
            number: row.get(0)?,
            size: row.get(1)?,
            sha256: row.get(2)?,
            md5: row.get(3)?,
            etag: row.get(4)?,
        })
    };
    tx.query(sql, params![version])?.iter().map(read).collect()
}

/// Nothing of what arrived counts any more, or it is all in one object.
pub fn forget_parts(tx: &mut Tx, version: ModelVersionId) -> Result<(), Error> {
    tx.execute("DELETE FROM model_parts WHERE version_id = $1", params![version])?;
    Ok(())
}

/// Writes rows, many to a statement, each with the version in front.
fn insert<const N: usize>(
    tx: &mut Tx,
    version: ModelVersionId,
    into: &str,
    again: &str,
    rows: impl Iterator<Item = [Value; N]>,
) -> Result<(), Error> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let mut values = vec![Value::from(version)];
        let mut places = String::new();
        for row in rows.by_ref().take(ROWS) {
            places.push_str(if places.is_empty() { "($1" } else { ", ($1" });
            for value in row {
                values.push(value);
                let _ = write!(places, ", ${}", values.len());
            }
            places.push(')');
        }
        tx.execute(&format!("INSERT INTO {into} VALUES {places}{again}"), &values)?;
    }
    Ok(())
}
