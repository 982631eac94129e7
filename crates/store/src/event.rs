//! Events: appended with a transition, never changed.

use runyard_domain::{
    Millis, RunId,
    run::{Entry, Event},
};

use crate::{
    db::{Error, Row, Tx, Value},
    params,
};

const COLUMNS: &str = "run_id, sequence, created_at, status, details";

/// Appends an entry under `sequence`, which must be the next one.
pub fn append(tx: &mut Tx, run: RunId, sequence: i64, entry: &Entry, now: Millis) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO events (run_id, sequence, created_at, status, details) VALUES ($1, $2, $3, $4, $5)",
        params![run, sequence, now.0, entry.status.word(), Value::json(&entry.details)?],
    )?;
    Ok(())
}

/// A page of a run's events by sequence.
pub fn list(tx: &mut Tx, run: RunId, descending: bool, limit: i64, offset: i64) -> Result<Vec<Event>, Error> {
    let direction = if descending { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE run_id = $1 ORDER BY sequence {direction} LIMIT $2 OFFSET $3"
    );
    tx.query(&sql, params![run, limit, offset])?.iter().map(from_row).collect()
}

/// Events after `sequence`, oldest first.
pub fn after(tx: &mut Tx, run: RunId, sequence: i64, limit: i64) -> Result<Vec<Event>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE run_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"
    );
    tx.query(&sql, params![run, sequence, limit])?.iter().map(from_row).collect()
}

/// The sequence of the restart that began this epoch; 0 for the first one, `None` when it has not begun.
pub fn restart(tx: &mut Tx, run: RunId, epoch: i64) -> Result<Option<i64>, Error> {
    if epoch <= 1 {
        return Ok(Some(0));
    }
    let row = tx.query_opt(
        // A warning has the status that it found.
        "SELECT sequence FROM events WHERE run_id = $1 AND status = 'run_restart_requested'
            AND details NOT LIKE '{\"warning\":%'
          ORDER BY sequence LIMIT 1 OFFSET $2",
        params![run, epoch - 2],
    )?;
    row.map(|row| row.get(0)).transpose()
}

fn from_row(row: &Row) -> Result<Event, Error> {
    Ok(Event {
        run_id: row.get(0)?,
        sequence: row.get(1)?,
        created_at: row.get(2)?,
        status: crate::run::status(row, 3)?,
        details: row.json(4)?,
    })
}

#[cfg(test)]
mod tests {
    use runyard_domain::run::Status;
    use serde_json::{Map, json};

    use super::*;
    use crate::both;

    both! {
        async fn a_warning_in_a_restart_is_no_restart(db) {
            let run = RunId::new(Millis(1), [1; 10]);
            let entry = |status, details: serde_json::Value| Entry {
                status,
                details: details.as_object().cloned().unwrap_or_else(Map::new),
            };
            let entries = [
                entry(Status::RunCreated, json!({"by": "ann"})),
                entry(Status::RunRestartRequested, json!({"by": "ann"})),
                entry(Status::RunRestartRequested, json!({"warning": "no spot here"})),
                entry(Status::RunRestartRequested, json!({"by": "ann"})),
            ];
            let found = db.write(move |tx| {
                for (index, entry) in entries.iter().enumerate() {
                    append(tx, run, index as i64 + 1, entry, Millis(1))?;
                }
                Ok::<_, Error>([restart(tx, run, 2)?, restart(tx, run, 3)?, restart(tx, run, 4)?])
            });
            assert_eq!(found.await.unwrap(), [Some(2), Some(4), None]);
        }
    }
}
