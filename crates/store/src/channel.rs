//! Links of runs: where each input came from and each output went to. Says nothing of what is behind them.

use runyard_domain::{
    FileSetId, ProjectId, RunId,
    channel::{Direction, Kind},
};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

#[cfg(test)]
mod tests;

const COLUMNS: &str = "run_id, project_id, direction, channel, kind, uri, target_id, place, from_run_id";

/// A channel of a run, and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The run.
    pub run_id: RunId,
    /// The run's project.
    pub project_id: ProjectId,
    /// Which way.
    pub direction: Direction,
    /// The channel's name.
    pub channel: String,
    /// What it leads to.
    pub kind: Kind,
    /// What was asked for.
    pub uri: String,
    /// Id of what it leads to, or the digest of an upload; `None`: an address in a bucket, or an output that is kept here.
    pub target_id: Option<String>,
    /// A file or a folder of the target, a set of a dataset, or an address in a bucket; empty: all of it.
    pub place: String,
    /// Of an input: the run that made it.
    pub from_run_id: Option<RunId>,
}

/// Writes the links of a new run.
pub fn insert(tx: &mut Tx, links: &[Link]) -> Result<(), Error> {
    for link in links {
        tx.execute(
            "INSERT INTO run_links (run_id, project_id, direction, channel, kind, uri, target_id, place, from_run_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                link.run_id,
                link.project_id,
                link.direction.word(),
                link.channel.as_str(),
                link.kind.word(),
                link.uri.as_str(),
                link.target_id.clone(),
                link.place.as_str(),
                link.from_run_id
            ],
        )?;
    }
    Ok(())
}

/// All links of a run: inputs before outputs, by name.
pub fn of_run(tx: &mut Tx, run: RunId) -> Result<Vec<Link>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM run_links WHERE run_id = $1 ORDER BY direction, channel");
    tx.query(&sql, params![run])?.iter().map(from_row).collect()
}

/// One channel of a run.
pub fn get(tx: &mut Tx, run: RunId, direction: Direction, channel: &str) -> Result<Option<Link>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM run_links WHERE run_id = $1 AND direction = $2 AND channel = $3");
    tx.query_opt(&sql, params![run, direction.word(), channel])?.map(|row| from_row(&row)).transpose()
}

/// Inputs of other runs that came from this one, the newest runs first.
pub fn out_of(tx: &mut Tx, run: RunId, limit: i64) -> Result<Vec<Link>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM run_links WHERE from_run_id = $1 AND run_id <> $1 ORDER BY run_id DESC, channel LIMIT $2"
    );
    tx.query(&sql, params![run, limit])?.iter().map(from_row).collect()
}

/// The newest run of a project that has one of these places as an output.
pub fn writer(tx: &mut Tx, project: ProjectId, places: &[String]) -> Result<Option<RunId>, Error> {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.equal("project_id", project);
    conditions.equal("direction", Direction::Output.word());
    conditions.any_of(dialect, "place", places);
    let sql = format!("SELECT max(run_id) FROM run_links{}", conditions.clause());
    tx.query_one(&sql, conditions.values())?.get(0)
}

/// Those of these checkpoints and artifacts that runs which have not ended have as inputs.
pub fn wanted(tx: &mut Tx, sets: &[FileSetId]) -> Result<Vec<FileSetId>, Error> {
    let mut found = Vec::new();
    for sets in sets.chunks(500) {
        let dialect = tx.dialect();
        let mut conditions = Conditions::default();
        conditions.any_of(dialect, "l.target_id", sets.iter().map(|id| Value::from(id.to_string())));
        conditions.and("r.active = 1");
        let sql = format!(
            "SELECT DISTINCT l.target_id FROM run_links l JOIN runs r ON r.id = l.run_id{}",
            conditions.clause()
        );
        for row in tx.query(&sql, conditions.values())? {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// Deletes the links of a run. Those that lead to it stay: they say where things came from.
pub fn delete_run(tx: &mut Tx, run: RunId) -> Result<(), Error> {
    tx.execute("DELETE FROM run_links WHERE run_id = $1", params![run])?;
    Ok(())
}

fn from_row(row: &Row) -> Result<Link, Error> {
    let (direction, kind): (String, String) = (row.get(2)?, row.get(4)?);
    Ok(Link {
        run_id: row.get(0)?,
        project_id: row.get(1)?,
        direction: Direction::from_word(&direction)
            .ok_or_else(|| Error::Sql(format!("`{direction}` is no direction of a channel")))?,
        channel: row.get(3)?,
        kind: Kind::from_word(&kind).ok_or_else(|| Error::Sql(format!("`{kind}` is no kind of channel")))?,
        uri: row.get(5)?,
        target_id: row.get(6)?,
        place: row.get(7)?,
        from_run_id: row.get(8)?,
    })
}
