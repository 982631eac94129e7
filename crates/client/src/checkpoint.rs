//! Checkpoints: begin, list, read, delete. Their files: see `announce_files` and what follows it on the client.

use reqwest::Method;
use runyard_wire::{
    checkpoint::{Checkpoint, NewCheckpoint},
    run::Deleted,
};

use crate::{Client, Error, query::Query};

/// Which checkpoints to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Ids of runs.
    pub run_id: Vec<String>,
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// Steps.
    pub global_step: Vec<i64>,
    /// `incomplete`, `complete`.
    pub status: Vec<String>,
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
    /// Begins a checkpoint; a repeat with the same `source_key` answers the same one.
    pub async fn create_checkpoint(&self, new: &NewCheckpoint) -> Result<Checkpoint, Error> {
        self.http.send_json(Method::POST, self.http.api(&["checkpoints"])?, new).await
    }

    /// Checkpoints that match.
    pub async fn checkpoints(&self, filter: &Filter) -> Result<Vec<Checkpoint>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("run_id", &filter.run_id)
            .each("project_id", &filter.project_id)
            .each("global_step", &filter.global_step)
            .each("status", &filter.status)
            .one("created_after", filter.created_after)
            .one("created_before", filter.created_before)
            .one("id_after", filter.id_after.as_ref())
            .each("select", &filter.select)
            .one("sort", filter.sort.as_ref())
            .one("limit", filter.limit)
            .one("offset", filter.offset);
        self.http.get(query.on(self.http.api(&["checkpoints"])?)).await
    }

    /// The newest complete checkpoint of a run, or of a run at a step.
    pub async fn newest_checkpoint(
        &self,
        run: &str,
        global_step: Option<i64>,
    ) -> Result<Option<Checkpoint>, Error> {
        let filter = Filter {
            run_id: vec![run.to_owned()],
            global_step: global_step.into_iter().collect(),
            status: vec!["complete".to_owned()],
            limit: Some(1),
            ..Filter::default()
        };
        Ok(self.checkpoints(&filter).await?.pop())
    }

    /// The checkpoint with this id.
    pub async fn checkpoint(&self, id: &str) -> Result<Checkpoint, Error> {
        self.http.get(self.http.api(&["checkpoints", id])?).await
    }

    /// Deletes a checkpoint with its files.
    pub async fn delete_checkpoint(&self, id: &str) -> Result<Deleted, Error> {
        let url = self.http.api(&["checkpoints", id])?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }
}
