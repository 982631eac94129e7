//! Versions of models over HTTP: begin, send parts, complete; list, read, change, delete; made of a checkpoint. Bytes go by
//! signed addresses, and never through here.

mod list;
mod publish;

use axum::{extract::State, response::Response};
use runyard_domain::{FileSetId, ModelVersionId};
use runyard_engine::{self as engine, model::checkpoint::NewCheckpointModel};
use runyard_wire::{
    Data,
    model::{CheckpointModel, ModelFile, ModelVersion, PatchModelVersion},
    run::Deleted,
};
use serde::Deserialize;
use utoipa::IntoParams;

pub(super) use list::*;
pub(super) use publish::*;

use super::{Answer, data, file};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{Nothing, Query},
};

/// Reads a model version
#[utoipa::path(get, path = "/model_versions/{version_id}", operation_id = "get_model_version", tag = "models",
    params(("version_id" = String, Path, description = "Id of the version.")),
    responses((status = 200, description = "The version.", body = Data<ModelVersion>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<ModelVersion> {
    data(wire(engine::model::version(&app.engine, &actor, id).await?))
}

/// Changes a model version
///
/// Its tag, description or config; never its content. 409 `tag_exists` when another version has the tag and it is not to be
/// moved.
#[utoipa::path(patch, path = "/model_versions/{version_id}", operation_id = "patch_model_version", tag = "models",
    params(("version_id" = String, Path, description = "Id of the version.")), request_body = PatchModelVersion,
    responses((status = 200, description = "The version.", body = Data<ModelVersion>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(patch): Valid<PatchModelVersion>,
) -> Answer<ModelVersion> {
    let patch = engine::model::Patch {
        tag: patch.tag,
        move_tag: patch.move_tag,
        description: patch.description,
        config: patch.config,
    };
    let change = move |engine| async move { engine::model::patch_version(&engine, &actor, id, patch).await };
    data(wire(app.command(change).await?))
}

/// Deletes a model version
///
/// With its bytes. Versions that were made from it keep its id. The token of a run may delete what its run has begun and
/// nobody can use yet.
#[utoipa::path(delete, path = "/model_versions/{version_id}", operation_id = "delete_model_version", tag = "models",
    params(("version_id" = String, Path, description = "Id of the version.")),
    responses((status = 200, description = "What that freed.", body = Data<Deleted>), Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Deleted> {
    let delete = move |engine| async move { engine::model::delete_version(&engine, &actor, id).await };
    let freed_bytes = app.command(delete).await?;
    data(Deleted { id: id.to_string(), freed_bytes })
}

/// Which files.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedFiles {
    /// Paths strictly after this one.
    #[param(nullable = false)]
    path_after: Option<String>,
    /// At most so many; 1000 when nothing was said.
    #[param(minimum = 0, maximum = 10_000, nullable = false)]
    limit: Option<i64>,
}

/// Lists what is in a model version
///
/// Files, folders and links by path; nothing while it is not available.
#[utoipa::path(get, path = "/model_versions/{version_id}/files", operation_id = "list_model_files", tag = "models",
    params(("version_id" = String, Path, description = "Id of the version."), WantedFiles),
    responses((status = 200, description = "What is in it.", body = Data<Vec<ModelFile>>), Missing, Refused))]
pub(super) async fn files(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
    Query(wanted): Query<WantedFiles>,
) -> Answer<Vec<ModelFile>> {
    let limit = wanted.limit.unwrap_or(1000);
    let files = engine::model::files(&app.engine, &actor, id, wanted.path_after, limit).await?;
    let shown = files.into_iter().map(|file| ModelFile {
        path: file.path,
        kind: file.kind,
        size: file.size,
        sha256: file.sha256,
    });
    data(shown.collect())
}

/// Reads the archive of a model version
///
/// A tar.zst. Leads to an address that needs no token, expires, and knows ranges.
#[utoipa::path(get, path = "/model_versions/{version_id}/archive", operation_id = "read_model_archive", tag = "models",
    params(("version_id" = String, Path, description = "Id of the version.")),
    responses((status = 302, description = "Where the bytes are.",
        headers(("Location" = String, description = "The address; one that begins with `/` is on this server."))),
        Missing, Conflicting, Refused))]
pub(super) async fn archive(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    Ok(file::lead_to(&app, engine::model::archive(&app.engine, &actor, id).await?))
}

/// Makes a model version of a checkpoint
///
/// The server packs the files of a complete checkpoint; those that `chariot_model_config.json` at its root names as
/// `copy_key_suffixes`, and all of them without that file. A repeat answers the same version.
#[utoipa::path(post, path = "/checkpoints/{checkpoint_id}/model", operation_id = "create_checkpoint_model", tag = "models",
    params(("checkpoint_id" = String, Path, description = "Id of the checkpoint.")), request_body = CheckpointModel,
    responses((status = 200, description = "The version.", body = Data<ModelVersion>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn of_checkpoint(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<CheckpointModel>,
) -> Answer<ModelVersion> {
    let new = NewCheckpointModel {
        name: new.name,
        version: new.version,
        summary: new.summary,
        project: new.project_id,
    };
    let create =
        move |engine| async move { engine::model::checkpoint::create(&engine, &actor, id, new).await };
    data(wire(app.command(create).await?))
}

fn wire(version: engine::model::ModelVersion) -> ModelVersion {
    ModelVersion {
        id: Some(version.id.to_string()),
        model_id: Some(version.model_id.to_string()),
        model: Some(version.model),
        project_id: Some(version.project_id.to_string()),
        state: Some(version.state.word().to_owned()),
        reason: version.reason,
        tag: version.tag,
        description: Some(version.description),
        config: Some(version.config),
        parent_id: version.parent_id.map(|id| id.to_string()),
        run_id: version.run_id.map(|id| id.to_string()),
        job_id: version.job_id.map(|id| id.to_string()),
        checkpoint_id: version.checkpoint_id.map(|id| id.to_string()),
        source: version.source,
        run_config: version.run_config,
        tree_digest: version.tree_digest,
        content_md5: version.content_md5,
        archive_sha256: version.archive_sha256,
        archive_md5: version.archive_md5,
        archive_size: version.archive_size,
        size: version.size,
        files: version.files,
        created_at: Some(version.created_at.0),
        available_at: version.available_at.map(|at| at.0),
        user_id: Some(version.user_id),
    }
}
