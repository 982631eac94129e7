//! Checkpoints and artifacts: rows of sets, and the filters of their list. Their files are in `file.rs`.

use runyard_domain::{
    FileSetId, JobId, Millis, ProjectId, RunId,
    checkpoint::{Kind, Status},
};

use crate::{
    db::{Conditions, Error, Row, Tx},
    params,
    run::Sort,
};

pub mod file;
#[cfg(test)]
mod tests;

const COLUMNS: &str = "id, kind, run_id, project_id, job_id, epoch, source_key, name, type, global_step, path, \
    status, status_updated_at, reason, created_at, size, files, key_prefix";
/// What is being uploaded, in the words of the index.
const OPEN: &str = "status = 'incomplete' AND reason IS NULL";

/// A checkpoint or an artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSet {
    /// Id.
    pub id: FileSetId,
    /// Which of the two.
    pub kind: Kind,
    /// Its run.
    pub run_id: RunId,
    /// The run's project.
    pub project_id: ProjectId,
    /// The job that saved it.
    pub job_id: JobId,
    /// The job's epoch.
    pub epoch: i64,
    /// What tells it from the run's others of its kind.
    pub source_key: String,
    /// Of an artifact: its name.
    pub name: Option<String>,
    /// Of an artifact: what sort of thing.
    pub of_type: Option<String>,
    /// Of a checkpoint: its step.
    pub global_step: Option<i64>,
    /// The folder, as the program named it.
    pub path: Option<String>,
    /// Status.
    pub status: Status,
    /// When it was reached.
    pub status_updated_at: Millis,
    /// Why it was given up, if it was.
    pub reason: Option<String>,
    /// When.
    pub created_at: Millis,
    /// Bytes of all files that were announced.
    pub size: i64,
    /// Files that were announced.
    pub files: i64,
    /// What the keys of its objects begin with; ends with `/`.
    pub key_prefix: String,
}

/// Which sets, in which order. An empty list is no condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Of this kind.
    pub kind: Kind,
    /// Any of these.
    pub ids: Vec<FileSetId>,
    /// Of any of these runs.
    pub run_ids: Vec<RunId>,
    /// In any of these projects.
    pub project_ids: Vec<ProjectId>,
    /// Any of these steps.
    pub global_steps: Vec<i64>,
    /// Any of these names.
    pub names: Vec<String>,
    /// Any of these types.
    pub types: Vec<String>,
    /// Any of these.
    pub statuses: Vec<Status>,
    /// Strictly after.
    pub created_after: Option<Millis>,
    /// Strictly before.
    pub created_before: Option<Millis>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<FileSetId>,
    /// Order.
    pub sort: Sort,
    /// At most this many.
    pub limit: i64,
    /// Leave out this many first.
    pub offset: i64,
}

impl Filter {
    /// The newest ten of a kind.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            ids: Vec::new(),
            run_ids: Vec::new(),
            project_ids: Vec::new(),
            global_steps: Vec::new(),
            names: Vec::new(),
            types: Vec::new(),
            statuses: Vec::new(),
            created_after: None,
            created_before: None,
            id_after: None,
            sort: Sort::default(),
            limit: 10,
            offset: 0,
        }
    }
}

/// Writes a new set.
pub fn insert(tx: &mut Tx, set: &FileSet) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO file_sets (id, kind, run_id, project_id, job_id, epoch, source_key, name, type, global_step, path,
                                status, status_updated_at, reason, created_at, size, files, key_prefix)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        params![
            set.id,
            set.kind.word(),
            set.run_id,
            set.project_id,
            set.job_id,
            set.epoch,
            set.source_key.as_str(),
            set.name.clone(),
            set.of_type.clone(),
            set.global_step,
            set.path.clone(),
            set.status.word(),
            set.status_updated_at,
            set.reason.clone(),
            set.created_at,
            set.size,
            set.files,
            set.key_prefix.as_str(),
        ],
    )?;
    Ok(())
}

/// The set with this id, deleted or not.
pub fn get(tx: &mut Tx, id: FileSetId) -> Result<Option<FileSet>, Error> {
    tx.query_opt(&format!("SELECT {COLUMNS} FROM file_sets WHERE id = $1"), params![id])?
        .map(|row| from_row(&row))
        .transpose()
}

/// What was made of this source, deleted or not.
pub fn by_source(tx: &mut Tx, run: RunId, kind: Kind, source_key: &str) -> Result<Option<FileSet>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM file_sets WHERE run_id = $1 AND kind = $2 AND source_key = $3");
    tx.query_opt(&sql, params![run, kind.word(), source_key])?.map(|row| from_row(&row)).transpose()
}

/// Sets that match, in order; deleted ones never do.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<FileSet>, Error> {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.equal("kind", filter.kind.word());
    conditions.and("status <> 'deleted'");
    conditions.any_of(dialect, "id", filter.ids.iter().copied());
    conditions.any_of(dialect, "run_id", filter.run_ids.iter().copied());
    conditions.any_of(dialect, "project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "global_step", filter.global_steps.iter().copied());
    conditions.any_of(dialect, "name", &filter.names);
    conditions.any_of(dialect, "type", &filter.types);
    conditions.any_of(dialect, "status", filter.statuses.iter().map(|status| status.word()));
    if let Some(after) = filter.created_after {
        let place = conditions.bind(after);
        conditions.and(format!("created_at > {place}"));
    }
    if let Some(before) = filter.created_before {
        let place = conditions.bind(before);
        conditions.and(format!("created_at < {place}"));
    }
    let place = (filter.limit, filter.offset);
    let page = conditions.page("id", Some("file_sets"), filter.sort, filter.id_after, place);
    let sql = format!("SELECT {COLUMNS} FROM file_sets{page}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Writes what changes in a set's life: status, reason, size, number of files.
pub fn save(tx: &mut Tx, set: &FileSet) -> Result<(), Error> {
    tx.execute(
        "UPDATE file_sets SET status = $2, status_updated_at = $3, reason = $4, size = $5, files = $6 WHERE id = $1",
        params![
            set.id,
            set.status.word(),
            set.status_updated_at,
            set.reason.clone(),
            set.size,
            set.files
        ],
    )?;
    Ok(())
}

/// All complete checkpoints of a run, the newest first.
pub fn complete_checkpoints(tx: &mut Tx, run: RunId) -> Result<Vec<FileSet>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM file_sets WHERE run_id = $1 AND kind = 'checkpoint' AND status = 'complete'
          ORDER BY created_at DESC, id DESC"
    );
    tx.query(&sql, params![run])?.iter().map(from_row).collect()
}

/// What jobs of a run up to an epoch are uploading.
pub fn open_until(tx: &mut Tx, run: RunId, epoch: i64) -> Result<Vec<FileSet>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM file_sets WHERE run_id = $1 AND epoch <= $2 AND {OPEN}");
    tx.query(&sql, params![run, epoch])?.iter().map(from_row).collect()
}

/// Uploads that nobody goes on with: their job was superseded, or their run ended and they are older than `before`.
pub fn deserted(tx: &mut Tx, before: Millis, limit: i64) -> Result<Vec<FileSet>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM file_sets
          WHERE {OPEN} AND EXISTS (
                SELECT 1 FROM runs r
                 WHERE r.id = file_sets.run_id
                   AND (r.epoch > file_sets.epoch OR (r.active = 0 AND file_sets.created_at < $1)))
          ORDER BY id LIMIT $2"
    );
    tx.query(&sql, params![before, limit])?.iter().map(from_row).collect()
}

/// Notes a loose file of a run that may arrive from now on, in place of one with its path.
pub fn note_loose(tx: &mut Tx, run: RunId, path: &str, size: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO loose_files (run_id, path, size) VALUES ($1, $2, $3)
             ON CONFLICT (run_id, path) DO UPDATE SET size = excluded.size",
        params![run, path, size],
    )?;
    Ok(())
}

/// Deletes all sets of a run with their files, and its loose files; answers whether there were any.
pub fn delete_run(tx: &mut Tx, run: RunId) -> Result<bool, Error> {
    tx.execute(
        "DELETE FROM files WHERE file_set_id IN (SELECT s.id FROM file_sets s WHERE s.run_id = $1)",
        params![run],
    )?;
    let loose = tx.execute("DELETE FROM loose_files WHERE run_id = $1", params![run])?;
    Ok(loose + tx.execute("DELETE FROM file_sets WHERE run_id = $1", params![run])? > 0)
}

fn from_row(row: &Row) -> Result<FileSet, Error> {
    let (kind, status): (String, String) = (row.get(1)?, row.get(11)?);
    Ok(FileSet {
        id: row.get(0)?,
        kind: Kind::from_word(&kind)
            .ok_or_else(|| Error::Sql(format!("`{kind}` is not a kind of file set")))?,
        run_id: row.get(2)?,
        project_id: row.get(3)?,
        job_id: row.get(4)?,
        epoch: row.get(5)?,
        source_key: row.get(6)?,
        name: row.get(7)?,
        of_type: row.get(8)?,
        global_step: row.get(9)?,
        path: row.get(10)?,
        status: Status::from_word(&status)
            .ok_or_else(|| Error::Sql(format!("`{status}` is not a status of a file set")))?,
        status_updated_at: row.get(12)?,
        reason: row.get(13)?,
        created_at: row.get(14)?,
        size: row.get(15)?,
        files: row.get(16)?,
        key_prefix: row.get(17)?,
    })
}
