//! What a worker knows besides its elements: the configuration, the worker run, the model version. Read once, at the start.

use std::{
    future,
    path::{Path, PathBuf},
};

use runyard_client::{Client, Error as ClientError, model::Filter};
use runyard_domain::model::Reference;
use runyard_wire::{model::ModelVersion, worker_run::WorkerRun};
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::{Options, configuration::merge, session::Session};
use crate::{Error, Pulled, pull};

/// The key of a run's configuration that names its model version, where nothing else does.
const MODEL_VERSION: &str = "model_version";

/// What a worker knows of its work.
pub struct Work {
    configuration: Map<String, Value>,
    worker_run: Option<WorkerRun>,
    model_version: Option<ModelVersion>,
    read_only: bool,
    client: Client,
    handle: Handle,
}

impl Work {
    /// The configuration: what the worker brings, covered by the model version's, by the defaults of what people may choose
    /// (where the model says nothing), and by what was chosen for the run. With `--config`: the file's.
    pub fn configuration(&self) -> &Map<String, Value> {
        &self.configuration
    }

    /// The worker run; none outside of a job.
    pub fn worker_run(&self) -> Option<&WorkerRun> {
        self.worker_run.as_ref()
    }

    /// The model version to work with: that of the worker run, or the one that `RUNYARD_MODEL_VERSION` or the field
    /// `model_version` of the run's configuration names.
    pub fn model_version(&self) -> Option<&ModelVersion> {
        self.model_version.as_ref()
    }

    /// Whether nothing may be written.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// A client with the token of the run.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for a call of the client.
    pub fn wait<F: Future>(&self, call: F) -> F::Output {
        self.handle.block_on(call)
    }

    /// Brings the files of the model version into `folder`, which must be missing, empty, or hold them already.
    pub fn pull_model(&self, folder: &Path) -> Result<Pulled, Error> {
        let missing = || {
            let message =
                "no model version is named: set RUNYARD_MODEL_VERSION, or `model_version` in the config";
            Error::Worker(message.to_owned())
        };
        let version = self.model_version.as_ref().ok_or_else(missing)?;
        self.wait(pull(&self.client, version, folder, &|_| {}, future::pending()))
    }

    /// Asks the server for all of it.
    pub(super) fn read(session: &mut Session, options: &Options) -> Result<Self, Error> {
        let environment = session.environment.clone();
        let read_only = options.dev || environment.read_only || environment.worker_run_id.is_none();
        let worker_run = match &environment.worker_run_id {
            Some(id) => Some(session.insist(async |client| client.worker_run(id).await)?),
            None => None,
        };
        let model_version = match named(worker_run.as_ref(), environment.model_version.as_deref()) {
            Some(text) => Some(find(session, &text)?),
            None => None,
        };
        let configuration = match &options.config {
            Some(path) if read_only => object(path)?,
            Some(path) => {
                let path = path.display();
                let text =
                    format!("`--config {path}` goes with --dev: a worker run has a configuration of its own");
                return Err(Error::Worker(text));
            }
            None => merged(worker_run.as_ref(), model_version.as_ref()),
        };
        let (client, handle) = (session.client.clone(), session.handle.clone());
        Ok(Self { configuration, worker_run, model_version, read_only, client, handle })
    }
}

fn merged(run: Option<&WorkerRun>, model: Option<&ModelVersion>) -> Map<String, Value> {
    let none = Map::new();
    let model = model.and_then(|version| version.config.as_ref()).unwrap_or(&none);
    match run {
        Some(run) => merge(&run.worker_configuration, model, &run.user_configuration, &run.configuration),
        None => model.clone(),
    }
}

fn named(run: Option<&WorkerRun>, environment: Option<&str>) -> Option<String> {
    let of_run = run.and_then(|run| run.model_version_id.clone());
    let chosen = || run?.configuration.get(MODEL_VERSION)?.as_str().map(str::to_owned);
    of_run.or_else(|| environment.map(str::to_owned)).or_else(chosen)
}

/// The version that is meant by an id, `NAME` or `NAME@TAG`.
fn find(session: &mut Session, text: &str) -> Result<ModelVersion, Error> {
    let newest = Filter { state: vec!["available".to_owned()], limit: Some(1), ..Filter::default() };
    let filter = match Reference::parse(text).map_err(|error| Error::Worker(error.to_string()))? {
        Reference::Id(id) => {
            let id = id.to_string();
            return session.insist(async |client| client.model_version(&id).await);
        }
        Reference::Newest(name) => Filter { model: vec![name], ..newest },
        Reference::Tagged(name, tag) => Filter { model: vec![name], tag: vec![tag], ..newest },
    };
    let found: Result<_, ClientError> =
        Ok(session.insist(async |client| client.model_versions(&filter).await)?);
    let missing = || Error::Worker(format!("there is no available version `{text}` of a model"));
    found?.pop().ok_or_else(missing)
}

/// The object in a JSON file.
fn object(path: &PathBuf) -> Result<Map<String, Value>, Error> {
    let text =
        std::fs::read(path).map_err(|cause| Error::Worker(format!("`{}`: {cause}", path.display())))?;
    serde_json::from_slice(&text)
        .map_err(|cause| Error::Worker(format!("`{}` is no JSON object: {cause}", path.display())))
}
