//! Worker runs: a worker works through the elements of a selection. What may be asked for, and in which mode.

use serde::{Deserialize, Serialize};

use crate::{
    FieldErrors, activity,
    dataset::SET_NAME_MAX,
    element,
    id::{DatasetId, ElementId, WorkerRunId},
};

/// Elements that a selection may name one by one.
pub const SELECTION_MAX: usize = 50_000;
/// Elements that a process claims at once when nothing was said.
pub const BATCH: i64 = 100;
/// Most processes of a run.
pub const PROCESSES_MAX: i64 = 256;

/// Where the elements of a worker run come from, in Arkindex's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Files.
    Files,
    /// Elements of a corpus.
    #[default]
    Workers,
    /// A template.
    Template,
    /// Objects in S3.
    S3,
    /// Chosen by hand.
    Local,
    /// Sets of datasets.
    Dataset,
    /// An export.
    Export,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 7] =
        [Self::Files, Self::Workers, Self::Template, Self::S3, Self::Local, Self::Dataset, Self::Export];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Workers => "workers",
            Self::Template => "template",
            Self::S3 => "s3",
            Self::Local => "local",
            Self::Dataset => "dataset",
            Self::Export => "export",
        }
    }

    /// The mode with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }
}

/// Which elements: named one by one, asked for, or those of sets. Exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// These.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<ElementId>,
    /// All that match; without conditions: the whole corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Query>,
    /// Those of these sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetName>,
}

/// Conditions that all hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// Slug of the type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub of_type: Option<String>,
    /// The name, as an ILIKE pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_ilike: Option<String>,
    /// Below this element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ElementId>,
    /// Also below its children, and theirs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
    /// That this worker run has not processed, and left no results for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_results_of: Option<WorkerRunId>,
}

/// A set of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetName {
    /// The dataset.
    pub dataset: DatasetId,
    /// The name of the set.
    pub set: String,
}

impl Selection {
    /// Whether it names nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes what is wrong, each field below `path`.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        let ways = [!self.elements.is_empty(), self.query.is_some(), !self.sets.is_empty()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            errors.add(path, "names elements in several ways: give one of elements, query and sets");
        }
        if self.elements.len() > SELECTION_MAX {
            let given = self.elements.len();
            errors.add(
                element::join(path, "elements"),
                format!("has {given} ids: name at most {SELECTION_MAX}, or use a query or a dataset"),
            );
        }
        if let Some(query) = &self.query {
            let path = element::join(path, "query");
            if let Some(of_type) = &query.of_type {
                element::check_slug(&element::join(&path, "type"), of_type, errors);
            }
            if let Some(Err(error)) = query.name_ilike.as_deref().map(crate::filter::Pattern::parse) {
                errors.add(element::join(&path, "name_ilike"), error.to_string());
            }
            if query.recursive && query.parent.is_none() {
                errors.add(
                    element::join(&path, "recursive"),
                    "goes with parent: name the element to look below",
                );
            }
        }
        for (index, set) in self.sets.iter().enumerate() {
            let length = set.set.chars().count();
            if length == 0 || length > SET_NAME_MAX {
                let path = element::join(path, format_args!("sets.{index}.set"));
                errors.add(path, format!("must have 1 to {SET_NAME_MAX} characters, and has {length}"));
            }
        }
    }
}

/// What a worker is written against: what a process is told in its environment depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerType {
    /// Our own API.
    #[default]
    Runyard,
    /// Arkindex's packages.
    Arkindex,
}

/// The section `worker` in the spec of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSpec {
    /// Id or name of the corpus.
    pub corpus: String,
    /// Which of its elements.
    pub selection: Selection,
    /// Name of the worker; absent: that of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Processes of the program, each with its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<i64>,
    /// Elements that each claims at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// How long a worker that is not heard of keeps its elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<i64>,
    /// How often an element may be lost by its worker until it is set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i64>,
    /// What it is written against; absent: our own API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_type: Option<WorkerType>,
}

impl WorkerSpec {
    /// Notes what is wrong, each field below `path`.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        let at = |field: &str| element::join(path, field);
        if self.corpus.is_empty() {
            errors.add(at("corpus"), "is empty: give the id or the name of a corpus");
        }
        if self.selection.is_empty() {
            errors.add(
                at("selection"),
                "selects nothing: give elements, sets or a query; `{\"query\": {}}` is the whole corpus",
            );
        }
        self.selection.check(&at("selection"), errors);
        if let Some(worker) = &self.worker {
            element::check_name(&at("worker"), worker, errors);
        }
        check_range(&at("processes"), self.processes, 1..=PROCESSES_MAX, errors);
        check_range(&at("batch"), self.batch, 1..=activity::BATCH_MAX as i64, errors);
        check_settings(path, self.lease_ms, self.max_attempts, errors);
    }
}

/// Notes what is wrong with the settings of leases, below `path`.
pub fn check_settings(
    path: &str,
    lease_ms: Option<i64>,
    max_attempts: Option<i64>,
    errors: &mut FieldErrors,
) {
    check_range(&element::join(path, "lease_ms"), lease_ms, activity::LEASE_MS_RANGE, errors);
    let attempts = 1..=activity::MAX_ATTEMPTS_MAX;
    check_range(&element::join(path, "max_attempts"), max_attempts, attempts, errors);
}

fn check_range(
    path: &str,
    value: Option<i64>,
    range: std::ops::RangeInclusive<i64>,
    errors: &mut FieldErrors,
) {
    if let Some(value) = value.filter(|value| !range.contains(value)) {
        errors.add(path, format!("{value} is not from {} to {}", range.start(), range.end()));
    }
}

/// Who holds the elements that process `number` of a job works on.
pub fn holder(job: crate::JobId, number: i64) -> String {
    format!("{job}/{number}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(spec: serde_json::Value) -> String {
        let spec: WorkerSpec = serde_json::from_value(spec).unwrap();
        let mut errors = FieldErrors::default();
        spec.check("spec.worker", &mut errors);
        errors.to_string()
    }

    #[test]
    fn a_section_says_which_elements_in_one_way() {
        assert_eq!(wrong(json!({"corpus": "books", "selection": {"query": {}}})), "");
        let nothing = wrong(json!({"corpus": "books", "selection": {}}));
        assert!(nothing.contains("spec.worker.selection: selects nothing"), "{nothing}");
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let both = wrong(json!({"corpus": "books", "selection": {"query": {}, "elements": [id]}}));
        assert!(both.contains("give one of elements, query and sets"), "{both}");
        let deep = wrong(json!({"corpus": "books", "selection": {"query": {"recursive": true}}}));
        assert!(deep.contains("spec.worker.selection.query.recursive: goes with parent"), "{deep}");
        let pattern = wrong(json!({"corpus": "books", "selection": {"query": {"name_ilike": "\\"}}}));
        assert!(pattern.contains("lone backslash"), "{pattern}");
    }

    #[test]
    fn numbers_have_two_ends() {
        let text = wrong(json!({"corpus": "", "selection": {"query": {}}, "processes": 0, "batch": 1001,
            "lease_ms": 999, "max_attempts": 0}));
        for field in [
            "corpus: is empty",
            "processes: 0 is not from 1 to 256",
            "batch: 1001 is not from 1 to 1000",
            "lease_ms: 999 is not from 1000",
            "max_attempts: 0 is not from 1 to 1000",
        ] {
            assert!(text.contains(&format!("spec.worker.{field}")), "{text}");
        }
    }
}
