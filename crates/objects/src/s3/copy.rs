//! Copying an object within an S3 store: no byte of it comes here. Visible only when it is whole.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use percent_encoding::utf8_percent_encode;
use reqwest::Method;

use super::{
    S3, bound,
    request::{Ask, OWN_EXPIRES, field},
};
use crate::{Error, PARTS_MAX, sign::PLAIN_PATH};

/// What is larger is copied in parts, although S3 allows 5 GiB at once: a store that says nothing while it copies must
/// not look like one that is away.
const COPY_MAX: u64 = 128 << 20;
/// Parts that are copied at the same time.
const AT_ONCE: usize = 4;

impl S3 {
    /// See [`crate::Objects::rename`].
    pub(crate) async fn rename(self: &Arc<Self>, from: &str, to: &str) -> Result<(), Error> {
        let Some(head) = self.head(from).await? else {
            let done = self.head(to).await?.is_some();
            return if done { Ok(()) } else { Err(Error::NotFound(from.to_owned())) };
        };
        if from == to {
            return Ok(());
        }
        self.copy(from, to, head.size).await?;
        self.remove(from).await
    }

    /// See [`crate::Objects::copy`].
    pub(crate) async fn copy_object(self: &Arc<Self>, from: &str, to: &str) -> Result<(), Error> {
        let head = self.head(from).await?.ok_or_else(|| Error::NotFound(from.to_owned()))?;
        if from == to { Ok(()) } else { self.copy(from, to, head.size).await }
    }

    /// Copies an object of this size.
    pub(super) async fn copy(self: &Arc<Self>, from: &str, to: &str, size: u64) -> Result<(), Error> {
        if size > COPY_MAX {
            return self.copy_parts(from, to, size).await;
        }
        let (full, headers) = (self.full(to), vec![self.source(from)]);
        let action = self.bucket.put_object(Some(&self.account), &full);
        let url = bound(action, &headers, OWN_EXPIRES);
        self.send_for_text(Method::PUT, Ask::new("store", to, url).headers(headers)).await.map(drop)
    }

    async fn copy_parts(self: &Arc<Self>, from: &str, to: &str, size: u64) -> Result<(), Error> {
        let part = size.div_ceil(PARTS_MAX as u64).max(COPY_MAX);
        let begun = self.begin(to).await?;
        let upload = begun.upload.as_str();
        let each = (0..size.div_ceil(part)).map(|index| {
            let (start, end) = (index * part, ((index + 1) * part).min(size));
            async move { self.copy_part(from, to, upload, index as u16 + 1, (start, end - 1)).await }
        });
        let etags: Vec<String> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
        begun.complete(&etags).await
    }

    /// Copies the bytes from the first to the last, that one included.
    async fn copy_part(
        &self,
        from: &str,
        to: &str,
        upload: &str,
        number: u16,
        (first, last): (u64, u64),
    ) -> Result<String, Error> {
        let range = ("x-amz-copy-source-range".to_owned(), format!("bytes={first}-{last}"));
        let (full, headers) = (self.full(to), vec![self.source(from), range]);
        let action = self.bucket.upload_part(Some(&self.account), &full, number, upload);
        let url = bound(action, &headers, OWN_EXPIRES);
        let text =
            self.send_for_text(Method::PUT, Ask::new("store a part of", to, url).headers(headers)).await?;
        match field(&text, "ETag") {
            Some(etag) => Ok(etag.trim_matches('"').to_owned()),
            None => Err(Error::Protocol(format!("{} gives no ETag to a part of `{to}`", self.endpoint))),
        }
    }

    fn source(&self, key: &str) -> (String, String) {
        let full = self.full(key);
        let source = format!("/{}/{}", self.bucket.name(), utf8_percent_encode(&full, PLAIN_PATH));
        ("x-amz-copy-source".to_owned(), source)
    }
}
