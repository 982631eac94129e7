//! Typed client of the HTTP API: one method per endpoint, one file per noun.
//! It knows no rule of the product: what the server says is what happens.

pub mod activity;
pub mod artifact;
pub mod blueprint;
mod channel;
pub mod checkpoint;
pub mod corpus;
pub mod dataset;
mod download;
pub mod element;
pub mod error;
mod file;
mod http;
pub mod job;
pub mod metric;
pub mod model;
mod object;
mod project;
mod query;
pub mod run;
#[cfg(test)]
mod scripted_server;
mod secret;
mod source;
mod system;
mod token;
pub mod worker_run;

use std::sync::Arc;

pub use error::Error;
use http::Http;
use runyard_domain::ChecksumKind;
use tokio::sync::OnceCell;

/// Speaks to one server with one token. Cheap to make and to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    /// What its objects are bound by, once it was asked.
    checksum: Arc<OnceCell<ChecksumKind>>,
}

impl Client {
    /// A client of the server at `url`. Cannot fail: a wrong address is the error of the first call.
    pub fn new(url: &str, token: &str) -> Self {
        Self { http: Http::new(url, token), checksum: Arc::default() }
    }

    /// The server has moved.
    pub fn set_url(&mut self, url: &str) {
        if url.trim_end_matches('/') != self.url() {
            self.checksum = Arc::default();
        }
        self.http.set_url(url);
    }

    /// The address that is called.
    pub fn url(&self) -> &str {
        self.http.url()
    }
}
