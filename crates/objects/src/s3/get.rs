//! Reading an object of an S3 store.

use std::ops::Range;

use futures::StreamExt;
use reqwest::{Method, Response, header};

use super::{
    S3,
    request::{Ask, sign},
};
use crate::{ByteStream, Error};

/// What an S3 store says of an object.
pub(super) struct Head {
    pub(super) size: u64,
    /// Without quotes.
    pub(super) etag: String,
}

impl S3 {
    /// See [`crate::Objects::get_range`].
    pub(crate) async fn get(&self, key: &str, range: Range<u64>) -> Result<(u64, ByteStream), Error> {
        let nothing = || futures::stream::empty().boxed();
        if range.is_empty() {
            let head = self.head(key).await?.ok_or_else(|| Error::NotFound(key.to_owned()))?;
            return Ok((head.size, nothing()));
        }
        let full = self.full(key);
        let mut ask = Ask::new("read", key, sign(&self.bucket.get_object(Some(&self.account), &full)));
        let whole = range == (0..u64::MAX);
        if !whole {
            let end = if range.end == u64::MAX { String::new() } else { (range.end - 1).to_string() };
            let bytes = format!("bytes={}-{end}", range.start);
            ask = ask.headers(vec![("range".to_owned(), bytes)]);
        }
        let response = match self.send(Method::GET, ask).await {
            // Past the end, which stores say in several ways.
            Err(Error::Protocol(said)) if !whole => {
                let head = self.head(key).await?.ok_or_else(|| Error::NotFound(key.to_owned()))?;
                return if range.start >= head.size {
                    Ok((head.size, nothing()))
                } else {
                    Err(Error::Protocol(said))
                };
            }
            other => other?,
        };
        let size = if whole { response.content_length() } else { total(&response) };
        let size = size
            .ok_or_else(|| Error::Protocol(format!("{} does not say how large `{key}` is", self.endpoint)))?;
        let endpoint = self.endpoint.clone();
        let bytes = response.bytes_stream().map(move |chunk| {
            chunk.map_err(|_| {
                Error::Unavailable(format!("the object store at {endpoint} broke off: try again later"))
            })
        });
        Ok((size, bytes.boxed()))
    }

    /// `None`: there is no such object.
    pub(super) async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let full = self.full(key);
        let ask = Ask::new("look for", key, sign(&self.bucket.head_object(Some(&self.account), &full)));
        let response = match self.send(Method::HEAD, ask).await {
            Err(Error::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let size = text(header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let size = size
            .ok_or_else(|| Error::Protocol(format!("{} does not say how large `{key}` is", self.endpoint)))?;
        let etag = text(header::ETAG).unwrap_or_default().trim_matches('"').to_owned();
        Ok(Some(Head { size, etag }))
    }
}

/// The size of the whole object, from `Content-Range: bytes 0-1/2`.
fn total(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}
