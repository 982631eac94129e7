//! Takes files of a job from a disk that it shares with the server: read once, through no socket. What cannot be taken is sent
//! like any other file. Takes nothing that the job's own runner did not see as it is.

use std::{collections::HashSet, fs::Metadata, os::unix::fs::MetadataExt as _};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use runyard_domain::{
    FieldErrors, FileSetId,
    checkpoint::{Kind, MAX_ANNOUNCED, Status, check_path},
};
use runyard_store::{self as store, file_set::file::File};

use super::{key, open, upload::announce};
use crate::{Actor, Engine, Error, Result};

/// Larger files are sent in parts: what was copied of them before the server died need not be copied again.
const TAKE_MAX: i64 = 16 << 30;
/// Files that are copied at the same time.
const TAKEN_AT_ONCE: usize = 3;

/// Where a job has a file, and what tells it from any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Relative to the set's folder.
    pub path: String,
    /// Place below the job's `ml/`, without links.
    pub place: String,
    /// Bytes.
    pub size: i64,
    /// Device and inode.
    pub file: (u64, u64),
    /// When it was changed last: seconds since 1970, and nanoseconds.
    pub modified: (i64, i64),
}

impl LocalFile {
    /// Whether this is the file that the runner saw: on another machine another one may be in its place.
    fn is(&self, found: &Metadata) -> bool {
        self.file == (found.dev(), found.ino())
            && self.size.cast_unsigned() == found.len()
            && self.modified == (found.mtime(), found.mtime_nsec())
    }
}

/// Copies files of the set's job to where objects are, and answers which of them: they are announced and stored. May be repeated.
///
/// # Errors
/// Wrong paths by `files.N.path`; `file_changed` when a path was announced with other bytes before; `complete`, `abandoned` and
/// `stale_epoch` when nothing can be added any more.
pub async fn take(
    engine: &Engine,
    actor: &Actor,
    kind: Kind,
    id: FileSetId,
    files: Vec<LocalFile>,
) -> Result<HashSet<String>> {
    check(&files)?;
    let reader = actor.clone();
    let opened = engine.db.write(move |tx| {
        let (_, set) = open(tx, &reader, kind, id)?;
        let job = store::job::get(tx, set.job_id)?.ok_or_else(|| Error::not_found("job", set.job_id))?;
        Ok::<_, Error>((set, job))
    });
    let (set, job) = opened.await?;
    if set.status == Status::Complete || engine.objects.bucket().is_some() {
        return Ok(HashSet::new());
    }
    let executor = engine.executor(&job.executor)?;
    let (set, objects) = (&set, &engine.objects);
    let each = files.into_iter().filter(|file| file.size <= TAKE_MAX).map(|file| async move {
        let found = executor.open(job.id, &file.place).await;
        let Some(there) = found.filter(|there| there.metadata().is_ok_and(|found| file.is(&found))) else {
            return Ok(None);
        };
        let mode = there.metadata().ok().map(|found| i64::from(found.mode() & 0o777));
        let put = objects.put_file(&key(set, &file.path), there).await?;
        let LocalFile { path, size, .. } = file;
        let row = |sha256| File { path, size, sha256, md5: None, parts: Vec::new(), upload: None, mode };
        Ok::<_, Error>(put.map(|put| row(put.sha256)))
    });
    let taken: Vec<Option<File>> = stream::iter(each).buffered(TAKEN_AT_ONCE).try_collect().await?;
    let taken: Vec<File> = taken.into_iter().flatten().collect();
    let paths = taken.iter().map(|file| file.path.clone()).collect();
    if !taken.is_empty() {
        let actor = actor.clone();
        let note = move |tx: &mut store::Tx| {
            let (_, mut set) = open(tx, &actor, kind, id)?;
            announce(tx, &mut set, &taken).map(drop)
        };
        engine.db.write(note).await?;
    }
    Ok(paths)
}

fn check(files: &[LocalFile]) -> Result<()> {
    if files.len() > MAX_ANNOUNCED {
        let message = format!("has {} files: announce 1 to {MAX_ANNOUNCED} at a time", files.len());
        return Err(Error::field("files", message));
    }
    let mut errors = FieldErrors::default();
    let mut seen = HashSet::new();
    for (index, file) in files.iter().enumerate() {
        let at = format!("files.{index}.path");
        if let Err(error) = check_path(&file.path) {
            errors.add(at, error.to_string());
        } else if !seen.insert(file.path.as_str()) {
            errors.add(at, format!("`{}` is named twice", file.path));
        }
    }
    Ok(errors.finish(())?)
}
