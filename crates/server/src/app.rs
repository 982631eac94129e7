//! What every handler works with, and how it calls the engine. No rule of the product is here.

use std::{future::Future, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, request::Parts},
};
use runyard_engine::{self as engine, Engine};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    dialects::{
        arkindex, chariot,
        pai::{self, sign::Nonces},
    },
    error::Problem,
    limits,
    metrics::Metrics,
};

/// State of the router; cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Ends event streams.
    pub(crate) shutdown: CancellationToken,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) chariot: chariot::Settings,
    pub(crate) arkindex: arkindex::Settings,
    pub(crate) pai: pai::Settings,
    /// Of signed requests that were served.
    pub(crate) nonces: Arc<Nonces>,
}

impl App {
    pub(crate) fn new(engine: Engine, shutdown: CancellationToken) -> Self {
        Self {
            engine,
            shutdown,
            metrics: Arc::new(Metrics::new()),
            chariot: chariot::Settings::default(),
            arkindex: arkindex::Settings::default(),
            pai: pai::Settings::default(),
            nonces: Arc::default(),
        }
    }

    /// The same, speaking to Chariot's clients as the operator said.
    pub(crate) fn with_chariot(self, chariot: chariot::Settings) -> Self {
        Self { chariot, ..self }
    }

    /// The same, speaking to Arkindex's workers as the operator said.
    pub(crate) fn with_arkindex(self, arkindex: arkindex::Settings) -> Self {
        Self { arkindex, ..self }
    }

    /// The same, serving PAI's clients as the operator said.
    pub(crate) fn with_pai(self, pai: pai::Settings) -> Self {
        Self { pai, ..self }
    }

    /// Runs an engine command to its end, also when the client goes away while it runs.
    pub(crate) async fn command<T, F>(&self, work: impl FnOnce(Engine) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = engine::Result<T>> + Send + 'static,
    {
        match tokio::spawn(work(self.engine.clone()).in_current_span()).await {
            Ok(result) => result.map_err(Problem::from),
            Err(error) => Err(Problem::fault(format!("an engine command did not end: {error}"))),
        }
    }
}

/// An id in the path. What is no id names nothing: 404.
pub(crate) struct Id<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Id<T>
where
    S: Send + Sync,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::not_found(error.body_text()))?;
        parse_id(&text).map(Self)
    }
}

/// Reads an id of the path.
pub(crate) fn parse_id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::not_found(error.to_string()))
}

/// The header `Idempotency-Key` of a create.
#[derive(utoipa::IntoParams)]
#[into_params(names("Idempotency-Key"), parameter_in = Header)]
pub(crate) struct IdempotencyKey(
    /// Any text of your own, new for every new thing: a repeat with the same key and body answers what the first
    /// request made.
    #[param(nullable = false, min_length = 1, max_length = 200)]
    pub(crate) Option<String>,
);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        idempotency_key(&parts.headers).map(Self)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let is_visible = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match value.to_str().ok().filter(is_visible) {
        Some(key) if (1..=limits::IDEMPOTENCY_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let message = format!(
                "must be 1 to {} visible ASCII characters, such as a UUID: a new one for every new thing",
                limits::IDEMPOTENCY_KEY
            );
            Err(Problem::field("Idempotency-Key", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key(value: &[u8]) -> Result<Option<String>, Problem> {
        let value = HeaderValue::from_bytes(value).unwrap();
        idempotency_key(&HeaderMap::from_iter([("idempotency-key".parse().unwrap(), value)]))
    }

    #[test]
    fn an_idempotency_key_is_visible_and_short() {
        assert_eq!(key(b"k-1").unwrap().as_deref(), Some("k-1"));
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
        for bad in [&b""[..], b"a b", &[0xff], &[b'x'; 201]] {
            assert_eq!(key(bad).unwrap_err().code, "invalid");
        }
    }
}
