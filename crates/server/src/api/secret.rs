//! Secrets over HTTP: set, list, delete. No answer has a value in it, not even one that was refused.

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use runyard_domain::FieldErrors;
use runyard_engine as engine;
use runyard_wire::{
    Data,
    secret::{PutSecret, Secret},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{
    app::App,
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Missing, Refused},
    query::Query,
};

/// Whose secrets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InProject {
    /// Their project, by id or name; the token's own, or `default`, when nothing was said.
    #[param(nullable = false)]
    project_id: Option<String>,
}

/// Lists secrets
///
/// Their names; values are never shown.
#[utoipa::path(get, path = "/secrets", operation_id = "list_secrets", tag = "secrets", params(InProject),
    responses((status = 200, description = "Secrets of one project, by name.", body = Data<Vec<Secret>>), Missing, Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(place): Query<InProject>,
) -> Answer<Vec<Secret>> {
    let secrets = engine::secret::list(&app.engine, &actor, place.project_id).await?;
    data(secrets.into_iter().map(wire).collect())
}

/// Sets a secret
///
/// In place of the value that it had. It is kept encrypted; jobs that start from then on get the new value.
#[utoipa::path(put, path = "/secrets/{name}", operation_id = "put_secret", tag = "secrets",
    params(("name" = String, Path, description = "Letters, digits, `_`, `.` and `-`."), InProject),
    request_body = PutSecret,
    responses((status = 200, description = "The secret, without its value.", body = Data<Secret>), Missing, BadBody, Refused))]
pub(super) async fn put(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Query(place): Query<InProject>,
    body: Result<Valid<PutSecret>, Problem>,
) -> Answer<Secret> {
    let Valid(PutSecret { value }) = body.map_err(without_value)?;
    let set = move |engine| async move {
        engine::secret::set(&engine, &actor, place.project_id, name, &value).await
    };
    data(wire(app.command(set).await?))
}

/// Deletes a secret
///
/// Jobs that have it keep it. Runs that name it cannot be started any more.
#[utoipa::path(delete, path = "/secrets/{name}", operation_id = "delete_secret", tag = "secrets",
    params(("name" = String, Path, description = "Name of the secret."), InProject),
    responses((status = 204, description = "There is no such secret any more."), Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Query(place): Query<InProject>,
) -> Result<StatusCode, Problem> {
    let delete =
        move |engine| async move { engine::secret::delete(&engine, &actor, place.project_id, name).await };
    app.command(delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is said of a wrong type shows what was sent: of a secret only that it is wrong.
fn without_value(problem: Problem) -> Problem {
    let Some(errors) = &problem.errors else { return problem };
    let mut said = FieldErrors::default();
    for (path, messages) in errors {
        match path.as_str() {
            "value" => said.add("value", "is needed, and must be a string"),
            "" => said.add("", "must be an object with the field `value`"),
            _ => messages.iter().for_each(|message| said.add(path, message.as_str())),
        }
    }
    said.into()
}

fn wire(secret: engine::secret::Secret) -> Secret {
    Secret {
        name: secret.name,
        project_id: secret.project_id.to_string(),
        created_at: secret.created_at.0,
        updated_at: secret.updated_at.0,
    }
}
