//! Activities: claim, renew, release, commit and retry the elements of a worker run.

use reqwest::Method;
use runyard_wire::{
    activity::{
        Activity, Claim, ClaimAnswer, Commit, CommitItem, Committed, Release, Renew, Retry, SetState,
    },
    worker_run::Changed,
};
use serde::Serialize;

use crate::{Client, Error, query::Query};

/// Which activities to list, in the order of the elements' ids; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `queued`, `started`, `processed`, `error`.
    pub state: Vec<String>,
    /// Ids of elements.
    pub element_id: Vec<String>,
    /// Types of elements.
    pub of_type: Vec<String>,
    /// Patterns of names.
    pub name_ilike: Vec<String>,
    /// What follows this element.
    pub id_after: Option<String>,
    /// At most so many, up to 1000; the server's default is 10.
    pub limit: Option<i64>,
}

impl Client {
    /// Activities of a worker run that match.
    pub async fn activities(&self, worker_run: &str, filter: &Filter) -> Result<Vec<Activity>, Error> {
        let query = Query::default()
            .each("state", &filter.state)
            .each("element_id", &filter.element_id)
            .each("type", &filter.of_type)
            .each("name_ilike", &filter.name_ilike)
            .one("id_after", filter.id_after.as_ref())
            .one("limit", filter.limit);
        self.http.get(query.on(self.http.api(&["worker_runs", worker_run, "activities"])?)).await
    }

    /// Claims elements. An answer that was lost leaves them claimed by the holder: their leases run out.
    pub async fn claim_elements(&self, worker_run: &str, claim: &Claim) -> Result<ClaimAnswer, Error> {
        self.http.send_json(Method::POST, self.http.api(&["worker_runs", worker_run, "claim"])?, claim).await
    }

    /// Renews all leases of a holder; answers how many it still has.
    pub async fn renew_leases(&self, worker_run: &str, renew: &Renew) -> Result<i64, Error> {
        self.changed(worker_run, "renew", renew).await
    }

    /// Gives elements of a holder back; answers how many.
    pub async fn release_elements(&self, worker_run: &str, release: &Release) -> Result<i64, Error> {
        self.changed(worker_run, "release", release).await
    }

    /// Commits up to a thousand items; answers what became of each. May be repeated: an attempt counts once.
    pub async fn commit_elements(
        &self,
        worker_run: &str,
        items: Vec<CommitItem>,
    ) -> Result<Vec<Committed>, Error> {
        let url = self.http.api(&["worker_runs", worker_run, "commit"])?;
        self.http.send_json(Method::POST, url, &Commit { items }).await
    }

    /// Puts elements that failed, or are done, back to the queue; answers how many.
    pub async fn retry_elements(&self, worker_run: &str, retry: &Retry) -> Result<i64, Error> {
        self.changed(worker_run, "retry", retry).await
    }

    /// Sets the state of one element by name, for workers that know no attempts.
    pub async fn set_activity_state(
        &self,
        worker_run: &str,
        element: &str,
        state: &SetState,
    ) -> Result<Activity, Error> {
        let url = self.http.api(&["worker_runs", worker_run, "activities", element])?;
        self.http.send_json(Method::PUT, url, state).await
    }

    async fn changed(&self, worker_run: &str, verb: &str, body: &impl Serialize) -> Result<i64, Error> {
        let url = self.http.api(&["worker_runs", worker_run, verb])?;
        let changed: Changed = self.http.send_json(Method::POST, url, body).await?;
        Ok(changed.count)
    }
}
