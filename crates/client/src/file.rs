//! Files of checkpoints and artifacts: announced to the server, sent where it says, completed. Bytes stream from the
//! disk and are never in memory as a whole; nothing here decides what to send again.

use std::{
    io::{self, Read as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use reqwest::{Method, header::ETAG};
use runyard_domain::checkpoint::Kind;
use runyard_wire::{
    Data,
    file::{AbandonFiles, CompleteFiles, File, NewFile, PostFiles, SentFile, SignedUrl, Upload},
};
use serde::{Serialize, de::IgnoredAny};
use tokio::io::AsyncSeekExt;

use crate::{Client, Error, query::Query};

/// Bytes read from a file at once.
const CHUNK: usize = 256 << 10;
/// Announcing and completing may ask the object store about every file.
const STORE_TIMEOUT: Duration = Duration::from_mins(10);

impl Client {
    /// Announces up to 1,000 files and asks where to send them; may be repeated, for new addresses too.
    pub async fn announce_files(
        &self,
        kind: Kind,
        id: &str,
        files: Vec<NewFile>,
    ) -> Result<Vec<Upload>, Error> {
        let url = self.http.api(&[kind.plural(), id, "files"])?;
        self.slow(self.http.request(Method::POST, url)?.json(&PostFiles { files })).await
    }

    /// Says that everything was sent: from here on it can be read. May be repeated. 409 `incomplete` names what is
    /// missing: announce those files again, and send them.
    pub async fn complete_files(&self, kind: Kind, id: &str, files: Vec<SentFile>) -> Result<(), Error> {
        let _: IgnoredAny = self.verb(kind, id, "complete", &CompleteFiles { files }).await?;
        Ok(())
    }

    /// Gives an upload up, and says why. May be repeated.
    pub async fn abandon_files(&self, kind: Kind, id: &str, reason: &str) -> Result<(), Error> {
        let body = AbandonFiles { reason: reason.to_owned() };
        let _: IgnoredAny = self.verb(kind, id, "abandon", &body).await?;
        Ok(())
    }

    /// Up to 10,000 files by path, after `path_after`, with addresses to read them when all is there.
    pub async fn files(
        &self,
        kind: Kind,
        id: &str,
        path_after: Option<&str>,
        limit: Option<i64>,
    ) -> Result<Vec<File>, Error> {
        let query = Query::default().one("path_after", path_after).one("limit", limit);
        self.http.get(query.on(self.http.api(&[kind.plural(), id, "files"])?)).await
    }

    /// Sends `size` bytes of a file from `offset` on to a signed address; answers the `ETag`. Not repeated by itself:
    /// a status 403 means that the address has expired, so announce the file again for a new one.
    pub async fn put_signed(
        &self,
        put: &SignedUrl,
        mut file: tokio::fs::File,
        offset: i64,
        size: i64,
    ) -> Result<String, Error> {
        let local =
            |cause| Error::Local { what: "cannot read the file that is being sent".to_owned(), cause };
        file.seek(io::SeekFrom::Start(offset.cast_unsigned())).await.map_err(local)?;
        let failed = Arc::new(Mutex::new(None));
        let file = Arc::new(file.into_std().await);
        let body = Box::pin(exactly(file, size.cast_unsigned(), Arc::clone(&failed)));
        let answer = self.put_body(put, body).await;
        // What was wrong with the file is no fault of the connection, as which it shows.
        if let Some(cause) = failed.lock().expect("no holder panics").take() {
            return Err(local(cause));
        }
        answer
    }

    /// Sends bytes that are in memory to a signed address, like [`Client::put_signed`].
    pub async fn put_signed_bytes(&self, put: &SignedUrl, bytes: Bytes) -> Result<String, Error> {
        let chunks = (0..bytes.len()).step_by(CHUNK).map(move |at| {
            let end = bytes.len().min(at + CHUNK);
            Ok(bytes.slice(at..end))
        });
        self.put_body(put, futures::stream::iter(chunks)).await
    }

    async fn put_body<S>(&self, put: &SignedUrl, body: S) -> Result<String, Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        let mut request = self.http.signed(Method::PUT, &put.url)?;
        for (name, value) in &put.headers {
            request = request.header(name, value);
        }
        let answer = self.http.upload(request, body).await?;
        let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        Ok(etag.unwrap_or_default())
    }

    async fn verb<T: serde::de::DeserializeOwned>(
        &self,
        kind: Kind,
        id: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let url = self.http.api(&[kind.plural(), id, verb])?;
        self.slow(self.http.request(Method::POST, url)?.json(body)).await
    }

    /// A call that may take long before its answer begins.
    pub(crate) async fn slow<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Error> {
        let response = self.http.send(request.timeout(STORE_TIMEOUT)).await?;
        let (url, status) = (response.url().to_string(), response.status().as_u16());
        let body = response.bytes().await;
        let body = body.map_err(|error| Error::from_reqwest(&error, self.http.url(), STORE_TIMEOUT))?;
        let data: Result<Data<T>, _> = serde_json::from_slice(&body);
        data.map(|data| data.data).map_err(|error| Error::Unexpected { url, status, why: error.to_string() })
    }
}

/// Exactly `size` bytes from where the file stands; what stopped them is left in `failed` too.
fn exactly(
    file: Arc<std::fs::File>,
    size: u64,
    failed: Arc<Mutex<Option<io::Error>>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures::stream::try_unfold((file, size, failed), |(file, left, failed)| async move {
        if left == 0 {
            return Ok(None);
        }
        // Read at once to where it is sent from: a file of tokio's would copy every byte once more.
        let (reader, wanted) = (Arc::clone(&file), left.min(CHUNK as u64));
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK);
            reader.as_ref().take(wanted).read_to_end(&mut chunk).map(|_| Bytes::from(chunk))
        });
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter meanwhile");
        match read.await.unwrap_or_else(|broken| Err(io::Error::other(broken))) {
            Ok(chunk) if !chunk.is_empty() => {
                let left = left - chunk.len() as u64;
                Ok(Some((chunk, (file, left, failed))))
            }
            other => {
                let error = other.err().unwrap_or_else(cut);
                let shown = io::Error::new(error.kind(), error.to_string());
                *failed.lock().expect("no holder panics") = Some(error);
                Err(shown)
            }
        }
    })
}
