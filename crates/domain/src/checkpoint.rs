//! Checkpoints and artifacts are file sets: which paths their files may have, how files are cut into parts, and which
//! checkpoints are kept. Never says that a set may go while it is being uploaded, nor the newest one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{FieldErrors, metric::check_tag};

#[cfg(test)]
mod tests;

/// Files of one set.
pub const MAX_FILES: i64 = 100_000;
/// Bytes of one file: 5 TiB, as with S3.
pub const MAX_FILE_BYTES: i64 = 5 << 40;
/// Bytes of one set: 50 TiB.
pub const MAX_SET_BYTES: i64 = 50 << 40;
/// Files that are announced in one request.
pub const MAX_ANNOUNCED: usize = 1_000;
/// Bytes of a file's path.
pub const MAX_PATH: usize = 800;
/// Characters of an artifact's name or type, and of a source key.
pub const MAX_NAME: usize = 200;
/// A file that is larger than this goes in parts.
pub const WHOLE_BYTES: i64 = 64 << 20;
/// Bytes of a part, but for the last one; more only where there would be too many parts.
pub const PART_BYTES: i64 = 32 << 20;
/// Parts of one file.
pub const MAX_PARTS: i64 = 10_000;

/// What a set of files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The state of a training at a step.
    Checkpoint,
    /// Any file or folder of a run.
    Artifact,
}

impl Kind {
    /// The word in the database and in sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Artifact => "artifact",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Checkpoint, Self::Artifact].into_iter().find(|kind| kind.word() == word)
    }

    /// The segment of its addresses.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoints",
            Self::Artifact => "artifacts",
        }
    }
}

/// How far a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not every byte is there. With a reason: it was given up, and never will be complete.
    Incomplete,
    /// Every byte was verified.
    Complete,
    /// It was deleted; only a repeat of the create that made it still sees this.
    Deleted,
}

impl Status {
    /// Those that lists show.
    pub const LISTED: [Self; 2] = [Self::Incomplete, Self::Complete];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Complete => "complete",
            Self::Deleted => "deleted",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Incomplete, Self::Complete, Self::Deleted].into_iter().find(|status| status.word() == word)
    }
}

/// Why a text cannot be the path of a file in a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be the path of a file: {reason}")]
pub struct PathError {
    path: String,
    reason: &'static str,
}

/// Whether `path` can name a file of a set: relative, `/` between its parts, and no way out of the set's folder.
///
/// # Errors
/// What is wrong with it.
pub fn check_path(path: &str) -> Result<(), PathError> {
    let wrong = |reason| {
        let path = path.chars().take(80).flat_map(char::escape_default).collect();
        Err(PathError { path, reason })
    };
    if path.is_empty() || path.len() > MAX_PATH {
        return wrong("a path has 1 to 800 bytes");
    }
    if path.starts_with('/') {
        return wrong("it must be relative to the folder: leave out the first `/`");
    }
    if path.chars().any(char::is_control) {
        return wrong("it must not have control characters");
    }
    for part in path.split('/') {
        match part {
            "" => return wrong("there is nothing between two `/`, or after the last one"),
            "." | ".." => return wrong("`.` and `..` are not allowed"),
            _ if part.len() > 255 => return wrong("a name between two `/` has at most 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// The folders above a file: `a`, `a/b` of `a/b/c`.
pub fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// How many bytes each part of a file of this size has, but for the last one; `None`: it goes as a whole.
pub fn part_size(size: i64) -> Option<i64> {
    if size <= WHOLE_BYTES {
        return None;
    }
    let mut part = PART_BYTES;
    while size > part * MAX_PARTS {
        part *= 2;
    }
    Some(part)
}

/// `(offset, size)` of each part of a file; none when it goes as a whole.
pub fn parts(size: i64) -> impl Iterator<Item = (i64, i64)> {
    let part = part_size(size);
    let count = part.map_or(0, |part| (size + part - 1) / part);
    let part = part.unwrap_or(1);
    (0..count).map(move |index| (index * part, part.min(size - index * part)))
}

/// Which checkpoints of a run are kept: those that any of the rules wants. No rule: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<i64>,
    /// The best by a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_best: Option<KeepBest>,
    /// Those whose step is a multiple of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_every: Option<i64>,
}

/// Keeps the best by the value that a metric has at the checkpoint's own step. One without such a value is not best.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepBest {
    /// The metric.
    pub tag: String,
    /// What is best.
    pub mode: Mode,
    /// How many.
    pub count: i64,
}

/// What is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Low values.
    Min,
    /// High values.
    Max,
}

/// A complete checkpoint, as retention sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<Id> {
    /// Its id.
    pub id: Id,
    /// Its step.
    pub global_step: i64,
    /// What the metric of [`KeepBest`] is at that step.
    pub value: Option<f64>,
}

impl Retention {
    /// Whether the rules make sense, at `path`.
    pub fn check(&self, path: &str, errors: &mut FieldErrors) {
        let mut at_least_one = |name: &str, value: Option<i64>| {
            if let Some(value) = value.filter(|value| *value < 1) {
                errors.add(format!("{path}.{name}"), format!("{value} keeps nothing: it is at least 1"));
            }
        };
        at_least_one("keep_last", self.keep_last);
        at_least_one("keep_every", self.keep_every);
        at_least_one("keep_best.count", self.keep_best.as_ref().map(|best| best.count));
        if let Some(best) = &self.keep_best
            && let Err(error) = check_tag(&best.tag)
        {
            errors.add(format!("{path}.keep_best.tag"), error.to_string());
        }
    }

    /// The best of a run's complete checkpoints, by `keep_best`; `None`: there is no such rule, or no value to go by.
    pub fn best<Id: Copy>(&self, newest_first: &[Candidate<Id>]) -> Option<Id> {
        let rule = KeepBest { count: 1, ..self.keep_best.clone()? };
        best_of(&rule, newest_first).first().map(|at| newest_first[*at].id)
    }

    /// Which of a run's complete checkpoints may go. `newest_first`: all of them, the newest first; it always stays.
    pub fn surplus<Id: Copy>(&self, newest_first: &[Candidate<Id>]) -> Vec<Id> {
        if *self == Self::default() {
            return Vec::new();
        }
        let mut kept = BTreeSet::from([0]);
        if let Some(last) = self.keep_last {
            kept.extend(0..usize::try_from(last).unwrap_or(0));
        }
        if let Some(every) = self.keep_every.filter(|every| *every > 0) {
            let wanted = |at: &usize| newest_first[*at].global_step % every == 0;
            kept.extend((0..newest_first.len()).filter(wanted));
        }
        if let Some(best) = &self.keep_best {
            kept.extend(best_of(best, newest_first));
        }
        let all = newest_first.iter().enumerate();
        all.filter(|(at, _)| !kept.contains(at)).map(|(_, candidate)| candidate.id).collect()
    }
}

/// Places of the best; of equal ones the older came there first.
fn best_of<Id>(best: &KeepBest, newest_first: &[Candidate<Id>]) -> Vec<usize> {
    let mut valued: Vec<(usize, f64)> = newest_first
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(at, candidate)| Some((at, candidate.value.filter(|value| !value.is_nan())?)))
        .collect();
    valued.sort_by(|(_, one), (_, other)| match best.mode {
        Mode::Min => one.total_cmp(other),
        Mode::Max => other.total_cmp(one),
    });
    valued.into_iter().take(usize::try_from(best.count).unwrap_or(0)).map(|(at, _)| at).collect()
}
