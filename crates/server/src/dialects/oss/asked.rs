//! A request as it was sent: who asks for which bucket and key, by which words. Reads addresses byte by byte, since a key may
//! hold any letter, a `/` written as `%2F` too.

use axum::http::{HeaderMap, Method, Uri, header, request::Parts};
use percent_encoding::percent_decode_str;
use runyard_domain::bucket::check_name;
use runyard_engine::Actor;

use super::refusal::{invalid, not_implemented};
use crate::{
    app::App,
    dialects::pai::sign::{self, Refused, SUBRESOURCES},
    error::Problem,
};

/// A request whose signature is right.
pub(super) struct Asked {
    pub(super) actor: Actor,
    pub(super) method: Method,
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
    pub(super) headers: HeaderMap,
    /// How the client reaches this server.
    pub(super) host: String,
    query: Vec<(String, String)>,
}

/// Reads a request, once its signature was found right: for the bucket that its host names, or for the one of its path.
pub(super) async fn read(app: &App, parts: Parts) -> Result<Asked, Problem> {
    let host = host(&parts.headers).unwrap_or_default();
    let by_host = match bucket_of_host(&host) {
        None => None,
        Some(bucket) => match sign::authenticate_oss(app, &parts, Some(&bucket)).await {
            Ok(actor) => Some((actor, Some(bucket))),
            // Then it is meant for the bucket in its path.
            Err(Refused::Mismatch { .. }) => None,
            Err(other) => return Err(other.oss()),
        },
    };
    let (actor, by_host) = match by_host {
        Some(found) => found,
        None => (sign::authenticate_oss(app, &parts, None).await.map_err(Refused::oss)?, None),
    };
    let (bucket, key) = place(&parts.uri, by_host)?;
    let query = parts.uri.query().unwrap_or_default();
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect::<Result<_, _>>()?;
    Ok(Asked { actor, method: parts.method, bucket, key, headers: parts.headers, host, query })
}

impl Asked {
    /// Whether the address has this word, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(own, _)| own == name)
    }

    /// The value of a word; empty ones are none.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(own, _)| own == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a word as a number within bounds.
    pub(super) fn number(&self, name: &'static str, least: i64, most: i64) -> Result<Option<i64>, Problem> {
        let Some(text) = self.value(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(invalid(format!("`{name}` is `{}`: it is a number from {least} to {most}", cut(text)))),
        }
    }

    /// Whether texts of the answer are to be percent-encoded.
    pub(super) fn encoded(&self) -> Result<bool, Problem> {
        match self.value("encoding-type") {
            None => Ok(false),
            Some("url") => Ok(true),
            Some(other) => {
                Err(invalid(format!("`encoding-type` is `{}`: it is `url` or left out", cut(other))))
            }
        }
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>, Problem> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        std::str::from_utf8(value.as_bytes())
            .map(Some)
            .map_err(|_| invalid(format!("the header `{name}` is not in UTF-8")))
    }

    /// Refuses what is asked for by words that this store does not know.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let always = ["security-token"];
        let unknown =
            |name: &&str| !known.contains(name) && !always.contains(name) && SUBRESOURCES.contains(name);
        match self.query.iter().map(|(name, _)| name.as_str()).find(unknown) {
            None => Ok(()),
            Some(name) => Err(not_implemented(format!("`?{name}` is not done by this store"))),
        }
    }

    /// There is no such operation.
    pub(super) fn unknown(&self) -> Problem {
        let method: String = self.method.as_str().chars().take(20).collect();
        super::refusal::method(format!("{method} is not done here"))
    }
}

/// The bucket and the key that are meant.
fn place(uri: &Uri, by_host: Option<String>) -> Result<(Option<String>, Option<String>), Problem> {
    let path = uri.path().strip_prefix('/').unwrap_or_else(|| uri.path());
    let (bucket, key) = if by_host.is_some() {
        (by_host, path)
    } else {
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (Some(decoded(bucket)?).filter(|bucket| !bucket.is_empty()), key)
    };
    Ok((bucket, Some(decoded(key)?).filter(|key| !key.is_empty())))
}

/// Bucket and key of a text such as `/bucket/key%20with%2Fanything`.
pub(super) fn named(text: &str) -> Result<(String, String), Problem> {
    let text = text.split('?').next().unwrap_or_default();
    let decoded = decoded(text.strip_prefix('/').unwrap_or(text))?;
    match decoded.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok((bucket.to_owned(), key.to_owned()))
        }
        _ => Err(invalid(format!(
            "`x-oss-copy-source` is `{}`: it is `/BUCKET/KEY`, percent-encoded",
            cut(text)
        ))),
    }
}

fn pair(pair: &str) -> Result<(String, String), Problem> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Ok((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
}

fn decoded(text: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| invalid(format!("`{}` is not UTF-8 when it is decoded", cut(text))))
}

/// What a sentence shows of a text.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Name and port by which the client reaches this server. Clients of PAI put a scheme in front.
fn host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(host.rsplit("://").next().unwrap_or(host).trim_end_matches('/').to_owned())
}

/// The bucket that a host such as `bucket.oss.example.com:7878` names; an address and a name without dots name none.
fn bucket_of_host(host: &str) -> Option<String> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let (bucket, domain) = name.split_once('.')?;
    let is_address = domain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (!is_address && !domain.is_empty() && check_name(bucket).is_ok()).then(|| bucket.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> (Option<String>, Option<String>) {
        place(&uri.parse().unwrap(), None).unwrap()
    }

    #[test]
    fn bucket_and_key_are_parted_before_anything_is_decoded() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("/data/a%2Fb%20c%E4%B8%AD"), (some("data"), some("a/b c中")));
        assert_eq!(of("/data/a/b//c/"), (some("data"), some("a/b//c/")));
        assert_eq!(of("/data/%2Fa"), (some("data"), some("/a")));
        assert_eq!(of("/data/a+b%252F"), (some("data"), some("a+b%2F")));
        assert_eq!(of("/data/"), (some("data"), None));
        assert_eq!(of("/data"), (some("data"), None));
        assert_eq!(of("/"), (None, None));
        let by_host = place(&"/api%2Fv2/x".parse().unwrap(), some("data")).unwrap();
        assert_eq!(by_host, (some("data"), some("api/v2/x")));
        assert!(place(&"/data/%ff".parse().unwrap(), None).unwrap_err().message.contains("not UTF-8"));
    }

    #[test]
    fn a_host_may_name_the_bucket() {
        assert_eq!(bucket_of_host("data.oss.example.com:7878").as_deref(), Some("data"));
        assert_eq!(bucket_of_host("data.localhost").as_deref(), Some("data"));
        for none in ["127.0.0.1:7878", "localhost:7878", "[::1]:7878", "x.example.com", "", "10.0.0.1"] {
            assert_eq!(bucket_of_host(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_copied_is_named_as_in_an_address() {
        assert_eq!(named("/data/a%2Fb").unwrap(), ("data".to_owned(), "a/b".to_owned()));
        assert_eq!(named("data/a?versionId=null").unwrap(), ("data".to_owned(), "a".to_owned()));
        for wrong in ["", "/", "/data", "/data/", "//key"] {
            assert!(named(wrong).unwrap_err().message.contains("`/BUCKET/KEY`"), "{wrong}");
        }
    }
}
