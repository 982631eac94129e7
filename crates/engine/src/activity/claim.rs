//! Hands elements out: what is queued and what was lost, in the order of the elements. What was lost once too often is set aside;
//! what is one loss from that is handed out alone, so that it cannot take others along.

use std::collections::HashMap;

use runyard_domain::{
    ElementId, ImageId, Millis, WorkerRunId,
    activity::{self as rules, Act, Activity, Effect, Lease, State, apply},
};
use runyard_store::{self as store, Tx, element::Element, image::Image, worker_run::Ledger};

use super::{change, check_lease};
use crate::{Actor, Engine, Error, Result};

/// Looks for elements to hand out in one claim: beyond that, what is set aside is left for the next one.
const ROUNDS: usize = 50;
/// What is said of an element that nobody can work on any more.
const DELETED: &str = "the element was deleted";

/// What was handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// By element id.
    pub claimed: Vec<Claimed>,
    /// Queued or held by others: 0 with nothing claimed means that there is nothing more to do.
    pub left: i64,
    /// When the leases run out unless they are renewed.
    pub lease_until: Millis,
}

/// An element that was handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The element.
    pub element: Element,
    /// Its image.
    pub image: Option<Image>,
    /// What the commit names.
    pub attempt: i64,
}

/// Claims up to `limit` elements for a holder. `lease_ms`: as the worker run says when `None`.
pub async fn claim(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    holder: String,
    limit: i64,
    lease_ms: Option<i64>,
) -> Result<Claim> {
    check_lease(&holder, lease_ms)?;
    if !(1..=rules::BATCH_MAX as i64).contains(&limit) {
        return Err(Error::field("limit", format!("{limit} is not from 1 to {}", rules::BATCH_MAX)));
    }
    change(engine, actor, id, move |tx, ledger, now| {
        let lease_ms = lease_ms.unwrap_or(ledger.lease_ms);
        let claimed = take(tx, ledger, &holder, limit, lease_ms, now)?;
        let left = ledger.counts.queued + ledger.counts.started - claimed.len() as i64;
        Ok(Claim { claimed, left, lease_until: now.plus(lease_ms) })
    })
    .await
}

/// The same in the transaction of the caller, who holds the ledger and writes it.
pub(super) fn take(
    tx: &mut Tx,
    ledger: &mut Ledger,
    holder: &str,
    limit: i64,
    lease_ms: i64,
    now: Millis,
) -> Result<Vec<Claimed>> {
    let until = now.plus(lease_ms);
    let mut claimed = Vec::new();
    for _ in 0..ROUNDS {
        let (found, elements) = candidates(tx, ledger, limit, now)?;
        let asided = set_aside(tx, ledger, &found, &elements, now)?;
        let chosen = choose(ledger, &found, &elements, now);
        if !chosen.is_empty() {
            let lease = Lease { holder: holder.to_owned(), until };
            claimed = hand_out(tx, ledger, &chosen, elements, &lease, now)?;
        }
        if !chosen.is_empty() || asided == 0 {
            break;
        }
    }
    if ledger.lease_floor.is_some_and(|floor| floor < now) {
        // Something may have run out: from here on the floor is true again.
        ledger.lease_floor = store::activity::first_expiry(tx, ledger.id)?;
    } else if !claimed.is_empty() {
        ledger.lease_floor = Some(ledger.lease_floor.map_or(until, |floor| floor.min(until)));
    }
    Ok(claimed)
}

type Found = (ElementId, Activity);

/// The first elements that are free, by id, with what is known of them.
fn candidates(
    tx: &mut Tx,
    ledger: &Ledger,
    limit: i64,
    now: Millis,
) -> Result<(Vec<Found>, HashMap<ElementId, Element>)> {
    let mut found = store::activity::queued(tx, ledger.id, limit)?;
    if ledger.lease_floor.is_some_and(|floor| floor < now) {
        found.append(&mut store::activity::expired(tx, ledger.id, now, limit)?);
        found.sort_unstable_by_key(|(id, _)| *id);
        found.truncate(usize::try_from(limit).unwrap_or(0));
    }
    let ids: Vec<ElementId> = found.iter().map(|(id, _)| *id).collect();
    let elements = store::element::by_ids(tx, &ids)?;
    Ok((found, elements))
}

/// Sets aside what must not be handed out again; answers how many.
fn set_aside(
    tx: &mut Tx,
    ledger: &mut Ledger,
    found: &[Found],
    elements: &HashMap<ElementId, Element>,
    now: Millis,
) -> Result<usize> {
    let mut count = 0;
    for (id, activity) in found {
        let claim = Act::Claim { holder: "", lease_ms: 0 };
        let (after, reason) = match apply(activity, &claim, ledger.max_attempts, now)? {
            (after, Effect::SetAside) => {
                let reason = rules::set_aside_reason(after.lost);
                (after, reason)
            }
            _ if elements.contains_key(id) => continue,
            (after, _) => (Activity { state: State::Error, lease: None, ..after }, DELETED.to_owned()),
        };
        store::activity::save(tx, ledger.id, *id, &after, Some(&reason), now)?;
        ledger.counts.moved(activity.state, State::Error, 1);
        count += 1;
    }
    Ok(count)
}

/// The first one alone when it is a suspect, else all that are none.
fn choose<'a>(
    ledger: &Ledger,
    found: &'a [Found],
    elements: &HashMap<ElementId, Element>,
    now: Millis,
) -> Vec<&'a Found> {
    let suspect = |activity: &Activity| activity.is_suspect(ledger.max_attempts, now);
    let free = |(id, activity): &&Found| {
        let lost = activity.lost + i64::from(activity.expired(now));
        elements.contains_key(id) && lost < ledger.max_attempts
    };
    let mut left = found.iter().filter(free);
    match left.next() {
        Some(first) if suspect(&first.1) => vec![first],
        Some(first) => {
            std::iter::once(first).chain(left.filter(|(_, activity)| !suspect(activity))).collect()
        }
        None => Vec::new(),
    }
}

fn hand_out(
    tx: &mut Tx,
    ledger: &mut Ledger,
    chosen: &[&Found],
    mut elements: HashMap<ElementId, Element>,
    lease: &Lease,
    now: Millis,
) -> Result<Vec<Claimed>> {
    let ids: Vec<ElementId> = chosen.iter().map(|(id, _)| *id).collect();
    store::activity::hand_out(tx, ledger.id, &ids, lease, now)?;
    for (_, activity) in chosen {
        ledger.counts.moved(activity.state, State::Started, 1);
    }
    let images: Vec<ImageId> = ids.iter().filter_map(|id| elements.get(id)?.image_id).collect();
    let images = store::image::by_ids(tx, &images)?;
    let claimed = chosen.iter().filter_map(|(id, activity)| {
        let element = elements.remove(id)?;
        let image = element.image_id.and_then(|id| images.get(&id).cloned());
        Some(Claimed { element, image, attempt: activity.attempt + 1 })
    });
    Ok(claimed.collect())
}
