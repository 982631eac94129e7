//! Sends one request to an S3 store, a few times when it must, and puts what it answers into our words.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use reqwest::{Method, Response, StatusCode, Url};
use rusty_s3::S3Action;

use super::S3;
use crate::Error;

/// How long our own signatures live.
pub(super) const OWN_EXPIRES: Duration = Duration::from_mins(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may come.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Pauses before the second and third attempt: for a store that stumbles. Longer outages are for the caller.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// More than this of an answer that is no object is not read.
const ANSWER_MAX: usize = 16 << 20;

/// One request.
pub(super) struct Ask<'a> {
    verb: &'static str,
    key: &'a str,
    url: Url,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl<'a> Ask<'a> {
    pub(super) fn new(verb: &'static str, key: &'a str, url: Url) -> Self {
        Self { verb, key, url, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn headers(self, headers: Vec<(String, String)>) -> Self {
        Self { headers, ..self }
    }

    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }
}

pub(super) fn sign<'a>(action: &impl S3Action<'a>) -> Url {
    action.sign(OWN_EXPIRES)
}

/// Redirects are not followed: what is signed for one host is nothing for another.
pub(super) fn client(endpoint: &Url) -> reqwest::Result<reqwest::Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Lost races are fine: somebody installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
        .tcp_nodelay(true);
    if endpoint.scheme() == "http" {
        // No certificate will be looked at: do not spend milliseconds on loading the system's roots.
        builder = builder.tls_certs_only([]).http1_only();
    }
    let host = endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) {
        builder = builder.no_proxy();
    }
    builder.build()
}

impl S3 {
    /// The answer to a request, if it is a success.
    pub(super) async fn send(&self, method: Method, ask: Ask<'_>) -> Result<Response, Error> {
        let mut pauses = PAUSES.iter();
        loop {
            let mut request = self.client.request(method.clone(), ask.url.clone());
            for (name, value) in &ask.headers {
                request = request.header(name, value);
            }
            if method == Method::PUT || method == Method::POST {
                // Of known length, also when it is empty.
                request = request.header("content-length", ask.body.len()).body(ask.body.clone());
            }
            let failed = match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => self.refusal(&ask, response).await,
                Err(error) => self.broken(&error),
            };
            match pauses.next() {
                Some(pause) if matches!(failed, Error::Unavailable(_)) => tokio::time::sleep(*pause).await,
                _ => return Err(failed),
            }
        }
    }

    /// The whole text of a short answer. One that begins well and then says that it failed is a failure.
    pub(super) async fn send_for_text(&self, method: Method, ask: Ask<'_>) -> Result<String, Error> {
        let (verb, key) = (ask.verb, ask.key);
        let response = self.send(method, ask).await?;
        let text = self.text(response).await?;
        match field(&text, "Code") {
            Some(code) if text.contains("<Error>") => {
                Err(self.said(verb, key, StatusCode::INTERNAL_SERVER_ERROR, &code, &text))
            }
            _ => Ok(text),
        }
    }

    async fn text(&self, mut response: Response) -> Result<String, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_MAX {
                return Err(Error::Protocol(format!(
                    "{} answers more than {ANSWER_MAX} bytes",
                    self.endpoint
                )));
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn refusal(&self, ask: &Ask<'_>, response: Response) -> Error {
        let status = response.status();
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let region = header("x-amz-bucket-region").filter(|region| region != self.bucket.region());
        let text = self.text(response).await.unwrap_or_default();
        if let Some(region) =
            region.or_else(|| field(&text, "Region").filter(|region| region != self.bucket.region()))
        {
            return Error::Refused(format!(
                "the bucket `{}` is in the region {region}, not in {}: say region={region} in --objects, or AWS_REGION={region} to a job",
                self.bucket.name(),
                self.bucket.region()
            ));
        }
        let code = field(&text, "Code").unwrap_or_default();
        self.said(ask.verb, ask.key, status, &code, &text)
    }

    /// What the store said, in our words.
    fn said(&self, verb: &str, key: &str, status: StatusCode, code: &str, text: &str) -> Error {
        let (bucket, endpoint) = (self.bucket.name(), &self.endpoint);
        let message = field(text, "Message").unwrap_or_default();
        let said = [status.as_str(), code, &message].map(str::trim).join(" ").trim().to_owned();
        match (code, status.as_u16()) {
            ("NoSuchBucket", _) => Error::NoBucket { bucket: bucket.to_owned(), endpoint: endpoint.clone() },
            ("NoSuchUpload", _) => Error::NoUpload { key: key.to_owned(), upload: String::new() },
            ("InvalidPart" | "InvalidPartOrder" | "EntityTooSmall", _) => {
                Error::InvalidPart(format!("the parts of `{key}` do not make an object: {said}"))
            }
            ("NoSuchKey", _) | (_, 404) => Error::NotFound(key.to_owned()),
            (_, 401 | 403) => Error::Refused(format!(
                "the object store at {endpoint} refuses to {verb} `{key}` in the bucket `{bucket}` ({said}): check \
                 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what this account may do there"
            )),
            ("RequestTimeout" | "SlowDown", _) | (_, 408 | 429 | 500..) => Error::Unavailable(format!(
                "the object store at {endpoint} cannot {verb} `{key}` now ({said}): try again later"
            )),
            _ => Error::Protocol(format!("the object store at {endpoint} does not {verb} `{key}`: {said}")),
        }
    }

    pub(super) fn broken(&self, error: &reqwest::Error) -> Error {
        // The inmost cause says most: the rest repeats the address, and with it the signature.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let why =
            if error.is_timeout() { "it does not answer in time".to_owned() } else { cause.to_string() };
        let why = if error.source().is_none() { "the connection broke".to_owned() } else { why };
        Error::Unavailable(format!("the object store at {} is away ({why}): try again later", self.endpoint))
    }
}

/// The text of the first `<name>` of an answer.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once("</")?;
    let plain = value.chars().take(300).collect::<String>();
    let plain =
        plain.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'");
    Some(plain.replace("&amp;", "&"))
}
