//! Jobs: one row per attempt at a run, with the lengths of its streams.

use runyard_domain::{
    JobId, Millis, RunId,
    job::{Exit, Stream, StreamLengths},
    run::Job,
};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

const COLUMNS: &str = "id, run_id, epoch, executor, created_at, started_at, seen_at, ended_at, exit, \
    logs_len, records_len, system_len";

/// Writes a new job. The same job again changes nothing.
pub fn insert(tx: &mut Tx, job: &Job) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO jobs (id, run_id, epoch, executor, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (run_id, epoch) DO NOTHING",
        params![job.id, job.run_id, job.epoch, job.executor.as_str(), job.created_at.0],
    )?;
    Ok(())
}

/// The job with this id.
pub fn get(tx: &mut Tx, id: JobId) -> Result<Option<Job>, Error> {
    tx.query_opt(&format!("SELECT {COLUMNS} FROM jobs WHERE id = $1"), params![id])?
        .map(|row| from_row(&row))
        .transpose()
}

/// The job of this epoch of a run.
pub fn by_epoch(tx: &mut Tx, run: RunId, epoch: i64) -> Result<Option<Job>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE run_id = $1 AND epoch = $2");
    tx.query_opt(&sql, params![run, epoch])?.map(|row| from_row(&row)).transpose()
}

/// The jobs of a run, newest first.
pub fn list(tx: &mut Tx, run: RunId) -> Result<Vec<Job>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE run_id = $1 ORDER BY epoch DESC");
    tx.query(&sql, params![run])?.iter().map(from_row).collect()
}

/// Those of the jobs that are their run's current attempt while the run has not ended. Unknown ones are none.
pub fn still_needed(tx: &mut Tx, jobs: &[JobId]) -> Result<Vec<JobId>, Error> {
    let mut needed = Vec::new();
    for jobs in jobs.chunks(500) {
        let dialect = tx.dialect();
        let mut conditions = Conditions::default();
        conditions.any_of(dialect, "j.id", jobs.iter().copied());
        let sql = format!(
            "SELECT j.id FROM jobs j JOIN runs r ON r.id = j.run_id AND r.epoch = j.epoch AND r.active = 1{}",
            conditions.clause()
        );
        for row in tx.query(&sql, conditions.values())? {
            needed.push(row.get(0)?);
        }
    }
    Ok(needed)
}

/// The runner was heard of; the first time it has reported in.
pub fn seen(tx: &mut Tx, id: JobId, now: Millis, host: Option<&str>) -> Result<(), Error> {
    tx.execute(
        "UPDATE jobs SET seen_at = $2, started_at = coalesce(started_at, $2), host = coalesce($3, host)
          WHERE id = $1",
        params![id, now.0, host.map(str::to_owned)],
    )?;
    Ok(())
}

/// Notes that `length` bytes of a stream are stored.
pub fn set_length(tx: &mut Tx, id: JobId, stream: Stream, length: i64) -> Result<(), Error> {
    let column = match stream {
        Stream::Logs => "logs_len",
        Stream::Records => "records_len",
        Stream::System => "system_len",
    };
    tx.execute(&format!("UPDATE jobs SET {column} = $2 WHERE id = $1"), params![id, length])?;
    Ok(())
}

/// Notes how and when the job ended; what was noted first stays.
pub fn end(tx: &mut Tx, id: JobId, exit: &Exit, now: Millis) -> Result<(), Error> {
    tx.execute(
        "UPDATE jobs SET ended_at = coalesce(ended_at, $2), exit = coalesce(exit, $3) WHERE id = $1",
        params![id, now.0, Value::json(exit)?],
    )?;
    Ok(())
}

/// Deletes the jobs of a run; their logs are the caller's.
pub fn delete_run(tx: &mut Tx, run: RunId) -> Result<(), Error> {
    tx.execute("DELETE FROM jobs WHERE run_id = $1", params![run])?;
    Ok(())
}

fn from_row(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        id: row.get(0)?,
        run_id: row.get(1)?,
        epoch: row.get(2)?,
        executor: row.get(3)?,
        created_at: row.get(4)?,
        started_at: row.get(5)?,
        seen_at: row.get(6)?,
        ended_at: row.get(7)?,
        exit: row.json(8)?,
        lengths: StreamLengths { logs: row.get(9)?, records: row.get(10)?, system: row.get(11)? },
    })
}
