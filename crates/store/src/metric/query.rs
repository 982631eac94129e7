//! Reads points in order, a page at a time, in memory that depends on the page and not on the series.
//!
//! Packs are read in the order of their lowest (or highest) point, until no pack that is left can hold a better one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use runyard_domain::{
    JobId, Millis, RunId,
    metric::{
        Id, Point,
        pack::{unpack, unpack_integers},
    },
};

use super::{PACK, PACK_GUESS, Span, damaged, decode, inbox};
use crate::{
    db::{Conditions, Error, Tx, Value},
    params,
};

/// Points that a page may hold beyond its limit so as not to end inside a step. Of a step that was logged
/// more often than that, the points written last are kept.
const MAX_BEYOND: usize = 100_000;

/// Packs that are read at once.
const MAX_AHEAD: usize = 32;

/// What to order points by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// The step; within a step by run, tag and order of writing. A page never ends inside a step.
    #[default]
    GlobalStep,
    /// The time; a page never ends inside a millisecond.
    CreatedAt,
    /// The id: run by run, in the order of writing.
    Id,
}

/// Which points, and in which order. Empty lists and absent bounds do not restrict, except `run_ids`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// Points of these runs only; with none, there are no points.
    pub run_ids: Vec<RunId>,
    /// These tags.
    pub tags: Vec<String>,
    /// These steps.
    pub global_steps: Vec<i64>,
    /// Steps strictly above this one.
    pub global_step_after: Option<i64>,
    /// Points strictly before this time.
    pub created_before: Option<Millis>,
    /// Points whose id is strictly above this one.
    pub id_after: Option<Id>,
    /// Points of this job, also those that a newer job replaced.
    pub job_id: Option<JobId>,
    /// The order.
    pub by: By,
    /// From high to low.
    pub descending: bool,
    /// About how many: see [`By`] for when it is more.
    pub limit: usize,
}

/// A stored point.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its id, with the run's.
    pub id: Id,
    /// The job that reported it.
    pub job_id: JobId,
    /// The job's epoch.
    pub epoch: i64,
    /// Its tag.
    pub tag: Arc<str>,
    /// Step, time and value.
    pub point: Point,
}

/// The points that match, in order.
pub fn points(tx: &mut Tx, query: &Query) -> Result<Vec<Row>, Error> {
    if query.run_ids.is_empty() || query.limit == 0 {
        return Ok(Vec::new());
    }
    let series = live_series(tx, query)?;
    let mut packs = Vec::new();
    for (at, one) in series.iter().enumerate() {
        packs.extend(one.tail.map(|span| Pack { at, tail: true, span }));
    }
    stored_packs(tx, query, &series, &mut packs)?;
    packs.retain(|pack| series[pack.at].may_match(query, &pack.span));
    packs.sort_unstable_by_key(|pack| {
        (series[pack.at].best_key(query, &pack.span), pack.at, pack.span.first_seq)
    });

    let mut page = Page { limit: query.limit, hits: Vec::new(), worst: None, highest: None };
    add_inbox(tx, query, &series, &mut page)?;
    let mut ahead = Ahead::new();
    for (place, pack) in packs.iter().enumerate() {
        let one = &series[pack.at];
        if page.is_done(one.best_key(query, &pack.span)) {
            break;
        }
        let columns = if pack.tail {
            load_tail(tx, one)?
        } else {
            if !ahead.contains_key(&pack.address(&series)) {
                let wanted = (query.limit.saturating_sub(page.hits.len()) / PACK_GUESS + 1).min(MAX_AHEAD);
                let next = packs[place..].iter().filter(|pack| !pack.tail).take(wanted);
                load_packs(tx, next.map(|pack| pack.address(&series)), &mut ahead)?;
            }
            ahead.remove(&pack.address(&series)).ok_or_else(|| damaged("a pack is missing"))?
        };
        for (point, seq) in points_of(columns)? {
            if one.matches(query, &point, seq) {
                page.add(Hit { key: one.key(query, point.step, point.at, seq), at: pack.at, seq, point });
            }
        }
    }
    Ok(page
        .finish(query.descending)
        .into_iter()
        .map(|hit| {
            let one = &series[hit.at];
            Row {
                id: Id { run: one.run, seq: hit.seq },
                job_id: one.job,
                epoch: one.epoch,
                tag: Arc::clone(&one.tag),
                point: hit.point,
            }
        })
        .collect())
}

/// Sorts ascending in every order that is asked for.
type Key = (i64, i64);

/// A series that is asked for.
pub(super) struct Series {
    pub(super) run: RunId,
    /// The place of the run among those asked for, in the order of their ids.
    rank: i64,
    /// The number of the series within its run.
    pub(super) number: i64,
    pub(super) tag: Arc<str>,
    epoch: i64,
    pub(super) job: JobId,
    min_step: i64,
    /// Steps from here on were logged again by a newer job.
    pub(super) replaced_from: Option<i64>,
    /// Where its tail lies, unless all of its points are in the inbox.
    pub(super) tail: Option<Span>,
}

impl Series {
    fn key(&self, query: &Query, step: i64, at: Millis, seq: i64) -> Key {
        let key = match query.by {
            By::GlobalStep => (step, 0),
            By::CreatedAt => (at.0, 0),
            By::Id => (self.rank, seq),
        };
        if query.descending { (!key.0, !key.1) } else { key }
    }

    /// No point of the pack has a key below this one.
    fn best_key(&self, query: &Query, span: &Span) -> Key {
        if query.descending {
            self.key(query, span.max_step, span.max_at, span.last_seq)
        } else {
            self.key(query, span.min_step, span.min_at, span.first_seq)
        }
    }

    fn may_match(&self, query: &Query, span: &Span) -> bool {
        query.global_step_after.is_none_or(|after| span.max_step > after)
            && query.created_before.is_none_or(|before| span.min_at < before)
            && query.id_after.is_none_or(|after| Id { run: self.run, seq: span.last_seq } > after)
            && self.replaced_from.is_none_or(|from| span.min_step < from)
            && (query.global_steps.is_empty()
                || query.global_steps.iter().any(|step| (span.min_step..=span.max_step).contains(step)))
    }

    fn matches(&self, query: &Query, point: &Point, seq: i64) -> bool {
        query.global_step_after.is_none_or(|after| point.step > after)
            && query.created_before.is_none_or(|before| point.at < before)
            && query.id_after.is_none_or(|after| Id { run: self.run, seq } > after)
            && self.replaced_from.is_none_or(|from| point.step < from)
            && (query.global_steps.is_empty() || query.global_steps.contains(&point.step))
    }
}

/// The series asked for, by run, tag and epoch, each with the step from which a newer one replaces it.
pub(super) fn live_series(tx: &mut Tx, query: &Query) -> Result<Vec<Series>, Error> {
    let mut ranks: BTreeMap<RunId, i64> = query.run_ids.iter().map(|run| (*run, 0)).collect();
    for (place, rank) in ranks.values_mut().enumerate() {
        *rank = place as i64;
    }
    let mut conditions = Conditions::default();
    conditions.any_of(tx.dialect(), "run_id", ranks.keys().copied());
    conditions.any_of(tx.dialect(), "tag", query.tags.iter());
    if let Some(job) = query.job_id {
        conditions.equal("job_id", job);
    }
    let sql = format!(
        "SELECT run_id, series, tag, epoch, job_id, min_step, tail_first_seq, tail_last_seq,
                tail_min_step, tail_max_step, tail_min_at, tail_max_at
           FROM metric_series{} ORDER BY run_id, tag, epoch DESC",
        conditions.clause()
    );
    let mut series: Vec<Series> = Vec::new();
    tx.query_each(&sql, conditions.values(), |row| {
        let run: RunId = row.get(0)?;
        let tag: String = row.get(2)?;
        // Newest first: whatever the newer series of the tag replace, and the steps that the newest of them begins at.
        let newer = series.last().filter(|newer| newer.run == run && *newer.tag == *tag);
        let replaced_from =
            newer.map(|newer| newer.replaced_from.map_or(newer.min_step, |from| from.min(newer.min_step)));
        series.push(Series {
            run,
            rank: ranks.get(&run).copied().unwrap_or(0),
            number: row.get(1)?,
            tag: tag.into(),
            epoch: row.get(3)?,
            job: row.get(4)?,
            min_step: row.get(5)?,
            replaced_from: if query.job_id.is_some() { None } else { replaced_from },
            tail: Some(Span {
                first_seq: row.get(6)?,
                last_seq: row.get(7)?,
                min_step: row.get(8)?,
                max_step: row.get(9)?,
                min_at: row.get(10)?,
                max_at: row.get(11)?,
            })
            .filter(|tail| tail.last_seq > 0),
        });
        Ok::<_, Error>(())
    })?;
    Ok(series)
}

/// Puts what matches in the inboxes on the page.
fn add_inbox(tx: &mut Tx, query: &Query, series: &[Series], page: &mut Page) -> Result<(), Error> {
    let by_number: HashMap<(RunId, i64), usize> =
        series.iter().enumerate().map(|(at, one)| ((one.run, one.number), at)).collect();
    let mut runs: Vec<RunId> = series.iter().map(|one| one.run).collect();
    runs.dedup();
    // Of one run, those before the page need not be read at all.
    let after = query.id_after.filter(|after| runs[..] == [after.run]).map(|after| after.seq);
    for part in runs.chunks(500) {
        inbox::read(tx, part, after, |run, number, point, seq| {
            let Some(at) = by_number.get(&(run, number)) else { return };
            let one = &series[*at];
            if one.matches(query, &point, seq) {
                page.add(Hit { key: one.key(query, point.step, point.at, seq), at: *at, seq, point });
            }
        })?;
    }
    Ok(())
}

/// A pack that may be read: the tail of the series at `at`, or a stored one.
struct Pack {
    at: usize,
    tail: bool,
    span: Span,
}

impl Pack {
    fn address(&self, series: &[Series]) -> Address {
        (series[self.at].run, series[self.at].number, self.span.first_seq)
    }
}

/// Where the stored packs of the series lie, without reading them.
fn stored_packs(tx: &mut Tx, query: &Query, series: &[Series], packs: &mut Vec<Pack>) -> Result<(), Error> {
    let mut by_run: BTreeMap<RunId, BTreeMap<i64, usize>> = BTreeMap::new();
    for (at, one) in series.iter().enumerate() {
        by_run.entry(one.run).or_default().insert(one.number, at);
    }
    for (run, wanted) in by_run {
        let mut conditions = Conditions::default();
        conditions.equal("run_id", run);
        // For more, reading past the others is cheaper than asking for each.
        if wanted.len() <= 64 {
            conditions.any_of(tx.dialect(), "series", wanted.keys().copied());
        }
        if let Some(after) = query.global_step_after {
            let after = conditions.bind(after);
            conditions.and(format!("max_step > {after}"));
        }
        if let Some(before) = query.created_before {
            let before = conditions.bind(before);
            conditions.and(format!("min_at < {before}"));
        }
        if let Some(after) = query.id_after.filter(|after| after.run == run) {
            let after = conditions.bind(after.seq);
            conditions.and(format!("last_seq > {after}"));
        }
        let sql = format!(
            "SELECT series, first_seq, last_seq, min_step, max_step, min_at, max_at FROM metric_packs{}",
            conditions.clause()
        );
        tx.query_each(&sql, conditions.values(), |row| {
            if let Some(at) = wanted.get(&row.get(0)?) {
                let span = Span {
                    first_seq: row.get(1)?,
                    last_seq: row.get(2)?,
                    min_step: row.get(3)?,
                    max_step: row.get(4)?,
                    min_at: row.get(5)?,
                    max_at: row.get(6)?,
                };
                packs.push(Pack { at: *at, tail: false, span });
            }
            Ok::<_, Error>(())
        })?;
    }
    Ok(())
}

/// The points and the numbers of a pack, as they are stored.
type Columns = (Value, Value);
/// Packs that were read together with one before them, as every query is a round trip on PostgreSQL.
type Ahead = BTreeMap<Address, Columns>;
/// Run, series and first number of a stored pack.
type Address = (RunId, i64, i64);

fn load_tail(tx: &mut Tx, one: &Series) -> Result<Columns, Error> {
    let mut row = tx.query_one(
        "SELECT tail, tail_seqs FROM metric_series WHERE run_id = $1 AND series = $2",
        params![one.run, one.number],
    )?;
    Ok((row.take(0)?, row.take(1)?))
}

fn load_packs(tx: &mut Tx, addresses: impl Iterator<Item = Address>, ahead: &mut Ahead) -> Result<(), Error> {
    let mut conditions = Conditions::default();
    // Each alternative in full: then SQLite looks up each by the primary key.
    let alternatives: Vec<String> = addresses
        .map(|(run, series, first_seq)| {
            let (run, series) = (conditions.bind(run), conditions.bind(series));
            format!("(run_id = {run} AND series = {series} AND first_seq = {})", conditions.bind(first_seq))
        })
        .collect();
    conditions.and(alternatives.join(" OR "));
    let sql =
        format!("SELECT run_id, series, first_seq, data, seqs FROM metric_packs{}", conditions.clause());
    tx.query_each(&sql, conditions.values(), |mut row| {
        let address = (row.get(0)?, row.get(1)?, row.get(2)?);
        ahead.insert(address, (row.take(3)?, row.take(4)?));
        Ok(())
    })
}

fn points_of((points, seqs): Columns) -> Result<impl Iterator<Item = (Point, i64)>, Error> {
    let (points, seqs) = (decode(points, unpack)?, decode(seqs, unpack_integers)?);
    if points.len() != seqs.len() {
        return Err(damaged("a pack has other numbers than points"));
    }
    Ok(points.into_iter().zip(seqs))
}

/// A point that matches.
struct Hit {
    key: Key,
    at: usize,
    seq: i64,
    point: Point,
}

/// The best points so far: never many more than the limit and those that share the last key.
struct Page {
    limit: usize,
    hits: Vec<Hit>,
    /// Once known: no key above it will be on the page.
    worst: Option<Key>,
    /// The highest key among `hits`.
    highest: Option<Key>,
}

impl Page {
    fn add(&mut self, hit: Hit) {
        if self.worst.is_some_and(|worst| hit.key > worst) {
            return;
        }
        self.highest = self.highest.max(Some(hit.key));
        self.hits.push(hit);
        if self.hits.len() >= self.limit.saturating_mul(2) + 2 * MAX_BEYOND {
            self.prune();
        }
    }

    /// Whether nothing from `next` on can be on the page.
    fn is_done(&mut self, next: Key) -> bool {
        if self.hits.len() < self.limit {
            return false;
        }
        if self.highest.is_some_and(|highest| next > highest) {
            return true;
        }
        if self.hits.len() > self.limit + self.limit / 2 + PACK {
            self.prune();
        }
        self.worst.is_some_and(|worst| next > worst)
    }

    /// Leaves the best `limit` hits and all that share the key of the last of them.
    fn prune(&mut self) {
        if self.hits.len() <= self.limit {
            return;
        }
        let (_, last, _) = self.hits.select_nth_unstable_by_key(self.limit - 1, |hit| hit.key);
        let worst = last.key;
        self.hits.retain(|hit| hit.key <= worst);
        (self.worst, self.highest) = (Some(worst), Some(worst));
        if self.hits.len() > self.limit + MAX_BEYOND {
            self.hits.sort_unstable_by_key(|hit| (hit.key, std::cmp::Reverse(hit.seq)));
            self.hits.truncate(self.limit + MAX_BEYOND);
        }
    }

    fn finish(mut self, descending: bool) -> Vec<Hit> {
        self.prune();
        self.hits.sort_unstable_by_key(|hit| (hit.key, hit.at, if descending { !hit.seq } else { hit.seq }));
        self.hits
    }
}
