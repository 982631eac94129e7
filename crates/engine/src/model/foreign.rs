//! Versions whose archive comes as one object, from clients of other systems: they send first and say then what it was. Bytes
//! arrive at a key of their own, and are taken from there before they are read, so that an old address changes nothing.

mod multipart;
mod validate;

pub use multipart::{abort_parts, begin_parts, complete_parts, sign_part};
use runyard_domain::{FieldErrors, ModelVersionId, model::MAX_BYTES};
use runyard_objects::{PUT_MAX, Signed};
use runyard_store as store;
use serde_json::{Map, Value};
pub use validate::{Claims, validate};

use super::{
    ADDRESS_S, ModelVersion, State,
    begin::{Fresh, NewVersion, check_words, is_hex},
    changing::{fresh_key, locked, prefix},
    find, origin,
    patch::{self, Patch},
    readable, tag,
};
use crate::{Actor, Engine, Error, Result};

/// The last part of the key that bytes arrive at.
const ARRIVING: &str = "arriving/archive";

/// What a client says of a version; what is `None` stays, or is not known.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// Tag; an empty one takes it away.
    pub tag: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What a program that uses it should know.
    pub config: Option<Map<String, Value>>,
    /// The version it is made from: an available one of the same model, by id or tag.
    pub parent: Option<String>,
    /// Bytes of the archive.
    pub archive_size: Option<i64>,
    /// Hex MD5 of the archive.
    pub archive_md5: Option<String>,
}

/// Begins a version of the model (by id, or by name); answers where to send its archive.
///
/// # Errors
/// `tag_exists`, and wrong fields by the names of [`Attributes`].
pub async fn begin(
    engine: &Engine,
    actor: &Actor,
    model: &str,
    attributes: Attributes,
) -> Result<(ModelVersion, Signed)> {
    check(&attributes)?;
    let fresh = Fresh { id: engine.id(ModelVersionId::new), key: fresh_key(engine), now: engine.now() };
    let (actor, model) = (actor.clone(), model.to_owned());
    let version = engine
        .db
        .write(move |tx| {
            let model = find(tx, &actor, &model, None)?;
            store::model::lock(tx, model.id)?;
            let origin = origin::of(tx, &actor, None, None)?;
            let parent = origin::parent(tx, &actor, &model, attributes.parent.as_deref())?;
            let tag = attributes.tag.clone().filter(|tag| !tag.is_empty());
            tag::free(tx, model.id, tag.as_deref(), false, None)?;
            let new = NewVersion {
                tag,
                description: attributes.description.clone().unwrap_or_default(),
                config: attributes.config.clone().unwrap_or_default(),
                ..NewVersion::default()
            };
            let mut version = fresh.version(&actor, &model, &new, origin, parent);
            version.object_key = arriving(&version);
            (version.size, version.files, version.part_size) = (None, None, None);
            (version.archive_size, version.archive_md5) =
                (attributes.archive_size, lower(attributes.archive_md5.as_ref()));
            store::model::version::insert(tx, &version)?;
            Ok::<_, Error>(version)
        })
        .await?;
    let put = address(engine, &version)?;
    Ok((version, put))
}

/// Changes a version. Of one that is available only what people write on it, and where it comes from if that was not known.
///
/// # Errors
/// As [`begin`]; `available` when the content of an available version is to change, `failed` when the version failed.
pub async fn update(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    attributes: Attributes,
) -> Result<ModelVersion> {
    check(&attributes)?;
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let mut version = locked(tx, &actor, id)?;
            let patch = Patch {
                tag: attributes.tag.clone(),
                move_tag: false,
                description: attributes.description.clone(),
                config: attributes.config.clone(),
            };
            patch::apply(tx, &mut version, &patch)?;
            if let Some(named) = attributes.parent.as_deref() {
                let model = store::model::get(tx, version.model_id)?;
                let model = model.ok_or_else(|| Error::not_found("model", version.model_id))?;
                let parent = origin::parent(tx, &actor, &model, Some(named))?;
                if version.state == State::Created {
                    version.parent_id = parent;
                } else if version.parent_id.is_none() {
                    // What is the same again after a training has no younger parent: it may be its own child's.
                    version.parent_id = parent.filter(|parent| parent.0 < id.0);
                }
            }
            say(&mut version, &attributes)?;
            version.updated_at = now;
            store::model::version::save(tx, &version)?;
            Ok::<_, Error>(version)
        })
        .await
}

/// Where to send the archive of a version that is not available yet; `None`: nothing is to be sent.
pub async fn put_again(engine: &Engine, actor: &Actor, id: ModelVersionId) -> Result<Option<Signed>> {
    let actor = actor.clone();
    let version = engine.db.read(move |tx| readable(tx, &actor, id)).await?;
    let open = version.state == State::Created && version.part_size.is_none();
    open.then(|| address(engine, &version)).transpose()
}

fn address(engine: &Engine, version: &ModelVersion) -> Result<Signed> {
    Ok(engine.objects.presign_put_any(&arriving(version), PUT_MAX, ADDRESS_S)?)
}

/// Where the archive arrives, whoever has addresses for that.
pub(super) fn arriving(version: &ModelVersion) -> String {
    format!("{}{ARRIVING}", prefix(version))
}

/// Notes what the client says of the archive.
fn say(version: &mut ModelVersion, attributes: &Attributes) -> Result<()> {
    let md5 = lower(attributes.archive_md5.as_ref());
    if version.state == State::Available {
        let same_size = attributes.archive_size.is_none_or(|size| version.archive_size == Some(size));
        if !same_size || md5.is_some_and(|md5| version.archive_md5 != Some(md5)) {
            return Err(super::changing::available(version.id));
        }
        return Ok(());
    }
    version.archive_size = attributes.archive_size.or(version.archive_size);
    version.archive_md5 = md5.or(version.archive_md5.take());
    Ok(())
}

fn lower(text: Option<&String>) -> Option<String> {
    text.map(|text| text.to_ascii_lowercase())
}

fn check(attributes: &Attributes) -> Result<()> {
    let mut errors = FieldErrors::default();
    let tag = attributes.tag.as_deref().filter(|tag| !tag.is_empty());
    check_words(tag, attributes.description.as_deref(), attributes.config.as_ref(), &mut errors);
    if attributes.archive_size.is_some_and(|size| !(1..=MAX_BYTES).contains(&size)) {
        errors.add("size", format!("must be from 1 to {MAX_BYTES} bytes"));
    }
    if attributes.archive_md5.as_deref().is_some_and(|md5| !is_hex(md5, 32)) {
        errors.add("archive_hash", "must be an MD5 as 32 hexadecimal digits");
    }
    Ok(errors.finish(())?)
}
