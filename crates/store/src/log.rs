//! The output of jobs, in chunks by offset and by line. Where a chunk belongs is decided by the caller, who keeps the
//! lengths.
//!
//! Output over the cap of a job loses its middle, never its beginning or its end. What is left keeps its offsets and
//! its line numbers; a reader finds a line that says what was dropped.

use runyard_domain::JobId;

use crate::{
    db::{Error, Tx, Value},
    params,
};

#[cfg(test)]
mod tests;

/// Bytes of the largest row; more is split.
const MAX_CHUNK: usize = 256 << 10;
/// The first so many parts of the cap are the beginning, which is kept.
const KEPT_FIRST: i64 = 10;
/// A row takes no more of the cap than this part, so that what is dropped can be chosen finely.
const ROWS_OF_CAP: i64 = 20;

/// A part of the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Where it starts.
    pub offset: i64,
    /// The bytes; or, where output was dropped, a line that says so.
    pub bytes: Vec<u8>,
    /// Where the next part starts.
    pub next: i64,
    /// How many bytes were dropped, if this part stands for them.
    pub dropped: Option<i64>,
}

/// Stores `bytes` at `offset`, which must be where the stored output of the job ends; keeps about `cap` bytes in all.
pub fn append(tx: &mut Tx, job: JobId, offset: i64, bytes: &[u8], cap: i64) -> Result<(), Error> {
    let mut lines_before = ended_lines(tx, job)?;
    let mut start = offset;
    let largest = usize::try_from(cap / ROWS_OF_CAP).unwrap_or(MAX_CHUNK).clamp(1, MAX_CHUNK);
    for chunk in bytes.chunks(largest) {
        let lines = newlines(chunk);
        tx.execute(
            "INSERT INTO log_chunks (job_id, start_offset, size, lines_before, lines, data)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![job, start, chunk.len(), lines_before, lines, chunk],
        )?;
        start += chunk.len() as i64;
        lines_before += lines;
    }
    if start > cap { rotate(tx, job, start, cap) } else { Ok(()) }
}

fn newlines(bytes: &[u8]) -> i64 {
    bytes.iter().map(|byte| i64::from(*byte == b'\n')).sum()
}

/// Drops from the middle what is over the cap.
fn rotate(tx: &mut Tx, job: JobId, total: i64, cap: i64) -> Result<(), Error> {
    let known = gap(tx, job)?;
    let begin = match known {
        Some((begin, _)) => begin,
        // The row that reaches beyond the beginning is kept whole.
        None => start_from(tx, job, cap / KEPT_FIRST)?.unwrap_or(total),
    };
    let end = known.map_or(begin, |(_, end)| end);
    // The newest row stays, whatever the cap.
    let wanted = total - (cap - begin).max(0);
    if wanted <= end {
        return Ok(());
    }
    let newest = tx.query_one("SELECT max(start_offset) FROM log_chunks WHERE job_id = $1", params![job])?;
    let newest: i64 = newest.get(0)?;
    let new_end = start_from(tx, job, wanted)?.map_or(newest, |start| start.min(newest));
    if new_end <= end {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM log_chunks WHERE job_id = $1 AND start_offset >= $2 AND start_offset < $3",
        params![job, begin, new_end],
    )?;
    tx.execute(
        "INSERT INTO log_gaps (job_id, start_offset, end_offset) VALUES ($1, $2, $3)
         ON CONFLICT (job_id) DO UPDATE SET start_offset = $2, end_offset = $3",
        params![job, begin, new_end],
    )?;
    Ok(())
}

/// Where the first row at or behind `offset` starts.
fn start_from(tx: &mut Tx, job: JobId, offset: i64) -> Result<Option<i64>, Error> {
    let sql = "SELECT min(start_offset) FROM log_chunks WHERE job_id = $1 AND start_offset >= $2";
    tx.query_one(sql, params![job, offset])?.get(0)
}

/// From where to where output was dropped.
fn gap(tx: &mut Tx, job: JobId) -> Result<Option<(i64, i64)>, Error> {
    let row =
        tx.query_opt("SELECT start_offset, end_offset FROM log_gaps WHERE job_id = $1", params![job])?;
    row.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// How many bytes of a job's output were dropped.
pub fn dropped(tx: &mut Tx, job: JobId) -> Result<i64, Error> {
    Ok(gap(tx, job)?.map_or(0, |(begin, end)| end - begin))
}

/// Up to `limit` bytes from `offset`; fewer only where the output ends or where a part of it was dropped. From within
/// such a part: the line that stands for it.
pub fn read(tx: &mut Tx, job: JobId, offset: i64, limit: i64) -> Result<Part, Error> {
    let end = offset.saturating_add(limit.max(0));
    let mut part = Part { offset, bytes: Vec::new(), next: offset, dropped: None };
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
            // Positions within this chunk; what is behind a gap is left for the next part.
            let skip = part.next - start;
            let until = usize::try_from(end - start).unwrap_or(0).min(data.len());
            if let Some(wanted) = usize::try_from(skip).ok().and_then(|skip| data.get(skip..until)) {
                part.bytes.extend_from_slice(wanted);
                part.next += wanted.len() as i64;
            }
            Ok(())
        },
    )?;
    if !part.bytes.is_empty() || limit <= 0 {
        return Ok(part);
    }
    match gap(tx, job)? {
        Some((begin, gap_end)) if (begin..gap_end).contains(&offset) => {
            mark(tx, job, offset, (begin, gap_end))
        }
        _ => Ok(part),
    }
}

/// The line that stands for what was dropped, or for the rest of it where a reader had come further.
fn mark(tx: &mut Tx, job: JobId, offset: i64, (begin, end): (i64, i64)) -> Result<Part, Error> {
    let line_is_open = offset > begin || !ends_line(tx, job, begin)?;
    let count = end - offset;
    let text = format!("{}[runyard] {count} bytes were dropped here\n", if line_is_open { "\n" } else { "" });
    Ok(Part { offset, bytes: text.into_bytes(), next: end, dropped: Some(count) })
}

/// Whether the byte before `offset` ends a line.
fn ends_line(tx: &mut Tx, job: JobId, offset: i64) -> Result<bool, Error> {
    Ok(offset == 0 || read(tx, job, offset - 1, 1)?.bytes == b"\n")
}

/// How many lines end in a job's output, those that were dropped included.
pub fn ended_lines(tx: &mut Tx, job: JobId) -> Result<i64, Error> {
    let row = tx.query_opt(
        "SELECT lines_before + lines FROM log_chunks WHERE job_id = $1
          ORDER BY lines_before DESC, start_offset DESC LIMIT 1",
        params![job],
    )?;
    row.map_or(Ok(0), |row| row.get(0))
}

/// How many lines a job's output has, with those that were dropped, and with the last one although it has not ended;
/// `total` is how many bytes.
pub fn line_count(tx: &mut Tx, job: JobId, total: i64) -> Result<i64, Error> {
    Ok(ended_lines(tx, job)? + i64::from(!ends_line(tx, job, total)?))
}

/// Where line `line` starts, counted from 1. A line that was dropped: where the drop begins. `None`: there are not so
/// many lines.
pub fn line_start(tx: &mut Tx, job: JobId, line: i64) -> Result<Option<i64>, Error> {
    // The line starts behind this newline.
    let newline = line - 1;
    if newline <= 0 {
        return Ok(Some(0));
    }
    let row = tx.query_opt(
        "SELECT start_offset, lines_before, lines, size FROM log_chunks WHERE job_id = $1 AND lines_before < $2
          ORDER BY lines_before DESC, start_offset DESC LIMIT 1",
        params![job, newline],
    )?;
    let Some(row) = row else { return Ok(None) };
    let (start, before, lines, size): (i64, i64, i64, i64) =
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    if before + lines < newline {
        let is_in_gap = ended_lines(tx, job)? >= newline;
        return Ok(is_in_gap.then_some(start + size));
    }
    let data: Vec<u8> = tx
        .query_one(
            "SELECT data FROM log_chunks WHERE job_id = $1 AND start_offset = $2",
            params![job, start],
        )?
        .get(0)?;
    let mut places = data.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at as i64);
    let place = usize::try_from(newline - before - 1).ok().and_then(|nth| places.nth(nth));
    match place {
        Some(at) => Ok(Some(start + at + 1)),
        None => Err(Error::Sql("a chunk of output has fewer lines than it says".into())),
    }
}

/// Which line the byte at `offset` belongs to, counted from 1.
pub fn line_of(tx: &mut Tx, job: JobId, offset: i64) -> Result<i64, Error> {
    let row = tx.query_opt(
        "SELECT start_offset, lines_before, lines, data FROM log_chunks WHERE job_id = $1 AND start_offset <= $2
          ORDER BY start_offset DESC LIMIT 1",
        params![job, offset],
    )?;
    let Some(mut row) = row else { return Ok(1) };
    let (start, before): (i64, i64) = (row.get(0)?, row.get(1)?);
    let Value::Bytes(data) = row.take(3)? else {
        return Err(Error::Sql("a chunk of output is no bytes".into()));
    };
    let until = usize::try_from(offset - start).unwrap_or(0).min(data.len());
    Ok(before + newlines(&data[..until]) + 1)
}

/// Deletes the output of a job; answers how many bytes it was.
pub fn delete_job(tx: &mut Tx, job: JobId) -> Result<i64, Error> {
    let row = tx.query_one(
        "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM log_chunks WHERE job_id = $1",
        params![job],
    )?;
    tx.execute("DELETE FROM log_chunks WHERE job_id = $1", params![job])?;
    tx.execute("DELETE FROM log_gaps WHERE job_id = $1", params![job])?;
    row.get(0)
}
