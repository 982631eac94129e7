//! A version that the server packs itself, of objects that it has: packed, read again like any other archive, and made
//! available. A repeat after a crash packs anew, under a key of its own.

use runyard_archive::{Limits, model::StreamFile};
use runyard_domain::{ModelVersionId, model::MAX_ENTRIES};
use runyard_store as store;

use super::{
    changing::{discard, fresh_key, unfinished},
    finish::{self, Finished},
    pack::{Open, pack},
    parts::lost,
    read,
};
use crate::{Actor, Engine, Error, Result, garbage};

/// Packs, reads what was packed, and makes the version available. `what` the files are is for the words of a failure.
pub(super) async fn make(
    engine: &Engine,
    actor: &Actor,
    what: &str,
    files: Vec<StreamFile>,
    open: Open,
    id: ModelVersionId,
) -> Result<Finished> {
    let key = note_key(engine, actor, id).await?;
    let max_bytes = files.iter().map(|file| file.size).sum();
    let packed = pack(engine, what, files, open, &key).await?;
    let limits = Limits { max_entries: MAX_ENTRIES.cast_unsigned(), max_bytes, ..Limits::default() };
    let archive = read::archive(engine, &key, limits).await?;
    let archive = archive
        .ok()
        .filter(|archive| {
            archive.archive_sha256 == packed.archive_sha256 && archive.summary == packed.summary
        })
        .ok_or_else(|| {
            Error::Busy(format!(
                "the archive of {what} was damaged on its way: ask again, and it is packed anew"
            ))
        })?;
    let (now, actor, files) = (engine.now(), actor.clone(), finish::rows(&archive));
    let finished = engine
        .db
        .write(move |tx| {
            let version = unfinished(tx, &actor, id)?;
            if version.object_key != key {
                return Err(lost(id));
            }
            let twin = store::model::version::by_tree(tx, version.model_id, &archive.summary.tree_digest)?;
            let other = twin.filter(|twin| twin.tag.is_some() && twin.tag != version.tag);
            if let Some(twin) = other {
                // Nobody asked for that tag: it would be said to be what it is not.
                discard(tx, &version, now)?;
                store::model::version::delete(tx, id)?;
                return Ok(Err(Error::SameContent { existing: twin.id }));
            }
            Ok(Ok(finish::publish(tx, version, &archive, &files, now)?))
        })
        .await?;
    if !matches!(&finished, Ok(fresh) if !fresh.existing) {
        garbage::collect_later(engine);
    }
    finished
}

/// A new place for the archive; what an earlier attempt left at the old one goes.
async fn note_key(engine: &Engine, actor: &Actor, id: ModelVersionId) -> Result<String> {
    let (now, actor, name) = (engine.now(), actor.clone(), fresh_key(engine));
    engine
        .db
        .write(move |tx| {
            let mut version = unfinished(tx, &actor, id)?;
            store::source::discard_object(tx, &version.object_key, now)?;
            version.object_key = format!("{}{name}", super::changing::prefix(&version));
            version.updated_at = now;
            store::model::version::save(tx, &version)?;
            Ok::<_, Error>(version.object_key)
        })
        .await
}
