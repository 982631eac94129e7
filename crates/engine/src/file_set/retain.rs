//! Deletes the checkpoints that a run's spec does not keep. The rule is in the domain; here is what it needs to know.

use std::collections::HashMap;

use runyard_domain::{
    FileSetId, Millis,
    checkpoint::{Candidate, Retention},
};
use runyard_store::{self as store, Tx, file_set::FileSet, metric::Query};

use super::{Run, delete::bury};
use crate::Result;

/// Deletes what is surplus now; whether there was anything. What is being uploaded is never looked at.
pub(super) fn apply(tx: &mut Tx, run: &Run, now: Millis) -> Result<bool> {
    let Some(retention) = &run.spec.checkpoints else { return Ok(false) };
    let complete = store::file_set::complete_checkpoints(tx, run.id)?;
    let candidates = candidates(tx, run, retention, &complete)?;
    let mut surplus: Vec<FileSet> =
        retention.surplus(&candidates).into_iter().map(|place| complete[place].clone()).collect();
    // What another run is about to read goes with the next checkpoint after that one has ended.
    let ids: Vec<FileSetId> = surplus.iter().map(|set| set.id).collect();
    let wanted = store::channel::wanted(tx, &ids)?;
    surplus.retain(|set| !wanted.contains(&set.id));
    let freed = !surplus.is_empty();
    for set in surplus {
        bury(tx, set, now)?;
    }
    Ok(freed)
}

/// The best complete checkpoint of a run, by its own rule; `None`: it has no such rule, or no value to go by.
pub(crate) fn best(tx: &mut Tx, run: &Run) -> Result<Option<FileSet>> {
    let Some(retention) = &run.spec.checkpoints else { return Ok(None) };
    let complete = store::file_set::complete_checkpoints(tx, run.id)?;
    let candidates = candidates(tx, run, retention, &complete)?;
    Ok(retention.best(&candidates).map(|place| complete[place].clone()))
}

/// Complete checkpoints as retention sees them, by their places.
fn candidates(
    tx: &mut Tx,
    run: &Run,
    retention: &Retention,
    complete: &[FileSet],
) -> Result<Vec<Candidate<usize>>> {
    let values = values(tx, run, retention, complete)?;
    let candidate = |(place, set): (usize, &FileSet)| {
        let global_step = set.global_step.unwrap_or_default();
        Candidate { id: place, global_step, value: values.get(&global_step).copied() }
    };
    Ok(complete.iter().enumerate().map(candidate).collect())
}

/// What the metric that tells the best is at the steps of the checkpoints.
fn values(tx: &mut Tx, run: &Run, retention: &Retention, complete: &[FileSet]) -> Result<HashMap<i64, f64>> {
    let mut values = HashMap::new();
    let Some(best) = &retention.keep_best else { return Ok(values) };
    let steps: Vec<i64> = complete.iter().filter_map(|set| set.global_step).collect();
    for steps in steps.chunks(500) {
        let query = Query {
            run_ids: vec![run.id],
            tags: vec![best.tag.clone()],
            global_steps: steps.to_vec(),
            limit: steps.len(),
            ..Query::default()
        };
        for row in store::metric::points(tx, &query)? {
            values.insert(row.point.step, row.point.value.as_f64());
        }
    }
    Ok(values)
}
