//! What is under the keys of a bucket, and what is on its way there. Keys are ordered byte by byte.

use std::collections::BTreeMap;

use runyard_domain::{BucketId, BucketObjectId, Millis};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

const COLUMNS: &str =
    "id, bucket_id, key, current, type, source, size, etag, sha256, crc64, headers, modified_at";

/// An object, or one that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Id.
    pub id: BucketObjectId,
    /// Its bucket.
    pub bucket_id: BucketId,
    /// Its key.
    pub key: String,
    /// It is there; else it is on its way.
    pub current: bool,
    /// `Normal` or `Multipart`.
    pub of_type: String,
    /// Of one that is on its way: who was told where to send it. `None`: a client sends its parts.
    pub source: Option<String>,
    /// Bytes.
    pub size: i64,
    /// In the words of OSS, without quotes.
    pub etag: String,
    /// Hex SHA-256, where it is known.
    pub sha256: Option<String>,
    /// CRC-64, where it is known.
    pub crc64: Option<u64>,
    /// Headers that are answered with it, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// When it was stored, or when something was last added to it.
    pub modified_at: Millis,
}

/// Where a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After<'a> {
    /// Behind this text.
    This(&'a str),
    /// At this text.
    At(&'a str),
}

/// Writes a new object.
pub fn insert(tx: &mut Tx, object: &Object) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO oss_objects ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    );
    tx.execute(&sql, &values(object)?)?;
    Ok(())
}

/// Writes an object that is there already.
pub fn save(tx: &mut Tx, object: &Object) -> Result<(), Error> {
    tx.execute(
        "UPDATE oss_objects SET bucket_id = $2, key = $3, current = $4, type = $5, source = $6, size = $7, etag = $8,
                sha256 = $9, crc64 = $10, headers = $11, modified_at = $12
          WHERE id = $1",
        &values(object)?,
    )?;
    Ok(())
}

fn values(object: &Object) -> Result<[Value; 12], Error> {
    Ok([
        object.id.into(),
        object.bucket_id.into(),
        object.key.as_str().into(),
        object.current.into(),
        object.of_type.as_str().into(),
        object.source.clone().into(),
        object.size.into(),
        object.etag.as_str().into(),
        object.sha256.clone().into(),
        object.crc64.map(u64::cast_signed).into(),
        Value::json(&object.headers)?,
        object.modified_at.into(),
    ])
}

/// What is under the key now.
pub fn current(tx: &mut Tx, bucket: BucketId, key: &str) -> Result<Option<Object>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM oss_objects WHERE bucket_id = $1 AND key = $2 AND current = 1");
    one(tx, &sql, params![bucket, key])
}

/// The object with this id, there or on its way.
pub fn get(tx: &mut Tx, id: BucketObjectId) -> Result<Option<Object>, Error> {
    one(tx, &format!("SELECT {COLUMNS} FROM oss_objects WHERE id = $1"), params![id])
}

/// The same, held until the end of the transaction.
pub fn lock(tx: &mut Tx, id: BucketObjectId) -> Result<Option<Object>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM oss_objects WHERE id = $1{}", tx.dialect().for_update());
    one(tx, &sql, params![id])
}

/// What this source was told to send to the key.
pub fn by_source(tx: &mut Tx, bucket: BucketId, source: &str, key: &str) -> Result<Option<Object>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM oss_objects WHERE bucket_id = $1 AND source = $2 AND key = $3 AND current = 0"
    );
    one(tx, &sql, params![bucket, source, key])
}

/// Objects by key, of those that begin with `prefix`.
pub fn list(
    tx: &mut Tx,
    bucket: BucketId,
    prefix: &str,
    after: After<'_>,
    limit: i64,
) -> Result<Vec<Object>, Error> {
    let mut conditions = Conditions::default();
    conditions.equal("bucket_id", bucket);
    conditions.and("current = 1");
    from(&mut conditions, "key", prefix, after);
    let limit = conditions.bind(limit);
    let sql = format!("SELECT {COLUMNS} FROM oss_objects{} ORDER BY key LIMIT {limit}", conditions.clause());
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Uploads of clients by key and id, of those whose key begins with `prefix`, behind this key or this id of it.
pub fn uploads(
    tx: &mut Tx,
    bucket: BucketId,
    prefix: &str,
    (key, id): (&str, &str),
    limit: i64,
) -> Result<Vec<Object>, Error> {
    let mut conditions = Conditions::default();
    conditions.equal("bucket_id", bucket);
    conditions.and("current = 0 AND source IS NULL");
    from(&mut conditions, "key", prefix, After::At(key));
    let (key, id) = (conditions.bind(key), conditions.bind(id));
    // An id before all others: all uploads of the key.
    conditions.and(format!("(key > {key} OR id > {id})"));
    let limit = conditions.bind(limit);
    let sql =
        format!("SELECT {COLUMNS} FROM oss_objects{} ORDER BY key, id LIMIT {limit}", conditions.clause());
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// What nothing was added to since `before`.
pub fn deserted(tx: &mut Tx, before: Millis, limit: i64) -> Result<Vec<Object>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM oss_objects WHERE current = 0 AND modified_at < $1 ORDER BY modified_at LIMIT $2{}",
        tx.dialect().skip_locked()
    );
    tx.query(&sql, params![before, limit])?.iter().map(from_row).collect()
}

/// Deletes an object and its pieces; their bytes are the caller's care.
pub fn delete(tx: &mut Tx, id: BucketObjectId) -> Result<(), Error> {
    tx.execute("DELETE FROM oss_pieces WHERE object_id = $1", params![id])?;
    tx.execute("DELETE FROM oss_objects WHERE id = $1", params![id])?;
    Ok(())
}

/// Adds what makes a list of texts begin with `prefix` and go on where it was.
pub(super) fn from(conditions: &mut Conditions, column: &str, prefix: &str, after: After<'_>) {
    let (text, sign) = match after {
        After::This(text) => (text, ">"),
        After::At(text) => (text, ">="),
    };
    let (text, sign) = if text < prefix { (prefix, ">=") } else { (text, sign) };
    let place = conditions.bind(text);
    conditions.and(format!("{column} {sign} {place}"));
    if let Some(end) = behind(prefix) {
        let place = conditions.bind(end);
        conditions.and(format!("{column} < {place}"));
    }
}

/// The first text that comes after all that begin with `prefix`; `None`: there is none.
pub fn behind(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // What is between is no letter.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

fn one(tx: &mut Tx, sql: &str, params: &[Value]) -> Result<Option<Object>, Error> {
    tx.query_opt(sql, params)?.map(|row| from_row(&row)).transpose()
}

fn from_row(row: &Row) -> Result<Object, Error> {
    Ok(Object {
        id: row.get(0)?,
        bucket_id: row.get(1)?,
        key: row.get(2)?,
        current: row.get(3)?,
        of_type: row.get(4)?,
        source: row.get(5)?,
        size: row.get(6)?,
        etag: row.get(7)?,
        sha256: row.get(8)?,
        crc64: row.get::<Option<i64>>(9)?.map(i64::cast_unsigned),
        headers: row.json(10)?,
        modified_at: row.get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_a_prefix_is_behind_all_that_begin_with_it() {
        for prefix in ["a", "a/", "ü", "a\u{d7ff}", "a\u{10ffff}", "x\u{10ffff}\u{10ffff}"] {
            let end = behind(prefix).unwrap();
            for text in [prefix.to_owned(), format!("{prefix}\u{10ffff}\u{10ffff}"), format!("{prefix}a")] {
                assert!(text.as_bytes() < end.as_bytes(), "{text:?} {end:?}");
            }
        }
        assert_eq!(behind("ab/").as_deref(), Some("ab0"));
        assert_eq!(behind(""), None);
        assert_eq!(behind("\u{10ffff}"), None);
    }
}
