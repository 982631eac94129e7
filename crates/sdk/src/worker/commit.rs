//! Commits in batches. What the server refuses of a batch is recorded as a failure of that element alone, and the others are
//! committed; what came from a lost lease is dropped, and said.

use std::collections::BTreeMap;

use runyard_client::Error as ClientError;
use runyard_domain::element::Results;
use runyard_wire::activity::CommitItem;

use super::{Summary, session::Session};
use crate::Error;

/// Commits results of a worker run, and counts what came of them.
pub(super) struct Committer<'a> {
    pub(super) worker_run: &'a str,
    pub(super) summary: &'a mut Summary,
}

impl Committer<'_> {
    pub(super) fn commit(&mut self, session: &mut Session, items: Vec<CommitItem>) -> Result<(), Error> {
        let mut waiting = vec![items];
        while let Some(mut items) = waiting.pop() {
            if items.is_empty() {
                continue;
            }
            let id = self.worker_run;
            let committed = session.insist(async |client| client.commit_elements(id, items.clone()).await);
            match committed {
                Ok(outcomes) => {
                    let lost: BTreeMap<_, _> = outcomes
                        .iter()
                        .filter(|one| !["accepted", "repeated"].contains(&one.outcome.as_str()))
                        .map(|one| (one.element_id.as_str(), one.reason.as_deref().unwrap_or(&one.outcome)))
                        .collect();
                    self.count(&items, &lost);
                }
                Err(Error::Server(ClientError::Api { status: 413, .. })) if items.len() > 1 => {
                    let half = items.split_off(items.len() / 2);
                    waiting.extend([half, items]);
                }
                Err(error) => {
                    blame(&mut items, error)?;
                    waiting.push(items);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, items: &[CommitItem], lost: &BTreeMap<&str, &str>) {
        for item in items {
            self.summary.ran += 1;
            if let Some(reason) = lost.get(item.element_id.as_str()) {
                self.summary.dropped += 1;
                tracing::warn!(element = item.element_id, "its results are dropped: {reason}");
            } else if let Some(error) = &item.error {
                self.summary.failed += 1;
                tracing::warn!(element = item.element_id, "failed: {error}");
            }
        }
    }
}

/// Makes failures of the items whose results were refused.
fn blame(items: &mut [CommitItem], error: Error) -> Result<(), Error> {
    let mut wrong: BTreeMap<usize, String> = BTreeMap::new();
    match &error {
        Error::Server(ClientError::Api { status: 422, body }) => {
            for (path, messages) in body.errors.iter().flatten() {
                let Some((index, field)) = path.strip_prefix("items.").and_then(|rest| rest.split_once('.'))
                else {
                    return Err(error);
                };
                let Ok(index) = index.parse() else { return Err(error) };
                let text = wrong.entry(index).or_default();
                let separator = if text.is_empty() { "" } else { "; " };
                *text = format!("{text}{separator}{field}: {}", messages.join(", "));
            }
        }
        Error::Server(ClientError::Api { status: 413, body }) if items.len() == 1 => {
            wrong.insert(0, body.error.clone());
        }
        _ => return Err(error),
    }
    // One that has no results any more cannot be wrong for them: the refusal means something else.
    let known = wrong.keys().all(|index| items.get(*index).is_some_and(|item| !item.results.is_empty()));
    if wrong.is_empty() || !known {
        return Err(error);
    }
    for (index, text) in wrong {
        let item = &mut items[index];
        (item.state, item.results) = ("error".to_owned(), Results::default());
        item.error = Some(format!("the server refuses its results: {text}"));
    }
    Ok(())
}
