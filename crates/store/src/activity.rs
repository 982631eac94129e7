//! Activities: one row per element of a worker run. What may follow what is `domain::activity::apply`; here the same is done to
//! many rows at once. Callers hold the worker run's ledger and keep its counts.

use std::collections::BTreeSet;

use runyard_domain::{
    ElementId, Millis, WorkerRunId,
    activity::{Activity, Counts, Lease, Outcome, State},
};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

mod select;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use select::select_into_set;
pub use select::{SelectFrom, elements_of, select};

const COLUMNS: &str = "element_id, state, attempt, lost, holder, lease_until";

/// An activity and its element's id.
pub type Found = (ElementId, Activity);

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The element.
    pub element_id: ElementId,
    /// State, attempt, lease.
    pub activity: Activity,
    /// Why it failed.
    pub error: Option<String>,
    /// When it changed last.
    pub updated_at: Millis,
    /// Slug of the element's type, and its name; `None`: the element was deleted.
    pub element: Option<(String, String)>,
}

/// Which activities of a worker run, in the order of the elements' ids.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these states.
    pub states: Vec<State>,
    /// Of any of these elements.
    pub elements: Vec<ElementId>,
    /// Of elements of any of these types.
    pub types: Vec<String>,
    /// Of elements with a name like any of these (ILIKE, validated).
    pub name_ilikes: Vec<String>,
    /// What follows this element.
    pub id_after: Option<ElementId>,
    /// At most this many.
    pub limit: i64,
}

/// The first queued activities in the order of the elements.
pub fn queued(tx: &mut Tx, run: WorkerRunId, limit: i64) -> Result<Vec<Found>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM activities WHERE worker_run_id = $1 AND state = 'queued'
          ORDER BY element_id LIMIT $2"
    );
    tx.query(&sql, params![run, limit])?.iter().map(from_row).collect()
}

/// The first activities whose lease ran out before `now`, in the order of the elements.
pub fn expired(tx: &mut Tx, run: WorkerRunId, now: Millis, limit: i64) -> Result<Vec<Found>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM activities
          WHERE worker_run_id = $1 AND state = 'started' AND lease_until < $2 ORDER BY element_id LIMIT $3"
    );
    tx.query(&sql, params![run, now, limit])?.iter().map(from_row).collect()
}

/// When the first lease runs out.
pub fn first_expiry(tx: &mut Tx, run: WorkerRunId) -> Result<Option<Millis>, Error> {
    let sql = "SELECT min(lease_until) FROM activities WHERE worker_run_id = $1 AND state = 'started'";
    tx.query_one(sql, params![run])?.get(0)
}

/// The activities of these elements, in no order; those that are none of this worker run are left out.
pub fn by_elements(tx: &mut Tx, run: WorkerRunId, elements: &[ElementId]) -> Result<Vec<Found>, Error> {
    let rows = tx.query_in(params![run], &values(elements), |places| {
        format!("SELECT {COLUMNS} FROM activities WHERE worker_run_id = $1 AND element_id IN ({places})")
    })?;
    rows.iter().map(from_row).collect()
}

/// The activity of an element.
pub fn get(tx: &mut Tx, run: WorkerRunId, element: ElementId) -> Result<Option<Activity>, Error> {
    Ok(by_elements(tx, run, &[element])?.pop().map(|(_, activity)| activity))
}

/// Hands these out, which are queued or have an expired lease: the attempt rises.
pub fn hand_out(
    tx: &mut Tx,
    run: WorkerRunId,
    elements: &[ElementId],
    lease: &Lease,
    now: Millis,
) -> Result<(), Error> {
    let first = params![run, &lease.holder, lease.until, now];
    tx.execute_in(first, &values(elements), |places| {
        format!(
            "UPDATE activities
                SET lost = lost + CASE WHEN state = 'started' THEN 1 ELSE 0 END, state = 'started',
                    attempt = attempt + 1, holder = $2, lease_until = $3, error = NULL, updated_at = $4
              WHERE worker_run_id = $1 AND element_id IN ({places})"
        )
    })?;
    Ok(())
}

/// Marks these as done: what was accepted of a commit.
pub fn process(tx: &mut Tx, run: WorkerRunId, elements: &[ElementId], now: Millis) -> Result<(), Error> {
    tx.execute_in(params![run, now], &values(elements), |places| {
        format!(
            "UPDATE activities SET state = 'processed', lost = 0, holder = NULL, lease_until = NULL, error = NULL,
                                   updated_at = $2
              WHERE worker_run_id = $1 AND element_id IN ({places})"
        )
    })?;
    Ok(())
}

/// Writes one activity as it is.
pub fn save(
    tx: &mut Tx,
    run: WorkerRunId,
    element: ElementId,
    activity: &Activity,
    error: Option<&str>,
    now: Millis,
) -> Result<(), Error> {
    let lease = activity.lease.as_ref();
    tx.execute(
        "UPDATE activities SET state = $3, attempt = $4, lost = $5, holder = $6, lease_until = $7, error = $8,
                               updated_at = $9
          WHERE worker_run_id = $1 AND element_id = $2",
        params![
            run,
            element,
            activity.state.word(),
            activity.attempt,
            activity.lost,
            lease.map(|lease| lease.holder.as_str()),
            lease.map(|lease| lease.until),
            error,
            now
        ],
    )?;
    Ok(())
}

/// The first elements that a holder has started.
pub fn held(tx: &mut Tx, run: WorkerRunId, holder: &str, limit: i64) -> Result<Vec<ElementId>, Error> {
    let sql = "SELECT element_id FROM activities WHERE worker_run_id = $1 AND holder = $2 AND state = 'started' LIMIT $3";
    tx.query(sql, params![run, holder, limit])?.iter().map(|row| row.get(0)).collect()
}

/// Makes the leases of a holder reach until `until` at least; answers how many it has. As all that changes activities, under the
/// ledger: a claim that saw a lease run out must not take what was renewed since.
pub fn renew(tx: &mut Tx, run: WorkerRunId, holder: &str, until: Millis) -> Result<i64, Error> {
    crate::worker_run::lock(tx, run)?;
    tx.execute(
        "UPDATE activities SET lease_until = $3
          WHERE worker_run_id = $1 AND state = 'started' AND holder = $2 AND lease_until < $3",
        params![run, holder, until],
    )?;
    let sql =
        "SELECT count(*) FROM activities WHERE worker_run_id = $1 AND state = 'started' AND holder = $2";
    tx.query_one(sql, params![run, holder])?.get(0)
}

/// Puts what a holder has (all of it, or of these elements) back to the queue; answers how many.
pub fn release(
    tx: &mut Tx,
    run: WorkerRunId,
    holder: &str,
    elements: Option<&[ElementId]>,
    now: Millis,
) -> Result<i64, Error> {
    let mut conditions = Conditions::default();
    let at = conditions.bind(now);
    conditions.equal("worker_run_id", run);
    conditions.equal("holder", holder);
    conditions.and("state = 'started'");
    if !only(tx, &mut conditions, elements) {
        return Ok(0);
    }
    let sql = format!(
        "UPDATE activities SET state = 'queued', holder = NULL, lease_until = NULL, updated_at = {at}{}",
        conditions.clause()
    );
    Ok(tx.execute(&sql, conditions.values())? as i64)
}

/// What became of the elements of holders that are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Queued again.
    pub queued: i64,
    /// Lost once too often.
    pub set_aside: i64,
}

/// Takes everything from the holders whose names begin with `prefix` and a `/`. `died`: it counts against the elements, and
/// those that were lost `max_attempts` times are set aside with the reason.
pub fn lose(
    tx: &mut Tx,
    run: WorkerRunId,
    prefix: &str,
    died: Option<(i64, &str)>,
    now: Millis,
) -> Result<Lost, Error> {
    let (from, to) = (format!("{prefix}/"), format!("{prefix}0"));
    lose_held(tx, run, "holder >= $2 AND holder < $3", (&from, &to), died, now)
}

/// The same with one holder that died: with all that it has, or with one of its elements.
pub fn lose_of(
    tx: &mut Tx,
    run: WorkerRunId,
    holder: &str,
    element: Option<ElementId>,
    died: (i64, &str),
    now: Millis,
) -> Result<Lost, Error> {
    let held = match element {
        None => "holder >= $2 AND holder <= $3".to_owned(),
        // An id is hexadecimal digits and dashes.
        Some(id) => format!("holder >= $2 AND holder <= $3 AND element_id = '{id}'"),
    };
    lose_held(tx, run, &held, (holder, holder), Some(died), now)
}

fn lose_held(
    tx: &mut Tx,
    run: WorkerRunId,
    holders: &str,
    (from, to): (&str, &str),
    died: Option<(i64, &str)>,
    now: Millis,
) -> Result<Lost, Error> {
    let held = format!("worker_run_id = $1 AND state = 'started' AND {holders}");
    let mut lost = Lost::default();
    if let Some((max_attempts, reason)) = died {
        let sql = format!(
            "UPDATE activities SET state = 'error', attempt = attempt + 1, lost = lost + 1, holder = NULL,
                                   lease_until = NULL, error = $5, updated_at = $4
              WHERE {held} AND lost + 1 >= $6"
        );
        let values = params![run, from, to, now, reason, max_attempts];
        lost.set_aside = tx.execute(&sql, values)? as i64;
    }
    let sql = format!(
        "UPDATE activities SET state = 'queued', lost = lost + $5, holder = NULL, lease_until = NULL, updated_at = $4
          WHERE {held}"
    );
    lost.queued = tx.execute(&sql, params![run, from, to, now, died.is_some()])? as i64;
    Ok(lost)
}

/// Puts what ended like this (all of it, or of these elements) back to the queue; answers how many. `reset`: earlier losses are
/// forgotten.
pub fn retry(
    tx: &mut Tx,
    run: WorkerRunId,
    outcome: Outcome,
    elements: Option<&[ElementId]>,
    reset: bool,
    now: Millis,
) -> Result<i64, Error> {
    let mut conditions = Conditions::default();
    let at = conditions.bind(now);
    conditions.equal("worker_run_id", run);
    conditions.equal("state", outcome.state().word());
    if !only(tx, &mut conditions, elements) {
        return Ok(0);
    }
    let lost = if reset { "0" } else { "lost" };
    let sql = format!(
        "UPDATE activities SET state = 'queued', lost = {lost}, error = NULL, updated_at = {at}{}",
        conditions.clause()
    );
    Ok(tx.execute(&sql, conditions.values())? as i64)
}

/// Activities that match, in the order of the elements' ids.
pub fn list(tx: &mut Tx, run: WorkerRunId, filter: &Filter) -> Result<Vec<Listed>, Error> {
    let (sql, values) = list_query(tx, run, filter);
    tx.query(&sql, &values)?
        .iter()
        .map(|row| {
            let (element_id, activity) = from_row(row)?;
            let (of_type, name): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
            Ok(Listed {
                element_id,
                activity,
                error: row.get(6)?,
                updated_at: row.get(7)?,
                element: of_type.zip(name),
            })
        })
        .collect()
}

/// The query behind [`list`]. Of several states each is a range of the index, walked side by side: together they would be
/// looked for in all rows.
pub(crate) fn list_query(tx: &Tx, run: WorkerRunId, filter: &Filter) -> (String, Vec<Value>) {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.equal("a.worker_run_id", run);
    conditions.any_of(dialect, "a.element_id", filter.elements.iter().copied());
    conditions.any_of(dialect, "e.type", &filter.types);
    conditions.ilike_any(dialect, "e.name", &filter.name_ilikes);
    if let Some(after) = filter.id_after {
        let place = conditions.bind(after);
        conditions.and(format!("a.element_id > {place}"));
    }
    let limit = conditions.bind(filter.limit);
    let walk = |state: Option<State>| {
        let mut walk = conditions.clone();
        walk.and(state.map_or("1 = 1".to_owned(), |state| format!("a.state = '{}'", state.word())));
        format!(
            "SELECT a.element_id, a.state, a.attempt, a.lost, a.holder, a.lease_until, a.error, a.updated_at,
                    e.type, e.name
               FROM activities a LEFT JOIN elements e ON e.id = a.element_id{}
              ORDER BY a.element_id LIMIT {limit}",
            walk.clause()
        )
    };
    let states: BTreeSet<State> = filter.states.iter().copied().collect();
    let walks: Vec<String> = if states.is_empty() || states.len() == State::ALL.len() {
        vec![walk(None)]
    } else {
        states.into_iter().map(|state| walk(Some(state))).collect()
    };
    let sql = match walks.as_slice() {
        [one] => one.clone(),
        several => {
            let parts = several.iter().enumerate().map(|(n, walk)| format!("SELECT * FROM ({walk}) w{n}"));
            let all = parts.collect::<Vec<_>>().join(" UNION ALL ");
            format!("SELECT * FROM ({all}) merged ORDER BY element_id LIMIT {limit}")
        }
    };
    (sql, conditions.values().to_vec())
}

/// Counts the rows themselves: what the ledger must say.
pub fn count(tx: &mut Tx, run: WorkerRunId) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let sql = "SELECT state, count(*) FROM activities WHERE worker_run_id = $1 GROUP BY state";
    for row in tx.query(sql, params![run])? {
        *counts.of_mut(state(&row, 0)?) = row.get(1)?;
    }
    Ok(counts)
}

/// Deletes some activities of a worker run that is gone; answers how many.
pub fn delete_some(tx: &mut Tx, run: WorkerRunId, limit: i64) -> Result<i64, Error> {
    let sql = "DELETE FROM activities WHERE worker_run_id = $1 AND element_id IN (
                   SELECT element_id FROM activities WHERE worker_run_id = $1 ORDER BY element_id LIMIT $2)";
    Ok(tx.execute(sql, params![run, limit])? as i64)
}

fn values(elements: &[ElementId]) -> Vec<Value> {
    elements.iter().map(|id| Value::from(*id)).collect()
}

/// Adds the condition that it is one of these; `false`: it cannot be.
fn only(tx: &Tx, conditions: &mut Conditions, elements: Option<&[ElementId]>) -> bool {
    if let Some(elements) = elements {
        conditions.any_of(tx.dialect(), "element_id", elements.iter().copied());
    }
    elements.is_none_or(|elements| !elements.is_empty())
}

fn state(row: &Row, index: usize) -> Result<State, Error> {
    let word: String = row.get(index)?;
    word.parse().map_err(|error| Error::Sql(format!("column {index}: {error}")))
}

fn from_row(row: &Row) -> Result<Found, Error> {
    let lease = match (row.get(4)?, row.get(5)?) {
        (Some(holder), Some(until)) => Some(Lease { holder, until }),
        _ => None,
    };
    Ok((row.get(0)?, Activity { state: state(row, 1)?, attempt: row.get(2)?, lost: row.get(3)?, lease }))
}
