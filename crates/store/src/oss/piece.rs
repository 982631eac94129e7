//! Where the bytes of objects of buckets are.

use runyard_domain::{BucketObjectId, Millis};

use crate::{
    db::{Error, Row, Tx},
    params,
};

const COLUMNS: &str = "object_id, number, object_key, size, etag, crc64, modified_at";

/// A piece of an object: these bytes follow those of the pieces with smaller numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The object.
    pub object_id: BucketObjectId,
    /// From 1; numbers may be left out.
    pub number: i64,
    /// Where the bytes are.
    pub object_key: String,
    /// Bytes.
    pub size: i64,
    /// Hex MD5 in upper case; empty where nobody made it.
    pub etag: String,
    /// CRC-64, where it is known.
    pub crc64: Option<u64>,
    /// When it was stored.
    pub modified_at: Millis,
}

/// Writes a piece, in place of the one that had its number.
pub fn put(tx: &mut Tx, piece: &Piece) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO oss_pieces ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (object_id, number) DO UPDATE SET object_key = excluded.object_key, size = excluded.size,
                 etag = excluded.etag, crc64 = excluded.crc64, modified_at = excluded.modified_at"
    );
    tx.execute(
        &sql,
        params![
            piece.object_id,
            piece.number,
            piece.object_key.as_str(),
            piece.size,
            piece.etag.as_str(),
            piece.crc64.map(u64::cast_signed),
            piece.modified_at,
        ],
    )?;
    Ok(())
}

/// The piece with this number.
pub fn get(tx: &mut Tx, object: BucketObjectId, number: i64) -> Result<Option<Piece>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM oss_pieces WHERE object_id = $1 AND number = $2");
    tx.query_opt(&sql, params![object, number])?.map(|row| from_row(&row)).transpose()
}

/// Pieces by number, behind `after`.
pub fn list(tx: &mut Tx, object: BucketObjectId, after: i64, limit: i64) -> Result<Vec<Piece>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM oss_pieces WHERE object_id = $1 AND number > $2 ORDER BY number LIMIT $3"
    );
    tx.query(&sql, params![object, after, limit])?.iter().map(from_row).collect()
}

/// Forgets a piece; its bytes are the caller's care.
pub fn delete(tx: &mut Tx, object: BucketObjectId, number: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM oss_pieces WHERE object_id = $1 AND number = $2", params![object, number])?;
    Ok(())
}

/// Whether this key has bytes of the object, or may still get some that nobody has noted yet.
pub fn is_one(tx: &mut Tx, object: BucketObjectId, object_key: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM oss_objects o WHERE o.id = $1
                  AND (o.current = 0 OR EXISTS (SELECT 1 FROM oss_pieces p WHERE p.object_id = o.id AND p.object_key = $2))";
    Ok(tx.query_opt(sql, params![object, object_key])?.is_some())
}

fn from_row(row: &Row) -> Result<Piece, Error> {
    Ok(Piece {
        object_id: row.get(0)?,
        number: row.get(1)?,
        object_key: row.get(2)?,
        size: row.get(3)?,
        etag: row.get(4)?,
        crc64: row.get::<Option<i64>>(5)?.map(i64::cast_unsigned),
        modified_at: row.get(6)?,
    })
}
