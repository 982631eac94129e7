//! What a runner says about its job. Nothing here retries: the runner decides when to try again.

use bytes::Bytes;
use reqwest::Method;
use runyard_domain::{JobId, job::Stream};
use runyard_wire::job::{Appended, EndJob, Heartbeat, JobState, StartJob};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{Client, Error, http::Http};

/// Speaks to the server for one job, with a token of the run's scope. Cheap to make.
#[derive(Debug, Clone)]
pub struct JobClient {
    http: Http,
    job: String,
}

impl JobClient {
    /// A client for `job_id` at `url`. Cannot fail: a wrong address is the error of the first call.
    pub fn new(url: &str, token: &str, job_id: JobId) -> Self {
        Self { http: Http::new(url, token), job: job_id.to_string() }
    }

    /// The server has moved.
    pub fn set_url(&mut self, url: &str) {
        self.http.set_url(url);
    }

    /// The address that is called.
    pub fn url(&self) -> &str {
        self.http.url()
    }

    /// The rest of the API, over the same connections and with the same token. Knows nothing of what was asked before:
    /// a server that has moved may have changed.
    pub fn api(&self) -> Client {
        Client { http: self.http.clone(), checksum: std::sync::Arc::default() }
    }

    /// The runner reports in and asks whether to go on.
    pub async fn start(&self, start: &StartJob) -> Result<JobState, Error> {
        self.post("start", start).await
    }

    /// The runner is alive.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<JobState, Error> {
        self.post("heartbeat", heartbeat).await
    }

    /// Sends a chunk that starts at `offset` of a stream. On `offset_gap`, [`Error::expected_offset`] says where to go on.
    pub async fn append(&self, stream: Stream, offset: i64, chunk: Bytes) -> Result<Appended, Error> {
        let mut url = self.http.api(&["jobs", &self.job, "streams", stream.word()])?;
        url.query_pairs_mut().append_pair("offset", &offset.to_string());
        self.http.data(self.http.request(Method::PUT, url)?.body(chunk)).await
    }

    /// Delivers the exit record.
    pub async fn end(&self, end: &EndJob) -> Result<JobState, Error> {
        self.post("end", end).await
    }

    /// Writes the packed source to `out`; answers its bytes. The caller checks the digest.
    pub async fn fetch_source(
        &self,
        digest: &str,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, Error> {
        fetch_source(&self.http, digest, out).await
    }

    async fn post(&self, verb: &str, body: &impl serde::Serialize) -> Result<JobState, Error> {
        self.http.send_json(Method::POST, self.http.api(&["jobs", &self.job, verb])?, body).await
    }
}

pub(crate) async fn fetch_source(
    http: &Http,
    digest: &str,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, Error> {
    let local = |cause| Error::Local { what: format!("cannot write the source {digest}"), cause };
    let url = http.api(&["sources", digest])?;
    let mut response = http.open(http.request(Method::GET, url)?).await?;
    let mut written = 0;
    while let Some(chunk) = http.chunk(&mut response).await? {
        out.write_all(&chunk).await.map_err(local)?;
        written += chunk.len() as u64;
    }
    out.flush().await.map_err(local)?;
    Ok(written)
}
