//! Exchanges client credentials for a bearer token: the id or name of a token, and its secret. Nothing is stored, so a
//! revoked token stops working at once. Refuses as OAuth 2 does (RFC 6749, 5.2).

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use runyard_engine as engine;
use serde::Serialize;

use super::form;
use crate::{app::App, body::Raw, error::Problem, limits};

/// After this long clients ask again, in seconds: then one whose token was revoked learns it here.
const LIFE_S: i64 = 3600;

#[derive(Serialize)]
pub(super) struct Granted {
    access_token: String,
    expires_in: i64,
    token_type: &'static str,
}

pub(super) async fn exchange(
    State(app): State<App>,
    Raw(body): Raw<{ limits::FORM }>,
) -> Result<([(HeaderName, &'static str); 1], Json<Granted>), Problem> {
    let mut form = form::fields(&body)?;
    let mut need = |name: &str| {
        let value = form.remove(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| bad("invalid_request", format!("the form has no `{name}`")))
    };
    let (grant, id, secret) = (need("grant_type")?, need("client_id")?, need("client_secret")?);
    if grant != "client_credentials" {
        return Err(bad("unsupported_grant_type", "the only grant_type here is client_credentials"));
    }
    if secret.len() > limits::SECRET {
        return Err(invalid());
    }
    let token = match engine::token::by_secret(&app.engine, &secret).await {
        Ok(token) if id == token.name || id == token.id.to_string() => token,
        Ok(_) | Err(engine::Error::Unauthorized(_)) => return Err(invalid()),
        Err(error) => return Err(error.into()),
    };
    let left_s = token.expires_at.map_or(LIFE_S, |at| at.since(app.engine.now()) / 1000);
    let granted = Granted { access_token: secret, expires_in: left_s.clamp(1, LIFE_S), token_type: "bearer" };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(granted)))
}

/// How this route refuses.
pub(super) fn refusal(problem: Problem, _: &str) -> (&'static str, String) {
    let body = serde_json::json!({"error": problem.code, "error_description": problem.message});
    ("application/json", body.to_string())
}

fn bad(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, message)
}

fn invalid() -> Problem {
    let message = "no token that works has this client_id (its id or name) and client_secret (its secret)";
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_client", message)
}
