//! The HTTP API with nothing between: any method, any body, any header, so that wrong ones can be sent.

use reqwest::Method;
use serde_json::Value;

use crate::{Server, block_on};

/// A call of the API that is being put together.
#[derive(Debug)]
pub struct Call {
    request: reqwest::RequestBuilder,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The body as it is.
    pub text: String,
}

impl Server {
    /// A call with the admin token; `path` starts with `/`.
    pub fn call(&self, method: &str, path: &str) -> Call {
        self.call_as(&self.token(), method, path)
    }

    /// A call with another token; an empty one: with none.
    pub fn call_as(&self, token: &str, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = client().request(method, format!("{}{path}", self.url()));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        Call { request }
    }

    /// `GET path` of the native API, for its `data`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.call("GET", &format!("/api/v2{path}")).send().data(200)
    }
}

impl Call {
    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        Self { request: self.request.json(body) }
    }

    /// With these bytes as JSON body.
    #[must_use]
    pub fn raw(self, body: impl Into<Vec<u8>>) -> Self {
        Self { request: self.request.header("content-type", "application/json").body(body.into()) }
    }

    /// With a form, as it is encoded.
    #[must_use]
    pub fn form(self, body: &str) -> Self {
        let mime = "application/x-www-form-urlencoded";
        Self { request: self.request.header("content-type", mime).body(body.to_owned()) }
    }

    /// With a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value) }
    }

    /// Sends it.
    #[track_caller]
    pub fn send(self) -> Answer {
        block_on(async {
            let answer = self.request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            let text = answer.text().await.expect("a whole answer");
            Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), text }
        })
    }
}

impl Answer {
    /// What is in the envelope of an answer with this status.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    pub fn data(mut self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body["data"].take()
    }

    /// Makes sure that this is an error of ours with this status and code, and that every one of `words` is said in it.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str, words: &[&str]) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert!(self.body["error"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.text);
        assert!(self.body["request_id"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "`{word}` is not in {}", self.text);
        }
        self
    }
}

fn client() -> reqwest::Client {
    // A lost race is fine: somebody installed one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client")
}
