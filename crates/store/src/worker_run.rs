//! Worker runs, and the counts of their activities. The activities themselves are in `activity.rs`.

use runyard_domain::{
    CorpusId, Millis, ProjectId, RunId, WorkerRunId,
    activity::Counts,
    worker_run::{Mode, Selection},
};
use serde_json::{Map, Value as Json};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

const COLUMNS: &str = "w.id, w.project_id, w.corpus_id, w.run_id, w.summary, w.worker, w.mode, w.configuration, \
    w.worker_configuration, w.user_configuration, w.secrets, w.model_version_id, w.selection, w.max_attempts, \
    w.lease_ms, w.created_at, c.queued, c.started, c.processed, c.error";
const FROM: &str = "worker_runs w JOIN activity_counts c ON c.worker_run_id = w.id";

/// A worker run.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRun {
    /// Id; that of its run, where it has one.
    pub id: WorkerRunId,
    /// Its project.
    pub project_id: ProjectId,
    /// The corpus whose elements it works through.
    pub corpus_id: Option<CorpusId>,
    /// The run that executes it.
    pub run_id: Option<RunId>,
    /// For people.
    pub summary: String,
    /// Name of the worker.
    pub worker: String,
    /// Where the elements come from.
    pub mode: Mode,
    /// What was chosen for this run.
    pub configuration: Map<String, Json>,
    /// What the worker brings.
    pub worker_configuration: Map<String, Json>,
    /// What people may choose, with defaults.
    pub user_configuration: Map<String, Json>,
    /// Names of secrets that the worker asks for.
    pub secrets: Vec<String>,
    /// The model version that it works with.
    pub model_version_id: Option<String>,
    /// Which elements.
    pub selection: Selection,
    /// How often an element may be lost by its worker until it is set aside.
    pub max_attempts: i64,
    /// How long a lease lives when the worker says nothing else.
    pub lease_ms: i64,
    /// When.
    pub created_at: Millis,
    /// How many activities are in each state.
    pub counts: Counts,
}

/// Which worker runs, the newest first.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these.
    pub ids: Vec<WorkerRunId>,
    /// In any of these projects.
    pub project_ids: Vec<ProjectId>,
    /// On any of these corpora.
    pub corpus_ids: Vec<CorpusId>,
    /// What follows this id.
    pub id_after: Option<WorkerRunId>,
    /// At most this many.
    pub limit: i64,
}

/// What those who change activities must know and keep, held against other writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// The worker run.
    pub id: WorkerRunId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its corpus.
    pub corpus_id: Option<CorpusId>,
    /// See [`WorkerRun`].
    pub max_attempts: i64,
    /// See [`WorkerRun`].
    pub lease_ms: i64,
    /// How many activities are in each state.
    pub counts: Counts,
    /// No lease runs out before; `None`: none can.
    pub lease_floor: Option<Millis>,
}

/// Writes a new worker run; its counts begin at 0. `false`: there is one with this id, and nothing is written.
pub fn insert(tx: &mut Tx, run: &WorkerRun) -> Result<bool, Error> {
    let written = tx.execute(
        "INSERT INTO worker_runs (id, project_id, corpus_id, run_id, summary, worker, mode, configuration,
                                  worker_configuration, user_configuration, secrets, model_version_id, selection,
                                  max_attempts, lease_ms, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
             ON CONFLICT (id) DO NOTHING",
        params![
            run.id,
            run.project_id,
            run.corpus_id,
            run.run_id,
            &run.summary,
            &run.worker,
            run.mode.word(),
            Value::json(&run.configuration)?,
            Value::json(&run.worker_configuration)?,
            Value::json(&run.user_configuration)?,
            Value::json(&run.secrets)?,
            run.model_version_id.clone(),
            Value::json(&run.selection)?,
            run.max_attempts,
            run.lease_ms,
            run.created_at,
        ],
    )?;
    if written == 0 {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO activity_counts (worker_run_id, queued, started, processed, error) VALUES ($1, 0, 0, 0, 0)",
        params![run.id],
    )?;
    Ok(true)
}

/// The worker run with this id.
pub fn get(tx: &mut Tx, id: WorkerRunId) -> Result<Option<WorkerRun>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE w.id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| from_row(&row)).transpose()
}

/// Worker runs that match, the newest first.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<WorkerRun>, Error> {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.any_of(dialect, "w.id", filter.ids.iter().copied());
    conditions.any_of(dialect, "w.project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "w.corpus_id", filter.corpus_ids.iter().copied());
    if let Some(after) = filter.id_after {
        let place = conditions.bind(after);
        conditions.and(format!("w.id < {place}"));
    }
    let limit = conditions.bind(filter.limit);
    let clause = conditions.clause();
    let sql = format!("SELECT {COLUMNS} FROM {FROM}{clause} ORDER BY w.id DESC LIMIT {limit}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// What those who change activities of a worker run must know, held until the end of the transaction; `None`: there is no
/// such worker run.
pub fn lock(tx: &mut Tx, id: WorkerRunId) -> Result<Option<Ledger>, Error> {
    let lock = tx.dialect().for_update();
    let sql = format!(
        "SELECT queued, started, processed, error, lease_floor FROM activity_counts WHERE worker_run_id = $1{lock}"
    );
    let Some(counts) = tx.query_opt(&sql, params![id])? else { return Ok(None) };
    let sql = "SELECT project_id, corpus_id, max_attempts, lease_ms FROM worker_runs WHERE id = $1";
    let Some(run) = tx.query_opt(sql, params![id])? else { return Ok(None) };
    Ok(Some(Ledger {
        id,
        project_id: run.get(0)?,
        corpus_id: run.get(1)?,
        max_attempts: run.get(2)?,
        lease_ms: run.get(3)?,
        counts: counts_of(&counts, 0)?,
        lease_floor: counts.get(4)?,
    }))
}

/// Writes counts and floor as they are now.
pub fn save(tx: &mut Tx, ledger: &Ledger) -> Result<(), Error> {
    let Counts { queued, started, processed, error } = ledger.counts;
    tx.execute(
        "UPDATE activity_counts SET queued = $2, started = $3, processed = $4, error = $5, lease_floor = $6
          WHERE worker_run_id = $1",
        params![ledger.id, queued, started, processed, error, ledger.lease_floor],
    )?;
    Ok(())
}

/// Whether the project has a worker run.
pub fn exists_in(tx: &mut Tx, project: ProjectId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM worker_runs WHERE project_id = $1 LIMIT 1";
    Ok(tx.query_opt(sql, params![project])?.is_some())
}

/// The worker runs on a corpus.
pub fn of_corpus(tx: &mut Tx, corpus: CorpusId) -> Result<Vec<WorkerRunId>, Error> {
    let sql = "SELECT id FROM worker_runs WHERE corpus_id = $1 ORDER BY id";
    tx.query(sql, params![corpus])?.iter().map(|row| row.get(0)).collect()
}

/// Deletes a worker run; whether there was one. Its activities, which nobody can reach any more, are noted as garbage
/// ([`crate::activity::delete_some`]); what it found stays.
pub fn delete(tx: &mut Tx, id: WorkerRunId, now: Millis) -> Result<bool, Error> {
    // The counts first: that is where other writers wait.
    tx.execute("DELETE FROM activity_counts WHERE worker_run_id = $1", params![id])?;
    let there = tx.execute("DELETE FROM worker_runs WHERE id = $1", params![id])? > 0;
    if there {
        crate::source::discard_activities(tx, id, now)?;
    }
    Ok(there)
}

fn counts_of(row: &Row, first: usize) -> Result<Counts, Error> {
    Ok(Counts {
        queued: row.get(first)?,
        started: row.get(first + 1)?,
        processed: row.get(first + 2)?,
        error: row.get(first + 3)?,
    })
}

fn from_row(row: &Row) -> Result<WorkerRun, Error> {
    let mode: String = row.get(6)?;
    Ok(WorkerRun {
        id: row.get(0)?,
        project_id: row.get(1)?,
        corpus_id: row.get(2)?,
        run_id: row.get(3)?,
        summary: row.get(4)?,
        worker: row.get(5)?,
        mode: Mode::from_word(&mode)
            .ok_or_else(|| Error::Sql(format!("`{mode}` is not a mode of a worker run")))?,
        configuration: row.json(7)?,
        worker_configuration: row.json(8)?,
        user_configuration: row.json(9)?,
        secrets: row.json(10)?,
        model_version_id: row.get(11)?,
        selection: row.json(12)?,
        max_attempts: row.get(13)?,
        lease_ms: row.get(14)?,
        created_at: row.get(15)?,
        counts: counts_of(row, 16)?,
    })
}
