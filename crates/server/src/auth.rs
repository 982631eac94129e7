//! Who asks: the bearer token of a request. Nothing is cached, so that a revoked token stops working at once.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use runyard_engine::{self as engine, Actor};

use crate::{app::App, error::Problem, limits};

const BAD_TOKEN: &str = "invalid bearer token";

/// The words that may stand before a token; the first is the one that a refusal names.
pub(crate) type Schemes = &'static [&'static str];

/// The word of our own API.
const OURS: Schemes = &["Bearer"];

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Actor);

/// The secret that was sent, for those who ask again later whether it still works.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

/// Lets only those through whose token works, and tells the handler who they are.
pub(crate) async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Response {
    authenticate_by(State((app, OURS)), request, next).await
}

/// The same for a dialect whose clients put other words before a token.
pub(crate) async fn authenticate_by(
    State((app, schemes)): State<(App, Schemes)>,
    mut request: Request,
    next: Next,
) -> Response {
    let asked = match secret(request.headers(), schemes) {
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

fn secret(headers: &HeaderMap, schemes: Schemes) -> Result<String, Problem> {
    let scheme = schemes.first().copied().unwrap_or_default();
    let none = || {
        Problem::unauthorized(format!(
            "no token was sent: send the header `Authorization: {scheme} TOKEN` (on the server's machine, the file \
             `token` in its data folder has one)"
        ))
    };
    let bad = || {
        let message = "the header `Authorization` cannot be read: send `Authorization:";
        Problem::unauthorized(format!("{message} {scheme} TOKEN`"))
    };
    let value = headers.get(header::AUTHORIZATION).ok_or_else(none)?;
    let text = value.to_str().map_err(|_| bad())?.trim();
    let (word, secret) = text.split_once(' ').unwrap_or((text, ""));
    if !schemes.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
        return Err(bad());
    }
    match secret.trim() {
        "" => Err(none()),
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

    fn of(value: &'static str, schemes: Schemes) -> Result<String, String> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        secret(&headers, schemes).map_err(|problem| problem.message)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(of("Bearer ryd_x", OURS).as_deref(), Ok("ryd_x"));
        assert_eq!(of("bearer   ryd_x ", OURS).as_deref(), Ok("ryd_x"));
    }

    #[test]
    fn a_dialect_has_words_of_its_own() {
        let theirs: Schemes = &["Token", "Ponos"];
        assert_eq!(of("Ponos ryd_x", theirs).as_deref(), Ok("ryd_x"));
        assert!(of("Basic dTpw", theirs).unwrap_err().contains("`Authorization: Token TOKEN`"));
        assert!(of("Token ryd_x", OURS).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn what_is_no_bearer_token_is_said() {
        assert!(of("Basic dTpw", OURS).unwrap_err().contains("cannot be read"));
        assert!(of("ryd_x", OURS).unwrap_err().contains("`Authorization: Bearer TOKEN`"));
        for nothing in
            [secret(&HeaderMap::new(), OURS).unwrap_err().message, of("Bearer ", OURS).unwrap_err()]
        {
            assert!(nothing.starts_with("no token was sent"), "{nothing}");
        }
        let long: &'static str = Box::leak(format!("Bearer {}", "x".repeat(9_000)).into_boxed_str());
        assert_eq!(of(long, OURS), Err(BAD_TOKEN.to_owned()));
    }
}
