//! Who asks: the bearer token of a request. Nothing is cached, so that a revoked token stops working at once.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use runyard_engine::{self as engine, Actor};

use crate::{app::App, error::Problem, limits};

const NO_TOKEN: &str = "no token was sent: send the header `Authorization: Bearer TOKEN` \
    (on the server's machine, the file `token` in its data folder has one)";
const BAD_HEADER: &str = "the header `Authorization` cannot be read: send `Authorization: Bearer TOKEN`";
const BAD_TOKEN: &str = "invalid bearer token";

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Actor);

/// The secret that was sent, for those who ask again later whether it still works.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

/// Lets only those through whose token works, and tells the handler who they are.
pub(crate) async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let asked = match secret(request.headers()) {
        Ok(secret) => match engine::token::authenticate(&app.engine, &secret).await {
            Ok(actor) => Ok((actor, secret)),
            Err(error) => Err(error.into()),
        },
        Err(problem) => Err(problem),
    };
    match asked {
        Ok((actor, secret)) => {
            request.extensions_mut().insert(Caller(actor));
            request.extensions_mut().insert(Secret(secret));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn secret(headers: &HeaderMap) -> Result<String, Problem> {
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| Problem::unauthorized(NO_TOKEN))?;
    let text = value.to_str().map_err(|_| Problem::unauthorized(BAD_HEADER))?;
    let (scheme, secret) = text.trim().split_once(' ').ok_or_else(|| Problem::unauthorized(BAD_HEADER))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::unauthorized(BAD_HEADER));
    }
    match secret.trim() {
        "" => Err(Problem::unauthorized(NO_TOKEN)),
        secret if secret.len() > limits::SECRET => Err(Problem::unauthorized(BAD_TOKEN)),
        secret => Ok(secret.to_owned()),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| Problem::fault("a route without authentication"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Secret {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| Problem::fault("a route without authentication"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &'static str) -> Result<String, String> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        secret(&headers).map_err(|problem| problem.message)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(of("Bearer ryd_x").as_deref(), Ok("ryd_x"));
        assert_eq!(of("bearer   ryd_x ").as_deref(), Ok("ryd_x"));
    }

    #[test]
    fn what_is_no_bearer_token_is_said() {
        assert_eq!(of("Basic dTpw"), Err(BAD_HEADER.to_owned()));
        assert_eq!(of("ryd_x"), Err(BAD_HEADER.to_owned()));
        assert_eq!(secret(&HeaderMap::new()).unwrap_err().message, NO_TOKEN);
        let long: &'static str = Box::leak(format!("Bearer {}", "x".repeat(9_000)).into_boxed_str());
        assert_eq!(of(long), Err(BAD_TOKEN.to_owned()));
    }
}
