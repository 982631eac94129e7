//! Changes what people write on models and versions: names, descriptions, tags, configs. Never the content.

use runyard_domain::{FieldErrors, ModelVersionId, blueprint as rules, model as names};
use runyard_store as store;
use serde_json::{Map, Value};

use super::{
    Model, ModelVersion, State,
    begin::check_words,
    changing::{failed, locked},
    create::taken,
    find, no_job, tag,
};
use crate::{Actor, Engine, Error, Result};

/// What changes on a version; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Tag; an empty one takes it away.
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    pub move_tag: bool,
    /// For people.
    pub description: Option<String>,
    /// Config, as a whole.
    pub config: Option<Map<String, Value>>,
}

/// Changes name or description of a model; `None` stays. Not for jobs.
///
/// # Errors
/// 409 `exists` when the project has a model with this name.
pub async fn patch(
    engine: &Engine,
    actor: &Actor,
    id_or_name: &str,
    project: Option<&str>,
    name: Option<String>,
    description: Option<String>,
) -> Result<Model> {
    let mut errors = FieldErrors::default();
    if let Some(name) = &name {
        names::check_name("name", name, &mut errors);
    }
    if let Some(description) = &description {
        rules::check_description("description", description, &mut errors);
    }
    errors.finish(())?;
    let (actor, wanted, project) = (actor.clone(), id_or_name.to_owned(), project.map(str::to_owned));
    engine
        .db
        .write(move |tx| {
            let mut model = find(tx, &actor, &wanted, project.as_deref())?;
            no_job(&actor, "change models")?;
            model.name = name.clone().unwrap_or(model.name);
            model.description = description.clone().unwrap_or(model.description);
            match store::model::save(tx, &model) {
                Err(error) if error.is_unique_violation() => Err(taken(&model.name)),
                saved => Ok(saved.map(|()| model)?),
            }
        })
        .await
}

/// Changes tag, description or config of a version, available or not.
///
/// # Errors
/// 409 `tag_exists` when another version has the tag and it is not to be moved; `failed` when the version failed.
pub async fn patch_version(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    patch: Patch,
) -> Result<ModelVersion> {
    let mut errors = FieldErrors::default();
    let wanted = patch.tag.as_deref().filter(|tag| !tag.is_empty());
    check_words(wanted, patch.description.as_deref(), patch.config.as_ref(), &mut errors);
    errors.finish(())?;
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let mut version = locked(tx, &actor, id)?;
            version.updated_at = now;
            apply(tx, &mut version, &patch)?;
            store::model::version::save(tx, &version)?;
            Ok::<_, Error>(version)
        })
        .await
}

/// Applies the change to a version whose model is locked; the caller saves it.
pub(super) fn apply(tx: &mut store::Tx, version: &mut ModelVersion, patch: &Patch) -> Result<()> {
    if version.state == State::Error {
        return Err(failed(version));
    }
    match patch.tag.as_deref() {
        None => {}
        Some("") => (version.tag, version.move_tag) = (None, false),
        Some(tag) if version.state == State::Available => tag::give(tx, version, tag, patch.move_tag)?,
        Some(tag) => {
            tag::free(tx, version.model_id, Some(tag), patch.move_tag, None)?;
            (version.tag, version.move_tag) = (Some(tag.to_owned()), patch.move_tag);
        }
    }
    if let Some(description) = &patch.description {
        version.description.clone_from(description);
    }
    if let Some(config) = &patch.config {
        version.config.clone_from(config);
    }
    Ok(())
}
