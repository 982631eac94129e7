//! The HTTP API over the engine: reads requests, calls one verb, writes answers. No rule of the product is here.

mod api;
mod app;
mod auth;
mod body;
mod data;
mod dialects;
mod error;
mod limits;
mod metrics;
mod object;
mod observe;
mod openapi;
mod query;
mod router;
mod schema;
mod serve;
#[cfg(test)]
mod tests;

pub use dialects::{arkindex, chariot, pai};
pub use runyard_engine::{Containers, Schema, backup, container_runner, garbage::gc::Keep};
pub use runyard_objects::Credentials;
pub use serve::{Error, Options, serve};

/// The OpenAPI document of the native API, as pretty JSON.
pub fn openapi() -> String {
    let mut text = router::document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
