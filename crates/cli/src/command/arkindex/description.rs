//! A JSON description of what Arkindex has: a corpus, its elements, datasets, worker runs and models, each with its id. Looked at
//! as a whole before anything of it is sent.

use std::{collections::HashMap, fmt::Write as _, path::Path};

use runyard_domain::{FieldErrors, element::NewElement};
use runyard_wire::{corpus::NewElementType, worker_run::NewWorkerRun};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Bytes of a description: it is in memory as a whole.
const MAX_BYTES: u64 = 1 << 30;
/// Faults that are named.
const NAMED: usize = 20;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Description {
    pub(super) corpus: Corpus,
    pub(super) models: Vec<Model>,
    pub(super) worker_runs: Vec<NewWorkerRun>,
    pub(super) elements: Vec<Element>,
    pub(super) datasets: Vec<Dataset>,
}

/// The corpus: its name is that of `--corpus`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Corpus {
    pub(super) id: Option<String>,
    pub(super) description: String,
    pub(super) types: Vec<NewElementType>,
}

/// A model; its versions are published.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
}

/// An element as the API takes it, and who made it.
#[derive(Debug)]
pub(super) struct Element {
    /// `None`: a person.
    pub(super) worker_run_id: Option<String>,
    pub(super) element: NewElement,
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not flattened: serde would let fields pass that nobody knows.
        let mut fields = Map::<String, Value>::deserialize(deserializer)?;
        let worker_run_id = match fields.remove("worker_run_id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(other) => return Err(de::Error::custom(format!("worker_run_id is {other}: it is an id"))),
        };
        let element = serde_json::from_value(fields.into()).map_err(de::Error::custom)?;
        Ok(Self { worker_run_id, element })
    }
}

/// A dataset with the ids of the elements of each set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dataset {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) sets: Vec<Set>,
}

/// A set of a dataset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    pub(super) name: String,
    #[serde(default)]
    pub(super) elements: Vec<String>,
}

/// Reads a description that holds together.
pub(super) fn read(path: &Path) -> Result<Description, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_BYTES {
        return Err(Failure::usage(format!("{} has more than {MAX_BYTES} bytes", path.display()))
            .hint("bring the elements with `runyard element import`, a line for each"));
    }
    let text = std::fs::read(path).map_err(failed)?;
    let description: Description = serde_json::from_slice(&text).map_err(|error| {
        Failure::usage(format!("{} is neither a SQLite export nor a description: {error}", path.display()))
            .hint("ARCHITECTURE.md says what a description has")
    })?;
    let faults = faults(&description);
    if faults.is_empty() {
        return Ok(description);
    }
    let mut text = format!("{} cannot be imported; nothing was written", path.display());
    for fault in faults.iter().take(NAMED) {
        text.push_str("\n  ");
        text.push_str(fault);
    }
    if faults.len() > NAMED {
        let _ = write!(text, "\n  and {} more", faults.len() - NAMED);
    }
    Err(Failure::usage(text))
}

fn faults(all: &Description) -> Vec<String> {
    let mut faults = Vec::new();
    let ids = |ids: Vec<Option<&str>>| ids.into_iter().map(|id| id.unwrap_or_default().to_owned()).collect();
    let elements: Vec<String> =
        all.elements.iter().map(|one| one.element.id.map(|id| id.to_string()).unwrap_or_default()).collect();
    let runs: Vec<String> = ids(all.worker_runs.iter().map(|one| one.id.as_deref()).collect());
    once("elements", &elements, &mut faults);
    once("worker_runs", &runs, &mut faults);
    once("models", &ids(all.models.iter().map(|one| Some(one.id.as_str())).collect()), &mut faults);
    once("datasets", &ids(all.datasets.iter().map(|one| Some(one.id.as_str())).collect()), &mut faults);
    let known: HashMap<&str, usize> = elements.iter().map(String::as_str).zip(0..).collect();
    let mut errors = FieldErrors::default();
    for (index, one) in all.elements.iter().enumerate() {
        one.element.check(&format!("elements.{index}"), &mut errors);
        if let Some(run) = one.worker_run_id.as_ref().filter(|run| !runs.contains(run)) {
            faults.push(format!(
                "elements.{index}.worker_run_id: there is no worker run `{run}` in the description"
            ));
        }
        for (place, parent) in one.element.parents.iter().enumerate() {
            let path = format!("elements.{index}.parents.{place}");
            match known.get(parent.as_str()) {
                Some(before) if *before < index => {}
                Some(_) => faults
                    .push(format!("{path}: `{parent}` comes later: parents stand before their children")),
                None => faults.push(format!("{path}: there is no element `{parent}` in the description")),
            }
        }
    }
    faults.extend(
        errors.0.iter().flat_map(|(path, messages)| messages.iter().map(move |why| format!("{path} {why}"))),
    );
    for (index, dataset) in all.datasets.iter().enumerate() {
        for (place, set) in dataset.sets.iter().enumerate() {
            for element in set.elements.iter().filter(|id| !known.contains_key(id.as_str())) {
                faults.push(format!(
                    "datasets.{index}.sets.{place}.elements: there is no element `{element}` in the description"
                ));
            }
        }
    }
    faults
}

/// Every id is given, and once.
fn once(what: &str, ids: &[String], faults: &mut Vec<String>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, id) in ids.iter().enumerate() {
        if id.is_empty() {
            faults.push(format!("{what}.{index}.id: is needed"));
        } else if let Some(first) = seen.insert(id, index) {
            faults
                .push(format!("{what}.{index}.id: `{id}` is that of {what}.{first} too: ids are given once"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_description_that_does_not_hold_together_is_refused_by_name() {
        let (a, b) = ("01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058");
        let text = json!({
            "elements": [
                {"id": a, "type": "page", "name": "p", "parents": [b], "worker_run_id": "w"},
                {"id": a, "type": "page", "name": ""},
                {"type": "page", "name": "p"},
            ],
            "datasets": [{"id": "d", "name": "d", "sets": [{"name": "train", "elements": ["x"]}]}],
        });
        let description: Description = serde_json::from_value(text).unwrap();
        let faults = faults(&description).join("\n");
        for said in [
            format!("elements.1.id: `{a}` is that of elements.0 too"),
            "elements.2.id: is needed".to_owned(),
            format!("elements.0.parents.0: there is no element `{b}`"),
            "elements.0.worker_run_id: there is no worker run `w`".to_owned(),
            "elements.1.name is empty".to_owned(),
            "datasets.0.sets.0.elements: there is no element `x`".to_owned(),
        ] {
            assert!(faults.contains(&said), "`{said}` is not in {faults}");
        }
    }
}
