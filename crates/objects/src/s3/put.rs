//! Writing an object of unknown length to an S3 store: what is small in one request, the rest in parts. Visible only
//! when it is whole.

use std::{pin::Pin, pin::pin, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use reqwest::Method;
use rusty_s3::actions::CreateMultipartUpload;
use sha2::{Digest, Sha256};

use super::{
    S3, bound, md5_of,
    request::{Ask, sign},
};
use crate::{Error, PARTS_MAX, Put, hex, key::STAGING, write::unique_name};

/// Pieces that are kept in memory have at least, and at most, so many bytes.
const PIECE_MIN: u64 = 8 << 20;
const PIECE_MAX: u64 = 64 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What comes, cut in pieces and hashed.
struct Pieces<'a, S> {
    stream: Pin<&'a mut S>,
    piece: u64,
    limit: u64,
    size: u64,
    hash: Sha256,
    ended: bool,
}

impl<S, E> Pieces<'_, S>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Failure>,
{
    /// The next piece; all but the last have the same length.
    async fn next(&mut self, rest: &mut Bytes) -> Result<Vec<u8>, Error> {
        let wanted = usize::try_from(self.piece).unwrap_or(usize::MAX);
        let mut piece = Vec::new();
        loop {
            let taken = rest.split_to(rest.len().min(wanted - piece.len()));
            piece.extend_from_slice(&taken);
            if piece.len() == wanted {
                break;
            }
            let Some(chunk) = self.stream.next().await else {
                self.ended = true;
                break;
            };
            *rest = chunk.map_err(|error| Error::Interrupted(error.into()))?;
            self.size += rest.len() as u64;
            if self.size > self.limit {
                return Err(Error::TooLarge { limit: self.limit });
            }
        }
        self.hash.update(&piece);
        Ok(piece)
    }
}

/// An upload in parts that is given up unless it is completed.
pub(super) struct Begun {
    s3: Arc<S3>,
    key: String,
    pub(super) upload: String,
    completed: bool,
}

impl Begun {
    pub(super) async fn complete(mut self, etags: &[String]) -> Result<(), Error> {
        self.s3.complete_multipart(&self.key, &self.upload, etags).await?;
        self.completed = true;
        Ok(())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.completed {
            return;
        }
        let (s3, key, upload) = (Arc::clone(&self.s3), self.key.clone(), self.upload.clone());
        // What a killed server leaves is for the bucket's own rule on incomplete uploads.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = s3.abort_multipart(&key, &upload).await;
            });
        }
    }
}

impl S3 {
    /// See [`crate::Objects::put_stream`].
    pub(crate) async fn put<S, E>(self: &Arc<Self>, key: &str, stream: S, limit: u64) -> Result<Put, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Failure>,
    {
        let mut stream = pin!(stream);
        let (mut pieces, mut rest) = (cut(stream.as_mut(), limit), Bytes::new());
        let first = pieces.next(&mut rest).await?;
        if pieces.ended {
            self.put_bytes(key, first).await?;
        } else {
            self.put_pieces(key, first, &mut pieces, &mut rest).await?;
        }
        Ok(Put { key: key.to_owned(), size: pieces.size, sha256: hex(&pieces.hash.finalize()) })
    }

    /// See [`crate::Objects::put_stream_hashed`].
    pub(crate) async fn put_hashed<S, E>(
        self: &Arc<Self>,
        name: impl Fn(&str) -> String,
        stream: S,
        limit: u64,
    ) -> Result<Put, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Failure>,
    {
        let mut stream = pin!(stream);
        let (mut pieces, mut rest) = (cut(stream.as_mut(), limit), Bytes::new());
        let first = pieces.next(&mut rest).await?;
        if pieces.ended {
            let sha256 = hex(&pieces.hash.finalize());
            let put = Put { key: name(&sha256), size: pieces.size, sha256 };
            self.put_bytes(&put.key, first).await?;
            return Ok(put);
        }
        // The name is known when all is there: until then it has another one.
        let staged = format!("{STAGING}/{}", unique_name());
        self.put_pieces(&staged, first, &mut pieces, &mut rest).await?;
        let sha256 = hex(&pieces.hash.finalize());
        let put = Put { key: name(&sha256), size: pieces.size, sha256 };
        let copied = self.copy(&staged, &put.key, put.size).await;
        let removed = self.remove(&staged).await;
        copied?;
        // What stays here is removed at a later start.
        drop(removed);
        Ok(put)
    }

    async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let (full, bytes) = (self.full(key), Bytes::from(bytes));
        let headers = md5_header(&bytes);
        let action = self.bucket.put_object(Some(&self.account), &full);
        let url = bound(action, &headers, super::request::OWN_EXPIRES);
        self.send(Method::PUT, Ask::new("store", key, url).headers(headers).body(bytes)).await.map(drop)
    }

    async fn put_pieces<S, E>(
        self: &Arc<Self>,
        key: &str,
        first: Vec<u8>,
        pieces: &mut Pieces<'_, S>,
        rest: &mut Bytes,
    ) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Failure>,
    {
        let begun = self.begin(key).await?;
        let (mut piece, mut etags) = (first, Vec::new());
        loop {
            if etags.len() as i64 == PARTS_MAX {
                return Err(Error::TooLarge { limit: pieces.piece * PARTS_MAX as u64 });
            }
            let number = etags.len() as u16 + 1;
            etags.push(self.put_piece(key, &begun.upload, number, piece.into()).await?);
            if pieces.ended {
                break;
            }
            piece = pieces.next(rest).await?;
            if piece.is_empty() {
                break;
            }
        }
        begun.complete(&etags).await
    }

    /// Begins an upload that is given up unless it is completed.
    pub(super) async fn begin(self: &Arc<Self>, key: &str) -> Result<Begun, Error> {
        let upload = self.begin_multipart(key).await?;
        Ok(Begun { s3: Arc::clone(self), key: key.to_owned(), upload, completed: false })
    }

    async fn put_piece(&self, key: &str, upload: &str, number: u16, bytes: Bytes) -> Result<String, Error> {
        let (full, headers) = (self.full(key), md5_header(&bytes));
        let action = self.bucket.upload_part(Some(&self.account), &full, number, upload);
        let url = bound(action, &headers, super::request::OWN_EXPIRES);
        let ask = Ask::new("store a part of", key, url).headers(headers).body(bytes);
        let response = self.send(Method::PUT, ask).await?;
        let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok());
        match etag {
            Some(etag) => Ok(etag.trim_matches('"').to_owned()),
            None => Err(Error::Protocol(format!("{} gives no ETag to a part of `{key}`", self.endpoint))),
        }
    }

    pub(crate) async fn begin_multipart(&self, key: &str) -> Result<String, Error> {
        let full = self.full(key);
        let url = sign(&self.bucket.create_multipart_upload(Some(&self.account), &full));
        let text = self.send_for_text(Method::POST, Ask::new("begin", key, url)).await?;
        let begun = CreateMultipartUpload::parse_response(&text).map_err(|error| {
            Error::Protocol(format!("{} gives no name to an upload of `{key}`: {error}", self.endpoint))
        })?;
        Ok(begun.upload_id().to_owned())
    }
}

fn cut<S>(stream: Pin<&mut S>, limit: u64) -> Pieces<'_, S> {
    let piece = limit.div_ceil(PARTS_MAX as u64).clamp(PIECE_MIN, PIECE_MAX);
    Pieces { stream, piece, limit, size: 0, hash: Sha256::new(), ended: false }
}

fn md5_header(bytes: &Bytes) -> Vec<(String, String)> {
    let md5 = md5_of(std::slice::from_ref(bytes));
    vec![("content-md5".to_owned(), STANDARD.encode(md5))]
}
