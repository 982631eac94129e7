//! The output of jobs, in chunks by offset. Where a chunk belongs is decided by the caller, who keeps the lengths.

use runyard_domain::JobId;

use crate::{
    db::{Error, Tx, Value},
    params,
};

#[cfg(test)]
mod tests;

/// Bytes of the largest row; more is split.
const MAX_CHUNK: usize = 256 << 10;

/// Stores `bytes` at `offset`, which must be where the stored output of the job ends.
pub fn append(tx: &mut Tx, job: JobId, offset: i64, bytes: &[u8]) -> Result<(), Error> {
    let mut start = offset;
    for chunk in bytes.chunks(MAX_CHUNK) {
        tx.execute(
            "INSERT INTO log_chunks (job_id, start_offset, data) VALUES ($1, $2, $3)",
            params![job, start, chunk],
        )?;
        start += chunk.len() as i64;
    }
    Ok(())
}

/// Up to `limit` bytes from `offset`; fewer only where the output ends.
pub fn read(tx: &mut Tx, job: JobId, offset: i64, limit: i64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let end = offset.saturating_add(limit.max(0));
    tx.query_each(
        "SELECT start_offset, data FROM log_chunks
          WHERE job_id = $1 AND start_offset < $3 AND start_offset >= coalesce(
                (SELECT max(start_offset) FROM log_chunks WHERE job_id = $1 AND start_offset <= $2), 0)
          ORDER BY start_offset",
        params![job, offset, end],
        |mut row| {
            let start: i64 = row.get(0)?;
            let Value::Bytes(data) = row.take(1)? else {
                return Err(Error::Sql("a chunk of output is no bytes".into()));
            };
            // Positions within this chunk; a chunk behind a gap is left out, since its bytes would lie.
            let skip = offset + bytes.len() as i64 - start;
            let until = usize::try_from(end - start).unwrap_or(0).min(data.len());
            if let Some(wanted) = usize::try_from(skip).ok().and_then(|skip| data.get(skip..until)) {
                bytes.extend_from_slice(wanted);
            }
            Ok(())
        },
    )?;
    Ok(bytes)
}

/// Deletes the output of a job; answers how many bytes it was.
pub fn delete_job(tx: &mut Tx, job: JobId) -> Result<i64, Error> {
    let row = tx.query_one(
        "SELECT CAST(coalesce(sum(length(data)), 0) AS BIGINT) FROM log_chunks WHERE job_id = $1",
        params![job],
    )?;
    tx.execute("DELETE FROM log_chunks WHERE job_id = $1", params![job])?;
    row.get(0)
}
