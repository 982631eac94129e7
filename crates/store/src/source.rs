//! Sources (packed folders of code by digest) and the garbage that deleting leaves to be collected.

use runyard_domain::{CorpusId, JobId, Millis, WorkerRunId};

use crate::{
    db::{Error, Tx},
    params,
};

/// What nothing refers to.
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM runs r WHERE r.source = sources.digest)
            AND NOT EXISTS (SELECT 1 FROM blueprints b WHERE b.source = sources.digest AND b.deleted_at IS NULL)
            AND NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.source = sources.digest)
            AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.target_id = sources.digest)";

/// Notes a source; the same again changes nothing.
pub fn insert(tx: &mut Tx, digest: &str, size: i64, now: Millis) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO sources (digest, size, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (digest) DO UPDATE SET created_at = excluded.created_at",
        params![digest, size, now.0],
    )?;
    Ok(())
}

/// How large the source is; `None`: there is none.
pub fn size(tx: &mut Tx, digest: &str) -> Result<Option<i64>, Error> {
    tx.query_opt("SELECT size FROM sources WHERE digest = $1", params![digest])?
        .map(|row| row.get(0))
        .transpose()
}

/// Sources, with their sizes, that [`forget_unused`] would forget.
pub fn unused(tx: &mut Tx, before: Millis) -> Result<Vec<(String, i64)>, Error> {
    let sql = format!("SELECT digest, size FROM sources WHERE created_at < $1 AND {UNUSED}");
    tx.query(&sql, params![before.0])?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Forgets sources that no run, input of a run, blueprint or model version refers to and that are older than `before`; answers their digests.
pub fn forget_unused(tx: &mut Tx, digest: Option<&str>, before: Millis) -> Result<Vec<String>, Error> {
    let sql = format!(
        "DELETE FROM sources WHERE ($1 = '' OR digest = $1) AND created_at < $2 AND {UNUSED} RETURNING digest"
    );
    tx.query(&sql, params![digest.unwrap_or(""), before.0])?.iter().map(|row| row.get(0)).collect()
}

/// A file whose rows are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// `object`, `objects`, `late_objects`, `upload`, `activities`, or the word of an executor.
    pub kind: String,
    /// The object's key, what the keys of several begin with, an upload and its object's key, a worker run's id, or the job's id.
    pub key: String,
}

/// Notes that an object has to go.
pub fn discard_object(tx: &mut Tx, key: &str, now: Millis) -> Result<(), Error> {
    discard(tx, "object", key, now)
}

/// Notes that all objects below a prefix have to go; and once more at `again_at`, when addresses to write them have
/// expired.
pub fn discard_objects(
    tx: &mut Tx,
    prefix: &str,
    now: Millis,
    again_at: Option<Millis>,
) -> Result<(), Error> {
    discard(tx, "objects", prefix, now)?;
    again_at.map_or(Ok(()), |at| discard(tx, "late_objects", prefix, at))
}

/// Notes that an upload in parts has to go.
pub fn discard_upload(tx: &mut Tx, key: &str, upload: &str, now: Millis) -> Result<(), Error> {
    discard(tx, "upload", &format!("{upload} {key}"), now)
}

/// Notes that the activities of a worker run have to go.
pub fn discard_activities(tx: &mut Tx, run: WorkerRunId, now: Millis) -> Result<(), Error> {
    discard(tx, "activities", &run.to_string(), now)
}

/// Notes that the rows of a hidden corpus have to go.
pub fn discard_corpus(tx: &mut Tx, corpus: CorpusId, now: Millis) -> Result<(), Error> {
    discard(tx, "corpus", &corpus.to_string(), now)
}

/// Notes that what a job left on its executor has to go.
pub fn discard_job(tx: &mut Tx, executor: &str, job: JobId, now: Millis) -> Result<(), Error> {
    discard(tx, executor, &job.to_string(), now)
}

fn discard(tx: &mut Tx, kind: &str, key: &str, now: Millis) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO garbage (kind, key, created_at) VALUES ($1, $2, $3) ON CONFLICT (kind, key) DO NOTHING",
        params![kind, key, now.0],
    )?;
    Ok(())
}

/// The oldest garbage that is due.
pub fn garbage(tx: &mut Tx, now: Millis, limit: i64) -> Result<Vec<Garbage>, Error> {
    tx.query(
        "SELECT kind, key FROM garbage WHERE created_at <= $1 ORDER BY created_at, kind, key LIMIT $2",
        params![now.0, limit],
    )?
    .iter()
    .map(|row| Ok(Garbage { kind: row.get(0)?, key: row.get(1)? }))
    .collect()
}

/// Whether this is still to be freed.
pub fn is_garbage(tx: &mut Tx, garbage: &Garbage) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM garbage WHERE kind = $1 AND key = $2";
    Ok(tx.query_opt(sql, params![garbage.kind.as_str(), garbage.key.as_str()])?.is_some())
}

/// The garbage is collected, or wanted again.
pub fn forget_garbage(tx: &mut Tx, garbage: &Garbage) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM garbage WHERE kind = $1 AND key = $2",
        params![garbage.kind.as_str(), garbage.key.as_str()],
    )?;
    Ok(())
}
