//! Tokens over HTTP.

use axum::{extract::State, http::StatusCode};
use runyard_domain::{TokenId, token::Scope};
use runyard_engine as engine;
use runyard_wire::{
    Data,
    token::{CreatedToken, NewToken, Token},
};

use super::{Answer, data};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Missing, Refused},
    query::{Nothing, Query},
};

/// Lists tokens
///
/// Those that the token may see, without their secrets; those of jobs are left out.
#[utoipa::path(get, path = "/tokens", operation_id = "list_tokens", tag = "tokens",
    responses((status = 200, description = "Tokens.", body = Data<Vec<Token>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<Token>> {
    let tokens = engine::token::list(&app.engine, &actor).await?;
    data(tokens.into_iter().map(wire).collect())
}

/// Creates a token
///
/// Never wider than the token that asks. The secret is shown this once.
#[utoipa::path(post, path = "/tokens", operation_id = "create_token", tag = "tokens", request_body = NewToken,
    responses((status = 200, description = "The token and its secret.", body = Data<CreatedToken>), BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<NewToken>,
) -> Answer<CreatedToken> {
    let new = engine::token::NewToken {
        name: new.name,
        scope: new.scope,
        project: new.project_id,
        run: new.run_id,
        expires_in_s: new.expires_in_s,
        access_key: new.access_key,
    };
    let create = move |engine| async move { engine::token::create(&engine, &actor, new).await };
    let (token, secret) = app.command(create).await?;
    data(CreatedToken { token: wire(token), secret })
}

/// Revokes a token
///
/// It stops working at once.
#[utoipa::path(delete, path = "/tokens/{token_id}", operation_id = "revoke_token", tag = "tokens",
    params(("token_id" = String, Path, description = "Id of the token.")),
    responses((status = 204, description = "It works no more."), Missing, Refused))]
pub(super) async fn revoke(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<TokenId>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<StatusCode, Problem> {
    app.command(move |engine| async move { engine::token::revoke(&engine, &actor, id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn wire(token: engine::token::Token) -> Token {
    let (project_id, run_id) = match token.scope {
        Scope::Admin => (None, None),
        Scope::Project(project) => (Some(project), None),
        Scope::Run(project, run) => (Some(project), Some(run)),
    };
    Token {
        id: token.id.to_string(),
        name: token.name,
        scope: token.scope.word().to_owned(),
        project_id: project_id.map(|id| id.to_string()),
        run_id: run_id.map(|id| id.to_string()),
        created_at: token.created_at.0,
        expires_at: token.expires_at.map(|at| at.0),
        access_key_id: token.access_key.map(|key| key.id),
    }
}
