//! Makes a version of a checkpoint, as Chariot's catalog does: the server packs the checkpoint's own objects, and nothing
//! outside of it. It is verified like every other version.

mod choose;

use futures::FutureExt;
use runyard_domain::{
    FieldErrors, FileSetId, ModelId, ModelVersionId, blueprint as rules,
    checkpoint::{Kind, Status},
    model as names,
};
use runyard_store::{self as store, Tx};
use serde_json::{Map, Value};

use super::{
    Model, ModelVersion, State,
    begin::{Fresh, NewVersion},
    changing::fresh_key,
    origin::Origin,
    pack::Open,
    packed, project_named, tag,
    verify::join,
};
use crate::{
    Actor, Engine, Error, Result,
    file_set::{self, FileSet},
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
    let made = join(engine, pending, |engine| async move {
        let what = format!("checkpoint {}", set.id);
        let (objects, prefix) = (engine.objects.clone(), set.key_prefix.clone());
        let open: Open = Box::new(move |file| {
            let (objects, key) = (objects.clone(), format!("{prefix}{}", file.path));
            async move { Ok(objects.get_stream(&key).await?.1) }.boxed()
        });
        packed::make(&engine, &actor, &what, chosen.files, open, pending).await
    });
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
