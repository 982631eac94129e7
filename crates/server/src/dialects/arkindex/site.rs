//! How whoever asks reaches this server: an address that a client is told stands alone, so it is whole.

use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderName, header, request::Parts, uri::Authority},
};

use crate::{app::App, error::Problem, object};

/// What a proxy that ends TLS says of the request that it got.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Scheme, host and port, as the client named them, and what it asked for.
pub(super) struct Site {
    origin: String,
    path: String,
    query: String,
}

impl FromRequestParts<App> for Site {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let uri = match parts.extensions.get::<OriginalUri>() {
            Some(OriginalUri(uri)) => uri.clone(),
            None => parts.uri.clone(),
        };
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let named = named.or_else(|| uri.authority().map(Authority::as_str));
        let origin = match named.filter(|host| is_host(host)) {
            Some(host) => {
                let secure = parts.headers.get(FORWARDED).is_some_and(|scheme| scheme.as_bytes() == b"https");
                format!("{}://{host}", if secure { "https" } else { "http" })
            }
            None => app.engine.options.url.get().cloned().unwrap_or_default(),
        };
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        Ok(Self { origin: origin.trim_end_matches('/').to_owned(), path, query })
    }
}

impl Site {
    /// An address for this client: one on this server under the name that the client knows it by, any other as it is.
    pub(super) fn address(&self, app: &App, url: String) -> String {
        let url = object::reference(app, url);
        if url.starts_with('/') { format!("{}{url}", self.origin) } else { url }
    }

    /// What was asked for, with one parameter of the query set to something else.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let others = self.query.split('&').filter(|pair| !pair.is_empty());
        let others = others.filter(|pair| pair.split('=').next() != Some(name));
        let query: Vec<String> = others.map(str::to_owned).chain([format!("{name}={value}")]).collect();
        format!("{}{}?{}", self.origin, self.path, query.join("&"))
    }
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_takes_the_place_of_the_one_that_was_sent() {
        let site = |query: &str| Site {
            origin: "http://h:1".to_owned(),
            path: "/api/v1/models/".to_owned(),
            query: query.to_owned(),
        };
        assert_eq!(site("").with("page", "2"), "http://h:1/api/v1/models/?page=2");
        assert_eq!(
            site("page=2&name=a+b&page=3").with("page", "4"),
            "http://h:1/api/v1/models/?name=a+b&page=4"
        );
    }

    #[test]
    fn a_host_is_only_told_back_when_it_is_one() {
        for host in ["localhost", "10.1.2.3:80", "[::1]:7878", "run_yard.example"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "a b", "a/b", "a\"b", "ä"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
