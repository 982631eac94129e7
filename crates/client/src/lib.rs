//! Typed client of the HTTP API. It knows no rule of the product: what the server says is what happens.

pub mod error;
mod http;
pub mod job;

pub use error::Error;
