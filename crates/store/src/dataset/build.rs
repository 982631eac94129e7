//! Which server makes the archive of a dataset: one at a time, under a lease, and nobody else can complete it.

use runyard_domain::{DatasetId, Millis};

use super::{Dataset, one};
use crate::{
    db::{Error, Tx},
    params,
};

/// Takes a dataset that is to be built and that nobody builds, until `until`.
pub fn take(tx: &mut Tx, server: &str, now: Millis, until: Millis) -> Result<Option<Dataset>, Error> {
    let lock = tx.dialect().skip_locked();
    let clause =
        format!("state = 'building' AND (builder IS NULL OR built_until < $1) ORDER BY id LIMIT 1{lock}");
    let Some(dataset) = one(tx, &clause, params![now])? else { return Ok(None) };
    tx.execute(
        "UPDATE datasets SET builder = $2, built_until = $3 WHERE id = $1",
        params![dataset.id, server, until],
    )?;
    Ok(Some(dataset))
}

/// Goes on building until `until`; `false`: it is another build, or another's, by now.
pub fn renew(tx: &mut Tx, id: DatasetId, task: &str, server: &str, until: Millis) -> Result<bool, Error> {
    let renewed = tx.execute(
        "UPDATE datasets SET built_until = $4
          WHERE id = $1 AND task_id = $2 AND builder = $3 AND state = 'building'",
        params![id, task, server, until],
    )?;
    Ok(renewed > 0)
}

/// The dataset, locked, if it is still this build and this server's.
pub fn held(tx: &mut Tx, id: DatasetId, task: &str, server: &str) -> Result<Option<Dataset>, Error> {
    let lock = tx.dialect().for_update();
    let clause = format!("id = $1 AND task_id = $2 AND builder = $3 AND state = 'building'{lock}");
    one(tx, &clause, params![id, task, server])
}

/// Nobody builds it any more.
pub fn let_go(tx: &mut Tx, id: DatasetId) -> Result<(), Error> {
    tx.execute("UPDATE datasets SET builder = NULL, built_until = NULL WHERE id = $1", params![id])?;
    Ok(())
}

/// What this server built when it ended is to be begun again.
pub fn let_go_all(tx: &mut Tx, server: &str) -> Result<u64, Error> {
    tx.execute(
        "UPDATE datasets SET builder = NULL, built_until = NULL WHERE state = 'building' AND builder = $1",
        params![server],
    )
}
