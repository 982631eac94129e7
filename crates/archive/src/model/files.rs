//! Reads the files of a survey and makes sure that they are still what was surveyed. Keeps no more than a buffer of any of them.

use std::{
    cmp::Reverse,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sha2::{Digest, Sha256};

use super::{
    Error, Summary, Survey,
    layout::{self, Sha},
};
use crate::walk::{Entry, Kind, Stamp};

const BUFFER: usize = 256 << 10;
/// Hashing is as fast as memory long before this.
const THREADS_MAX: usize = 8;

/// As many threads as there are cores, within reason.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// A file of the survey, as it was surveyed.
pub(super) struct Checked {
    file: File,
    stamp: Stamp,
}

impl Checked {
    pub(super) fn open(root: &Path, entry: &Entry) -> Result<Self, Error> {
        let path = root.join(&entry.path);
        let Kind::File(stamp) = entry.kind else { return Err(Error::Changed(path)) };
        let file = File::open(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => Error::Changed(path.clone()),
            _ => Error::unreadable(&path, cause),
        })?;
        let checked = Self { file, stamp };
        checked.same(root, entry)?;
        Ok(checked)
    }

    /// Fills `buffer` from `offset` on.
    pub(super) fn read(
        &self,
        root: &Path,
        entry: &Entry,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), Error> {
        self.file.read_exact_at(buffer, offset).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => Error::Changed(root.join(&entry.path)),
            _ => Error::unreadable(&root.join(&entry.path), cause),
        })
    }

    /// Whether nobody wrote to it.
    pub(super) fn same(&self, root: &Path, entry: &Entry) -> Result<(), Error> {
        let path = root.join(&entry.path);
        let found = self.file.metadata().map_err(|cause| Error::unreadable(&path, cause))?;
        if Stamp::of(&found) == self.stamp { Ok(()) } else { Err(Error::Changed(path)) }
    }
}

/// Hashes all files, in parallel: what `pack` would say of them.
pub fn digest(survey: &Survey) -> Result<Summary, Error> {
    digest_on(survey, threads())
}

pub(super) fn digest_on(survey: &Survey, threads: usize) -> Result<Summary, Error> {
    let size = |index: &usize| match survey.entries[*index].kind {
        Kind::File(stamp) => Some(stamp.bytes),
        _ => None,
    };
    let mut order: Vec<usize> = (0..survey.entries.len()).filter(|index| size(index).is_some()).collect();
    // The largest first, so that none of them is left for the end.
    order.sort_by_key(|index| Reverse(size(index)));
    let next = AtomicUsize::new(0);
    let shas = Mutex::new(vec![Sha::default(); survey.entries.len()]);
    let work = || {
        let mut buffer = vec![0; BUFFER];
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            match hash(&survey.root, &survey.entries[*index], &mut buffer) {
                Ok(sha) => shas.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[*index] = sha,
                Err(error) => {
                    // Nobody needs the rest.
                    next.store(order.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(order.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        others.into_iter().map(joined).fold(own, Result::and)
    })?;
    let shas = shas.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(layout::summary(&survey.entries, &shas))
}

fn hash(root: &Path, entry: &Entry, buffer: &mut [u8]) -> Result<Sha, Error> {
    let file = Checked::open(root, entry)?;
    let mut digest = Sha256::new();
    let mut at = 0;
    while at < file.stamp.bytes {
        let most = buffer.len().min(usize::try_from(file.stamp.bytes - at).unwrap_or(usize::MAX));
        file.read(root, entry, at, &mut buffer[..most])?;
        digest.update(&buffer[..most]);
        at += most as u64;
    }
    file.same(root, entry)?;
    Ok(digest.finalize().into())
}

/// What a thread answered; its panic goes on here.
pub(super) fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
