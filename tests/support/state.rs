//! All that a server keeps, in one value: equal before and after a refusal, nothing was written.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{Server, processes};

/// What a server keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    lists: Vec<(&'static str, Value)>,
    files: BTreeSet<String>,
}

impl Server {
    /// What the server keeps now: every list of the API, the jobs' folders and the stored objects. For servers on which
    /// no run is active: what a run reports changes by itself.
    #[track_caller]
    pub fn state(&self) -> State {
        let lists = [
            "/projects",
            "/tokens",
            "/blueprints?limit=1000",
            "/runs?limit=1000",
            "/models?limit=1000",
            "/model_versions?limit=1000",
        ];
        let mut files = names(&processes::jobs(self.data()));
        files.append(&mut names(&self.data().join("objects")));
        State { lists: lists.map(|path| (path, self.get(path))).into(), files }
    }
}

/// Everything below the folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.append(&mut names(&entry.path()));
        }
        found.insert(entry.path().display().to_string());
    }
    found
}
