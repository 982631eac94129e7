//! Lists the objects of a bucket: by key, those below a common prefix as one.

use runyard_store::{
    self as store, Tx,
    oss::object::{After as From, behind},
};

use super::{Bucket, Object, readable};
use crate::{Actor, Engine, Error, Result};

/// Entries of one page.
pub const PAGE_MAX: usize = 1_000;

/// Where a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Behind this key.
    Key(String),
    /// Behind this entry: when it is a common prefix, behind all below it.
    Entry(String),
}

/// Which objects.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Name of the bucket.
    pub bucket: String,
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that have this behind the prefix are one entry up to and with it. Empty: none are.
    pub delimiter: String,
    /// Where to begin.
    pub after: After,
    /// At most so many entries, up to [`PAGE_MAX`].
    pub limit: usize,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(Box<Object>),
    /// What the keys of several begin with.
    Prefix(String),
}

impl Entry {
    /// The key, or the prefix: the list goes on behind it.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The bucket.
    pub bucket: Bucket,
    /// In the order of their names.
    pub entries: Vec<Entry>,
    /// There are more: they are behind the last entry.
    pub truncated: bool,
}

/// A page of the objects of a bucket.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`]; `prefix` and the like when they have zero bytes.
pub async fn list(engine: &Engine, actor: &Actor, wanted: Wanted) -> Result<Page> {
    let (After::Key(after) | After::Entry(after)) = &wanted.after;
    if [&wanted.prefix, after].into_iter().any(|text| text.contains('\0')) {
        return Err(Error::field("prefix", "must have no zero byte"));
    }
    let wanted = Wanted { limit: wanted.limit.min(PAGE_MAX), ..wanted };
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let bucket = readable(tx, &actor, &wanted.bucket)?;
            let (entries, truncated) = walk(tx, &bucket, &wanted)?;
            Ok(Page { bucket, entries, truncated })
        })
        .await
}

/// Reads keys in ranges, and leaps behind a common prefix once it is known: what is below it is not read.
fn walk(tx: &mut Tx, bucket: &Bucket, wanted: &Wanted) -> Result<(Vec<Entry>, bool)> {
    let Wanted { prefix, limit, .. } = wanted;
    let mut entries: Vec<Entry> = Vec::new();
    if *limit == 0 {
        return Ok((entries, false));
    }
    let (mut key, mut behind_it) = match &wanted.after {
        After::Key(key) => (key.clone(), true),
        After::Entry(entry) if common(wanted, entry).as_ref() == Some(entry) => match behind(entry) {
            Some(next) => (next, false),
            None => return Ok((entries, false)),
        },
        After::Entry(entry) => (entry.clone(), true),
    };
    loop {
        let more = limit + 1 - entries.len();
        let after = if behind_it { From::This(&key) } else { From::At(&key) };
        let found = store::oss::object::list(tx, bucket.id, prefix, after, more as i64)?;
        let ended = found.len() < more;
        for object in found {
            key.clone_from(&object.key);
            behind_it = true;
            let entry = match common(wanted, &object.key) {
                Some(shared) if entries.last().is_some_and(|last| last.name() == shared) => continue,
                Some(shared) => Entry::Prefix(shared),
                None => Entry::Object(Box::new(object)),
            };
            if entries.len() == *limit {
                return Ok((entries, true));
            }
            entries.push(entry);
        }
        if ended {
            return Ok((entries, false));
        }
        if let Some(Entry::Prefix(shared)) = entries.last() {
            match behind(shared) {
                Some(next) if next > key => (key, behind_it) = (next, false),
                Some(_) => {}
                None => return Ok((entries, false)),
            }
        }
    }
}

/// The common prefix that stands for a key in the list, if one does.
fn common(wanted: &Wanted, key: &str) -> Option<String> {
    let Wanted { prefix, delimiter, .. } = wanted;
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(prefix.as_str())?;
    let at = rest.find(delimiter.as_str())?;
    Some(key[..prefix.len() + at + delimiter.len()].to_owned())
}
