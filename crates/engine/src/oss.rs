//! Buckets and their objects, as clients that speak OSS know them. An object is its pieces: bytes are written once, at a key
//! that nothing else ever has, and a row says then what they are. So a reader sees one whole object or another one.
//!
//! A bucket belongs to a project. Who may write there makes it by writing to it.

pub mod bucket;
pub mod channel;
pub mod delete;
pub mod list;
pub mod multipart;
pub mod put;
pub mod read;
#[cfg(test)]
mod tests;

use runyard_domain::{
    BucketId, BucketObjectId, Millis, ProjectId,
    bucket::{check_key, check_name},
    token::Scope,
};
pub use runyard_store::oss::{Bucket, object::Object, piece::Piece};
use runyard_store::{self as store, Tx};

use crate::{Actor, Error, Result};

/// Most parts of an object.
pub const PARTS_MAX: i64 = 10_000;
/// Most keys in one request.
pub const KEYS_MAX: usize = 1_000;
/// What an object is called that came in one piece.
pub const NORMAL: &str = "Normal";
/// What an object is called that came in parts.
pub const MULTIPART: &str = "Multipart";

/// How long the bytes of an object in several pieces outlive it, so that who reads it comes to its end, in milliseconds.
const READ_MS: i64 = 10 * 60 * 1000;
/// How long an upload that nothing is added to is kept, in milliseconds.
const DESERTED_MS: i64 = 7 * 24 * 3600 * 1000;
/// How long a signed address lives, in seconds.
const ADDRESS_S: i64 = 3600;
/// Uploads that are given up in one sweep.
const DESERTED_AT_ONCE: i64 = 1_000;

/// What the keys of all pieces of an object begin with.
fn place(bucket: BucketId, object: BucketObjectId) -> String {
    format!("oss/{bucket}/{object}")
}

/// Who acts for a whole project.
fn of_project(project: ProjectId) -> Actor {
    Actor { token_id: None, name: String::new(), scope: Scope::Project(project) }
}

/// The bucket, if the actor may read what is in it.
fn readable(tx: &mut Tx, actor: &Actor, name: &str) -> Result<Bucket> {
    let bucket = store::oss::by_name(tx, name)?.ok_or_else(|| Error::not_found("bucket", name))?;
    let reaches = match actor.scope {
        Scope::Admin => true,
        Scope::Project(own) | Scope::Run(own, _) => own == bucket.project_id,
    };
    if reaches { Ok(bucket) } else { Err(foreign(name)) }
}

/// The bucket, if the actor may write to it.
fn writable(tx: &mut Tx, actor: &Actor, name: &str) -> Result<Bucket> {
    may_write(actor)?;
    readable(tx, actor, name)
}

fn may_write(actor: &Actor) -> Result<()> {
    if matches!(actor.scope, Scope::Run(..)) {
        let message =
            "the access key of a run only reads buckets: what it writes goes by its output channels";
        return Err(Error::Forbidden(message.to_owned()));
    }
    Ok(())
}

fn foreign(name: &str) -> Error {
    Error::Forbidden(format!("the bucket `{name}` belongs to another project: choose another name"))
}

fn bucket_name(name: &str) -> Result<()> {
    check_name(name).map_err(|wrong| Error::field("bucket", wrong))
}

fn object_key(key: &str) -> Result<()> {
    check_key(key).map_err(|wrong| Error::field("key", wrong))
}

/// Makes room under a key; whether something was there. Holds the bucket, so that two writers of a key follow each other.
fn replace(tx: &mut Tx, bucket: &Bucket, key: &str, forbid: bool, now: Millis) -> Result<bool> {
    if !store::oss::lock(tx, bucket.id)? {
        return Err(Error::not_found("bucket", &bucket.name));
    }
    match store::oss::object::current(tx, bucket.id, key)? {
        None => Ok(false),
        Some(_) if forbid => Err(Error::Conflict {
            code: "file_exists",
            message: format!("there is an object `{key}` already, and it was not to be overwritten"),
        }),
        Some(old) => discard(tx, &old, now).map(|()| true),
    }
}

/// Deletes an object, or one that is on its way; its bytes go when nobody can be reading or writing them any more.
fn discard(tx: &mut Tx, object: &Object, now: Millis) -> Result<()> {
    store::oss::object::delete(tx, object.id)?;
    let read_until = if object.current && object.of_type == MULTIPART { now.plus(READ_MS) } else { now };
    let written_until = object.source.is_some().then(|| now.plus(ADDRESS_S * 1000));
    let prefix = place(object.bucket_id, object.id);
    Ok(store::source::discard_objects(tx, &prefix, read_until, written_until)?)
}

/// Gives up what nobody goes on with.
pub(crate) fn desert(tx: &mut Tx, now: Millis) -> Result<()> {
    for upload in store::oss::object::deserted(tx, now.plus(-DESERTED_MS), DESERTED_AT_ONCE)? {
        discard(tx, &upload, now)?;
    }
    Ok(())
}
