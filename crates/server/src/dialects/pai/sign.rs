//! Signatures of PAI's and OSS's clients: HMAC-SHA1 over the words of a request, with the secret of an access key. What is signed
//! is written byte by byte as their SDKs write it. Never shows a secret. Bodies are not signed: on a network, use TLS.

mod nonces;
mod refused;

use axum::{
    extract::OriginalUri,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
pub(crate) use nonces::Nonces;
use percent_encoding::percent_decode_str;
pub(crate) use refused::Refused;
use runyard_domain::Millis;
use runyard_engine::{self as engine, Actor, access_key};
use sha1::Sha1;

use crate::app::App;

/// How far a client's clock may be from ours, in milliseconds.
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Longest nonce, longest access key id.
const WORD: usize = 128;

/// Parameters of an address that OSS's signature covers; all others it leaves out.
pub(crate) const SUBRESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-ac-forward-allow",
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
    "x-oss-access-point-name",
    "x-oss-async-process",
    "x-oss-process",
    "x-oss-redundancy-transition-taskid",
    "x-oss-request-payer",
    "x-oss-target-redundancy-type",
    "x-oss-traffic-limit",
    "x-oss-write-get-object-response",
];

/// A signature that a client sent, and what it should be one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// Whose it says it is.
    pub(crate) key_id: String,
    /// In base64.
    given: String,
    /// What was signed.
    text: Vec<u8>,
    /// Until when it holds, or when it was made.
    time: Time,
    /// Signed once and never again (PAI).
    nonce: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Made(Millis),
    Until(Millis),
}

impl Signature {
    /// Whether it was made with `secret`, and holds now. Takes the same time whatever is wrong with it.
    pub(crate) fn verify(&self, secret: &str, now: Millis) -> Result<(), Refused> {
        let mut mac =
            <Hmac<Sha1>>::new_from_slice(secret.as_bytes()).expect("an HMAC takes a key of any length");
        mac.update(&self.text);
        let given = base64::engine::general_purpose::STANDARD.decode(&self.given).unwrap_or_default();
        if mac.verify_slice(&given).is_err() {
            let signed = String::from_utf8_lossy(&self.text).chars().take(2000).collect();
            return Err(Refused::Mismatch { signed });
        }
        match self.time {
            Time::Made(at) if (now.0 - at.0).abs() > WINDOW_MS => Err(Refused::Skewed { at, now }),
            Time::Until(at) if at.0 <= now.0 => Err(Refused::Expired { at }),
            Time::Made(_) | Time::Until(_) => Ok(()),
        }
    }
}

/// Who asks PAI's API: the signer of this request, or who has the token in it (`x-acs-bearer-token`).
pub(crate) async fn authenticate_acs(app: &App, parts: &Parts) -> Result<Actor, Refused> {
    if let Some(token) = text(&parts.headers, "x-acs-bearer-token") {
        return Ok(engine::token::authenticate(&app.engine, &token).await?);
    }
    let signature = acs(&parts.method, original(parts), &parts.headers)?;
    let actor = signer(app, &signature).await?;
    let nonce = signature.nonce.unwrap_or_default();
    // Noted last, so that only who can sign takes up room.
    if app.nonces.note(signature.key_id, nonce.clone(), app.engine.now()) {
        Ok(actor)
    } else {
        Err(Refused::NonceUsed(nonce))
    }
}

/// Who asks the object store: the signer of this request or of its address. `bucket` is the one that the host named, where it did.
pub(crate) async fn authenticate_oss(
    app: &App,
    parts: &Parts,
    bucket: Option<&str>,
) -> Result<Actor, Refused> {
    let signature = oss(&parts.method, original(parts), &parts.headers, bucket)?;
    signer(app, &signature).await
}

async fn signer(app: &App, signature: &Signature) -> Result<Actor, Refused> {
    let id = &signature.key_id;
    let found = match access_key::lookup(&app.engine, id).await {
        Err(engine::Error::Unauthorized(why)) => return Err(Refused::Inactive(why)),
        found => found?,
    };
    let signer = found.ok_or_else(|| Refused::UnknownKey(id.clone()))?;
    signature.verify(&signer.secret, app.engine.now())?;
    Ok(signer.actor)
}

/// The address as it came, whatever a nested router has made of it.
fn original(parts: &Parts) -> &Uri {
    parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri)
}

/// Whether a request of PAI's API is signed with `secret` and its time is right. Pure: whether its nonce is new is not looked at.
#[cfg(test)]
pub(crate) fn verify_acs(parts: &Parts, secret: &str, now: Millis) -> Result<(), Refused> {
    acs(&parts.method, original(parts), &parts.headers)?.verify(secret, now)
}

/// Whether a request to the object store is signed with `secret`, in a header or in its address, and its time is right. Pure.
#[cfg(test)]
pub(crate) fn verify_oss(
    parts: &Parts,
    bucket: Option<&str>,
    secret: &str,
    now: Millis,
) -> Result<(), Refused> {
    oss(&parts.method, original(parts), &parts.headers, bucket)?.verify(secret, now)
}

/// The signature of a request of PAI's API (ROA, version 1).
fn acs(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Signature, Refused> {
    let authorization = text(headers, "authorization").ok_or(Refused::NotSigned)?;
    let (key_id, given) = credential(&authorization, "acs")?;
    for (name, known) in [("x-acs-signature-method", "HMAC-SHA1"), ("x-acs-signature-version", "1.0")] {
        match text(headers, name) {
            Some(word) if word != known => return Err(Refused::Unsupported(format!("{name}: {word}"))),
            _ => {}
        }
    }
    let time = Time::Made(moment("date", text(headers, "date"))?);
    let nonce = match text(headers, "x-acs-signature-nonce") {
        Some(nonce) if !nonce.is_empty() && nonce.len() <= WORD => Some(nonce),
        _ => return Err(Refused::NoNonce),
    };
    let mut signed = Vec::new();
    let heads = ["accept", "content-md5", "content-type", "date"].map(|name| bytes(headers, name));
    line(&mut signed, method.as_str().as_bytes());
    for head in heads {
        line(&mut signed, head);
    }
    prefixed(&mut signed, headers, "x-acs-");
    signed.extend_from_slice(uri.path().as_bytes());
    parameters(&mut signed, query(uri));
    Ok(Signature { key_id, given, text: signed, time, nonce })
}

/// The signature of a request to the object store (version 1), or of its address.
fn oss(method: &Method, uri: &Uri, headers: &HeaderMap, bucket: Option<&str>) -> Result<Signature, Refused> {
    let mut query = query(uri);
    let named =
        |name: &str| query.iter().find(|(own, _)| own == name.as_bytes()).map(|(_, value)| words(value));
    let (key_id, given, time, date) = if let Some(authorization) = text(headers, "authorization") {
        let (key_id, given) = credential(&authorization, "OSS")?;
        let date = text(headers, "x-oss-date").or_else(|| text(headers, "date"));
        let time = Time::Made(moment("date", date.clone())?);
        (key_id, given, time, date.unwrap_or_default())
    } else if let (Some(key_id), Some(given)) = (named("OSSAccessKeyId"), named("Signature")) {
        let expires = named("Expires").unwrap_or_default();
        let seconds = expires
            .parse::<i64>()
            .map_err(|_| Refused::BadTime { name: "Expires", given: expires.clone() })?;
        (key_id, given, Time::Until(Millis(seconds.saturating_mul(1000))), expires)
    } else if let Some(version) = named("x-oss-signature-version") {
        return Err(Refused::Unsupported(version));
    } else {
        return Err(Refused::NotSigned);
    };
    let mut signed = Vec::new();
    line(&mut signed, method.as_str().as_bytes());
    line(&mut signed, bytes(headers, "content-md5"));
    line(&mut signed, bytes(headers, "content-type"));
    line(&mut signed, date.as_bytes());
    prefixed(&mut signed, headers, "x-oss-");
    if let Some(bucket) = bucket {
        signed.push(b'/');
        signed.extend_from_slice(bucket.as_bytes());
    }
    let path = percent_decode_str(uri.path());
    signed.extend(path);
    // A bucket alone is signed with a `/` behind it, however it was asked for.
    if bucket.is_none() && uri.path().len() > 1 && !uri.path()[1..].contains('/') {
        signed.push(b'/');
    }
    query.retain(|(name, _)| SUBRESOURCES.iter().any(|known| known.as_bytes() == name.as_slice()));
    parameters(&mut signed, query);
    Ok(Signature { key_id, given, text: signed, time, nonce: None })
}

/// The parts of `SCHEME KEY:SIGNATURE`.
fn credential(authorization: &str, scheme: &'static str) -> Result<(String, String), Refused> {
    let (word, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if word != scheme {
        return Err(Refused::Unsupported(word.chars().take(40).collect()));
    }
    match rest.trim().split_once(':') {
        Some((id, given)) if !id.is_empty() && id.len() <= WORD => Ok((id.to_owned(), given.to_owned())),
        _ => Err(Refused::Malformed { scheme }),
    }
}

/// A time such as `Sat, 21 Nov 2026 21:24:27 GMT`.
fn moment(name: &'static str, given: Option<String>) -> Result<Millis, Refused> {
    let given = given.ok_or(Refused::NoTime)?;
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&given);
    parsed.map(|at| Millis(at.as_millisecond())).map_err(|_| Refused::BadTime { name, given })
}

/// Name and value of every parameter, decoded, as they came.
fn query(uri: &Uri) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decoded(k), decoded(v)))
        .collect()
}

/// `?` and the parameters by name, those without a value as their name alone.
fn parameters(signed: &mut Vec<u8>, mut query: Vec<(Vec<u8>, Vec<u8>)>) {
    query.sort();
    for (at, (name, value)) in query.iter().enumerate() {
        signed.push(if at == 0 { b'?' } else { b'&' });
        signed.extend_from_slice(name);
        if !value.is_empty() {
            signed.push(b'=');
            signed.extend_from_slice(value);
        }
    }
}

/// A line for each header whose name begins so, by name.
fn prefixed(signed: &mut Vec<u8>, headers: &HeaderMap, prefix: &str) {
    let mut names: Vec<&str> = headers.keys().map(header::HeaderName::as_str).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort_unstable();
    for name in names {
        signed.extend_from_slice(name.as_bytes());
        signed.push(b':');
        line(signed, bytes(headers, name));
    }
}

fn line(signed: &mut Vec<u8>, text: &[u8]) {
    signed.extend_from_slice(text);
    signed.push(b'\n');
}

fn bytes<'a>(headers: &'a HeaderMap, name: &str) -> &'a [u8] {
    headers.get(name).map(header::HeaderValue::as_bytes).unwrap_or_default()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| words(value.as_bytes()))
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests;
