//! Blueprints, as Chariot's clients look them up: by name, with a pattern for the version, the newest first.

use axum::{extract::State, http::StatusCode};
use runyard_domain::{BlueprintId, FieldErrors};
use runyard_engine as engine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Answer, data, ids, projects, settings::Time};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    query::{self, Lenient, pattern, sort_by_creation},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    version: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    version_ilike: Vec<String>,
    #[param(nullable = false)]
    id_after: Option<String>,
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ValidateBlueprintRequest {
    #[schema(value_type = Object)]
    config: Value,
}

#[derive(Serialize)]
pub(super) struct Blueprint {
    id: String,
    name: String,
    version: String,
    project_id: String,
    user_id: String,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    config_schema: Value,
    task_types: Vec<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Lenient(wanted): Lenient<Wanted>,
) -> Answer<Vec<Blueprint>> {
    let mut errors = FieldErrors::default();
    let name_ilikes = query::each(&mut errors, "name_ilike", wanted.name_ilike, pattern);
    let version_ilikes = query::each(&mut errors, "version_ilike", wanted.version_ilike, pattern);
    let id_after = query::one(&mut errors, "id_after", wanted.id_after, str::parse);
    let sort = sort_by_creation(&mut errors, wanted.sort);
    errors.finish(())?;
    let Some((ids, project_ids)) = ids(&wanted.id).zip(projects(&app, &actor, &wanted.project_id).await?)
    else {
        return data(Vec::new());
    };
    let filter = engine::blueprint::Filter {
        ids,
        project_ids,
        names: wanted.name,
        name_ilikes,
        versions: wanted.version,
        version_ilikes,
        id_after,
        sort,
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
    };
    let blueprints = engine::blueprint::list(&app.engine, &actor, filter).await?;
    data(blueprints.into_iter().map(|blueprint| show(&app, blueprint)).collect())
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<BlueprintId>,
) -> Answer<Blueprint> {
    data(show(&app, engine::blueprint::get(&app.engine, &actor, id).await?))
}

pub(super) async fn validate(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<BlueprintId>,
    Valid(body): Valid<ValidateBlueprintRequest>,
) -> Result<StatusCode, Problem> {
    engine::blueprint::validate(&app.engine, &actor, id, &body.config).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn show(app: &App, blueprint: engine::blueprint::Blueprint) -> Blueprint {
    Blueprint {
        id: blueprint.id.to_string(),
        name: blueprint.name,
        version: blueprint.version,
        project_id: blueprint.project_id.to_string(),
        user_id: blueprint.user_id,
        created_at: app.chariot.time(blueprint.created_at),
        image: blueprint.image,
        config_schema: blueprint.config_schema,
        task_types: blueprint.task_types,
    }
}
