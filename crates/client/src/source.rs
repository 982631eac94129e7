//! Sources: packed folders of code, stored once per content.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use reqwest::Method;
use runyard_wire::{Data, source::Source};
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::{Client, Error};

/// Bytes read from the file at once.
const CHUNK: usize = 256 << 10;

impl Client {
    /// Whether the server has the source with this digest.
    pub async fn has_source(&self, digest: &str) -> Result<bool, Error> {
        let url = self.http.api(&["sources", digest])?;
        match self.http.done(self.http.request(Method::HEAD, url)?).await {
            Ok(()) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends the packed source in `file`. It is never in memory as a whole; sending it again changes nothing.
    pub async fn upload_source(&self, file: &Path) -> Result<Source, Error> {
        let local = |cause| Error::Local { what: format!("cannot read {}", file.display()), cause };
        let opened = tokio::fs::File::open(file).await.map_err(local)?;
        let length = opened.metadata().await.map_err(local)?.len();
        let url = self.http.api(&["sources"])?;
        let request = self
            .http
            .request(Method::POST, url.clone())?
            .header("content-type", "application/zstd")
            .header("content-length", length);
        let response = self.http.upload(request, Box::pin(chunks(opened))).await?;
        let status = response.status().as_u16();
        let unexpected = |why: String| Error::Unexpected { url: url.to_string(), status, why };
        let body = response.bytes().await.map_err(|error| unexpected(error.to_string()))?;
        let data: Data<Source> =
            serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()))?;
        Ok(data.data)
    }

    /// Writes the packed source to `out`; answers its bytes. The caller checks the digest.
    pub async fn fetch_source(
        &self,
        digest: &str,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, Error> {
        crate::job::fetch_source(&self.http, digest, out).await
    }
}

pub(crate) fn chunks(file: tokio::fs::File) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures::stream::try_unfold(file, |mut file| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (chunk.freeze(), file)))
    })
}
