//! Artifacts: begin, list, read, delete. Their files: see `announce_files` and what follows it on the client.

use reqwest::Method;
use runyard_wire::{
    artifact::{Artifact, NewArtifact},
    run::Deleted,
};

use crate::{Client, Error, query::Query};

/// Which artifacts to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Ids of runs.
    pub run_id: Vec<String>,
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// Names.
    pub name: Vec<String>,
    /// Types.
    pub r#type: Vec<String>,
    /// `incomplete`, `complete`.
    pub status: Vec<String>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<String>,
    /// `id` or `created_at`, with `:asc` or `:desc`; the server's default is `created_at:desc`.
    pub sort: Option<String>,
    /// At most so many, up to 1000; the server's default is 10.
    pub limit: Option<i64>,
    /// Skip so many.
    pub offset: Option<i64>,
}

impl Client {
    /// Begins an artifact; a repeat with the same `source_key` answers the same one.
    pub async fn create_artifact(&self, new: &NewArtifact) -> Result<Artifact, Error> {
        self.http.send_json(Method::POST, self.http.api(&["artifacts"])?, new).await
    }

    /// Artifacts that match.
    pub async fn artifacts(&self, filter: &Filter) -> Result<Vec<Artifact>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("run_id", &filter.run_id)
            .each("project_id", &filter.project_id)
            .each("name", &filter.name)
            .each("type", &filter.r#type)
            .each("status", &filter.status)
            .one("id_after", filter.id_after.as_ref())
            .one("sort", filter.sort.as_ref())
            .one("limit", filter.limit)
            .one("offset", filter.offset);
        self.http.get(query.on(self.http.api(&["artifacts"])?)).await
    }

    /// The artifact with this id.
    pub async fn artifact(&self, id: &str) -> Result<Artifact, Error> {
        self.http.get(self.http.api(&["artifacts", id])?).await
    }

    /// Deletes an artifact with its files.
    pub async fn delete_artifact(&self, id: &str) -> Result<Deleted, Error> {
        let url = self.http.api(&["artifacts", id])?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }
}
