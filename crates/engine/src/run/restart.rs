//! Restarts a run that has ended, or whose job is lost from sight.

use runyard_domain::{
    RunId,
    resources::Resources,
    run::{Cause, Kind, Run},
};
use runyard_store as store;

use super::transition::{announce, transition};
use crate::{Actor, Engine, Error, Result, worker_run};

/// Restarts a run; only the resources may be others. A worker run goes on with what is left, and with what its selection finds
/// new. The epoch rises first, so that a lost job can change nothing.
///
/// # Errors
/// 409 with the status when the run is active.
pub async fn restart(engine: &Engine, actor: &Actor, id: RunId, resources: Option<Resources>) -> Result<Run> {
    if let Some(resources) = &resources {
        let mut errors = runyard_domain::FieldErrors::default();
        if let Err(wrong) = resources.clone().over(Resources::default()).demand() {
            errors.merge("resources", wrong);
        }
        errors.finish(())?;
    }
    let (now, actor) = (engine.now(), actor.clone());
    let (run, effects) = engine
        .db
        .write(move |tx| {
            let mut run = super::lock_for(tx, &actor, id)?;
            let cause = Cause::Restart { by: actor.name.clone() };
            let effects = transition(tx, &mut run, &cause, now)?;
            if run.kind == Kind::Worker {
                worker_run::select_again(tx, id, now)?;
            }
            if let Some(resources) = &resources {
                let cpu = Resources { cpu: run.resources.cpu.clone(), ..Resources::default() };
                run.resources = resources.clone().over(cpu);
                store::run::save_resources(tx, &run)?;
            }
            Ok::<_, Error>((run, effects))
        })
        .await?;
    announce(engine, id, &effects);
    Ok(run)
}
