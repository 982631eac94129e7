//! Activities: claim, renew, release, commit, retry, and the same one element at a time for workers that know no attempts. What
//! may follow what is `domain::activity::apply`; every verb here is one transaction that also keeps the counts.

use runyard_domain::{
    ElementId, FieldErrors, JobId, Millis, WorkerRunId,
    activity::{self as rules, Counts, Outcome, State},
    job::Exit,
    run::Run,
};
pub use runyard_store::activity::{Filter, Listed};
use runyard_store::{self as store, Tx, worker_run::Ledger};

use crate::{Actor, Engine, Error, Result, worker_run};

pub mod claim;
pub mod commit;
pub mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use claim::{Claim, Claimed, claim};
pub use commit::{CommitItem, Committed, commit};
pub use state::{Started, current, finish, holder, start, start_next};

/// Activities of a worker run that match, in the order of the elements' ids.
pub async fn list(engine: &Engine, actor: &Actor, id: WorkerRunId, filter: Filter) -> Result<Vec<Listed>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            worker_run::readable(tx, &actor, id)?;
            Ok::<_, Error>(store::activity::list(tx, id, &filter)?)
        })
        .await
}

/// How many activities of a worker run are in each state.
pub async fn counts(engine: &Engine, actor: &Actor, id: WorkerRunId) -> Result<Counts> {
    Ok(worker_run::get(engine, actor, id).await?.counts)
}

/// The holder is alive: its leases reach until then at least. Answers how many it still has.
pub async fn renew(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    holder: String,
    lease_ms: Option<i64>,
) -> Result<i64> {
    check_lease(&holder, lease_ms)?;
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            // Leases only ever grow here, so the floor of the ledger stays one.
            let run = worker_run::readable(tx, &actor, id)?;
            let until = now.plus(lease_ms.unwrap_or(run.lease_ms));
            Ok::<_, Error>(store::activity::renew(tx, id, &holder, until)?)
        })
        .await
}

/// The holder gives elements back (`None`: all that it has): it is no mark against them. Answers how many came back.
pub async fn release(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    holder: String,
    elements: Option<Vec<ElementId>>,
) -> Result<i64> {
    check_lease(&holder, None)?;
    check_elements(elements.as_deref())?;
    change(engine, actor, id, move |tx, ledger, now| {
        let count = store::activity::release(tx, ledger.id, &holder, elements.as_deref(), now)?;
        ledger.counts.moved(State::Started, State::Queued, count);
        Ok(count)
    })
    .await
}

/// The holder died: what it had (`None`: all of it) is free at once, and it counts against the elements. Answers how many.
pub async fn lose(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    holder: String,
    elements: Option<Vec<ElementId>>,
) -> Result<i64> {
    check_lease(&holder, None)?;
    check_elements(elements.as_deref())?;
    change(engine, actor, id, move |tx, ledger, now| {
        let reason = rules::set_aside_reason(ledger.max_attempts);
        let died = (ledger.max_attempts, reason.as_str());
        let which = elements.as_ref().map_or(vec![None], |ids| ids.iter().copied().map(Some).collect());
        let mut count = 0;
        for element in which {
            let lost = store::activity::lose_of(tx, ledger.id, &holder, element, died, now)?;
            ledger.counts.moved(State::Started, State::Queued, lost.queued);
            ledger.counts.moved(State::Started, State::Error, lost.set_aside);
            count += lost.queued + lost.set_aside;
        }
        Ok(count)
    })
    .await
}

/// Puts elements that ended like this (`None`: all of them) back to the queue; answers how many. `reset`: how often a worker lost
/// them before is forgotten. What they left stays until they are done again.
pub async fn retry(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    outcome: Outcome,
    elements: Option<Vec<ElementId>>,
    reset: bool,
) -> Result<i64> {
    check_elements(elements.as_deref())?;
    change(engine, actor, id, move |tx, ledger, now| {
        let count = store::activity::retry(tx, ledger.id, outcome, elements.as_deref(), reset, now)?;
        ledger.counts.moved(outcome.state(), State::Queued, count);
        Ok(count)
    })
    .await
}

/// A job of a worker run has ended, in the transaction that says so: what its processes held is free at once. It counts against
/// the elements only if the job died: not when it was stopped.
pub(crate) fn end_job(tx: &mut Tx, run: &Run, job: JobId, exit: &Exit, now: Millis) -> Result<()> {
    let Some(mut ledger) = store::worker_run::lock(tx, worker_run::of(run.id))? else { return Ok(()) };
    let died = run.life.stop.is_none() && exit.reason.retry_class().is_some();
    let reason = rules::set_aside_reason(ledger.max_attempts);
    let died = died.then_some((ledger.max_attempts, reason.as_str()));
    let lost = store::activity::lose(tx, ledger.id, &job.to_string(), died, now)?;
    ledger.counts.moved(State::Started, State::Queued, lost.queued);
    ledger.counts.moved(State::Started, State::Error, lost.set_aside);
    Ok(store::worker_run::save(tx, &ledger)?)
}

/// Does something to a worker run whose ledger is held, and writes the ledger as it is then.
async fn change<T: Send + 'static>(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    act: impl Fn(&mut Tx, &mut Ledger, Millis) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let mut ledger = worker_run::locked(tx, &actor, id)?;
            let before = ledger;
            let answer = act(tx, &mut ledger, now)?;
            if ledger != before {
                store::worker_run::save(tx, &ledger)?;
            }
            Ok::<_, Error>(answer)
        })
        .await
}

/// Whether a holder and a lease can be taken.
fn check_lease(holder: &str, lease_ms: Option<i64>) -> Result<()> {
    let mut errors = FieldErrors::default();
    let length = holder.chars().count();
    if length == 0 || length > rules::HOLDER_MAX || holder.chars().any(char::is_control) {
        let message =
            format!("must have 1 to {} characters, no control characters among them", rules::HOLDER_MAX);
        errors.add("holder", message);
    }
    runyard_domain::worker_run::check_settings("", lease_ms, None, &mut errors);
    Ok(errors.finish(())?)
}

fn check_elements(elements: Option<&[ElementId]>) -> Result<()> {
    match elements.map_or(0, <[_]>::len) {
        count if count > rules::BATCH_MAX => {
            let message = format!("has {count} ids: name at most {} in one request", rules::BATCH_MAX);
            Err(Error::field("elements", message))
        }
        _ => Ok(()),
    }
}
