//! Runs: rows, and the filters of their list.

use std::collections::BTreeMap;

use runyard_domain::{
    BlueprintId, Millis, ProjectId, RunId,
    progress::Operation,
    run::{Kind, Life, Retries, Run, Status, Stop},
};

use crate::{
    db::{Dialect, Error, Row, Tx, Value},
    params,
};

mod list;
#[cfg(test)]
mod tests;

const COLUMNS: &str = "id, project_id, user_id, created_at, name, version, kind, blueprint_id, task_type, \
    config, resources, spec, executor, priority, labels, notes, progress, progress_updated_at, \
    status, status_updated_at, epoch, has_job, stop_requested_at, stop_deadline, retries_left, retry_on, \
    exit, sequence";

/// Which runs, in which order. An empty list is no condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Any of these.
    pub ids: Vec<RunId>,
    /// In any of these.
    pub project_ids: Vec<ProjectId>,
    /// Made from any of these.
    pub blueprint_ids: Vec<BlueprintId>,
    /// Created by any of these.
    pub user_ids: Vec<String>,
    /// Name like any of these (ILIKE, validated).
    pub name_ilikes: Vec<String>,
    /// Any of these.
    pub versions: Vec<String>,
    /// Any of these.
    pub statuses: Vec<Status>,
    /// Any of these.
    pub task_types: Vec<String>,
    /// Any of these.
    pub kinds: Vec<Kind>,
    /// All of these; without a value: the key with any value.
    pub labels: Vec<(String, Option<String>)>,
    /// Strictly after.
    pub created_after: Option<Millis>,
    /// Strictly before.
    pub created_before: Option<Millis>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<RunId>,
    /// Order.
    pub sort: Sort,
    /// At most this many.
    pub limit: i64,
    /// Leave out this many first.
    pub offset: i64,
}

impl Default for Filter {
    /// The newest ten.
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            project_ids: Vec::new(),
            blueprint_ids: Vec::new(),
            user_ids: Vec::new(),
            name_ilikes: Vec::new(),
            versions: Vec::new(),
            statuses: Vec::new(),
            task_types: Vec::new(),
            kinds: Vec::new(),
            labels: Vec::new(),
            created_after: None,
            created_before: None,
            id_after: None,
            sort: Sort::default(),
            limit: 10,
            offset: 0,
        }
    }
}

/// The order of a list of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub field: SortField,
    /// Highest first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { field: SortField::CreatedAt, descending: true }
    }
}

/// What runs are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// Id.
    Id,
    /// Time of creation: the order of the ids, which begin with it.
    CreatedAt,
}

impl Sort {
    fn direction(self) -> &'static str {
        if self.descending { "DESC" } else { "ASC" }
    }
}

/// The columns that a new run has.
pub(crate) const INSERTED: [&str; 27] = [
    "id",
    "project_id",
    "user_id",
    "created_at",
    "name",
    "version",
    "kind",
    "blueprint_id",
    "task_type",
    "config",
    "resources",
    "spec",
    "source",
    "executor",
    "priority",
    "labels",
    "notes",
    "progress",
    "status",
    "status_updated_at",
    "active",
    "epoch",
    "has_job",
    "retries_left",
    "retry_on",
    "sequence",
    "driver",
];

/// Writes a new run. `driver`: the server that drives it.
///
/// Its id is made from its `created_at`: lists by time are lists by id.
pub fn insert(tx: &mut Tx, run: &Run, driver: &str) -> Result<(), Error> {
    debug_assert_eq!(run.id.time(), run.created_at, "lists by time would not find it in its place");
    let places = (1..=INSERTED.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    let sql = format!("INSERT INTO runs ({}) VALUES ({places})", INSERTED.join(", "));
    tx.execute(&sql, &inserted(run, driver)?)?;
    insert_labels(tx, run.id, &run.labels)
}

/// The values of [`INSERTED`].
pub(crate) fn inserted(run: &Run, driver: &str) -> Result<[Value; INSERTED.len()], Error> {
    Ok([
        run.id.into(),
        run.project_id.into(),
        run.user_id.as_str().into(),
        run.created_at.into(),
        run.name.as_str().into(),
        run.version.as_str().into(),
        run.kind.word().into(),
        run.blueprint_id.map(|id| id.to_string()).into(),
        run.task_type.clone().into(),
        Value::json(&run.config)?,
        Value::json(&run.resources)?,
        Value::json(&run.spec)?,
        run.spec.source.clone().into(),
        run.executor.as_str().into(),
        run.priority.into(),
        Value::json(&run.labels)?,
        run.notes.clone().into(),
        Value::json(&run.progress)?,
        run.life.status.word().into(),
        run.status_updated_at.into(),
        (!run.life.status.is_terminal()).into(),
        run.life.epoch.into(),
        run.life.has_job.into(),
        run.life.retries.left.into(),
        Value::json(&run.life.retries.on)?,
        run.sequence.into(),
        driver.into(),
    ])
}

/// The run with this id.
pub fn get(tx: &mut Tx, id: RunId) -> Result<Option<Run>, Error> {
    tx.query_opt(&format!("SELECT {COLUMNS} FROM runs WHERE id = $1"), params![id])?
        .map(|row| from_row(&row))
        .transpose()
}

/// The run with this id, held against other writers until the end of the transaction.
pub fn lock(tx: &mut Tx, id: RunId) -> Result<Option<Run>, Error> {
    let suffix = tx.dialect().for_update();
    tx.query_opt(&format!("SELECT {COLUMNS} FROM runs WHERE id = $1{suffix}"), params![id])?
        .map(|row| from_row(&row))
        .transpose()
}

/// Runs of a project with exactly this name, the newest first.
pub fn named(tx: &mut Tx, project: ProjectId, name: &str, limit: i64) -> Result<Vec<Run>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM runs WHERE id IN (
            SELECT r.id FROM runs r WHERE r.project_id = $1 AND r.name = $2 ORDER BY r.id DESC LIMIT $3)
          ORDER BY id DESC"
    );
    tx.query(&sql, params![project, name, limit])?.iter().map(from_row).collect()
}

/// Runs that match, in order.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Run>, Error> {
    let (sql, values) = list_query(tx.dialect(), filter);
    tx.query(&sql, &values)?.iter().map(from_row).collect()
}

/// The query behind [`list`], and the values of its placeholders.
pub(crate) fn list_query(dialect: Dialect, filter: &Filter) -> (String, Vec<Value>) {
    let (ids, values) = list::ids(dialect, filter);
    let direction = filter.sort.direction();
    (format!("SELECT {COLUMNS} FROM runs WHERE id IN ({ids}) ORDER BY id {direction}"), values)
}

/// How many runs match, on all pages.
pub fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Error> {
    let filter = Filter { limit: i64::MAX, offset: 0, ..filter.clone() };
    let (ids, values) = list::ids(tx.dialect(), &filter);
    tx.query_one(&format!("SELECT count(*) FROM ({ids}) matching"), &values)?.get(0)
}

/// Writes what a transition changed: life, exit, sequence; and who drives the run from here.
pub fn save_life(tx: &mut Tx, run: &Run) -> Result<(), Error> {
    let life = &run.life;
    let exit = run.exit.as_ref().map(Value::json).transpose()?;
    tx.execute(
        "UPDATE runs SET status = $2, status_updated_at = $3, active = $4, epoch = $5, has_job = $6,
                         stop_requested_at = $7, stop_deadline = $8, retries_left = $9, exit = $10, sequence = $11
          WHERE id = $1",
        params![
            run.id,
            life.status.word(),
            run.status_updated_at.0,
            !life.status.is_terminal(),
            life.epoch,
            life.has_job,
            life.stop.map(|stop| stop.requested_at),
            life.stop.map(|stop| stop.deadline),
            life.retries.left,
            exit,
            run.sequence,
        ],
    )?;
    Ok(())
}

/// Writes what people write on a run: name, notes, labels.
pub fn save_notes(tx: &mut Tx, run: &Run) -> Result<(), Error> {
    tx.execute(
        "UPDATE runs SET name = $2, notes = $3, labels = $4 WHERE id = $1",
        params![run.id, run.name.as_str(), run.notes.clone(), Value::json(&run.labels)?],
    )?;
    tx.execute("DELETE FROM run_labels WHERE run_id = $1", params![run.id])?;
    insert_labels(tx, run.id, &run.labels)
}

/// Writes other resources.
pub fn save_resources(tx: &mut Tx, run: &Run) -> Result<(), Error> {
    tx.execute(
        "UPDATE runs SET resources = $2 WHERE id = $1",
        params![run.id, Value::json(&run.resources)?],
    )?;
    Ok(())
}

/// Replaces the progress of a run.
pub fn save_progress(tx: &mut Tx, id: RunId, progress: &[Operation], now: Millis) -> Result<(), Error> {
    tx.execute(
        "UPDATE runs SET progress = $2, progress_updated_at = $3 WHERE id = $1",
        params![id, Value::json(&progress)?, now.0],
    )?;
    Ok(())
}

/// Deletes the rows of a run itself: labels, events, the run. Jobs, logs and metrics are the caller's.
pub fn delete(tx: &mut Tx, id: RunId) -> Result<(), Error> {
    for table in ["run_labels WHERE run_id", "events WHERE run_id", "runs WHERE id"] {
        tx.execute(&format!("DELETE FROM {table} = $1"), params![id])?;
    }
    Ok(())
}

/// Whether the project has a run.
pub fn exists_in(tx: &mut Tx, project: ProjectId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM runs WHERE project_id = $1 LIMIT 1";
    Ok(tx.query_opt(sql, params![project])?.is_some())
}

/// How many runs are in each status.
pub fn counts(tx: &mut Tx) -> Result<Vec<(Status, i64)>, Error> {
    tx.query("SELECT status, count(*) FROM runs GROUP BY status ORDER BY status", params![])?
        .iter()
        .map(|row| Ok((status(row, 0)?, row.get(1)?)))
        .collect()
}

/// How many active runs are in each status, by executor.
pub fn active_counts(tx: &mut Tx) -> Result<Vec<(String, Status, i64)>, Error> {
    tx.query(
        "SELECT executor, status, count(*) FROM runs WHERE active = 1 GROUP BY executor, status",
        params![],
    )?
    .iter()
    .map(|row| Ok((row.get(0)?, status(row, 1)?, row.get(2)?)))
    .collect()
}

/// `(id, sequence)` of the active runs that this server drives.
pub fn driven(tx: &mut Tx, driver: &str) -> Result<Vec<(RunId, i64)>, Error> {
    tx.query("SELECT id, sequence FROM runs WHERE active = 1 AND driver = $1 ORDER BY id", params![driver])?
        .iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

/// The runs with these ids.
pub fn by_ids(tx: &mut Tx, ids: &[RunId]) -> Result<Vec<Run>, Error> {
    let mut runs = Vec::with_capacity(ids.len());
    for part in ids.chunks(500) {
        let filter = Filter {
            ids: part.to_vec(),
            limit: part.len() as i64,
            sort: Sort { field: SortField::Id, descending: false },
            ..Filter::default()
        };
        runs.append(&mut list(tx, &filter)?);
    }
    Ok(runs)
}

/// Says that this server lives until `until`.
pub fn renew_server(tx: &mut Tx, server: &str, until: Millis) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO servers (id, until) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET until = excluded.until",
        params![server, until.0],
    )?;
    Ok(())
}

/// Takes over active runs without a job whose server is gone; answers how many.
pub fn adopt(tx: &mut Tx, server: &str, now: Millis) -> Result<u64, Error> {
    tx.execute(
        "UPDATE runs SET driver = $1
          WHERE active = 1 AND has_job = 0 AND driver <> $1
            AND NOT EXISTS (SELECT 1 FROM servers s WHERE s.id = runs.driver AND s.until >= $2)",
        params![server, now.0],
    )
}

/// Runs with a job that nobody has heard of since `seen_before`, while the server that looks after them is gone.
pub fn out_of_sight(
    tx: &mut Tx,
    server: &str,
    now: Millis,
    seen_before: Millis,
) -> Result<Vec<(RunId, i64)>, Error> {
    tx.query(
        "SELECT r.id, r.epoch FROM runs r JOIN jobs j ON j.run_id = r.id AND j.epoch = r.epoch
          WHERE r.active = 1 AND r.has_job = 1 AND r.driver <> $1 AND r.status <> 'job_unknown'
            AND coalesce(j.seen_at, j.created_at) < $3
            AND NOT EXISTS (SELECT 1 FROM servers s WHERE s.id = r.driver AND s.until >= $2)
          ORDER BY r.id LIMIT 500",
        params![server, now.0, seen_before.0],
    )?
    .iter()
    .map(|row| Ok((row.get(0)?, row.get(1)?)))
    .collect()
}

fn insert_labels(tx: &mut Tx, id: RunId, labels: &BTreeMap<String, String>) -> Result<(), Error> {
    for (key, value) in labels {
        tx.execute(
            "INSERT INTO run_labels (run_id, key, value) VALUES ($1, $2, $3)",
            params![id, key.as_str(), value.as_str()],
        )?;
    }
    Ok(())
}

fn from_row(row: &Row) -> Result<Run, Error> {
    let kind: String = row.get(6)?;
    let stop = match (row.get::<Option<Millis>>(22)?, row.get::<Option<Millis>>(23)?) {
        (Some(requested_at), Some(deadline)) => Some(Stop { requested_at, deadline }),
        _ => None,
    };
    let life = Life {
        status: status(row, 18)?,
        epoch: row.get(20)?,
        has_job: row.get(21)?,
        stop,
        retries: Retries { left: row.get(24)?, on: row.json(25)? },
    };
    Ok(Run {
        id: row.get(0)?,
        project_id: row.get(1)?,
        user_id: row.get(2)?,
        created_at: row.get(3)?,
        name: row.get(4)?,
        version: row.get(5)?,
        kind: Kind::from_word(&kind).ok_or_else(|| Error::Sql(format!("`{kind}` is not a kind of run")))?,
        blueprint_id: row.get(7)?,
        task_type: row.get(8)?,
        config: row.json(9)?,
        resources: row.json(10)?,
        spec: row.json(11)?,
        executor: row.get(12)?,
        priority: row.get(13)?,
        labels: row.json(14)?,
        notes: row.get(15)?,
        progress: row.json(16)?,
        progress_updated_at: row.get(17)?,
        life,
        status_updated_at: row.get(19)?,
        exit: row.json(26)?,
        sequence: row.get(27)?,
    })
}

/// Column `index` as a status.
pub(crate) fn status(row: &Row, index: usize) -> Result<Status, Error> {
    let word: String = row.get(index)?;
    word.parse().map_err(|error| Error::Sql(format!("column {index}: {error}")))
}
