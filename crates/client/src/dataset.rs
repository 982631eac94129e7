//! Datasets: make, list, read, change, delete; their elements, splits and archives.

use std::path::Path;

use reqwest::Method;
use runyard_wire::{
    dataset::{AddElements, Dataset, DatasetElement, DatasetPatch, NewDataset, RemoveElements, Split},
    file::File,
    run::Deleted,
    worker_run::Changed,
};

use crate::{Client, Error, query::Query};

/// Which datasets to list, the oldest first; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Ids of corpora.
    pub corpus_id: Vec<String>,
    /// Names.
    pub name: Vec<String>,
    /// `open`, `building`, `complete`, `error`.
    pub state: Vec<String>,
    /// What follows this id.
    pub id_after: Option<String>,
    /// At most so many, up to 1000; the server's default is 10.
    pub limit: Option<i64>,
}

impl Client {
    /// Makes a dataset with empty sets; with an id of its own it may be repeated.
    pub async fn create_dataset(&self, new: &NewDataset) -> Result<Dataset, Error> {
        self.http.send_json(Method::POST, self.http.api(&["datasets"])?, new).await
    }

    /// Datasets that match.
    pub async fn datasets(&self, filter: &Filter) -> Result<Vec<Dataset>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("corpus_id", &filter.corpus_id)
            .each("name", &filter.name)
            .each("state", &filter.state)
            .one("id_after", filter.id_after.as_ref())
            .one("limit", filter.limit);
        self.http.get(query.on(self.http.api(&["datasets"])?)).await
    }

    /// The dataset with this id.
    pub async fn dataset(&self, id: &str) -> Result<Dataset, Error> {
        self.http.get(self.http.api(&["datasets", id])?).await
    }

    /// Changes a dataset.
    pub async fn patch_dataset(&self, id: &str, patch: &DatasetPatch) -> Result<Dataset, Error> {
        self.http.send_json(Method::PATCH, self.http.api(&["datasets", id])?, patch).await
    }

    /// Deletes a dataset with its archive.
    pub async fn delete_dataset(&self, id: &str) -> Result<Deleted, Error> {
        let url = self.http.api(&["datasets", id])?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }

    /// Elements of a dataset by set and id: of one set if it is named; `after`: what follows this element in this set.
    pub async fn dataset_elements(
        &self,
        id: &str,
        set: Option<&str>,
        after: Option<(&str, &str)>,
        limit: i64,
    ) -> Result<Vec<DatasetElement>, Error> {
        let query = Query::default()
            .one("set", set)
            .one("set_after", after.map(|(set, _)| set))
            .one("id_after", after.map(|(_, element)| element))
            .one("limit", Some(limit));
        self.http.get(query.on(self.http.api(&["datasets", id, "elements"])?)).await
    }

    /// Adds elements to a set; answers how many are new there.
    pub async fn add_dataset_elements(&self, id: &str, add: &AddElements) -> Result<i64, Error> {
        let request = self.http.request(Method::POST, self.http.api(&["datasets", id, "elements"])?)?;
        let changed: Changed = self.http.long_data(request.json(add)).await?;
        Ok(changed.count)
    }

    /// Takes elements out; answers how many places are free by that.
    pub async fn remove_dataset_elements(&self, id: &str, remove: &RemoveElements) -> Result<i64, Error> {
        let url = self.http.api(&["datasets", id, "elements", "remove"])?;
        let changed: Changed =
            self.http.long_data(self.http.request(Method::POST, url)?.json(remove)).await?;
        Ok(changed.count)
    }

    /// Splits the elements of a dataset anew.
    pub async fn split_dataset(&self, id: &str, split: &Split) -> Result<Dataset, Error> {
        let request = self.http.request(Method::POST, self.http.api(&["datasets", id, "split"])?)?;
        self.http.long_data(request.json(split)).await
    }

    /// Asks for the archive of a dataset: see its state.
    pub async fn build_dataset(&self, id: &str) -> Result<Dataset, Error> {
        let url = self.http.api(&["datasets", id, "build"])?;
        self.http.data(self.http.request(Method::POST, url)?).await
    }

    /// The signed address of a dataset's archive, which needs no token.
    pub async fn dataset_archive_url(&self, id: &str) -> Result<String, Error> {
        let url = self.http.api(&["datasets", id, "archive"])?;
        self.http.redirect(self.http.request(Method::GET, url)?).await
    }

    /// Downloads the archive of a dataset to `to`: whole and with the digest that the server says, or not at all. `moved` hears
    /// of every piece: its bytes.
    pub async fn pull_dataset(
        &self,
        id: &str,
        to: &Path,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<Dataset, Error> {
        // The refusal of one that is not complete is the server's.
        let url = self.dataset_archive_url(id).await?;
        let dataset = self.dataset(id).await?;
        let gone = || Error::Damaged(format!("dataset {id} was opened again while it was downloaded"));
        let archive = dataset.archive.clone().ok_or_else(gone)?;
        let file = File {
            path: archive.name,
            size: archive.size,
            sha256: archive.sha256,
            url: Some(url),
            mode: None,
        };
        self.fetch_file(&file, to, moved).await?;
        Ok(dataset)
    }
}
