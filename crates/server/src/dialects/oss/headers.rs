//! Headers that say something of an object: which are kept with it, and how it is described when it is read. What this store
//! would have to do and does not is refused.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runyard_domain::Millis;
use runyard_engine::oss::Object;

use super::{
    asked::{Asked, cut},
    refusal::{invalid, not_implemented},
};
use crate::error::Problem;

/// What is kept beside the client's own `x-oss-meta-...`.
const KEPT: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-oss-storage-class",
];
/// What begins the names of a client's own headers.
const OWN: &str = "x-oss-meta-";
/// What asks for something that is not done.
const REFUSED: &[&str] = &[
    "x-oss-callback",
    "x-oss-server-side-data-encryption",
    "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-key-id",
    "x-oss-tagging",
    "x-oss-traffic-limit",
];

/// The headers of a request that are kept with the object.
pub(super) fn kept(asked: &Asked) -> Result<BTreeMap<String, String>, Problem> {
    if let Some(name) = REFUSED.iter().find(|name| asked.headers.contains_key(**name)) {
        return Err(not_implemented(format!(
            "what `{name}` asks for is not done by this store: leave it out"
        )));
    }
    match asked.header("x-oss-object-acl")? {
        None | Some("default" | "private") => {}
        Some(other) => return Err(no_acl(other)),
    }
    let mut kept = BTreeMap::new();
    for name in asked.headers.keys().map(HeaderName::as_str) {
        if (KEPT.contains(&name) || name.starts_with(OWN))
            && let Some(value) = asked.header(name)?
        {
            kept.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(kept)
}

pub(super) fn no_acl(word: &str) -> Problem {
    not_implemented(format!(
        "the ACL `{}` is not known: everything here is private, and read with an access key of its project or by a \
         signed address",
        cut(word)
    ))
}

/// The MD5 that the header `Content-MD5` announces.
pub(super) fn md5(asked: &Asked) -> Result<Option<[u8; 16]>, Problem> {
    let Some(text) = asked.header("content-md5")? else { return Ok(None) };
    let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    let wrong = || {
        let message = format!("`{}` is no MD5 in base64: `Content-MD5` is 24 characters", cut(text));
        Problem::new(axum::http::StatusCode::BAD_REQUEST, "InvalidDigest", message)
    };
    bytes.map(Some).ok_or_else(wrong)
}

/// Whether a header says `true`.
pub(super) fn flag(asked: &Asked, name: &str) -> Result<bool, Problem> {
    match asked.header(name)? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(invalid(format!("`{name}` is `{}`: it is `true` or `false`", cut(other)))),
    }
}

/// What is said of an object whenever it is asked for.
pub(super) fn described(object: &Object) -> HeaderMap {
    let mut headers = basic(object);
    for (name, value) in &object.headers {
        set(&mut headers, name, value);
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        set(&mut headers, "content-type", "application/octet-stream");
    }
    set(&mut headers, "x-oss-object-type", &object.of_type);
    if !headers.contains_key("x-oss-storage-class") {
        set(&mut headers, "x-oss-storage-class", "Standard");
    }
    set(&mut headers, "accept-ranges", "bytes");
    // What a program wrote must never act as a page of this server.
    set(&mut headers, "x-content-type-options", "nosniff");
    set(&mut headers, "content-security-policy", "sandbox; default-src 'none'");
    headers
}

/// `ETag`, time and CRC.
pub(super) fn basic(object: &Object) -> HeaderMap {
    let mut headers = stored(&object.etag, object.crc64);
    set(&mut headers, "last-modified", &http_time(object.modified_at));
    headers
}

/// `ETag` and CRC of what was stored now.
pub(super) fn stored(etag: &str, crc64: Option<u64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, "etag", &quoted(etag));
    if let Some(crc64) = crc64 {
        set(&mut headers, "x-oss-hash-crc64ecma", &crc64.to_string());
    }
    headers
}

pub(super) fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// A time as HTTP writes it: whole seconds.
pub(super) fn http_time(at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

/// A time as OSS writes it in XML. Clients read exactly this form, without parts of a second.
pub(super) fn xml_time(at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_clients_read_them() {
        let at = Millis(1_795_294_541_987);
        assert_eq!(xml_time(at), "2026-11-21T20:55:41.000Z");
        assert_eq!(http_time(at), "Sat, 21 Nov 2026 20:55:41 GMT");
    }
}
