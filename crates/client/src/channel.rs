//! Channels: what a job brings, where it sends what goes to buckets of the server, and the lineage of a run.

use std::path::Path;

use reqwest::Method;
use runyard_wire::{
    channel::{Input, Lineage},
    file::{CompleteFiles, NewFile, PostFiles, SentFile, Upload},
};

use crate::{Client, Error, download::Files};

impl Client {
    /// The inputs of a job, by name.
    pub async fn inputs(&self, job: &str) -> Result<Vec<Input>, Error> {
        self.http.get(self.http.api(&["jobs", job, "inputs"])?).await
    }

    /// Downloads the files of an input into `folder`, which is made when it is missing; answers their bytes. What is there
    /// already, and right, is not downloaded again.
    pub async fn fetch_input(&self, job: &str, channel: &str, folder: &Path) -> Result<u64, Error> {
        self.fetch_all(&Files::Input(job, channel), folder, &|_| {}).await
    }

    /// Announces up to 1,000 files of an output and asks where to send them; may be repeated, for new addresses too.
    pub async fn announce_output(
        &self,
        job: &str,
        channel: &str,
        files: Vec<NewFile>,
    ) -> Result<Vec<Upload>, Error> {
        let url = self.http.api(&["jobs", job, "outputs", channel, "files"])?;
        self.slow(self.http.request(Method::POST, url)?.json(&PostFiles { files })).await
    }

    /// Puts files of an output that were sent in their places. May be repeated. 409 `incomplete` names what is missing.
    pub async fn complete_output(
        &self,
        job: &str,
        channel: &str,
        files: Vec<SentFile>,
    ) -> Result<i64, Error> {
        let url = self.http.api(&["jobs", job, "outputs", channel, "complete"])?;
        self.slow(self.http.request(Method::POST, url)?.json(&CompleteFiles { files })).await
    }

    /// One step up and one step down from a run.
    pub async fn lineage(&self, run: &str) -> Result<Lineage, Error> {
        self.http.get(self.http.api(&["runs", run, "lineage"])?).await
    }
}
