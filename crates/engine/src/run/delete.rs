//! Deletes a run and everything it left.

use runyard_domain::{RunId, channel::Kind, run::Kind as RunKind};
use runyard_store as store;

use crate::{Actor, Engine, Error, Result, file_set, garbage, source, worker_run};

/// Deletes a run that has ended (or is lost from sight): rows first, files noted in the same transaction and freed
/// right after it. Answers the bytes freed.
///
/// # Errors
/// 409 with the status when the run is active.
pub async fn delete(engine: &Engine, actor: &Actor, id: RunId) -> Result<i64> {
    let (now, actor) = (engine.now(), actor.clone());
    let rows = engine
        .db
        .write(move |tx| {
            let run = super::lock_for(tx, &actor, id)?;
            if !run.life.status.is_settled() {
                let status = run.life.status;
                return Err(Error::conflict(format!(
                    "the run is active: its status is {status}; stop it first (`runyard stop {id}`), then delete it"
                )));
            }
            let mut freed = store::metric::delete_run(tx, id)?;
            for job in store::job::list(tx, id)? {
                freed += store::log::delete_job(tx, job.id)?;
                if run.kind != RunKind::External {
                    store::source::discard_job(tx, &job.executor, job.id, now)?;
                }
            }
            file_set::delete_run(tx, id, now)?;
            store::job::delete_run(tx, id)?;
            store::token::delete_for_run(tx, id)?;
            store::worker_run::delete(tx, worker_run::of(id), now)?;
            let links = store::channel::of_run(tx, id)?;
            store::channel::delete_run(tx, id)?;
            store::run::delete(tx, id)?;
            let uploads = links.iter().filter(|link| link.kind == Kind::Upload);
            let uploads = uploads.filter_map(|link| link.target_id.as_ref());
            for digest in run.spec.source.iter().chain(uploads) {
                for digest in store::source::forget_unused(tx, Some(digest), now)? {
                    store::source::discard_object(tx, &source::key(&digest), now)?;
                }
            }
            Ok::<_, Error>(freed)
        })
        .await?;
    engine.signals.changed(id);
    Ok(rows + garbage::collect(engine).await?)
}
