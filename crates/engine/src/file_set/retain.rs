//! Deletes the checkpoints that a run's spec does not keep. The rule is in the domain; here is what it needs to know.

use std::collections::HashMap;

use runyard_domain::{
    Millis,
    checkpoint::{Candidate, Retention},
};
use runyard_store::{self as store, Tx, file_set::FileSet, metric::Query};

use super::{Run, delete::bury};
use crate::Result;

/// Deletes what is surplus now; whether there was anything. What is being uploaded is never looked at.
pub(super) fn apply(tx: &mut Tx, run: &Run, now: Millis) -> Result<bool> {
    let Some(retention) = &run.spec.checkpoints else { return Ok(false) };
    let complete = store::file_set::complete_checkpoints(tx, run.id)?;
    let values = values(tx, run, retention, &complete)?;
    let candidate = |(place, set): (usize, &FileSet)| {
        let global_step = set.global_step.unwrap_or_default();
        Candidate { id: place, global_step, value: values.get(&global_step).copied() }
    };
    let candidates: Vec<Candidate<usize>> = complete.iter().enumerate().map(candidate).collect();
    let surplus = retention.surplus(&candidates);
    for &place in &surplus {
        bury(tx, complete[place].clone(), now)?;
    }
    Ok(!surplus.is_empty())
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
