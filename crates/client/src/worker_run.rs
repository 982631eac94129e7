//! Worker runs: make, list, read, delete, select. What happens to their elements is in [`crate::activity`].

use reqwest::Method;
use runyard_wire::{
    run::Deleted,
    worker_run::{Changed, NewWorkerRun, Select, WorkerRun},
};

use crate::{Client, Error, query::Query};

/// Which worker runs to list, the newest first; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// Ids of corpora.
    pub corpus_id: Vec<String>,
    /// What follows this id.
    pub id_after: Option<String>,
    /// At most so many, up to 1000; the server's default is 10.
    pub limit: Option<i64>,
}

impl Client {
    /// Makes a worker run that no run of the server executes; with an id of its own it may be repeated.
    pub async fn create_worker_run(&self, new: &NewWorkerRun) -> Result<WorkerRun, Error> {
        let request = self.http.request(Method::POST, self.http.api(&["worker_runs"])?)?;
        self.http.long_data(request.json(new)).await
    }

    /// Worker runs that match.
    pub async fn worker_runs(&self, filter: &Filter) -> Result<Vec<WorkerRun>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("project_id", &filter.project_id)
            .each("corpus_id", &filter.corpus_id)
            .one("id_after", filter.id_after.as_ref())
            .one("limit", filter.limit);
        self.http.get(query.on(self.http.api(&["worker_runs"])?)).await
    }

    /// The worker run with this id, with how many of its elements are in each state.
    pub async fn worker_run(&self, id: &str) -> Result<WorkerRun, Error> {
        self.http.get(self.http.api(&["worker_runs", id])?).await
    }

    /// Deletes a worker run with its activities; what it found stays.
    pub async fn delete_worker_run(&self, id: &str) -> Result<Deleted, Error> {
        let url = self.http.api(&["worker_runs", id])?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }

    /// Queues elements of a worker run; answers how many are new.
    pub async fn select_elements(&self, id: &str, select: &Select) -> Result<i64, Error> {
        let url = self.http.api(&["worker_runs", id, "select"])?;
        let changed: Changed =
            self.http.long_data(self.http.request(Method::POST, url)?.json(select)).await?;
        Ok(changed.count)
    }
}
