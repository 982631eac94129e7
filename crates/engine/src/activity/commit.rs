//! Commits: the state of elements and what was found about them in one transaction, once per attempt, and never from a lease that
//! was lost. One invalid item refuses the whole batch; a lost lease refuses its item alone.

use std::collections::{BTreeSet, HashMap};

use runyard_domain::{
    ElementId, FieldErrors, Millis, WorkerRunId,
    activity::{self as rules, Act, Activity, Effect, Outcome, Refused, State, apply},
    element::Results,
    id::Series,
};
use runyard_store::{
    self as store, Tx,
    element::result::{Target, Writing},
    worker_run::Ledger,
};

use super::change;
use crate::{Actor, Engine, Error, Result, worker_run};

/// The result of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitItem {
    /// The element.
    pub element: ElementId,
    /// As it was handed out.
    pub attempt: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub error: Option<String>,
    /// What was found; takes the place of what earlier attempts left.
    pub results: Results,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The element.
    pub element: ElementId,
    /// `accepted`, `repeated`, `lease_lost` or `already_committed`.
    pub outcome: &'static str,
    /// Why it does not count.
    pub reason: Option<String>,
}

/// Commits up to a thousand items; answers what became of each, in their order. May be repeated.
///
/// # Errors
/// 422 that names `items.N.field` when an item is invalid: then nothing is written.
pub async fn commit(
    engine: &Engine,
    actor: &Actor,
    id: WorkerRunId,
    items: Vec<CommitItem>,
) -> Result<Vec<Committed>> {
    check(&items)?;
    check_results(engine, actor, id, &items).await?;
    let series = Series::after(engine.id(runyard_domain::id::uuid_v7));
    change(engine, actor, id, move |tx, ledger, now| {
        let decided = decide(tx, ledger, &items, now)?;
        let mut accepted = Vec::new();
        let mut answers = Vec::with_capacity(items.len());
        for (item, (before, decision)) in items.iter().zip(decided) {
            if let Ok((_, Effect::Committed)) = &decision {
                accepted.push((item, before));
            }
            answers.push(answer(item.element, decision));
        }
        write(tx, ledger, &accepted, Writing { worker_run: Some(id), ids: series.clone(), now })?;
        Ok(answers)
    })
    .await
}

/// What is wrong with the items by themselves.
fn check(items: &[CommitItem]) -> Result<()> {
    let mut errors = FieldErrors::default();
    if items.is_empty() || items.len() > rules::BATCH_MAX {
        let message = format!("has {} items: commit 1 to {} at once", items.len(), rules::BATCH_MAX);
        return Err(Error::field("items", message));
    }
    let mut seen = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("items.{index}");
        if let Some(first) = seen.insert(item.element, index) {
            errors.add(
                format!("{path}.element_id"),
                format!("is the same as that of item {first}: an element is in a commit once"),
            );
        }
        if item.error.is_some() && item.outcome == Outcome::Processed {
            errors.add(format!("{path}.error"), "goes with the state error, not with processed");
        }
        item.results.check(&format!("{path}.results"), None, &mut errors);
    }
    Ok(errors.finish(())?)
}

/// What of the results does not fit the corpus: asked of a reader, so that writers do not wait for it.
async fn check_results(engine: &Engine, actor: &Actor, id: WorkerRunId, items: &[CommitItem]) -> Result<()> {
    let with_children: Vec<(usize, ElementId)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| !item.results.children.is_empty())
        .map(|(index, item)| (index, item.element))
        .collect();
    if with_children.is_empty() {
        return Ok(());
    }
    let actor = actor.clone();
    let ids: Vec<ElementId> = with_children.iter().map(|(_, id)| *id).collect();
    let sizes = engine
        .db
        .read(move |tx| {
            worker_run::readable(tx, &actor, id)?;
            let elements = store::element::by_ids(tx, &ids)?;
            let images: Vec<_> = elements.values().filter_map(|element| element.image_id).collect();
            let images = store::image::by_ids(tx, &images)?;
            let size = |id| images.get(&elements.get(id)?.image_id?)?.size();
            Ok::<_, Error>(ids.iter().map(size).collect::<Vec<_>>())
        })
        .await?;
    let mut errors = FieldErrors::default();
    for ((index, _), size) in with_children.iter().zip(sizes) {
        if size.is_some() {
            items[*index].results.check(&format!("items.{index}.results"), size, &mut errors);
        }
    }
    Ok(errors.finish(())?)
}

type Decision = Result<(Activity, Effect), Refused>;

/// What the rule says to each item, and what the activity was before.
fn decide(
    tx: &mut Tx,
    ledger: &Ledger,
    items: &[CommitItem],
    now: Millis,
) -> Result<Vec<(Activity, Decision)>> {
    let ids: Vec<ElementId> = items.iter().map(|item| item.element).collect();
    let found: HashMap<_, _> = store::activity::by_elements(tx, ledger.id, &ids)?.into_iter().collect();
    let mut errors = FieldErrors::default();
    let types = known_types(tx, ledger, items)?;
    let mut decided = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        for (path, of_type) in unknown_types(&item.results, &format!("items.{index}.results"), &types) {
            errors.add(path, format!("there is no type `{of_type}` in this corpus: make it first"));
        }
        let Some(activity) = found.get(&item.element) else {
            let message = format!("element `{}` is none of this worker run", item.element);
            errors.add(format!("items.{index}.element_id"), message);
            continue;
        };
        let act = Act::Commit { attempt: item.attempt, outcome: item.outcome };
        let decision = apply(activity, &act, ledger.max_attempts, now);
        if let Err(refused @ Refused::NeverHandedOut { .. }) = &decision {
            errors.add(format!("items.{index}.attempt"), refused.to_string());
        }
        decided.push((activity.clone(), decision));
    }
    Ok(errors.finish(decided)?)
}

fn known_types(tx: &mut Tx, ledger: &Ledger, items: &[CommitItem]) -> Result<BTreeSet<String>> {
    let children = items.iter().any(|item| !item.results.children.is_empty());
    let Some(corpus) = ledger.corpus_id.filter(|_| children) else { return Ok(BTreeSet::new()) };
    Ok(store::corpus::types(tx, corpus)?.into_iter().map(|known| known.slug).collect())
}

fn unknown_types(results: &Results, path: &str, known: &BTreeSet<String>) -> Vec<(String, String)> {
    let mut unknown = Vec::new();
    for (index, child) in results.children.iter().enumerate() {
        let path = format!("{path}.children.{index}");
        if !known.contains(&child.of_type) {
            unknown.push((format!("{path}.type"), child.of_type.clone()));
        }
        if let Some(below) = &child.results {
            unknown.append(&mut unknown_types(below, &format!("{path}.results"), known));
        }
    }
    unknown
}

fn answer(element: ElementId, decision: Decision) -> Committed {
    let (outcome, reason) = match decision {
        Ok((_, Effect::Repeated)) => ("repeated", None),
        Ok(_) => ("accepted", None),
        Err(refused @ Refused::Committed { .. }) => ("already_committed", Some(refused.to_string())),
        Err(refused) => ("lease_lost", Some(refused.to_string())),
    };
    Committed { element, outcome, reason }
}

/// Writes what was accepted: states, and results in place of those of earlier attempts.
fn write(
    tx: &mut Tx,
    ledger: &mut Ledger,
    accepted: &[(&CommitItem, Activity)],
    mut writing: Writing,
) -> Result<()> {
    let now = writing.now;
    let processed: Vec<ElementId> = ids(accepted, |item, _| item.outcome == Outcome::Processed);
    store::activity::process(tx, ledger.id, &processed, now)?;
    ledger.counts.moved(State::Started, State::Processed, processed.len() as i64);
    for (item, before) in accepted.iter().filter(|(item, _)| item.outcome == Outcome::Error) {
        let after = Activity { state: State::Error, attempt: before.attempt, lost: 0, lease: None };
        let reason = cut(item.error.as_deref().unwrap_or("the worker gave no reason"));
        store::activity::save(tx, ledger.id, item.element, &after, Some(&reason), now)?;
        ledger.counts.moved(State::Started, State::Error, 1);
    }
    let repeated = ids(accepted, |_, before| before.attempt > 1);
    if !repeated.is_empty() {
        store::element::result::clear_all(tx, ledger.id, &repeated)?;
    }
    let with_results = ids(accepted, |item, _| !item.results.is_empty());
    if with_results.is_empty() {
        return Ok(());
    }
    // An element that was deleted meanwhile has no results.
    let elements = store::element::hold(tx, &with_results)?;
    let all: Vec<(Target, &Results)> = accepted
        .iter()
        .filter(|(item, _)| !item.results.is_empty())
        .filter_map(|(item, _)| Some((Target::from(elements.get(&item.element)?), &item.results)))
        .collect();
    Ok(store::element::result::write_all(tx, &mut writing, &all)?)
}

fn ids(
    accepted: &[(&CommitItem, Activity)],
    wanted: impl Fn(&CommitItem, &Activity) -> bool,
) -> Vec<ElementId> {
    let wanted = accepted.iter().filter(|(item, before)| wanted(item, before));
    wanted.map(|(item, _)| item.element).collect()
}

/// An error as it is kept.
pub(super) fn cut(error: &str) -> String {
    let clean = error.replace('\0', " ");
    match clean.char_indices().nth(rules::ERROR_MAX) {
        Some((end, _)) => format!("{} [cut]", &clean[..end]),
        None => clean,
    }
}
