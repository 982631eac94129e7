//! Deletes objects. What is not there is deleted too: a repeat changes nothing.

use runyard_domain::FieldErrors;
use runyard_store as store;

use super::{KEYS_MAX, discard, writable};
use crate::{Actor, Engine, Error, Result, garbage};

/// Deletes what is under the keys, all in one step.
///
/// # Errors
/// [`Error::NotFound`] when there is no such bucket; `keys` when there are too many.
pub async fn delete(engine: &Engine, actor: &Actor, bucket: &str, keys: Vec<String>) -> Result<()> {
    if keys.len() > KEYS_MAX {
        let message = format!("there are {} keys: name at most {KEYS_MAX} at a time", keys.len());
        return Err(FieldErrors::one("keys", message).into());
    }
    let (actor, bucket, now) = (actor.clone(), bucket.to_owned(), engine.now());
    let freed = engine
        .db
        .write(move |tx| {
            let bucket = writable(tx, &actor, &bucket)?;
            store::oss::lock(tx, bucket.id)?;
            let mut freed = false;
            for key in &keys {
                // No key has a zero byte, and no database takes one.
                if key.contains('\0') {
                    continue;
                }
                if let Some(object) = store::oss::object::current(tx, bucket.id, key)? {
                    discard(tx, &object, now)?;
                    freed = true;
                }
            }
            Ok::<_, Error>(freed)
        })
        .await?;
    if freed {
        garbage::collect_later(engine);
    }
    Ok(())
}
