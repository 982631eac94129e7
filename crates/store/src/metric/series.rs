//! Series for charts: every live point in its bucket, in memory that depends on the buckets and not on the points.
//!
//! A pack that lies within one bucket and has only numbers is taken by its summary and never read; the others are read a few
//! at a time.

use std::{collections::HashMap, sync::Arc};

use runyard_domain::{
    RunId,
    metric::{
        Point,
        Value::Float,
        pack::{unpack, unpack_along},
        series::{Axis, Buckets, Gaps, Grid, Summary},
    },
};

use super::{
    Span, damaged, decode, inbox,
    query::{Query, Series, live_series},
};
use crate::{
    db::{Conditions, Error, Tx, Value},
    params,
};

#[cfg(test)]
mod tests;

/// Packs that are read at once; a power of two.
const READ_AT_ONCE: usize = 128;

/// One tag of one run: the points that live, of all jobs.
pub struct Curve {
    /// The run.
    pub run: RunId,
    /// The tag.
    pub tag: Arc<str>,
    /// By job, the newest first.
    series: Vec<Series>,
}

/// The curves of these runs and tags (all tags when none is named), by run and tag.
pub fn curves(tx: &mut Tx, runs: &[RunId], tags: &[String]) -> Result<Vec<Curve>, Error> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let mut curves: Vec<Curve> = Vec::new();
    let query = Query { run_ids: runs.to_vec(), tags: tags.to_vec(), ..Query::default() };
    for one in live_series(tx, &query)? {
        match curves.last_mut().filter(|curve| curve.run == one.run && curve.tag == one.tag) {
            Some(curve) => curve.series.push(one),
            None => curves.push(Curve { run: one.run, tag: Arc::clone(&one.tag), series: vec![one] }),
        }
    }
    Ok(curves)
}

/// The lowest and the highest place of all curves on the axis; may reach a little beyond the live points where only a
/// part of a pack lives. `None`: there are no points.
pub fn extent(tx: &mut Tx, curves: &[Curve], axis: Axis) -> Result<Option<(i64, i64)>, Error> {
    let (low, high) = match axis {
        Axis::Step => ("min_step", "max_step"),
        Axis::Time => ("min_at", "max_at"),
    };
    let sql = format!(
        "SELECT min({low}), max({high}) FROM metric_packs WHERE run_id = $1 AND series = $2 AND min_step <= $3"
    );
    let mut extent: Option<(i64, i64)> = None;
    let mut reach = |low: i64, high: i64| {
        let (lowest, highest) = extent.unwrap_or((low, high));
        extent = Some((lowest.min(low), highest.max(high)));
    };
    for one in curves.iter().flat_map(|curve| &curve.series) {
        let last_live = last_live(one);
        let clip = |high: i64| if axis == Axis::Step { high.min(last_live) } else { high };
        if let Some(tail) = one.tail.filter(|tail| tail.min_step <= last_live) {
            let (low, high) = places(&tail, axis);
            reach(low, clip(high));
        }
        let row = tx.query_one(&sql, params![one.run, one.number, last_live])?;
        if let (Some(low), Some(high)) = (row.get::<Option<i64>>(0)?, row.get::<Option<i64>>(1)?) {
            reach(low, clip(high));
        }
    }
    each_in_inbox(tx, curves, |_, point, _| reach(axis.of(&point), axis.of(&point)))?;
    Ok(extent)
}

/// The buckets of each curve.
pub fn buckets(tx: &mut Tx, curves: &[Curve], axis: Axis, grid: Grid) -> Result<Vec<Buckets>, Error> {
    let mut all: Vec<Buckets> = Vec::with_capacity(curves.len());
    for curve in curves {
        let mut buckets = Buckets::new(grid);
        for one in &curve.series {
            let unread = add_summaries(tx, one, axis, &mut buckets)?;
            for part in unread.chunks(READ_AT_ONCE) {
                add_packs(tx, one, part, axis, &mut buckets)?;
            }
            if let Some(tail) = one.tail.filter(|tail| touches(tail, one, axis, grid)) {
                let sql = "SELECT tail FROM metric_series WHERE run_id = $1 AND series = $2";
                let data = tx.query_one(sql, params![one.run, one.number])?.take(0)?;
                add_pack(data, &tail, one, axis, &mut buckets)?;
            }
        }
        all.push(buckets);
    }
    each_in_inbox(tx, curves, |at, point, seq| all[at].add(axis.of(&point), seq, point.value.as_f64()))?;
    Ok(all)
}

/// The last step of a series that no newer job has logged again.
fn last_live(one: &Series) -> i64 {
    one.replaced_from.map_or(i64::MAX, |from| from.saturating_sub(1))
}

fn places(span: &Span, axis: Axis) -> (i64, i64) {
    match axis {
        Axis::Step => (span.min_step, span.max_step),
        Axis::Time => (span.min_at.0, span.max_at.0),
    }
}

/// Whether a pack may have live points on the grid.
fn touches(span: &Span, one: &Series, axis: Axis, grid: Grid) -> bool {
    let (low, high) = places(span, axis);
    span.min_step <= last_live(one) && low <= grid.to() && high >= grid.from()
}

/// Takes in the packs of a series that lie in one bucket each; answers the others.
fn add_summaries(tx: &mut Tx, one: &Series, axis: Axis, buckets: &mut Buckets) -> Result<Vec<Span>, Error> {
    let last = match axis {
        Axis::Step => "last_by_step",
        Axis::Time => "last_by_time",
    };
    let sql = format!(
        "SELECT first_seq, last_seq, min_step, max_step, min_at, max_at, points, gaps, min_value, max_value, {last}
           FROM metric_packs WHERE run_id = $1 AND series = $2"
    );
    let mut unread = Vec::new();
    tx.query_each(&sql, params![one.run, one.number], |row| {
        let span = Span {
            first_seq: row.get(0)?,
            last_seq: row.get(1)?,
            min_step: row.get(2)?,
            max_step: row.get(3)?,
            min_at: row.get(4)?,
            max_at: row.get(5)?,
        };
        if !touches(&span, one, axis, buckets.grid()) {
            return Ok(());
        }
        let (low, high) = places(&span, axis);
        // A pack with gaps does not say which they are, and whether the last point is one.
        let whole = span.max_step <= last_live(one) && row.get::<i64>(7)? == 0;
        let summary = Summary {
            count: row.get(6)?,
            gaps: Gaps::default(),
            min: row.get(8)?,
            max: row.get(9)?,
            last: Float(row.get::<Option<f64>>(10)?.unwrap_or(f64::NAN)),
            last_x: high,
            order: span.first_seq,
        };
        if !(whole && buckets.add_all(low, high, summary)) {
            unread.push(span);
        }
        Ok::<_, Error>(())
    })?;
    Ok(unread)
}

/// Reads packs and takes in their points.
fn add_packs(
    tx: &mut Tx,
    one: &Series,
    spans: &[Span],
    axis: Axis,
    buckets: &mut Buckets,
) -> Result<(), Error> {
    let by_first: HashMap<i64, &Span> = spans.iter().map(|span| (span.first_seq, span)).collect();
    let mut conditions = Conditions::default();
    conditions.equal("run_id", one.run);
    conditions.equal("series", one.number);
    let padding = std::iter::repeat_n(spans[0].first_seq, spans.len().next_power_of_two() - spans.len());
    conditions.any_of(tx.dialect(), "first_seq", spans.iter().map(|span| span.first_seq).chain(padding));
    let sql = format!("SELECT first_seq, data FROM metric_packs{}", conditions.clause());
    tx.query_each(&sql, conditions.values(), |mut row| match by_first.get(&row.get(0)?) {
        Some(span) => add_pack(row.take(1)?, span, one, axis, buckets),
        None => Err(damaged("a pack is not where it was")),
    })
}

fn add_pack(data: Value, span: &Span, one: &Series, axis: Axis, buckets: &mut Buckets) -> Result<(), Error> {
    let last_live = last_live(one);
    if axis == Axis::Time && span.max_step > last_live {
        // Which points live is a matter of their steps.
        for point in decode(data, unpack)?.iter().filter(|point| point.step <= last_live) {
            buckets.add(point.at.0, span.first_seq, point.value.as_f64());
        }
        return Ok(());
    }
    let limit = if axis == Axis::Step { last_live } else { i64::MAX };
    decode(data, |bytes| {
        unpack_along(bytes, axis, |x, value| {
            if x <= limit {
                buckets.add(x, span.first_seq, value);
            }
        })
    })
}

/// Hands the live points in the inboxes of the curves' runs to `each`, with the place of the curve and their number.
fn each_in_inbox(
    tx: &mut Tx,
    curves: &[Curve],
    mut each: impl FnMut(usize, Point, i64),
) -> Result<(), Error> {
    let mut by_number: HashMap<(RunId, i64), (usize, i64)> = HashMap::new();
    for (at, curve) in curves.iter().enumerate() {
        by_number.extend(curve.series.iter().map(|one| ((one.run, one.number), (at, last_live(one)))));
    }
    let mut runs: Vec<RunId> = curves.iter().map(|curve| curve.run).collect();
    runs.dedup();
    for part in runs.chunks(500) {
        inbox::read(tx, part, None, |run, number, point, seq| {
            if let Some((at, last_live)) = by_number.get(&(run, number))
                && point.step <= *last_live
            {
                each(*at, point, seq);
            }
        })?;
    }
    Ok(())
}
