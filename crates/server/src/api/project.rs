//! Projects over HTTP.

use axum::extract::{Path, State};
use runyard_domain::{FieldErrors, ProjectId};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    project::{NewProject, Project, ProjectPatch},
};

use super::{Answer, data};
use crate::{
    app::{App, IdempotencyKey},
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{Nothing, Query},
};

/// Lists projects
///
/// All that the token may read, by name.
#[utoipa::path(get, path = "/projects", operation_id = "list_projects", tag = "projects",
    responses((status = 200, description = "Projects by name.", body = Data<Vec<Project>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<Project>> {
    let projects = engine::project::list(&app.engine, &actor).await?;
    data(projects.into_iter().map(wire).collect())
}

/// Creates a project
///
/// Admin only.
#[utoipa::path(post, path = "/projects", operation_id = "create_project", tag = "projects",
    params(IdempotencyKey), request_body = NewProject,
    responses((status = 200, description = "The project.", body = Data<Project>), Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    IdempotencyKey(key): IdempotencyKey,
    Valid(new): Valid<NewProject>,
) -> Answer<Project> {
    let create = move |engine| async move {
        engine::project::create(&engine, &actor, new.name, new.description, key).await
    };
    data(wire(app.command(create).await?))
}

/// Reads a project
#[utoipa::path(get, path = "/projects/{project}", operation_id = "get_project", tag = "projects",
    params(("project" = String, Path, description = "Id or name.")),
    responses((status = 200, description = "The project.", body = Data<Project>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(project): Path<String>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Project> {
    data(wire(engine::project::get(&app.engine, &actor, &project).await?))
}

/// Changes a project
#[utoipa::path(patch, path = "/projects/{project}", operation_id = "patch_project", tag = "projects",
    params(("project" = String, Path, description = "Id or name.")), request_body = ProjectPatch,
    responses((status = 200, description = "The project.", body = Data<Project>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(project): Path<String>,
    Query(Nothing {}): Query<Nothing>,
    Valid(patch): Valid<ProjectPatch>,
) -> Answer<Project> {
    let change = move |engine| async move {
        engine::project::patch(&engine, &actor, &project, patch.name, patch.description).await
    };
    data(wire(app.command(change).await?))
}

/// Deletes a project
///
/// With its blueprints and tokens. One that has runs is refused.
#[utoipa::path(delete, path = "/projects/{project}", operation_id = "delete_project", tag = "projects",
    params(("project" = String, Path, description = "Id or name.")),
    responses((status = 200, description = "Id of the project that was.", body = Data<String>),
        Missing, Conflicting, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(project): Path<String>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<String> {
    let delete = move |engine| async move { engine::project::delete(&engine, &actor, &project).await };
    data(app.command(delete).await?.to_string())
}

fn wire(project: engine::project::Project) -> Project {
    Project {
        id: project.id.to_string(),
        name: project.name,
        description: project.description,
        created_at: project.created_at.0,
    }
}

/// Reads the parameter `project_id` of a list: ids, or names.
pub(super) async fn ids(
    app: &App,
    actor: &engine::Actor,
    errors: &mut FieldErrors,
    texts: Vec<String>,
) -> Result<Vec<ProjectId>, Problem> {
    let mut ids = Vec::with_capacity(texts.len());
    for text in texts {
        // An id that is nobody's matches nothing; a name that is nobody's is a mistake.
        if let Ok(id) = text.parse() {
            ids.push(id);
            continue;
        }
        match engine::project::get(&app.engine, actor, &text).await {
            Ok(project) => ids.push(project.id),
            Err(error @ engine::Error::NotFound { .. }) => errors.add("project_id", error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ids)
}
