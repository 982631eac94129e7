//! Elements that were named on the command line, or those of sets, and all that is read-only: each is fetched by itself, and
//! started by its name where there is a worker run. Read-only, nothing is written anywhere.

use std::path::Path;

use runyard_client::{Client, Error as ClientError, activity::Filter as Activities, element::Filter};
use runyard_domain::{ElementId, worker_run::Selection};
use runyard_wire::{activity::SetState, worker_run::Select};
use serde::Deserialize;

use super::{
    Element, ElementsWorker, Options, Summary, Work, elements::Desk, guard::process, session::Session,
};
use crate::Error;

/// Elements of one page.
const PAGE: i64 = 1000;
/// Elements that are selected by one request.
const SELECTED: usize = 10_000;
/// Elements that are fetched by one request: their ids stand in its address.
const FETCHED: usize = 100;

/// What the command line names.
pub(super) enum Chosen {
    /// Nothing: all of the worker run.
    Nothing,
    /// Elements.
    Elements(Vec<ElementId>),
    /// Sets of datasets.
    Sets(Vec<(String, String)>),
}

#[derive(Deserialize)]
struct Entry {
    id: Option<String>,
}

/// Reads what the options name, files included.
pub(super) fn chosen(options: &Options) -> Result<Chosen, Error> {
    let wrong = |text: String| Err(Error::Worker(text));
    let ids = match (&options.elements_list, options.elements.is_empty()) {
        (None, true) if options.sets.is_empty() => return Ok(Chosen::Nothing),
        (None, true) => return Ok(Chosen::Sets(options.sets.clone())),
        (None, false) => options.elements.clone(),
        (Some(_), false) => {
            return wrong("`--element` and `--elements-list` both name elements: give one of them".into());
        }
        (Some(path), true) => listed(path)?,
    };
    if !options.sets.is_empty() {
        return wrong("`--set` goes with neither `--element` nor `--elements-list`: give one of them".into());
    }
    let parsed = ids.iter().map(|id| {
        id.parse().map_err(|_| Error::Worker(format!("`{id}` is not the id of an element: ids are UUIDs")))
    });
    let mut parsed: Vec<ElementId> = parsed.collect::<Result<_, _>>()?;
    let mut seen = std::collections::HashSet::new();
    parsed.retain(|id| seen.insert(*id));
    if parsed.is_empty() {
        return wrong("no elements are named: there is nothing to process".into());
    }
    Ok(Chosen::Elements(parsed))
}

fn listed(path: &Path) -> Result<Vec<String>, Error> {
    let wrong = |cause: &dyn std::fmt::Display| {
        let path = path.display();
        Error::Worker(format!("`--elements-list {path}` is no list `[{{\"id\": ...}}, ...]`: {cause}"))
    };
    let text = std::fs::read(path).map_err(|cause| wrong(&cause))?;
    let entries: Vec<Entry> = serde_json::from_slice(&text).map_err(|cause| wrong(&cause))?;
    Ok(entries.into_iter().filter_map(|entry| entry.id).collect())
}

/// The elements of sets, each once.
pub(super) fn of_sets(session: &mut Session, sets: &[(String, String)]) -> Result<Vec<ElementId>, Error> {
    let (mut all, mut seen) = (Vec::new(), std::collections::HashSet::new());
    for (dataset, set) in sets {
        // A set that does not exist is refused; one without elements is none.
        let known = session.insist(async |client| client.dataset(dataset).await)?;
        if !known.sets.iter().any(|one| one.name == *set) {
            let names: Vec<&str> = known.sets.iter().map(|one| one.name.as_str()).collect();
            let text = format!("dataset `{}` has no set `{set}`: it has {}", known.name, names.join(", "));
            return Err(Error::Worker(text));
        }
        let mut last: Option<String> = None;
        loop {
            let page = session.insist(async |client| {
                let after = last.as_deref().map(|last| (set.as_str(), last));
                client.dataset_elements(dataset, Some(set), after, PAGE).await
            })?;
            all.extend(
                page.iter()
                    .filter_map(|one| one.element_id.parse().ok())
                    .filter(|id: &ElementId| seen.insert(*id)),
            );
            match page.last() {
                Some(end) if page.len() as i64 == PAGE => last = Some(end.element_id.clone()),
                _ => break,
            }
        }
    }
    if all.is_empty() {
        return Err(Error::Worker("the sets have no elements: there is nothing to process".to_owned()));
    }
    Ok(all)
}

impl<W: ElementsWorker> Desk<'_, W> {
    /// Works through these elements of the worker run: those that it does not have are added, those that are done or that
    /// others have are left alone.
    pub(super) fn work_through(&mut self, ids: &[ElementId]) -> Result<(), Error> {
        for some in ids.chunks(SELECTED) {
            let selection = Selection { elements: some.to_vec(), ..Selection::default() };
            let select = Select { selection: Some(selection) };
            let id = &self.worker_run;
            self.session.insist(async |client| client.select_elements(id, &select).await)?;
        }
        for some in ids.chunks(usize::try_from(self.batch).unwrap_or(1)) {
            let mut started = Vec::with_capacity(some.len());
            for id in some {
                if self.session.stop.is_asked() {
                    self.summary.stopped = true;
                    return Ok(());
                }
                if let Some(attempt) = self.start(&id.to_string())? {
                    let whole = fetch(&mut self.session, *id)?;
                    started.push(Element { attempt, ..whole });
                }
            }
            self.process(started)?;
        }
        self.summary.all_failed = self.summary.failed >= self.summary.ran;
        Ok(())
    }

    /// Starts an element; `None`: it is done, or another's.
    fn start(&mut self, element: &str) -> Result<Option<i64>, Error> {
        let state =
            SetState { state: "started".into(), holder: Some(self.session.holder.clone()), error: None };
        let run = &self.worker_run;
        let started =
            self.session.insist(async |client| client.set_activity_state(run, element, &state).await);
        match started {
            Ok(activity) => return Ok(Some(activity.attempt)),
            Err(Error::Server(error)) if error.status() == Some(409) => {}
            Err(error) => return Err(error),
        }
        // When the answer to a start was lost, it is ours all the same.
        let filter = Activities { element_id: vec![element.to_owned()], ..Activities::default() };
        let found = self.session.insist(async |client| client.activities(run, &filter).await)?;
        let own = |holder: &str| holder == self.session.holder;
        let own =
            found.into_iter().find(|one| one.state == "started" && one.holder.as_deref().is_some_and(own));
        if own.is_none() {
            tracing::info!(element, "is done, or under work elsewhere: it is left alone");
            self.summary.ran += 1;
        }
        Ok(own.map(|activity| activity.attempt))
    }
}

/// Processes elements and writes nothing: those that were named, or those of the worker run.
pub(super) fn look_at(
    worker: &mut impl ElementsWorker,
    session: &mut Session,
    work: &Work,
    chosen: Option<Vec<ElementId>>,
    batch: i64,
    summary: &mut Summary,
) -> Result<(), Error> {
    tracing::warn!("read-only: nothing is written");
    let batch = usize::try_from(batch).unwrap_or(1);
    match (chosen, work.worker_run()) {
        (Some(ids), _) => {
            for some in ids.chunks(batch) {
                let fetched: Vec<Element> =
                    some.iter().map(|id| fetch(session, *id)).collect::<Result<_, _>>()?;
                try_out(worker, session, &fetched, summary);
            }
        }
        (None, Some(run)) => {
            let corpus = run.corpus_id.clone().unwrap_or_default();
            let mut filter = Activities { limit: Some(FETCHED as i64), ..Activities::default() };
            loop {
                let page = session.insist(async |client| client.activities(&run.id, &filter).await)?;
                let Some(last) = page.last().map(|one| one.element_id.clone()) else { break };
                let id = page.iter().map(|one| one.element_id.clone()).collect();
                let wanted = Filter { id, limit: Some(FETCHED as i64), ..Filter::default() };
                let found = session.insist(async |client| client.elements(&corpus, &wanted).await)?;
                let fetched: Vec<Element> = found.into_iter().map(Element::from).collect();
                fetched.chunks(batch).for_each(|some| try_out(worker, session, some, summary));
                if summary.stopped {
                    return Ok(());
                }
                filter.id_after = Some(last);
            }
        }
        (None, None) => {}
    }
    if summary.ran == 0 && !summary.stopped {
        let text = "there is nothing to process: name elements with --element, --elements-list or --set";
        return Err(Error::Worker(text.to_owned()));
    }
    summary.all_failed = summary.failed >= summary.ran;
    Ok(())
}

fn try_out(worker: &mut impl ElementsWorker, session: &Session, elements: &[Element], summary: &mut Summary) {
    for chunk in elements.chunks(worker.batch_size().max(1)) {
        if session.stop.is_asked() {
            summary.stopped = true;
            return;
        }
        for (element, outcome) in chunk.iter().zip(process(worker, chunk)) {
            summary.ran += 1;
            match outcome {
                Ok(results) => {
                    tracing::info!(element = element.id, "{} results are not written", results.count());
                }
                Err(error) => {
                    summary.failed += 1;
                    tracing::warn!(element = element.id, "failed: {error}");
                }
            }
        }
    }
}

fn fetch(session: &mut Session, id: ElementId) -> Result<Element, Error> {
    let id = id.to_string();
    let call = async |client: &Client| -> Result<_, ClientError> { client.element(&id).await };
    session.insist(call).map(Element::from)
}
