//! Blueprints over HTTP.

use axum::{extract::State, http::StatusCode};
use runyard_domain::{BlueprintId, FieldErrors};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    blueprint::{Blueprint, NewBlueprint, ValidateBlueprint},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data, pattern, project, sort_by_creation};
use crate::{
    app::{App, Id, IdempotencyKey},
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Which blueprints.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// Any of these names.
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    /// Name like any of these: `%` is any run of characters, `_` is one, `\` escapes; case does not matter.
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    /// Any of these versions.
    #[serde(default)]
    #[param(required = false)]
    version: Vec<String>,
    /// Version like any of these.
    #[serde(default)]
    #[param(required = false)]
    version_ilike: Vec<String>,
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

/// Lists blueprints
#[utoipa::path(get, path = "/blueprints", operation_id = "list_blueprints", tag = "blueprints", params(Wanted),
    responses((status = 200, description = "Blueprints.", body = Data<Vec<Blueprint>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Blueprint>> {
    let mut errors = FieldErrors::default();
    let filter = engine::blueprint::Filter {
        project_ids: project::ids(&app, &actor, &mut errors, wanted.project_id).await?,
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        names: wanted.name,
        name_ilikes: query::each(&mut errors, "name_ilike", wanted.name_ilike, pattern),
        versions: wanted.version,
        version_ilikes: query::each(&mut errors, "version_ilike", wanted.version_ilike, pattern),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        sort: sort_by_creation(&mut errors, wanted.sort),
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
    };
    errors.finish(())?;
    let blueprints = engine::blueprint::list(&app.engine, &actor, filter).await?;
    data(blueprints.into_iter().map(wire).collect())
}

/// Creates a blueprint
///
/// Name and version are unique in its project.
#[utoipa::path(post, path = "/blueprints", operation_id = "create_blueprint", tag = "blueprints",
    params(IdempotencyKey), request_body = NewBlueprint,
    responses((status = 200, description = "The blueprint.", body = Data<Blueprint>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    IdempotencyKey(key): IdempotencyKey,
    Valid(new): Valid<NewBlueprint>,
) -> Answer<Blueprint> {
    let new = engine::blueprint::NewBlueprint {
        project: new.project_id,
        name: new.name,
        version: new.version,
        description: new.description,
        image: new.image,
        command: new.command,
        config_schema: new.config_schema,
        task_types: new.task_types,
        resources: new.resources,
        source: new.source,
        requirements: new.requirements,
        env: new.env,
    };
    let create = move |engine| async move { engine::blueprint::create(&engine, &actor, new, key).await };
    data(wire(app.command(create).await?))
}

/// Reads a blueprint
#[utoipa::path(get, path = "/blueprints/{blueprint_id}", operation_id = "get_blueprint", tag = "blueprints",
    params(("blueprint_id" = String, Path, description = "Id of the blueprint.")),
    responses((status = 200, description = "The blueprint.", body = Data<Blueprint>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<BlueprintId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Blueprint> {
    data(wire(engine::blueprint::get(&app.engine, &actor, id).await?))
}

/// Asks whether a config would be accepted
///
/// 422 names every wrong field under `config`.
#[utoipa::path(post, path = "/blueprints/{blueprint_id}/validate", operation_id = "validate_config",
    tag = "blueprints", params(("blueprint_id" = String, Path, description = "Id of the blueprint.")),
    request_body = ValidateBlueprint,
    responses((status = 204, description = "It would."), Missing, BadBody, Refused))]
pub(super) async fn validate(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<BlueprintId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<ValidateBlueprint>,
) -> Result<StatusCode, Problem> {
    engine::blueprint::validate(&app.engine, &actor, id, &body.config).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a blueprint
///
/// It no longer resolves; runs that were made of it stay.
#[utoipa::path(delete, path = "/blueprints/{blueprint_id}", operation_id = "delete_blueprint", tag = "blueprints",
    params(("blueprint_id" = String, Path, description = "Id of the blueprint.")),
    responses((status = 204, description = "It is gone."), Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<BlueprintId>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<StatusCode, Problem> {
    app.command(move |engine| async move { engine::blueprint::delete(&engine, &actor, id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn wire(blueprint: engine::blueprint::Blueprint) -> Blueprint {
    Blueprint {
        id: blueprint.id.to_string(),
        project_id: blueprint.project_id.to_string(),
        name: blueprint.name,
        version: blueprint.version,
        description: blueprint.description,
        image: blueprint.image,
        command: blueprint.command,
        config_schema: blueprint.config_schema,
        task_types: blueprint.task_types,
        resources: blueprint.resources,
        source: blueprint.source,
        requirements: blueprint.requirements,
        env: blueprint.env,
        created_at: blueprint.created_at.0,
        user_id: blueprint.user_id,
    }
}
