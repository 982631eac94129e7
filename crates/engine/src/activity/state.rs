//! One element at a time, for workers that know no attempts: start this one, start the next one, finish. A start takes a lease
//! too, so that what a killed worker had comes back. What earlier attempts left is deleted at the start, since such workers write
//! what they find piece by piece.

use runyard_domain::{
    ElementId, Millis, WorkerRunId,
    activity::{self as rules, Act, Activity, Effect, Outcome, State, apply},
    token::Scope,
    worker_run::holder as holder_of,
};
use runyard_store::{self as store, Tx, worker_run::Ledger};

use super::{change, check_lease, claim, commit::cut};
use crate::{Actor, Engine, Error, Result, worker_run};

/// An element that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The element.
    pub element: ElementId,
    /// Its attempt.
    pub attempt: i64,
    /// When others may take it.
    pub lease_until: Millis,
}

/// Who an actor is to the activities: a process of its run's current job, so that all that is held comes back when that ends, or
/// else the name of its token. `kind` is for whoever does not know the number of its process.
pub async fn holder(
    engine: &Engine,
    actor: &Actor,
    kind: &'static str,
    process: Option<i64>,
) -> Result<String> {
    let Scope::Run(_, id) = actor.scope else {
        return Ok(format!("{kind}: {}", actor.name).chars().take(rules::HOLDER_MAX).collect());
    };
    engine
        .db
        .read(move |tx| {
            let run = store::run::get(tx, id)?.ok_or_else(|| Error::not_found("run", id))?;
            let job = store::job::by_epoch(tx, id, run.life.epoch)?;
            Ok::<_, Error>(match (job, process) {
                (Some(job), Some(process)) => holder_of(job.id, process),
                (Some(job), None) => format!("{}/{kind}", job.id),
                (None, _) => format!("{kind}: run {id}"),
            })
        })
        .await
}

/// The one element that a holder has started; `None` when it has none, or several.
pub async fn current(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    holder: String,
) -> Result<Option<ElementId>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            worker_run::readable(tx, &actor, id)?;
            let held = store::activity::held(tx, id, &holder, 2)?;
            Ok::<_, Error>(held.first().copied().filter(|_| held.len() == 1))
        })
        .await
}

/// Starts an element that is queued, failed, or was lost by whoever had it.
///
/// # Errors
/// 409 when another worker has it, when it is done, or when it was lost once too often; 404 when it is none of the worker run.
pub async fn start(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    element: ElementId,
    holder: String,
    lease_ms: Option<i64>,
) -> Result<Started> {
    check_lease(&holder, lease_ms)?;
    let outcome = change(engine, actor, id, move |tx, ledger, now| {
        let lease_ms = lease_ms.unwrap_or(ledger.lease_ms);
        let (before, after, effect) =
            step(tx, ledger, element, &Act::Start { holder: &holder, lease_ms }, now)?;
        let until = now.plus(lease_ms);
        if effect == Effect::SetAside {
            let reason = rules::set_aside_reason(after.lost);
            put(tx, ledger, element, &before, &after, Some(&reason), now)?;
            return Ok(Err(reason));
        }
        put(tx, ledger, element, &before, &after, None, now)?;
        ledger.lease_floor = Some(ledger.lease_floor.map_or(until, |floor| floor.min(until)));
        if after.attempt > 1 {
            store::element::result::clear(tx, ledger.id, element)?;
        }
        Ok(Ok(Started { element, attempt: after.attempt, lease_until: until }))
    });
    // What was set aside must be committed although the start is refused.
    outcome.await?.map_err(|reason| Error::conflict(format!("element {element} was {reason}")))
}

/// Starts the next element that is free; `None`: there is none now.
pub async fn start_next(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    holder: String,
    lease_ms: Option<i64>,
) -> Result<Option<Started>> {
    check_lease(&holder, lease_ms)?;
    change(engine, actor, id, move |tx, ledger, now| {
        let lease_ms = lease_ms.unwrap_or(ledger.lease_ms);
        let Some(claimed) = claim::take(tx, ledger, &holder, 1, lease_ms, now)?.pop() else {
            return Ok(None);
        };
        if claimed.attempt > 1 {
            store::element::result::clear(tx, ledger.id, claimed.element.id)?;
        }
        let lease_until = now.plus(lease_ms);
        Ok(Some(Started { element: claimed.element.id, attempt: claimed.attempt, lease_until }))
    })
    .await
}

/// Ends the attempt of an element that is under way, whoever has it. The same again changes nothing.
///
/// # Errors
/// 409 when it is neither started nor ended like this already; 404 when it is none of the worker run.
pub async fn finish(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    element: ElementId,
    outcome: Outcome,
    error: Option<String>,
) -> Result<()> {
    change(engine, actor, id, move |tx, ledger, now| {
        let (before, after, effect) = step(tx, ledger, element, &Act::Finish { outcome }, now)?;
        if effect == Effect::Committed {
            let reason = match outcome {
                Outcome::Processed => None,
                Outcome::Error => Some(cut(error.as_deref().unwrap_or("the worker gave no reason"))),
            };
            put(tx, ledger, element, &before, &after, reason.as_deref(), now)?;
        }
        Ok(())
    })
    .await
}

fn step(
    tx: &mut Tx,
    ledger: &Ledger,
    element: ElementId,
    act: &Act<'_>,
    now: Millis,
) -> Result<(Activity, Activity, Effect)> {
    let before = store::activity::get(tx, ledger.id, element)?
        .ok_or_else(|| Error::not_found("element of this worker run", element))?;
    let (after, effect) = apply(&before, act, ledger.max_attempts, now)?;
    Ok((before, after, effect))
}

fn put(
    tx: &mut Tx,
    ledger: &mut Ledger,
    element: ElementId,
    before: &Activity,
    after: &Activity,
    reason: Option<&str>,
    now: Millis,
) -> Result<()> {
    store::activity::save(tx, ledger.id, element, after, reason, now)?;
    if before.state != after.state {
        ledger.counts.moved(before.state, after.state, 1);
    }
    debug_assert_eq!(after.lease.is_some(), after.state == State::Started);
    Ok(())
}
