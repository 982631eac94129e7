//! Points of metrics: written in packs, read back by run, tag, step and time.
//!
//! One value lives per step: what a newer job of the run logs replaces what older jobs logged from there on
//! (a restart at step 80 takes back 81 to 100). Nothing is ever lost: the older job's points are read by its id.

use std::collections::{BTreeMap, BTreeSet};

use runyard_domain::{
    JobId, Millis, RunId,
    metric::{
        Id, Point,
        pack::{pack, pack_integers, unpack, unpack_integers},
    },
};

use crate::{
    db::{Conditions, Error, Tx, Value},
    params,
};

mod query;
#[cfg(test)]
mod tests;

pub use query::{By, Query, Row, points};

/// Points of a full pack. The tail of a series has up to as many and is rewritten by every append: less than a page of
/// the database. A million points are 4,000 packs, which are read in a tenth of a second.
const PACK: usize = 256;
/// Tags that [`latest`] answers at most.
const MAX_LATEST: i64 = 10_000;

/// Stores points that a job reported, behind those that it has.
pub fn append(
    tx: &mut Tx,
    run: RunId,
    job: JobId,
    epoch: i64,
    groups: &[(String, Vec<Point>)],
) -> Result<(), Error> {
    let count: usize = groups.iter().map(|(_, points)| points.len()).sum();
    if count == 0 {
        return Ok(());
    }
    // This row comes first: on PostgreSQL it puts the writers of one run in a line.
    let counters = tx.query_one(
        "INSERT INTO metric_runs (run_id, last_seq, last_series) VALUES ($1, $2, 0)
         ON CONFLICT (run_id) DO UPDATE SET last_seq = metric_runs.last_seq + $2
         RETURNING last_seq, last_series",
        params![run, count],
    )?;
    let mut seq = counters.get::<i64>(0)? - count as i64;
    let known: i64 = counters.get(1)?;
    let mut last_series = known;
    let mut open = open_series(tx, run, epoch, groups.iter().map(|(tag, _)| tag.as_str()))?;
    for (tag, points) in groups.iter().filter(|(_, points)| !points.is_empty()) {
        let series = open.entry(tag).or_insert_with(|| {
            last_series += 1;
            Open { series: last_series, min_step: i64::MAX, points: Vec::new(), seqs: Vec::new() }
        });
        series.points.extend_from_slice(points);
        series.seqs.extend(seq + 1..=seq + points.len() as i64);
        series.min_step = points.iter().fold(series.min_step, |min, point| min.min(point.step));
        seq += points.len() as i64;
    }
    for (tag, series) in open {
        save(tx, run, job, epoch, tag, &series)?;
    }
    if last_series > known {
        tx.execute("UPDATE metric_runs SET last_series = $2 WHERE run_id = $1", params![run, last_series])?;
    }
    Ok(())
}

/// A series with its tail, to be appended to.
struct Open {
    series: i64,
    min_step: i64,
    points: Vec<Point>,
    seqs: Vec<i64>,
}

/// The series of these tags that exist, by tag.
fn open_series<'t>(
    tx: &mut Tx,
    run: RunId,
    epoch: i64,
    tags: impl Iterator<Item = &'t str>,
) -> Result<BTreeMap<&'t str, Open>, Error> {
    let tags: BTreeSet<&str> = tags.collect();
    let mut open = BTreeMap::new();
    for part in tags.iter().copied().collect::<Vec<_>>().chunks(500) {
        let mut conditions = Conditions::default();
        conditions.equal("run_id", run);
        conditions.equal("epoch", epoch);
        conditions.any_of(tx.dialect(), "tag", part.iter().copied());
        let sql = format!(
            "SELECT series, min_step, tail, tail_seqs, tag FROM metric_series{}",
            conditions.clause()
        );
        tx.query_each(&sql, conditions.values(), |mut row| {
            let (points, seqs) = (decode(row.take(2)?, unpack)?, decode(row.take(3)?, unpack_integers)?);
            let found: String = row.get(4)?;
            if let Some(tag) = tags.get(found.as_str()) {
                open.insert(*tag, Open { series: row.get(0)?, min_step: row.get(1)?, points, seqs });
            }
            Ok::<_, Error>(())
        })?;
    }
    Ok(open)
}

/// Writes what fills packs as packs and the rest, at least one point, as the tail.
fn save(tx: &mut Tx, run: RunId, job: JobId, epoch: i64, tag: &str, open: &Open) -> Result<(), Error> {
    let (mut points, mut seqs) = (open.points.as_slice(), open.seqs.as_slice());
    while points.len() > PACK {
        let (full, seqs_full);
        (full, points) = points.split_at(PACK);
        (seqs_full, seqs) = seqs.split_at(PACK);
        let span = Span::of(full, seqs_full);
        tx.execute(
            "INSERT INTO metric_packs
                (run_id, series, first_seq, last_seq, min_step, max_step, min_at, max_at, seqs, data)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                run,
                open.series,
                span.first_seq,
                span.last_seq,
                span.min_step,
                span.max_step,
                span.min_at,
                span.max_at,
                pack_integers(seqs_full),
                pack(full),
            ],
        )?;
    }
    let span = Span::of(points, seqs);
    tx.execute(
        "INSERT INTO metric_series
            (run_id, series, tag, epoch, job_id, min_step, tail_first_seq, tail_last_seq, tail_min_step, tail_max_step,
             tail_min_at, tail_max_at, last, tail_seqs, tail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT (run_id, series) DO UPDATE SET
            min_step = $6, tail_first_seq = $7, tail_last_seq = $8, tail_min_step = $9, tail_max_step = $10,
            tail_min_at = $11, tail_max_at = $12, last = $13, tail_seqs = $14, tail = $15",
        params![
            run,
            open.series,
            tag,
            epoch,
            job,
            open.min_step,
            span.first_seq,
            span.last_seq,
            span.min_step,
            span.max_step,
            span.min_at,
            span.max_at,
            pack(&points[points.len().saturating_sub(1)..]),
            pack_integers(seqs),
            pack(points),
        ],
    )?;
    Ok(())
}

/// Where the points of a pack lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first_seq: i64,
    last_seq: i64,
    min_step: i64,
    max_step: i64,
    min_at: Millis,
    max_at: Millis,
}

impl Span {
    fn of(points: &[Point], seqs: &[i64]) -> Self {
        let mut span = Self {
            first_seq: seqs.first().copied().unwrap_or(0),
            last_seq: seqs.last().copied().unwrap_or(0),
            min_step: i64::MAX,
            max_step: i64::MIN,
            min_at: Millis(i64::MAX),
            max_at: Millis(i64::MIN),
        };
        for point in points {
            span.min_step = span.min_step.min(point.step);
            span.max_step = span.max_step.max(point.step);
            span.min_at = span.min_at.min(point.at);
            span.max_at = span.max_at.max(point.at);
        }
        span
    }
}

/// Tags of the runs in the order of their bytes, strictly after `after`.
pub fn tags(tx: &mut Tx, runs: &[RunId], after: Option<&str>, limit: i64) -> Result<Vec<String>, Error> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let mut conditions = Conditions::default();
    conditions.any_of(tx.dialect(), "run_id", runs.iter().copied());
    if let Some(after) = after {
        let after = conditions.bind(after);
        conditions.and(format!("tag > {after}"));
    }
    let clause = conditions.clause();
    let limit = conditions.bind(limit.max(0));
    let sql = format!("SELECT DISTINCT tag FROM metric_series{clause} ORDER BY tag LIMIT {limit}");
    tx.query(&sql, conditions.values())?.iter().map(|row| row.get(0)).collect()
}

/// The point written last of every tag of a run, by the newest job that wrote the tag; in the order of the tags' bytes.
pub fn latest(tx: &mut Tx, run: RunId) -> Result<Vec<Row>, Error> {
    let rows = tx.query(
        "SELECT last, tail_last_seq, job_id, epoch, tag FROM metric_series AS s
          WHERE run_id = $1 AND epoch =
                (SELECT max(epoch) FROM metric_series AS newest WHERE newest.run_id = $1 AND newest.tag = s.tag)
          ORDER BY tag LIMIT $2",
        params![run, MAX_LATEST],
    )?;
    let mut latest = Vec::with_capacity(rows.len());
    for mut row in rows {
        let point = decode(row.take(0)?, unpack)?.pop().ok_or_else(|| damaged("it has no last point"))?;
        let tag: String = row.get(4)?;
        latest.push(Row {
            id: Id { run, seq: row.get(1)? },
            job_id: row.get(2)?,
            epoch: row.get(3)?,
            tag: tag.into(),
            point,
        });
    }
    Ok(latest)
}

/// How many points were ever stored of a run: the `seq` of its newest one.
pub fn last_seq(tx: &mut Tx, run: RunId) -> Result<i64, Error> {
    let row = tx.query_opt("SELECT last_seq FROM metric_runs WHERE run_id = $1", params![run])?;
    row.map_or(Ok(0), |row| row.get(0))
}

/// Deletes all metrics of a run; answers how many bytes they took.
pub fn delete_run(tx: &mut Tx, run: RunId) -> Result<i64, Error> {
    let mut freed = 0;
    for (table, size) in [
        ("metric_packs", "length(data) + length(seqs)"),
        ("metric_series", "length(tail) + length(tail_seqs) + length(last)"),
        ("metric_runs", "0"),
    ] {
        let sum = format!("SELECT CAST(coalesce(sum({size}), 0) AS BIGINT) FROM {table} WHERE run_id = $1");
        freed += tx.query_one(&sum, params![run])?.get::<i64>(0)?;
        tx.execute(&format!("DELETE FROM {table} WHERE run_id = $1"), params![run])?;
    }
    Ok(freed)
}

fn decode<T>(
    column: Value,
    unpack: impl FnOnce(&[u8]) -> Result<T, runyard_domain::metric::pack::Error>,
) -> Result<T, Error> {
    match column {
        Value::Bytes(bytes) => unpack(&bytes).map_err(|error| Error::Sql(error.to_string())),
        _ => Err(damaged("a pack is no bytes")),
    }
}

fn damaged(why: &str) -> Error {
    Error::Sql(format!("a metric series is damaged: {why}"))
}
