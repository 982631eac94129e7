//! Models and their versions: one verb per file; reading them is here. A version can be read once every byte of its archive
//! was verified, and its content never changes after that.

pub mod begin;
pub mod bucket;
mod changing;
pub mod checkpoint;
pub mod complete;
pub mod create;
pub mod delete;
mod finish;
pub mod foreign;
mod origin;
mod pack;
mod packed;
pub mod parts;
pub mod patch;
mod read;
mod tag;
#[cfg(test)]
mod tests;
mod verify;

pub use begin::{Begun, NewVersion, begin};
pub use complete::{Completed, Said, complete};
pub use create::create;
pub(crate) use delete::expire;
pub use delete::{delete, delete_version};
pub use finish::Finished;
pub(crate) use pack::{Open, packing};
pub use parts::{NewPart, parts};
pub use patch::{Patch, patch, patch_version};
pub use runyard_domain::model::{Reference, State};
use runyard_domain::{ModelId, ModelVersionId, ProjectId, token::Scope};
use runyard_objects::{GetAs, Signed};
pub use runyard_store::model::{
    Filter as ModelFilter, Model,
    content::{File, Part},
    version::{Filter, ModelVersion},
};
use runyard_store::{self as store, Tx};
pub use verify::Verifications;

use crate::{Actor, Engine, Error, Result, project};

/// How long an address to send or to read an archive lives, in seconds.
const ADDRESS_S: i64 = 3600;

/// Models that match; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: ModelFilter) -> Result<Vec<Model>> {
    if !narrow(actor, &mut filter.project_ids) {
        return Ok(Vec::new());
    }
    engine.db.read(move |tx| Ok::<_, Error>(store::model::list(tx, &filter)?)).await
}

/// The same, and how many match in all, whatever the filter says of order and place.
pub async fn list_counted(
    engine: &Engine,
    actor: &Actor,
    mut filter: ModelFilter,
) -> Result<(i64, Vec<Model>)> {
    if !narrow(actor, &mut filter.project_ids) {
        return Ok((0, Vec::new()));
    }
    let read = move |tx: &mut Tx| {
        Ok::<_, Error>((store::model::count(tx, &filter)?, store::model::list(tx, &filter)?))
    };
    engine.db.read(read).await
}

/// The model with this id, or with this name in a project (by id or name; `None`: the token's own, or `default`).
pub async fn get(engine: &Engine, actor: &Actor, id_or_name: &str, project: Option<&str>) -> Result<Model> {
    let (actor, name, project) = (actor.clone(), id_or_name.to_owned(), project.map(str::to_owned));
    engine.db.read(move |tx| find(tx, &actor, &name, project.as_deref())).await
}

/// Versions that match; limited to what the actor may read.
pub async fn versions(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<Vec<ModelVersion>> {
    if !narrow(actor, &mut filter.project_ids) {
        return Ok(Vec::new());
    }
    engine.db.read(move |tx| Ok::<_, Error>(store::model::version::list(tx, &filter)?)).await
}

/// The same, and how many match in all, whatever the filter says of order and place.
pub async fn versions_counted(
    engine: &Engine,
    actor: &Actor,
    mut filter: Filter,
) -> Result<(i64, Vec<ModelVersion>)> {
    if !narrow(actor, &mut filter.project_ids) {
        return Ok((0, Vec::new()));
    }
    let read = move |tx: &mut Tx| {
        let count = store::model::version::count(tx, &filter)?;
        Ok::<_, Error>((count, store::model::version::list(tx, &filter)?))
    };
    engine.db.read(read).await
}

/// The version with this id.
pub async fn version(engine: &Engine, actor: &Actor, id: ModelVersionId) -> Result<ModelVersion> {
    let actor = actor.clone();
    engine.db.read(move |tx| readable(tx, &actor, id)).await
}

/// The version that is meant among the models of a project: by id (of any project), by tag, or the newest available one.
pub async fn meant(
    engine: &Engine,
    actor: &Actor,
    project: ProjectId,
    reference: Reference,
) -> Result<ModelVersion> {
    let (model, tag) = match reference {
        Reference::Id(id) => return version(engine, actor, id).await,
        Reference::Newest(model) => (model, None),
        Reference::Tagged(model, tag) => (model, Some(tag)),
    };
    let name = tag.as_ref().map_or_else(|| model.clone(), |tag| format!("{model}@{tag}"));
    let filter = Filter {
        models: vec![model],
        project_ids: vec![project],
        tags: tag.into_iter().collect(),
        states: vec![State::Available],
        limit: 1,
        ..Filter::default()
    };
    versions(engine, actor, filter).await?.pop().ok_or_else(|| Error::not_found("model version", name))
}

/// What is in a version, by path; nothing while it is not available.
pub async fn files(
    engine: &Engine,
    actor: &Actor,
    id: ModelVersionId,
    path_after: Option<String>,
    limit: i64,
) -> Result<Vec<File>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            readable(tx, &actor, id)?;
            Ok::<_, Error>(store::model::content::files(tx, id, path_after.as_deref(), limit)?)
        })
        .await
}

/// Where to read the archive of a version.
///
/// # Errors
/// 409 `not_available` while it was not verified.
pub async fn archive(engine: &Engine, actor: &Actor, id: ModelVersionId) -> Result<Signed> {
    address(engine, &version(engine, actor, id).await?)
}

/// The same, of a version that was read before.
///
/// # Errors
/// As [`archive`].
pub fn address(engine: &Engine, version: &ModelVersion) -> Result<Signed> {
    let id = version.id;
    if version.state != State::Available {
        let message = match &version.reason {
            Some(reason) => format!("model version {id} never became available: {reason}"),
            None => format!("model version {id} is not available yet: nothing of it can be read"),
        };
        return Err(Error::Conflict { code: "not_available", message });
    }
    let label = version.tag.clone().unwrap_or_else(|| version.id.to_string());
    let get = GetAs {
        name: Some(format!("{}-{label}.tar.zst", version.model)),
        content_type: Some("application/zstd".to_owned()),
    };
    Ok(engine.objects.presign_get(&version.object_key, ADDRESS_S, &get)?)
}

/// Leaves only the projects that the actor reaches; `false`: nothing can match.
fn narrow(actor: &Actor, projects: &mut Vec<ProjectId>) -> bool {
    let (Scope::Project(own) | Scope::Run(own, _)) = actor.scope else { return true };
    if projects.is_empty() {
        projects.push(own);
    }
    projects.retain(|&project| project == own);
    !projects.is_empty()
}

/// Whether the actor may read what is in the project, and publish to it: a job may, in the project of its run.
fn reaches(actor: &Actor, project: ProjectId) -> bool {
    match actor.scope {
        Scope::Admin => true,
        Scope::Project(own) | Scope::Run(own, _) => own == project,
    }
}

/// Says no to jobs.
fn no_job(actor: &Actor, what: &str) -> Result<()> {
    match actor.scope {
        Scope::Run(..) => Err(Error::Forbidden(format!("the token of a run cannot {what}"))),
        Scope::Admin | Scope::Project(_) => Ok(()),
    }
}

/// The project that is meant, when it was or was not named.
pub(crate) fn project_named(tx: &mut Tx, actor: &Actor, named: Option<&str>) -> Result<ProjectId> {
    match (named, actor.scope) {
        (None, Scope::Project(own) | Scope::Run(own, _)) => Ok(own),
        (named, _) => Ok(project::resolve(tx, actor, named.unwrap_or(project::DEFAULT))?.id),
    }
}

/// The model by id, or by name in a project.
fn find(tx: &mut Tx, actor: &Actor, id_or_name: &str, project: Option<&str>) -> Result<Model> {
    if let Ok(id) = id_or_name.parse::<ModelId>()
        && let Some(model) = store::model::get(tx, id)?
        && reaches(actor, model.project_id)
    {
        return Ok(model);
    }
    let project = project_named(tx, actor, project)?;
    store::model::by_name(tx, project, id_or_name)?.ok_or_else(|| Error::not_found("model", id_or_name))
}

/// The version, if the actor may read it.
fn readable(tx: &mut Tx, actor: &Actor, id: ModelVersionId) -> Result<ModelVersion> {
    let absent = || Error::not_found("model version", id);
    let version = store::model::version::get(tx, id)?.ok_or_else(absent)?;
    if reaches(actor, version.project_id) { Ok(version) } else { Err(absent()) }
}
