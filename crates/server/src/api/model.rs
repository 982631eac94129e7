//! Models over HTTP: make, list, read, change, delete. Their versions are in `model_version.rs`.

use axum::extract::{Path, State};
use runyard_domain::FieldErrors;
use runyard_engine as engine;
use runyard_wire::{
    Data,
    model::{Model, NewModel, PatchModel},
    run::Deleted,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data, project};
use crate::{
    app::{App, IdempotencyKey},
    auth::Caller,
    body::Valid,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query, sort_by_creation},
};

/// Which models.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// Any of these names.
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// What follows this id in the order of the sort.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// `id` or `created_at`, with `:asc` or `:desc`; `created_at:desc` when nothing was said.
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    /// At most so many; 10 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    /// Leave out so many first.
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
}

/// Where a model is looked for by name.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InProject {
    /// The project of a model that is named, by id or name; the token's own, or `default`, when nothing was said.
    #[param(nullable = false)]
    pub(super) project_id: Option<String>,
}

/// Lists models
#[utoipa::path(get, path = "/models", operation_id = "list_models", tag = "models", params(Wanted),
    responses((status = 200, description = "Models.", body = Data<Vec<Model>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Model>> {
    let mut errors = FieldErrors::default();
    let filter = engine::model::ModelFilter {
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        project_ids: project::ids(&app, &actor, &mut errors, wanted.project_id).await?,
        names: wanted.name,
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        sort: sort_by_creation(&mut errors, wanted.sort),
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
    };
    errors.finish(())?;
    let models = engine::model::list(&app.engine, &actor, filter).await?;
    data(models.into_iter().map(wire).collect())
}

/// Makes a model
///
/// 409 `exists` when the project has one with this name.
#[utoipa::path(post, path = "/models", operation_id = "create_model", tag = "models",
    params(IdempotencyKey), request_body = NewModel,
    responses((status = 200, description = "The model.", body = Data<Model>), Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    IdempotencyKey(key): IdempotencyKey,
    Valid(new): Valid<NewModel>,
) -> Answer<Model> {
    let mut errors = FieldErrors::default();
    let id = query::one(&mut errors, "id", new.id, str::parse);
    errors.finish(())?;
    let create = move |engine| async move {
        engine::model::create(&engine, &actor, id, new.name, new.project_id, new.description, key).await
    };
    data(wire(app.command(create).await?))
}

/// Reads a model
#[utoipa::path(get, path = "/models/{model}", operation_id = "get_model", tag = "models",
    params(("model" = String, Path, description = "Id or name."), InProject),
    responses((status = 200, description = "The model.", body = Data<Model>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(model): Path<String>,
    Query(place): Query<InProject>,
) -> Answer<Model> {
    data(wire(engine::model::get(&app.engine, &actor, &model, place.project_id.as_deref()).await?))
}

/// Changes a model
///
/// Its name or description. Not with the token of a run.
#[utoipa::path(patch, path = "/models/{model}", operation_id = "patch_model", tag = "models",
    params(("model" = String, Path, description = "Id or name."), InProject), request_body = PatchModel,
    responses((status = 200, description = "The model.", body = Data<Model>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(model): Path<String>,
    Query(place): Query<InProject>,
    Valid(patch): Valid<PatchModel>,
) -> Answer<Model> {
    let change = move |engine| async move {
        let project = place.project_id.as_deref();
        engine::model::patch(&engine, &actor, &model, project, patch.name, patch.description).await
    };
    data(wire(app.command(change).await?))
}

/// Deletes a model
///
/// With all of its versions and their bytes. Not with the token of a run.
#[utoipa::path(delete, path = "/models/{model}", operation_id = "delete_model", tag = "models",
    params(("model" = String, Path, description = "Id or name."), InProject),
    responses((status = 200, description = "What that freed.", body = Data<Deleted>), Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(model): Path<String>,
    Query(place): Query<InProject>,
) -> Answer<Deleted> {
    let delete = move |engine| async move {
        engine::model::delete(&engine, &actor, &model, place.project_id.as_deref()).await
    };
    let (id, freed_bytes) = app.command(delete).await?;
    data(Deleted { id: id.to_string(), freed_bytes })
}

fn wire(model: engine::model::Model) -> Model {
    Model {
        id: model.id.to_string(),
        project_id: model.project_id.to_string(),
        name: model.name,
        description: model.description,
        created_at: model.created_at.0,
        versions: model.versions,
    }
}
