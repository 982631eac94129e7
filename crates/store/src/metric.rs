//! Points of metrics: written in packs, read back by run, tag, step and time.
//!
//! One value lives per step: what a newer job of the run logs replaces what older jobs logged from there on
//! (a restart at step 80 takes back 81 to 100). Nothing is ever lost: the older job's points are read by its id.

use std::collections::{BTreeMap, HashMap};

use runyard_domain::{
    JobId, Millis, RunId,
    metric::{
        Id, Point,
        pack::{pack, pack_integers, unpack, unpack_integers},
        series::{Axis, Summary},
    },
};

use crate::{
    db::{Conditions, Error, Tx, Value},
    params,
};

mod inbox;
mod query;
pub mod series;
#[cfg(test)]
mod tests;

pub use query::{By, Query, Row, points};

/// Most points of a pack; the tail of a series has up to as many. A million points are some thousands of packs, which are
/// read in a tenth of a second.
const PACK: usize = 512;
/// Bytes of a full pack, its numbers included: two rows fill a page of SQLite, and PostgreSQL keeps them within the table.
const PACK_BYTES: usize = 1850;
/// Points of the first pack that is tried.
const PACK_GUESS: usize = 256;
/// Points and rows of the fullest inbox. What is in it is read by every reader of the run: a few milliseconds.
const INBOX_POINTS: usize = 1 << 15;
const INBOX_ROWS: i64 = 512;
/// With so many points for each of its series a write goes to the series at once, and past the inbox.
const FOLDED_AT_ONCE: usize = 64;
/// Series that one statement asks for; a power of two.
const TOGETHER: usize = 512;
/// Tags that [`latest`] answers at most.
const MAX_LATEST: i64 = 10_000;

/// Stores points that a job reported, behind those that it has.
///
/// Few points of many series go to the inbox of the run, in one row; a full inbox, and many points of few series, go
/// to the series themselves.
pub fn append(
    tx: &mut Tx,
    run: RunId,
    job: JobId,
    epoch: i64,
    groups: &[(String, Vec<Point>)],
) -> Result<(), Error> {
    let groups: Vec<(&str, &[Point])> = groups
        .iter()
        .filter(|(_, points)| !points.is_empty())
        .map(|(tag, points)| (tag.as_str(), points.as_slice()))
        .collect();
    let count: usize = groups.iter().map(|(_, points)| points.len()).sum();
    if count == 0 {
        return Ok(());
    }
    let many = count >= groups.len() * FOLDED_AT_ONCE || count > INBOX_POINTS;
    let (points, rows) = if many { (0, 0) } else { (count, 1) };
    // This row comes first: on PostgreSQL it puts the writers of one run in a line.
    let counters = tx.query_one(
        "INSERT INTO metric_runs (run_id, last_seq, last_series, inbox_points, inbox_rows) VALUES ($1, $2, 0, $3, $4)
         ON CONFLICT (run_id) DO UPDATE SET last_seq = metric_runs.last_seq + $2,
            inbox_points = metric_runs.inbox_points + $3, inbox_rows = metric_runs.inbox_rows + $4
         RETURNING last_seq, last_series, inbox_points, inbox_rows",
        params![run, count, points, rows],
    )?;
    let first_seq = counters.get::<i64>(0)? - count as i64 + 1;
    let (inbox_points, inbox_rows): (i64, i64) = (counters.get(2)?, counters.get(3)?);
    let numbers = register(tx, run, job, epoch, &groups, counters.get(1)?)?;
    let groups: Vec<(i64, &[Point])> =
        numbers.into_iter().zip(groups.iter().map(|(_, points)| *points)).collect();
    if !many && inbox_points <= INBOX_POINTS as i64 && inbox_rows <= INBOX_ROWS {
        return inbox::put(tx, run, first_seq, &groups);
    }
    let mut arrived = Arrived::default();
    if inbox_rows > rows {
        inbox::read(tx, &[run], None, |_, series, point, seq| arrived.add(series, point, seq))?;
    }
    let mut seqs = first_seq..;
    for (series, points) in groups {
        points.iter().zip(&mut seqs).for_each(|(point, seq)| arrived.add(series, *point, seq));
    }
    fold(tx, run, arrived)?;
    if inbox_rows > 0 {
        tx.execute("DELETE FROM metric_inbox WHERE run_id = $1", params![run])?;
        tx.execute(
            "UPDATE metric_runs SET inbox_points = 0, inbox_rows = 0 WHERE run_id = $1",
            params![run],
        )?;
    }
    Ok(())
}

/// The numbers of the series of these groups; those that are new are noted, and how low their steps reach.
fn register(
    tx: &mut Tx,
    run: RunId,
    job: JobId,
    epoch: i64,
    groups: &[(&str, &[Point])],
    known_series: i64,
) -> Result<Vec<i64>, Error> {
    let mut known: HashMap<String, (i64, i64)> = HashMap::with_capacity(groups.len());
    for part in groups.chunks(TOGETHER) {
        let mut conditions = Conditions::default();
        conditions.equal("run_id", run);
        conditions.equal("epoch", epoch);
        // Always as many parameters as a power of two: few texts of the statement, each prepared once.
        let padding = std::iter::repeat_n(part[0].0, part.len().next_power_of_two() - part.len());
        conditions.any_of(tx.dialect(), "tag", part.iter().map(|(tag, _)| *tag).chain(padding));
        let sql = format!("SELECT tag, series, min_step FROM metric_series{}", conditions.clause());
        tx.query_each(&sql, conditions.values(), |row| {
            known.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
            Ok::<_, Error>(())
        })?;
    }
    let mut last_series = known_series;
    let mut numbers = Vec::with_capacity(groups.len());
    for (tag, points) in groups {
        let lowest = points.iter().map(|point| point.step).min().unwrap_or(i64::MAX);
        if let Some((series, min_step)) = known.get(*tag) {
            numbers.push(*series);
            if lowest < *min_step {
                tx.execute(
                    "UPDATE metric_series SET min_step = $3 WHERE run_id = $1 AND series = $2 AND min_step > $3",
                    params![run, *series, lowest],
                )?;
            }
            continue;
        }
        last_series += 1;
        numbers.push(last_series);
        known.insert((*tag).to_owned(), (last_series, lowest));
        tx.execute(
            "INSERT INTO metric_series
                (run_id, series, tag, epoch, job_id, min_step, tail_first_seq, tail_last_seq, tail_min_step,
                 tail_max_step, tail_min_at, tail_max_at, last, tail_seqs, tail)
             VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0, $7, $7, $7)",
            params![run, last_series, *tag, epoch, job, lowest, Vec::new()],
        )?;
    }
    if last_series > known_series {
        tx.execute("UPDATE metric_runs SET last_series = $2 WHERE run_id = $1", params![run, last_series])?;
    }
    Ok(numbers)
}

/// New points by series, in the order of writing, with their numbers.
#[derive(Default)]
struct Arrived(BTreeMap<i64, (Vec<Point>, Vec<i64>)>);

impl Arrived {
    fn add(&mut self, series: i64, point: Point, seq: i64) {
        let (points, seqs) = self.0.entry(series).or_default();
        points.push(point);
        seqs.push(seq);
    }
}

/// Puts new points behind the tails of their series.
fn fold(tx: &mut Tx, run: RunId, mut arrived: Arrived) -> Result<(), Error> {
    let series: Vec<i64> = arrived.0.keys().copied().collect();
    for part in series.chunks(TOGETHER) {
        let mut conditions = Conditions::default();
        conditions.equal("run_id", run);
        let padding = std::iter::repeat_n(part[0], part.len().next_power_of_two() - part.len());
        conditions.any_of(tx.dialect(), "series", part.iter().copied().chain(padding));
        conditions.and("tail_last_seq > 0");
        let sql = format!("SELECT series, tail, tail_seqs FROM metric_series{}", conditions.clause());
        tx.query_each(&sql, conditions.values(), |mut row| {
            let (mut points, mut seqs) =
                (decode(row.take(1)?, unpack)?, decode(row.take(2)?, unpack_integers)?);
            if let Some(arrived) = arrived.0.get_mut(&row.get(0)?) {
                points.append(&mut arrived.0);
                seqs.append(&mut arrived.1);
                *arrived = (points, seqs);
            }
            Ok::<_, Error>(())
        })?;
    }
    arrived.0.iter().try_for_each(|(series, (points, seqs))| save(tx, run, *series, points, seqs))
}

/// Writes what fills packs as packs and the rest, at least one point, as the tail.
fn save(tx: &mut Tx, run: RunId, series: i64, mut points: &[Point], mut seqs: &[i64]) -> Result<(), Error> {
    let mut cut = Cut::of(points, seqs, PACK_GUESS);
    while cut.count < points.len() {
        let (full, seqs_full);
        (full, points) = points.split_at(cut.count);
        (seqs_full, seqs) = seqs.split_at(cut.count);
        let span = Span::of(full, seqs_full);
        // Of a pack with gaps the points are read whenever it counts what they are.
        let finite = |summary: Summary| Some(summary.last.as_f64()).filter(|last| last.is_finite());
        let by_time = Summary::of_points(full, Axis::Time, 0).and_then(finite);
        let Some(by_step) = Summary::of_points(full, Axis::Step, 0) else { continue };
        tx.execute(
            "INSERT INTO metric_packs
                (run_id, series, first_seq, last_seq, min_step, max_step, min_at, max_at,
                 points, gaps, min_value, max_value, last_by_step, last_by_time, seqs, data)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            params![
                run,
                series,
                span.first_seq,
                span.last_seq,
                span.min_step,
                span.max_step,
                span.min_at,
                span.max_at,
                by_step.count,
                by_step.gaps.total(),
                by_step.min,
                by_step.max,
                finite(by_step),
                by_time,
                cut.seqs,
                cut.data,
            ],
        )?;
        cut = Cut::of(points, seqs, full.len());
    }
    let span = Span::of(points, seqs);
    tx.execute(
        "UPDATE metric_series
            SET tail_first_seq = $3, tail_last_seq = $4, tail_min_step = $5, tail_max_step = $6,
                tail_min_at = $7, tail_max_at = $8, last = $9, tail_seqs = $10, tail = $11
          WHERE run_id = $1 AND series = $2",
        params![
            run,
            series,
            span.first_seq,
            span.last_seq,
            span.min_step,
            span.max_step,
            span.min_at,
            span.max_at,
            pack(&points[points.len().saturating_sub(1)..]),
            cut.seqs,
            cut.data,
        ],
    )?;
    Ok(())
}

/// As many points as make a full pack, packed; all of them when they make none.
struct Cut {
    count: usize,
    seqs: Vec<u8>,
    data: Vec<u8>,
}

impl Cut {
    /// `guess`: how many a pack of such points is expected to hold.
    fn of(points: &[Point], seqs: &[i64], guess: usize) -> Self {
        let all = points.len().min(PACK);
        let mut count = guess.clamp(1, all.max(1)).min(all);
        // Each try is as large as the one before says; what never fits closely is cut well below.
        let mut tries = 0;
        loop {
            let cut = Self { count, seqs: pack_integers(&seqs[..count]), data: pack(&points[..count]) };
            let bytes = cut.seqs.len() + cut.data.len();
            let fitting = (count * PACK_BYTES * 31 / 32 / bytes.max(1)).clamp(1, all.max(1));
            let fits = bytes <= PACK_BYTES || count <= 1;
            let close = count == all || bytes >= PACK_BYTES * 7 / 8 || fitting <= count;
            if fits && (close || tries > 3) {
                return cut;
            }
            count = if fits { fitting } else { fitting.min(count - 1) };
            tries += 1;
        }
    }
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
    let mut newest: HashMap<i64, (Point, i64)> = HashMap::new();
    inbox::read(tx, &[run], None, |_, series, point, seq| {
        newest.insert(series, (point, seq));
    })?;
    let rows = tx.query(
        "SELECT last, tail_last_seq, job_id, epoch, tag, series FROM metric_series AS s
          WHERE run_id = $1 AND epoch =
                (SELECT max(epoch) FROM metric_series AS newest WHERE newest.run_id = $1 AND newest.tag = s.tag)
          ORDER BY tag LIMIT $2",
        params![run, MAX_LATEST],
    )?;
    let mut latest = Vec::with_capacity(rows.len());
    for mut row in rows {
        let (point, seq) = if let Some(newest) = newest.get(&row.get(5)?) {
            *newest
        } else {
            let last = decode(row.take(0)?, unpack)?.pop();
            (last.ok_or_else(|| damaged("it has no last point"))?, row.get(1)?)
        };
        let tag: String = row.get(4)?;
        let (job_id, epoch) = (row.get(2)?, row.get(3)?);
        latest.push(Row { id: Id { run, seq }, job_id, epoch, tag: tag.into(), point });
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
        ("metric_inbox", "length(data) + length(series)"),
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
