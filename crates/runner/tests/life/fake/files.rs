//! Checkpoints and artifacts of the fake: what was begun, sent, completed and given up, all in memory.

use std::collections::BTreeMap;

use runyard_wire::file::{AbandonFiles, CompleteFiles, NewFile, Part, PostFiles, SignedUrl, Upload};
use serde_json::{Value, json};

use super::{Answer, error, ok};

/// All sets, and how the store behaves.
#[derive(Default)]
pub(crate) struct Sets {
    /// By id.
    pub(crate) all: BTreeMap<String, Set>,
    /// Calls about sets, but for the store's.
    pub(crate) calls: usize,
    /// The store answers this to a file whose path (and part) contains the text.
    pub(crate) refuse: Option<(u16, &'static str)>,
    /// Puts by path (and part), refused ones too.
    pub(crate) puts: Vec<String>,
}

/// A checkpoint or artifact.
#[derive(Default)]
pub(crate) struct Set {
    pub(crate) kind: String,
    pub(crate) new: Value,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    announced: BTreeMap<String, NewFile>,
    /// What the store has, by path.
    pub(crate) stored: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<(String, i64), Vec<u8>>,
}

impl Sets {
    /// The only set of a kind.
    pub(crate) fn only(&self, kind: &str) -> &Set {
        let mut found = self.all.values().filter(|set| set.kind == kind);
        let first = found.next().unwrap_or_else(|| panic!("there are no {kind}"));
        assert!(found.next().is_none(), "there are several {kind}");
        first
    }

    /// The artifact with this name.
    pub(crate) fn artifact(&self, name: &str) -> Option<&Set> {
        self.all.values().find(|set| set.kind == "artifacts" && set.new["name"] == name)
    }

    /// Whether any set is complete.
    pub(crate) fn any_complete(&self) -> bool {
        self.all.values().any(|set| set.status == "complete")
    }

    pub(super) fn answer(&mut self, method: &str, kind: &str, path: &[&str], body: &[u8]) -> Option<Answer> {
        self.calls += 1;
        assert_eq!(method, "POST");
        match path {
            [] => Some(self.create(kind, serde_json::from_slice(body).unwrap())),
            [id, "files"] => {
                let post: PostFiles = serde_json::from_slice(body).unwrap();
                let set = self.all.get_mut(*id)?;
                Some(ok(&post.files.into_iter().map(|file| set.announce(id, file)).collect::<Vec<_>>()))
            }
            [id, "complete"] => {
                let set = self.all.get_mut(*id)?;
                let sent: CompleteFiles = serde_json::from_slice(body).unwrap();
                for file in sent.files {
                    let announced = set.announced.get_mut(&file.path).unwrap();
                    announced.sha256 = announced.sha256.take().or(file.sha256);
                }
                assert!(set.announced.values().all(|file| file.sha256.is_some()), "every digest is said");
                let paths: Vec<String> = set.announced.keys().cloned().collect();
                if !paths.iter().all(|path| set.join(path)) {
                    return Some(error(409, "incomplete", None));
                }
                set.status = "complete";
                Some(ok(&json!({})))
            }
            [id, "abandon"] => {
                let body: AbandonFiles = serde_json::from_slice(body).unwrap();
                self.all.get_mut(*id)?.reason = Some(body.reason);
                Some(ok(&json!({})))
            }
            _ => None,
        }
    }

    fn create(&mut self, kind: &str, new: Value) -> Answer {
        let known = self.all.iter().find(|(_, set)| set.new["source_key"] == new["source_key"]);
        let id = known.map_or_else(|| format!("set-{}", self.all.len()), |(id, _)| id.clone());
        let set = self.all.entry(id.clone()).or_insert_with(|| Set {
            kind: kind.to_owned(),
            new,
            status: "incomplete",
            ..Set::default()
        });
        ok(&json!({"id": id, "status": set.status, "reason": set.reason}))
    }

    /// `PUT /objects/{set}/{part or 0}/{path}`.
    pub(super) fn put(&mut self, path: &[&str], body: &[u8]) -> Answer {
        let (set, part, path) = (path[0], path[1].parse::<i64>().unwrap(), path[2..].join("/"));
        let name = if part > 0 { format!("{path}#{part}") } else { path.clone() };
        self.puts.push(name.clone());
        if let Some((status, text)) = self.refuse
            && name.contains(text)
        {
            return error(status, "busy", None);
        }
        let set = self.all.get_mut(set).unwrap();
        let announced = &set.announced[&path];
        if part > 0 {
            assert_eq!(announced.parts[usize::try_from(part - 1).unwrap()].size, body.len() as i64);
            set.parts.insert((path, part), body.to_vec());
        } else {
            assert_eq!(announced.size, body.len() as i64);
            set.stored.insert(path, body.to_vec());
        }
        ok(&json!({}))
    }
}

impl Set {
    /// What is stored, as text.
    pub(crate) fn files(&self) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        self.stored.iter().map(|(path, bytes)| (path.as_str(), text(bytes))).collect()
    }

    /// Size and SHA-256 that were said of a file.
    pub(crate) fn said(&self, path: &str) -> (i64, String) {
        (self.announced[path].size, self.announced[path].sha256.clone().unwrap_or_default())
    }

    fn announce(&mut self, id: &str, file: NewFile) -> Upload {
        let path = file.path.clone();
        if file.local.is_some() {
            // As a server on another machine would.
            return Upload { path, done: false, put: None, upload_id: None, parts: Vec::new() };
        }
        let again = self.announced.insert(path.clone(), file.clone()).is_some();
        let put = |part: i64, size: i64| SignedUrl {
            url: format!("/objects/{id}/{part}/{path}"),
            method: "PUT".into(),
            headers: vec![("content-length".into(), size.to_string())],
            expires_at: 0,
        };
        let stored = self.stored.get(&path).is_some_and(|bytes| bytes.len() as i64 == file.size);
        let done = again && stored;
        let whole = (!done && file.parts.is_empty()).then(|| put(0, file.size));
        let (mut parts, mut offset) = (Vec::new(), 0);
        for (number, part) in (1..).zip(&file.parts) {
            let there = self.parts.contains_key(&(path.clone(), number));
            let put = (!there).then(|| put(number, part.size));
            parts.push(Part { number, offset, size: part.size, done: there, put });
            offset += part.size;
        }
        Upload { path: path.clone(), done, put: whole, upload_id: None, parts }
    }

    /// Whether a file is there; its parts are joined when all are.
    fn join(&mut self, path: &str) -> bool {
        let Self { announced, stored, parts, .. } = self;
        let count = announced[path].parts.len() as i64;
        let bytes: Option<Vec<&Vec<u8>>> =
            (1..=count).map(|number| parts.get(&(path.to_owned(), number))).collect();
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            stored.insert(path.to_owned(), bytes.into_iter().flatten().copied().collect());
        }
        stored.contains_key(path)
    }
}
