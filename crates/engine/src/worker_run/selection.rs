//! Whether all that a selection names is there. What a query finds is never wrong, however little it is.

use runyard_domain::{CorpusId, ElementId, FieldErrors, ProjectId, element::join, worker_run::Selection};
use runyard_store::{self as store, Tx};

use crate::Result;

/// Missing elements that are named one by one.
const NAMED: usize = 20;

/// Says what of a selection is not there, each below `path`.
pub(crate) fn check_selection(
    tx: &mut Tx,
    corpus: CorpusId,
    project: ProjectId,
    selection: &Selection,
    path: &str,
) -> Result<()> {
    let mut errors = FieldErrors::default();
    check_elements(tx, corpus, &selection.elements, &join(path, "elements"), &mut errors)?;
    if let Some(query) = &selection.query {
        let path = join(path, "query");
        if let Some(parent) = query.parent {
            check_one(tx, corpus, parent, &join(&path, "parent"), &mut errors)?;
        }
        if let Some(run) = query.without_results_of {
            let there = store::worker_run::get(tx, run)?.is_some_and(|run| run.project_id == project);
            if !there {
                errors.add(join(&path, "without_results_of"), format!("there is no worker run `{run}`"));
            }
        }
    }
    for (index, wanted) in selection.sets.iter().enumerate() {
        let path = join(path, format_args!("sets.{index}"));
        let there = store::dataset::get(tx, wanted.dataset)?.filter(|dataset| dataset.corpus_id == corpus);
        let Some(dataset) = there else {
            let message = format!("there is no dataset `{}` in this corpus", wanted.dataset);
            errors.add(join(&path, "dataset"), message);
            continue;
        };
        let sets = store::dataset::sets(tx, dataset.id)?;
        if !sets.iter().any(|set| set.name == wanted.set) {
            errors.add(join(&path, "set"), no_set(&dataset.name, &wanted.set, &sets));
        }
    }
    Ok(errors.finish(())?)
}

/// That a dataset has no such set, and which it has.
pub(crate) fn no_set(dataset: &str, wanted: &str, sets: &[store::dataset::Set]) -> String {
    let known: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
    format!("dataset `{dataset}` has no set `{wanted}`: it has {}", known.join(", "))
}

fn check_elements(
    tx: &mut Tx,
    corpus: CorpusId,
    ids: &[ElementId],
    path: &str,
    errors: &mut FieldErrors,
) -> Result<()> {
    let found: std::collections::HashSet<_> =
        store::activity::elements_of(tx, corpus, ids)?.into_iter().collect();
    let missing = ids.iter().enumerate().filter(|(_, id)| !found.contains(id));
    for (index, id) in missing.take(NAMED) {
        errors.add(join(path, index), format!("there is no element `{id}` in this corpus"));
    }
    Ok(())
}

fn check_one(
    tx: &mut Tx,
    corpus: CorpusId,
    id: ElementId,
    path: &str,
    errors: &mut FieldErrors,
) -> Result<()> {
    if store::activity::elements_of(tx, corpus, &[id])?.is_empty() {
        errors.add(path, format!("there is no element `{id}` in this corpus"));
    }
    Ok(())
}
