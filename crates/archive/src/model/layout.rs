//! Where each byte of the tar comes from, known before any file is read: so pieces of it can be made in any order. Opens nothing.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{Entry, Error, Kind, Summary, survey::text};
use crate::{
    header, hex, link,
    walk::{self, Entry as Found, Kind as FoundKind},
};

/// The tar is cut into pieces of this size, each compressed for itself. Part of the format: other sizes make other archives.
pub(super) const CHUNK: u64 = 1 << 20;

/// SHA-256 of a content.
pub(super) type Sha = [u8; 32];

/// The tar of some entries.
pub(super) struct Layout<'a> {
    entries: &'a [Found],
    /// What stands before the first entry.
    head: Vec<u8>,
    /// Where each entry begins, and the end of the last one.
    starts: Vec<u64>,
}

/// What a chunk brings of the contents of files.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Files that are in it as a whole.
    pub(super) whole: Vec<(usize, Sha)>,
    /// Pieces of files that are in other chunks as well, and where they are in it.
    pub(super) pieces: Vec<(usize, Range<usize>)>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(entries: &'a [Found]) -> Self {
        let head = if links_to_files(entries) { Vec::new() } else { header::in_order() };
        let mut starts = Vec::with_capacity(entries.len() + 1);
        let mut at = head.len() as u64;
        for entry in entries {
            starts.push(at);
            let content = size(entry);
            at += header::blocks(&entry.path, &entry.kind).len() as u64 + content + header::padding(content);
        }
        starts.push(at);
        Self { entries, head, starts }
    }

    pub(super) fn entry(&self, index: usize) -> &'a Found {
        &self.entries[index]
    }

    fn total(&self) -> u64 {
        self.starts[self.entries.len()] + header::END
    }

    pub(super) fn chunks(&self) -> u64 {
        self.total().div_ceil(CHUNK)
    }

    /// Makes a chunk in `buffer`. `read` is asked for contents in order: entry, offset and where to.
    pub(super) fn fill(
        &self,
        chunk: u64,
        buffer: &mut Vec<u8>,
        mut read: impl FnMut(usize, u64, &mut [u8]) -> Result<(), Error>,
    ) -> Result<Brought, Error> {
        let begin = chunk * CHUNK;
        let end = (begin + CHUNK).min(self.total());
        // What a buffer held before is all overwritten.
        buffer.resize((end - begin) as usize, 0);
        let inside = |from: u64, to: u64| {
            let (from, to) = (from.clamp(begin, end), to.clamp(begin, end));
            (from - begin) as usize..(to - begin) as usize
        };
        let mut brought = Brought::default();
        // No longer than a chunk.
        let head = inside(0, self.head.len() as u64);
        buffer[head.clone()].copy_from_slice(&self.head[..head.len()]);
        let first = self.starts.partition_point(|start| *start <= begin).saturating_sub(1);
        for (index, entry) in self.entries.iter().enumerate().skip(first) {
            let (start, next) = (self.starts[index], self.starts[index + 1]);
            if start >= end {
                break;
            }
            let size = size(entry);
            let content = next - size - header::padding(size);
            let head = inside(start, content);
            if !head.is_empty() {
                let from = (begin.max(start) - start) as usize;
                let blocks = header::blocks(&entry.path, &entry.kind);
                buffer[head.clone()].copy_from_slice(&blocks[from..from + head.len()]);
            }
            let body = inside(content, content + size);
            if !body.is_empty() {
                read(index, begin.max(content) - content, &mut buffer[body.clone()])?;
                if body.len() as u64 == size {
                    brought.whole.push((index, Sha256::digest(&buffer[body]).into()));
                } else {
                    brought.pieces.push((index, body));
                }
            }
            buffer[inside(content + size, next)].fill(0);
        }
        buffer[inside(self.starts[self.entries.len()], end)].fill(0);
        Ok(brought)
    }

    /// What was packed, with the digests of the contents.
    pub(super) fn summary(&self, shas: &[Sha]) -> Summary {
        summary(self.entries, shas)
    }

    /// Digests to start with: those of empty files are known.
    pub(super) fn shas(&self) -> Vec<Sha> {
        vec![Sha256::digest(b"").into(); self.entries.len()]
    }
}

/// Whether a content is there under another name, too.
fn links_to_files(entries: &[Found]) -> bool {
    let links: BTreeMap<_, _> = entries
        .iter()
        .filter_map(|entry| match &entry.kind {
            FoundKind::Link(target) => Some((entry.path.clone(), target.clone())),
            _ => None,
        })
        .collect();
    if links.is_empty() {
        return false;
    }
    let files: HashSet<&Path> = walk::files(entries).map(|(_, path)| path).collect();
    let mut ends = links.keys().filter_map(|link| link::leads_to(&links, link));
    ends.any(|end| files.contains(end.as_path()))
}

/// Bytes of content.
fn size(entry: &Found) -> u64 {
    match entry.kind {
        FoundKind::File(stamp) => stamp.bytes,
        FoundKind::Folder | FoundKind::Link(_) => 0,
    }
}

/// What `entries` are, with the digests of the contents.
pub(super) fn summary(entries: &[Found], shas: &[Sha]) -> Summary {
    use std::os::unix::ffi::OsStrExt;
    let entry = |(found, sha): (&Found, &Sha)| {
        let (kind, sha256) = match &found.kind {
            FoundKind::Folder => (Kind::Folder, String::new()),
            FoundKind::Link(target) => (Kind::Link, hex(&Sha256::digest(target.as_os_str().as_bytes()))),
            FoundKind::File(stamp) => {
                (if stamp.executable { Kind::Executable } else { Kind::File }, hex(sha))
            }
        };
        Entry { path: text(found).to_owned(), kind, size: size(found), sha256 }
    };
    Summary::new(entries.iter().zip(shas).map(entry).collect())
}
