//! Objects in a bucket of an S3 store. Never keeps more than a piece of an object in memory, and nothing on disk.
//!
//! rusty-s3 signs and reqwest sends, for our own requests as for those that clients make by signed addresses: one
//! road, tested once. object_store (0.14) would bring its own HTTP stack and retries, and yet cannot bind a size or
//! an MD5 into a signature, nor sign the parts of an upload.

mod copy;
mod get;
mod parts;
mod put;
mod request;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Url;
use runyard_domain::Millis;
use rusty_s3::{Bucket, Credentials as Account, S3Action, UrlStyle, actions::ListObjectsV2};

use crate::{
    Credentials, Error, Listed, Signed, SignedGet, SignedRequest,
    key::STAGING,
    now,
    sign::{attachment, put_headers},
};
use request::{Ask, sign};

/// A write that was begun so long ago is dead.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// A bucket and how to reach it.
#[derive(Debug)]
pub(crate) struct S3 {
    bucket: Bucket,
    account: Account,
    client: reqwest::Client,
    /// Empty, or with a `/` at its end.
    prefix: String,
    /// For sentences.
    endpoint: String,
}

impl S3 {
    pub(crate) fn open(
        bucket: &str,
        prefix: &str,
        endpoint: Option<&str>,
        region: &str,
        credentials: &Credentials,
        path_style: bool,
    ) -> Result<Self, Error> {
        let endpoint = endpoint.map_or_else(|| format!("https://s3.{region}.amazonaws.com"), str::to_owned);
        let wrong =
            |reason: String| Error::Location(format!("the S3 store at {endpoint} cannot be used: {reason}"));
        let url: Url = endpoint.parse().map_err(|error| wrong(format!("{error}")))?;
        let client = request::client(&url).map_err(|error| wrong(error.to_string()))?;
        let style = if path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let opened = Bucket::new(url, style, bucket.to_owned(), region.to_owned())
            .map_err(|error| wrong(format!("{error}; try path_style=true")))?;
        let (key, secret) = (credentials.access_key.clone(), credentials.secret_key.clone());
        let account = match &credentials.session_token {
            Some(token) => Account::new_with_token(key, secret, token.clone()),
            None => Account::new(key, secret),
        };
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { bucket: opened, account, client, prefix, endpoint })
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Asks for the bucket, and removes what writers left half done once nobody can be writing it any more.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let mut ask = self.listing(STAGING);
        ask.with_max_keys(1000);
        let page = self.page(&ask).await?;
        for left in page.contents {
            let Some(key) = left.key.strip_prefix(&self.prefix) else { continue };
            let modified = time(left.last_modified.as_deref().unwrap_or_default());
            if modified.is_some_and(|at| at.elapsed().is_ok_and(|age| age > LEFTOVER_AGE)) {
                self.remove(key).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<u64, Error> {
        let Some(size) = self.head(key).await?.map(|head| head.size) else { return Ok(0) };
        self.remove(key).await?;
        Ok(size)
    }

    async fn remove(&self, key: &str) -> Result<(), Error> {
        let full = self.full(key);
        let ask = Ask::new("delete", key, sign(&self.bucket.delete_object(Some(&self.account), &full)));
        match self.send(reqwest::Method::DELETE, ask).await {
            Err(Error::NotFound(_)) => Ok(()),
            other => other.map(drop),
        }
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        let mut ask = self.listing(prefix);
        loop {
            let page = self.page(&ask).await?;
            for entry in page.contents {
                let Some(key) = entry.key.strip_prefix(&self.prefix) else { continue };
                if key.is_empty() || key.ends_with('/') || key.starts_with(&format!("{STAGING}/")) {
                    continue;
                }
                let modified = time(entry.last_modified.as_deref().unwrap_or_default());
                listed.push(Listed {
                    key: key.to_owned(),
                    size: entry.size.unwrap_or_default(),
                    modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
            match page.next_continuation_token {
                Some(token) => ask.with_continuation_token(token),
                None => break,
            }
        }
        // Stores that are not Amazon's do not all sort by bytes.
        listed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    /// The bucket's name, and what all keys in it begin with.
    pub(crate) fn place(&self) -> (&str, &str) {
        (self.bucket.name(), &self.prefix)
    }

    fn listing(&self, prefix: &str) -> ListObjectsV2<'_> {
        let mut ask = self.bucket.list_objects_v2(Some(&self.account));
        let below = if prefix.is_empty() { self.prefix.clone() } else { format!("{}{prefix}/", self.prefix) };
        ask.with_prefix(below);
        // Some stores say that they encode and do not. Our keys have no letter that XML cannot carry.
        ask.query_mut().remove("encoding-type");
        ask
    }

    async fn page(&self, ask: &ListObjectsV2<'_>) -> Result<rusty_s3::actions::ListObjectsV2Response, Error> {
        let text = self.send_for_text(reqwest::Method::GET, Ask::new("list", "", sign(ask))).await?;
        ListObjectsV2::parse_response(&text).map_err(|error| {
            Error::Protocol(format!("the listing of {} cannot be read: {error}", self.endpoint))
        })
    }

    /// A request that a client sends to the store itself.
    pub(crate) fn presign(&self, request: &SignedRequest, expires_in_s: i64) -> Result<Signed, Error> {
        // S3 knows no shorter life than a second.
        let expires_in_s = expires_in_s.max(1);
        let lives = Duration::from_secs(expires_in_s as u64);
        let expires_at: Millis = now().plus(expires_in_s * 1000);
        let (method, url, headers) = match request {
            SignedRequest::Get(SignedGet { key, get }) => {
                let full = self.full(key);
                let mut action = self.bucket.get_object(Some(&self.account), &full);
                if let Some(name) = &get.name {
                    action.query_mut().insert("response-content-disposition", attachment(name));
                }
                if let Some(mime) = &get.content_type {
                    action.query_mut().insert("response-content-type", mime.as_str());
                }
                ("GET", action.sign(lives), Vec::new())
            }
            SignedRequest::Put(put) => {
                let (full, headers) = (self.full(&put.key), put_headers(put));
                let url = match &put.part {
                    None => bound(self.bucket.put_object(Some(&self.account), &full), &headers, lives),
                    Some(part) => {
                        let number = u16::try_from(part.number)
                            .map_err(|_| Error::InvalidPart(format!("there is no part {}", part.number)))?;
                        let account = Some(&self.account);
                        bound(self.bucket.upload_part(account, &full, number, &part.upload), &headers, lives)
                    }
                };
                ("PUT", url, headers)
            }
        };
        Ok(Signed { url: url.into(), method, headers, expires_at })
    }
}

/// Signs the action together with the headers: the store refuses it with others.
fn bound<'a, A: S3Action<'a>>(mut action: A, headers: &[(String, String)], lives: Duration) -> Url {
    for (name, value) in headers {
        action.headers_mut().insert(name.clone(), value.clone());
    }
    action.sign(lives)
}

/// A time as S3 writes it.
fn time(text: &str) -> Option<SystemTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.into())
}

/// Hashes a piece of at most some megabytes.
fn md5_of(bytes: &[Bytes]) -> [u8; 16] {
    use md5::{Digest, Md5};
    let mut hash = Md5::new();
    for piece in bytes {
        hash.update(piece);
    }
    hash.finalize().into()
}
