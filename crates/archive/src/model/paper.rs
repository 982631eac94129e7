//! The tree of an archive on paper: what extracting it would make, with the same refusals, without a disk.

use std::{
    collections::{BTreeMap, HashMap},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{Entry, Kind, Summary, layout::Sha, summary::depth_first};
use crate::{
    extract::{Error, Limits},
    hex, link,
    members::Member,
};

/// Bytes of all paths together: what an archive may make a reader remember.
const PATHS_MAX: u64 = 128 << 20;

/// The tree as it grows.
pub(super) struct Paper<'a> {
    limits: &'a Limits,
    nodes: HashMap<String, Node>,
    links: BTreeMap<PathBuf, PathBuf>,
    /// Bytes of all files, and of all paths.
    size: u64,
    paths: u64,
    files: usize,
}

enum Node {
    Folder,
    Link,
    /// Its content is the n-th of the archive.
    File {
        content: usize,
        executable: bool,
        size: u64,
    },
}

impl<'a> Paper<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, nodes: HashMap::new(), links: BTreeMap::new(), size: 0, paths: 0, files: 0 }
    }

    /// Notes a member, before its content is read.
    pub(super) fn add(&mut self, path: &Path, member: &Member) -> Result<(), Error> {
        let Some(text) = path.to_str() else { return Err(Error::NotText(path.display().to_string())) };
        match member {
            Member::InOrder => Ok(()),
            Member::Folder => self.folder(path),
            Member::File { size, executable } => {
                let content = self.files;
                self.files += 1;
                self.grow(*size)?;
                self.insert(text, path, Node::File { content, executable: *executable, size: *size })
            }
            Member::Link(target) => {
                self.count(target.as_os_str().len())?;
                self.links.insert(path.to_owned(), target.clone());
                self.insert(text, path, Node::Link)
            }
            Member::HardLink(target) => {
                let found = target.to_str().and_then(|target| self.nodes.get(target));
                let Some(&Node::File { content, executable, size }) = found else {
                    let target = target.display().to_string();
                    return Err(Error::LinkOut { link: text.to_owned(), target });
                };
                self.grow(size)?;
                self.insert(text, path, Node::File { content, executable, size })
            }
        }
    }

    /// Notes a folder and those above it.
    fn folder(&mut self, path: &Path) -> Result<(), Error> {
        let mut missing = Vec::new();
        for path in path.ancestors().filter_map(Path::to_str).filter(|path| !path.is_empty()) {
            match self.nodes.get(path) {
                Some(Node::Folder) => break,
                Some(_) => return Err(Error::Twice(path.to_owned())),
                None => missing.push(path),
            }
        }
        for path in missing {
            self.count(path.len())?;
            self.nodes.insert(path.to_owned(), Node::Folder);
        }
        Ok(())
    }

    fn insert(&mut self, text: &str, path: &Path, node: Node) -> Result<(), Error> {
        path.parent().map_or(Ok(()), |parent| self.folder(parent))?;
        self.count(text.len())?;
        match self.nodes.insert(text.to_owned(), node) {
            Some(_) => Err(Error::Twice(text.to_owned())),
            None => Ok(()),
        }
    }

    fn grow(&mut self, size: u64) -> Result<(), Error> {
        self.size = self.size.saturating_add(size);
        if self.size > self.limits.max_bytes { Err(Error::TooLarge(self.limits.max_bytes)) } else { Ok(()) }
    }

    fn count(&mut self, path: usize) -> Result<(), Error> {
        self.paths += path as u64;
        if self.nodes.len() as u64 >= self.limits.max_entries {
            return Err(Error::TooManyEntries(self.limits.max_entries));
        }
        if self.paths > PATHS_MAX { Err(Error::LongPaths(PATHS_MAX)) } else { Ok(()) }
    }

    /// Whether all links stay inside.
    pub(super) fn check_links(&self) -> Result<(), Error> {
        match self.links.iter().find(|(path, _)| !link::stays_inside(&self.links, path)) {
            Some((link, target)) => {
                Err(Error::LinkOut { link: link.display().to_string(), target: target.display().to_string() })
            }
            None => Ok(()),
        }
    }

    /// Which contents Arkindex hashes, in its order: files and links that lead to files, component by component.
    pub(super) fn hashed(&self) -> Vec<usize> {
        let content = |node: &Node| match node {
            Node::File { content, .. } => Some(*content),
            Node::Folder | Node::Link => None,
        };
        let mut found: Vec<(&str, usize)> =
            self.nodes.iter().filter_map(|(path, node)| Some((path.as_str(), content(node)?))).collect();
        for path in self.links.keys() {
            let end = link::leads_to(&self.links, path);
            let end = end.as_deref().and_then(Path::to_str).and_then(|end| self.nodes.get(end));
            found.extend(path.to_str().zip(end.and_then(content)));
        }
        found.sort_unstable_by(|a, b| depth_first(a.0, b.0));
        found.into_iter().map(|(_, content)| content).collect()
    }

    /// What there is, with the digests of the contents in the order of the archive.
    pub(super) fn summary(&self, shas: &[Sha]) -> Summary {
        let entry = |(path, node): (&String, &Node)| {
            let (kind, size, sha256) = match node {
                Node::Folder => (Kind::Folder, 0, String::new()),
                Node::Link => {
                    let target = self.links.get(Path::new(path)).map(|target| target.as_os_str().as_bytes());
                    (Kind::Link, 0, hex(&Sha256::digest(target.unwrap_or_default())))
                }
                Node::File { content, executable, size } => {
                    let kind = if *executable { Kind::Executable } else { Kind::File };
                    (kind, *size, hex(&shas[*content]))
                }
            };
            Entry { path: path.clone(), kind, size, sha256 }
        };
        Summary::new(self.nodes.iter().map(entry).collect())
    }
}
