//! Makes a version of a checkpoint, as Chariot's catalog does: the server packs the checkpoint's own objects, and nothing
//! outside of it. It is verified like every other version.

mod choose;
mod pack;

use runyard_archive::Limits;
use runyard_domain::{
    FieldErrors, FileSetId, ModelId, ModelVersionId, blueprint as rules,
    checkpoint::{Kind, Status},
    model::{self as names, MAX_ENTRIES},
};
use runyard_store::{self as store, Tx};
use serde_json::{Map, Value};

use super::{
    Model, ModelVersion, State,
    begin::{Fresh, NewVersion},
    changing::{discard, fresh_key, unfinished},
    finish::{self, Finished},
    origin::Origin,
    parts::lost,
    project_named, read, tag,
    verify::join,
};
use crate::{
    Actor, Engine, Error, Result,
    file_set::{self, FileSet},
    garbage,
};

/// The file at the root of a checkpoint that says what of it becomes a model.
pub const CATALOG_FILE: &str = "chariot_model_config.json";
/// Where its content is in the config of the version.
pub const CATALOG_KEY: &str = "chariot_model_config";

/// What becomes of a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct NewCheckpointModel {
    /// Name of the model; made if it is not there.
    pub name: String,
    /// SemVer; becomes the tag.
    pub version: String,
    /// For people; becomes the description.
    pub summary: String,
    /// The project, by id or name; `None`: that of the run.
    pub project: Option<String>,
}

/// Makes a version of a complete checkpoint; a repeat answers the same version.
///
/// # Errors
/// `incomplete`; `version` when it is not SemVer; `copy_key_suffixes.N` when the catalog file asks for what is outside of the
/// checkpoint or not in it; `tag_exists` and [`Error::SameContent`].
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    id: FileSetId,
    new: NewCheckpointModel,
) -> Result<ModelVersion> {
    let mut errors = FieldErrors::default();
    names::check_name("name", &new.name, &mut errors);
    names::check_name("version", &new.version, &mut errors);
    names::check_semver("version", &new.version, &mut errors);
    rules::check_description("summary", &new.summary, &mut errors);
    errors.finish(())?;
    let set = file_set::get(engine, actor, Kind::Checkpoint, id).await?;
    if set.status != Status::Complete {
        let message = format!("checkpoint {id} is not complete: wait until all of it is uploaded");
        return Err(Error::Conflict { code: "incomplete", message });
    }
    let chosen = choose::choose(engine, &set).await?;
    let version = begin(engine, actor, &set, new, chosen.config.clone()).await?;
    if version.state == State::Available {
        return Ok(version);
    }
    let (actor, pending) = (actor.clone(), version.id);
    let made =
        join(engine, pending, |engine| async move { make(&engine, &actor, &set, chosen, pending).await });
    Ok(made.await?.version)
}

/// The version that this checkpoint makes, or has made.
async fn begin(
    engine: &Engine,
    actor: &Actor,
    set: &FileSet,
    new: NewCheckpointModel,
    catalog: Option<Value>,
) -> Result<ModelVersion> {
    let fresh = Fresh { id: engine.id(ModelVersionId::new), key: fresh_key(engine), now: engine.now() };
    let fresh_model = engine.id(ModelId::new);
    let (actor, set) = (actor.clone(), set.clone());
    engine
        .db
        .write(move |tx| {
            let model = model(tx, &actor, &set, &new, fresh_model, &fresh)?;
            store::model::lock(tx, model.id)?;
            let source_key = format!("checkpoint:{}:{}", set.id, new.version);
            if let Some(same) = store::model::version::by_source(tx, model.id, &source_key)? {
                return Ok(same);
            }
            tag::free(tx, model.id, Some(&new.version), false, None)?;
            let config = catalog.clone().map(|catalog| (CATALOG_KEY.to_owned(), catalog));
            let asked = NewVersion {
                tag: Some(new.version.clone()),
                description: new.summary.clone(),
                config: Map::from_iter(config),
                source_key: Some(source_key),
                ..NewVersion::default()
            };
            let run = store::run::get(tx, set.run_id)?;
            let origin = Origin {
                run: Some(set.run_id),
                job: Some(set.job_id),
                source: run.as_ref().and_then(|run| run.spec.source.clone()),
                config: run.map(|run| run.config),
            };
            let mut version = fresh.version(&actor, &model, &asked, origin, None);
            version.checkpoint_id = Some(set.id);
            (version.size, version.files, version.part_size) = (None, None, None);
            store::model::version::insert(tx, &version)?;
            Ok::<_, Error>(version)
        })
        .await
}

/// The model with this name, made if it is not there.
fn model(
    tx: &mut Tx,
    actor: &Actor,
    set: &FileSet,
    new: &NewCheckpointModel,
    id: ModelId,
    fresh: &Fresh,
) -> Result<Model> {
    let project_id = match new.project.as_deref() {
        Some(named) => project_named(tx, actor, Some(named)).map_err(|error| match error {
            Error::NotFound { .. } => Error::field("project_id", error.to_string()),
            other => other,
        })?,
        None => set.project_id,
    };
    let model = Model {
        id,
        project_id,
        name: new.name.clone(),
        description: String::new(),
        created_at: fresh.now,
        versions: 0,
    };
    if store::model::insert(tx, &model)? {
        return Ok(model);
    }
    store::model::by_name(tx, project_id, &new.name)?.ok_or_else(|| Error::not_found("model", &new.name))
}

/// Packs, reads what was packed, and makes the version available.
async fn make(
    engine: &Engine,
    actor: &Actor,
    set: &FileSet,
    chosen: choose::Chosen,
    id: ModelVersionId,
) -> Result<Finished> {
    let key = note_key(engine, actor, id).await?;
    let max_bytes = chosen.files.iter().map(|file| file.size).sum();
    let packed = pack::pack(engine, &set.key_prefix, chosen.files, &key).await?;
    let limits = Limits { max_entries: MAX_ENTRIES.cast_unsigned(), max_bytes, ..Limits::default() };
    let archive = read::archive(engine, &key, limits).await?;
    let archive = archive
        .ok()
        .filter(|archive| {
            archive.archive_sha256 == packed.archive_sha256 && archive.summary == packed.summary
        })
        .ok_or_else(|| {
            Error::Busy(format!(
                "the archive of checkpoint {} was damaged on its way: ask again, and it is packed anew",
                set.id
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
