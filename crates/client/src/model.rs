//! Models and their versions: begin, send parts, complete, list, read, change, delete.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE},
};
use runyard_wire::{
    Data,
    model::{
        BegunModelVersion, CheckpointModel, CompleteModelVersion, Model, ModelFile, ModelVersion, NewModel,
        NewModelVersion, PartUrl, PatchModel, PatchModelVersion, PostParts,
    },
    run::Deleted,
};

use crate::{Client, Error, http::CALL_TIMEOUT, query::Query};

#[cfg(test)]
mod tests;

/// How long one request to complete a version may take: the server answers within 20 s, or after as long as its object
/// store takes to put the parts together.
const COMPLETE_TIMEOUT: Duration = Duration::from_mins(10);
/// How long the server may take to make a version of a checkpoint.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_hours(2);
/// Between two requests to complete a version that is being read.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a download that does not move is tried again, and how long the first pause is.
const RETRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Which models to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct ModelFilter {
    /// Ids.
    pub id: Vec<String>,
    /// Names.
    pub name: Vec<String>,
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<String>,
    /// `id` or `created_at`, with `:asc` or `:desc`; the server's default is `created_at:desc`.
    pub sort: Option<String>,
    /// At most so many, up to 1000; the server's default is 10.
    pub limit: Option<i64>,
    /// Skip so many.
    pub offset: Option<i64>,
}

/// Which versions to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Ids of models.
    pub model_id: Vec<String>,
    /// Names of models.
    pub model: Vec<String>,
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// Tags.
    pub tag: Vec<String>,
    /// `created`, `available`, `error`.
    pub state: Vec<String>,
    /// Ids of runs.
    pub run_id: Vec<String>,
    /// Ids of checkpoints.
    pub checkpoint_id: Vec<String>,
    /// Ids of the versions that they were made from.
    pub parent_id: Vec<String>,
    /// Hex SHA-256 over paths, modes and contents.
    pub tree_digest: Vec<String>,
    /// Hex MD5 of the contents.
    pub content_md5: Vec<String>,
    /// Bytes of all files.
    pub size: Option<i64>,
    /// How many files.
    pub files: Option<i64>,
    /// Created after this time, in epoch milliseconds.
    pub created_after: Option<i64>,
    /// Created before this time, in epoch milliseconds.
    pub created_before: Option<i64>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<String>,
    /// Only these fields.
    pub select: Vec<String>,
    /// `id` or `created_at`, with `:asc` or `:desc`; the server's default is `created_at:desc`.
    pub sort: Option<String>,
    /// At most so many, up to 1000; the server's default is 10.
    pub limit: Option<i64>,
    /// Skip so many.
    pub offset: Option<i64>,
}

impl Client {
    /// Makes a model. 409 `exists`: the project has one with this name.
    pub async fn create_model(&self, new: &NewModel) -> Result<Model, Error> {
        self.http.create(self.http.api(&["models"])?, new).await
    }

    /// Models that match.
    pub async fn models(&self, filter: &ModelFilter) -> Result<Vec<Model>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("name", &filter.name)
            .each("project_id", &filter.project_id)
            .one("id_after", filter.id_after.as_ref())
            .one("sort", filter.sort.as_ref())
            .one("limit", filter.limit)
            .one("offset", filter.offset);
        self.http.get(query.on(self.http.api(&["models"])?)).await
    }

    /// The model with this id, or with this name in a project (by id or name; `None`: the token's own, or `default`).
    pub async fn model(&self, id_or_name: &str, project: Option<&str>) -> Result<Model, Error> {
        self.http.get(self.model_url(&[id_or_name], project)?).await
    }

    /// Changes name or description of a model.
    pub async fn patch_model(
        &self,
        id_or_name: &str,
        project: Option<&str>,
        patch: &PatchModel,
    ) -> Result<Model, Error> {
        self.http.send_json(Method::PATCH, self.model_url(&[id_or_name], project)?, patch).await
    }

    /// Deletes a model with all of its versions.
    pub async fn delete_model(&self, id_or_name: &str, project: Option<&str>) -> Result<Deleted, Error> {
        let url = self.model_url(&[id_or_name], project)?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }

    /// Begins a version of the model, or finds the one that has this content; a repeat with the same `source_key` answers
    /// the same one. 409 `tag_exists`: another version has the tag.
    pub async fn begin_model_version(
        &self,
        model: &str,
        project: Option<&str>,
        new: &NewModelVersion,
    ) -> Result<BegunModelVersion, Error> {
        self.http.send_json(Method::POST, self.model_url(&[model, "versions"], project)?, new).await
    }

    /// Asks where to send up to 100 parts, and tells which have arrived.
    pub async fn post_parts(&self, id: &str, parts: &PostParts) -> Result<Vec<PartUrl>, Error> {
        self.http.send_json(Method::POST, self.http.api(&["model_versions", id, "parts"])?, parts).await
    }

    /// Says that the whole archive was sent, and waits until the server has read it. May be repeated. 409
    /// `archive_differs`: it is not what was said.
    pub async fn complete_model_version(
        &self,
        id: &str,
        complete: &CompleteModelVersion,
    ) -> Result<BegunModelVersion, Error> {
        let url = self.http.api(&["model_versions", id, "complete"])?;
        loop {
            let request = self.http.request(Method::POST, url.clone())?.json(complete);
            let response = self.http.send(request.timeout(COMPLETE_TIMEOUT)).await?;
            let status = response.status();
            let begun = self.read(response).await?;
            if status != StatusCode::ACCEPTED {
                return Ok(begun);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Versions that match.
    pub async fn model_versions(&self, filter: &Filter) -> Result<Vec<ModelVersion>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("model_id", &filter.model_id)
            .each("model", &filter.model)
            .each("project_id", &filter.project_id)
            .each("tag", &filter.tag)
            .each("state", &filter.state)
            .each("run_id", &filter.run_id)
            .each("checkpoint_id", &filter.checkpoint_id)
            .each("parent_id", &filter.parent_id)
            .each("tree_digest", &filter.tree_digest)
            .each("content_md5", &filter.content_md5)
            .one("size", filter.size)
            .one("files", filter.files)
            .one("created_after", filter.created_after)
            .one("created_before", filter.created_before)
            .one("id_after", filter.id_after.as_ref())
            .each("select", &filter.select)
            .one("sort", filter.sort.as_ref())
            .one("limit", filter.limit)
            .one("offset", filter.offset);
        self.http.get(query.on(self.http.api(&["model_versions"])?)).await
    }

    /// The version with this id.
    pub async fn model_version(&self, id: &str) -> Result<ModelVersion, Error> {
        self.http.get(self.http.api(&["model_versions", id])?).await
    }

    /// Changes tag, description or config of a version.
    pub async fn patch_model_version(
        &self,
        id: &str,
        patch: &PatchModelVersion,
    ) -> Result<ModelVersion, Error> {
        self.http.send_json(Method::PATCH, self.http.api(&["model_versions", id])?, patch).await
    }

    /// Deletes a version, and frees its bytes.
    pub async fn delete_model_version(&self, id: &str) -> Result<Deleted, Error> {
        let url = self.http.api(&["model_versions", id])?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }

    /// Up to 10,000 files, folders and links of a version by path, after `path_after`.
    pub async fn model_files(
        &self,
        id: &str,
        path_after: Option<&str>,
        limit: Option<i64>,
    ) -> Result<Vec<ModelFile>, Error> {
        let query = Query::default().one("path_after", path_after).one("limit", limit);
        self.http.get(query.on(self.http.api(&["model_versions", id, "files"])?)).await
    }

    /// Makes a version of a checkpoint, on the server; a repeat answers the same version.
    pub async fn checkpoint_model(&self, id: &str, new: &CheckpointModel) -> Result<ModelVersion, Error> {
        let url = self.http.api(&["checkpoints", id, "model"])?;
        let request = self.http.request(Method::POST, url)?.json(new);
        let response = self.http.send(request.timeout(CHECKPOINT_TIMEOUT)).await?;
        self.read(response).await
    }

    /// The archive of a version: its bytes in all, and the bytes themselves. A download that breaks goes on where it was;
    /// whoever reads it checks what it is.
    pub async fn fetch_model_archive(
        &self,
        id: &str,
    ) -> Result<(u64, impl Stream<Item = Result<Bytes, Error>> + Send + use<>), Error> {
        let response = self.open_archive(id, 0).await?;
        let size = length(&response).ok_or_else(|| Error::Unexpected {
            url: self.url().to_owned(),
            status: response.status().as_u16(),
            why: "it does not say how large the archive is".to_owned(),
        })?;
        let download = Download {
            client: self.clone(),
            id: id.to_owned(),
            response: Some(response),
            at: 0,
            size,
            failures: 0,
        };
        Ok((size, stream::try_unfold(download, Download::next)))
    }

    /// Opens the archive from an offset on, at an address of its own.
    async fn open_archive(&self, id: &str, from: u64) -> Result<Response, Error> {
        let url = self.http.api(&["model_versions", id, "archive"])?;
        let request = self.http.request(Method::GET, url.clone())?;
        let response = request.timeout(CALL_TIMEOUT).send().await;
        let response = response.map_err(|error| Error::from_reqwest(&error, self.url(), CALL_TIMEOUT))?;
        let status = response.status();
        if status != StatusCode::FOUND {
            return Err(if status.is_success() {
                let why = "it leads to no archive".to_owned();
                Error::Unexpected { url: url.into(), status: status.as_u16(), why }
            } else {
                self.http.refusal(response).await
            });
        }
        let address = response.headers().get(LOCATION).and_then(|address| address.to_str().ok());
        let mut request = self.http.signed(Method::GET, address.unwrap_or_default())?;
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        self.http.open(request).await
    }

    fn model_url(&self, segments: &[&str], project: Option<&str>) -> Result<reqwest::Url, Error> {
        let url = self.http.api(&[&["models"], segments].concat())?;
        Ok(Query::default().one("project_id", project).on(url))
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, response: Response) -> Result<T, Error> {
        let (url, status) = (response.url().to_string(), response.status().as_u16());
        let body = response.bytes().await;
        let body = body.map_err(|error| Error::from_reqwest(&error, self.url(), CALL_TIMEOUT))?;
        let data: Result<Data<T>, _> = serde_json::from_slice(&body);
        data.map(|data| data.data).map_err(|error| Error::Unexpected { url, status, why: error.to_string() })
    }
}

/// How many bytes the whole object has.
fn length(response: &Response) -> Option<u64> {
    let headers = response.headers();
    let text = match headers.get(CONTENT_RANGE) {
        Some(range) => range.to_str().ok()?.rsplit('/').next(),
        None => headers.get(CONTENT_LENGTH)?.to_str().ok(),
    };
    text?.parse().ok()
}

/// An archive on its way.
struct Download {
    client: Client,
    id: String,
    response: Option<Response>,
    at: u64,
    size: u64,
    failures: u32,
}

impl Download {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        while self.at < self.size {
            match self.chunk().await {
                Ok(chunk) => {
                    self.at += chunk.len() as u64;
                    self.failures = 0;
                    return Ok(Some((chunk, self)));
                }
                Err(error) if self.failures < RETRIES && error.is_transient() => {
                    self.response = None;
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(self.failures)).await;
                    self.failures += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn chunk(&mut self) -> Result<Bytes, Error> {
        let mut response = match self.response.take() {
            Some(response) => response,
            None => self.reopen().await?,
        };
        let chunk = self.client.http.chunk(&mut response).await?;
        let chunk = chunk.ok_or_else(|| Error::Broken {
            url: self.client.url().to_owned(),
            cause: "the answer ended early".to_owned(),
        })?;
        self.response = Some(response);
        Ok(chunk)
    }

    /// Goes on where it was; a store that knows no ranges begins at the start, and there is nothing to go on with then.
    async fn reopen(&self) -> Result<Response, Error> {
        let response = self.client.open_archive(&self.id, self.at).await?;
        let same = length(&response) == Some(self.size);
        if same && (self.at == 0 || response.status() == StatusCode::PARTIAL_CONTENT) {
            return Ok(response);
        }
        Err(Error::Damaged("the archive was replaced while it was downloaded: pull it again".to_owned()))
    }
}
