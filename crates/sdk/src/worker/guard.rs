//! Calls what an author wrote, so that neither an error nor a panic of it ends the work. Never hides either.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use runyard_domain::{FieldErrors, element::Results};

use super::{Element, ElementsWorker, Failure};

/// What came of a call: a sentence that says why not, causes included.
pub(super) fn guard<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, String> {
    // What a panic leaves half changed is the author's, who was told.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(failure)) => Err(sentence(&failure)),
        Err(panic) => Err(format!("panicked: {}", said(panic.as_ref()))),
    }
}

/// What a worker has to say of some elements, in their order.
pub(super) fn process(
    worker: &mut impl ElementsWorker,
    elements: &[Element],
) -> Vec<Result<Results, String>> {
    if worker.batch_size() > 1 {
        match guard(|| worker.process_batch(elements)) {
            Ok(all) if all.len() == elements.len() => return all.into_iter().map(check).collect(),
            Ok(other) => tracing::warn!(
                "a batch of {} has {} results: its elements are processed one by one",
                elements.len(),
                other.len()
            ),
            Err(why) => tracing::warn!("a batch failed, and its elements are processed one by one: {why}"),
        }
    }
    elements.iter().map(|element| guard(|| worker.process_element(element)).and_then(check)).collect()
}

/// Results that no server takes are the element's failure, and nobody else's.
fn check(results: Results) -> Result<Results, String> {
    let mut errors = FieldErrors::default();
    results.check("results", None, &mut errors);
    errors.finish(results).map_err(|errors| format!("its results are wrong: {errors}"))
}

fn sentence(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(inner) = cause {
        let own = inner.to_string();
        // Many errors repeat their cause in their own words.
        if !text.ends_with(&own) {
            text = format!("{text}: {own}");
        }
        cause = inner.source();
    }
    if text.is_empty() { "the worker gave no reason".to_owned() } else { text }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
