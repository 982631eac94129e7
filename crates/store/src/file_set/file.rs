//! The files of a set: rows by path. A set may have 100,000 of them, so nothing here takes a round trip for each.

use std::fmt::Write as _;

use runyard_domain::{FileSetId, RunId};
use serde::{Deserialize, Serialize};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

const COLUMNS: &str = "path, size, sha256, md5, parts, upload, mode";
/// Rows of one statement.
const ROWS: usize = 200;

/// A file that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the set's folder.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256; empty: it was not said yet, of a file with parts.
    pub sha256: String,
    /// Hex MD5, if it was said.
    pub md5: Option<String>,
    /// Its parts, in order; none: it goes as a whole.
    pub parts: Vec<Part>,
    /// What holds the parts together, once it was begun.
    pub upload: Option<String>,
    /// Its permissions, if they were said.
    pub mode: Option<i64>,
}

/// A part of a file. One digest at least was said: the one that its object store wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Hex MD5, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Hex SHA-256, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What the object store answered, once the sender has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Writes files that the set does not have yet.
pub fn insert(tx: &mut Tx, set: FileSetId, files: &[File]) -> Result<(), Error> {
    for files in files.chunks(ROWS) {
        let mut values = vec![Value::from(set)];
        let mut rows = String::new();
        for file in files {
            let first = values.len() + 1;
            let comma = if rows.is_empty() { "" } else { ", " };
            let _ = write!(
                rows,
                "{comma}($1, ${}, ${}, ${}, ${}, ${}, ${}, ${})",
                first,
                first + 1,
                first + 2,
                first + 3,
                first + 4,
                first + 5,
                first + 6
            );
            values.extend([
                Value::from(file.path.as_str()),
                Value::from(file.size),
                Value::from(file.sha256.as_str()),
                Value::from(file.md5.clone()),
                parts(&file.parts)?,
                Value::from(file.upload.clone()),
                Value::from(file.mode),
            ]);
        }
        let sql = format!(
            "INSERT INTO files (file_set_id, path, size, sha256, md5, parts, upload, mode) VALUES {rows}"
        );
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

/// Those of the paths that the set has.
pub fn by_paths(tx: &mut Tx, set: FileSetId, paths: &[&str]) -> Result<Vec<File>, Error> {
    let mut found = Vec::new();
    for paths in paths.chunks(500) {
        let dialect = tx.dialect();
        let mut conditions = Conditions::default();
        conditions.equal("file_set_id", set);
        conditions.any_of(dialect, "path", paths.iter().copied());
        let sql = format!("SELECT {COLUMNS} FROM files{}", conditions.clause());
        for row in tx.query(&sql, conditions.values())? {
            found.push(from_row(&row)?);
        }
    }
    Ok(found)
}

/// Those of the paths that are folders of files that the set has.
pub fn folders_among(tx: &mut Tx, set: FileSetId, paths: &[&str]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for paths in paths.chunks(ROWS) {
        let mut values = vec![Value::from(set)];
        values.extend(paths.iter().map(|path| Value::from(*path)));
        let rows: Vec<String> = (2..=values.len()).map(|n| format!("(${n})")).collect();
        // `0` is what follows `/` in the order of bytes.
        let sql = format!(
            "WITH asked (path) AS (VALUES {})
             SELECT a.path FROM asked a
              WHERE EXISTS (SELECT 1 FROM files f
                             WHERE f.file_set_id = $1 AND f.path > a.path || '/' AND f.path < a.path || '0')",
            rows.join(", ")
        );
        for row in tx.query(&sql, &values)? {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// Files by path, after `path_after`.
pub fn page(tx: &mut Tx, set: FileSetId, path_after: Option<&str>, limit: i64) -> Result<Vec<File>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM files WHERE file_set_id = $1 AND path > $2 ORDER BY path LIMIT $3");
    tx.query(&sql, params![set, path_after.unwrap_or(""), limit])?.iter().map(from_row).collect()
}

/// Files below a folder, which ends with `/`, by path, after `path_after`.
pub fn page_below(
    tx: &mut Tx,
    set: FileSetId,
    folder: &str,
    path_after: Option<&str>,
    limit: i64,
) -> Result<Vec<File>, Error> {
    // `0` is what follows `/` in the order of bytes.
    let end = format!("{}0", folder.trim_end_matches('/'));
    let start = path_after.filter(|after| *after > folder).unwrap_or(folder);
    let sql = format!(
        "SELECT {COLUMNS} FROM files WHERE file_set_id = $1 AND path > $2 AND path < $3 ORDER BY path LIMIT $4"
    );
    tx.query(&sql, params![set, start, end, limit])?.iter().map(from_row).collect()
}

/// Hands path and size of every file to `each`.
pub fn sizes(tx: &mut Tx, set: FileSetId, mut each: impl FnMut(String, i64)) -> Result<(), Error> {
    tx.query_each("SELECT path, size FROM files WHERE file_set_id = $1 ORDER BY path", params![set], |row| {
        each(row.get(0)?, row.get(1)?);
        Ok(())
    })
}

/// The files that go in parts and were begun.
pub fn in_parts(tx: &mut Tx, set: FileSetId) -> Result<Vec<File>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM files WHERE file_set_id = $1 AND upload IS NOT NULL ORDER BY path");
    tx.query(&sql, params![set])?.iter().map(from_row).collect()
}

/// Notes an upload that was begun in place of `instead_of`; `false`: somebody else was faster, or the file is gone.
pub fn set_upload(
    tx: &mut Tx,
    set: FileSetId,
    path: &str,
    instead_of: Option<&str>,
    upload: &str,
) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE files SET upload = $4 WHERE file_set_id = $1 AND path = $2 AND coalesce(upload, '') = $3",
        params![set, path, instead_of.unwrap_or(""), upload],
    )?;
    Ok(changed > 0)
}

/// An upload is gone with all of its parts: the next one begins anew.
pub fn lose_upload(tx: &mut Tx, set: FileSetId, file: &File) -> Result<(), Error> {
    let told_nothing = file.parts.iter().map(|part| Part { etag: None, ..part.clone() });
    tx.execute(
        "UPDATE files SET upload = NULL, parts = $4 WHERE file_set_id = $1 AND path = $2 AND upload = $3",
        params![set, file.path.as_str(), file.upload.clone(), parts(&told_nothing.collect::<Vec<_>>())?],
    )?;
    Ok(())
}

/// Writes what is known of a file's parts.
pub fn set_parts(tx: &mut Tx, set: FileSetId, file: &File) -> Result<(), Error> {
    tx.execute(
        "UPDATE files SET parts = $3 WHERE file_set_id = $1 AND path = $2",
        params![set, file.path.as_str(), parts(&file.parts)?],
    )?;
    Ok(())
}

/// Notes the SHA-256 of a file that was announced without it.
pub fn set_sha256(tx: &mut Tx, set: FileSetId, path: &str, sha256: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE files SET sha256 = $3 WHERE file_set_id = $1 AND path = $2 AND sha256 = ''",
        params![set, path, sha256],
    )?;
    Ok(())
}

/// Some of the files whose SHA-256 was never said.
pub fn without_sha256(tx: &mut Tx, set: FileSetId, limit: i64) -> Result<Vec<String>, Error> {
    let sql = "SELECT path FROM files WHERE file_set_id = $1 AND sha256 = '' ORDER BY path LIMIT $2";
    tx.query(sql, params![set, limit])?.iter().map(|row| row.get(0)).collect()
}

/// Nobody asks for the parts of a complete set any more.
pub fn forget_parts(tx: &mut Tx, set: FileSetId) -> Result<(), Error> {
    tx.execute(
        "UPDATE files SET parts = NULL, upload = NULL WHERE file_set_id = $1 AND upload IS NOT NULL",
        params![set],
    )?;
    Ok(())
}

/// `(object key, upload)` of all uploads in parts of a run.
pub fn uploads_of_run(tx: &mut Tx, run: RunId) -> Result<Vec<(String, String)>, Error> {
    tx.query(
        "SELECT s.key_prefix || f.path, f.upload FROM file_sets s JOIN files f ON f.file_set_id = s.id
          WHERE s.run_id = $1 AND f.upload IS NOT NULL",
        params![run],
    )?
    .iter()
    .map(|row| Ok((row.get(0)?, row.get(1)?)))
    .collect()
}

/// Deletes the files of a set.
pub fn delete(tx: &mut Tx, set: FileSetId) -> Result<(), Error> {
    tx.execute("DELETE FROM files WHERE file_set_id = $1", params![set])?;
    Ok(())
}

fn parts(parts: &[Part]) -> Result<Value, Error> {
    if parts.is_empty() { Ok(Value::Null) } else { Value::json(&parts) }
}

fn from_row(row: &Row) -> Result<File, Error> {
    let parts: Option<Vec<Part>> = row.json(4)?;
    Ok(File {
        path: row.get(0)?,
        size: row.get(1)?,
        sha256: row.get(2)?,
        md5: row.get(3)?,
        parts: parts.unwrap_or_default(),
        upload: row.get(5)?,
        mode: row.get(6)?,
    })
}
