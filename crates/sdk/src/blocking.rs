//! The same for programs that are not asynchronous: [`Training`], and jobs by [`run`] and [`fit`]. Not to be used on a thread of an async runtime.

use std::{io, path::Path};

use runyard_client::Client;
use runyard_wire::{model::ModelVersion, run::Run};
use tokio::runtime::{Builder, Runtime};

use crate::{Attributes, Environment, Error, Estimator, Processor};

/// [`crate::Training`], each step of which returns when it is done.
pub struct Training {
    training: crate::Training,
    runtime: Runtime,
}

impl Training {
    /// A training in this environment.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(environment: Environment) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { training: crate::Training::new(environment), runtime })
    }

    /// Whether nothing is written.
    pub fn is_read_only(&self) -> bool {
        self.training.is_read_only()
    }

    /// Whether the training starts from a model version.
    pub fn is_finetuning(&self) -> bool {
        self.training.is_finetuning()
    }

    /// The version of this training, once there is one.
    pub fn model_version(&self) -> Option<&ModelVersion> {
        self.training.model_version()
    }

    /// See [`crate::Training::create_model_version`].
    pub fn create_model_version(&mut self, model: &str, attributes: &Attributes) -> Result<(), Error> {
        self.runtime.block_on(self.training.create_model_version(model, attributes))
    }

    /// See [`crate::Training::update_model_version`].
    pub fn update_model_version(&mut self, attributes: &Attributes) -> Result<(), Error> {
        self.runtime.block_on(self.training.update_model_version(attributes))
    }

    /// See [`crate::Training::upload`].
    pub fn upload(&mut self, path: &Path) -> Result<(), Error> {
        self.runtime.block_on(self.training.upload(path))
    }

    /// See [`crate::Training::validate_model_version`].
    pub fn validate_model_version(&mut self) -> Result<(), Error> {
        self.runtime.block_on(self.training.validate_model_version())
    }

    /// See [`crate::Training::publish_model_version`].
    pub fn publish_model_version(
        &mut self,
        path: &Path,
        model: &str,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        self.runtime.block_on(self.training.publish_model_version(path, model, attributes))
    }
}

/// See [`Processor::run`].
///
/// # Errors
/// As there; or the system gives no more threads.
pub fn run(
    job: &mut Processor,
    client: &Client,
    inputs: &[(&str, &str)],
    outputs: &[(&str, Option<&str>)],
    wait: bool,
    show_logs: bool,
) -> Result<Run, Error> {
    runtime()?.block_on(job.run(client, inputs, outputs, wait, show_logs))
}

/// See [`Estimator::fit`].
///
/// # Errors
/// As there; or the system gives no more threads.
pub fn fit(
    estimator: &mut Estimator,
    client: &Client,
    inputs: &[(&str, &str)],
    wait: bool,
    show_logs: bool,
) -> Result<Run, Error> {
    runtime()?.block_on(estimator.fit(client, inputs, wait, show_logs))
}

fn runtime() -> Result<Runtime, Error> {
    let made = Builder::new_current_thread().enable_all().build();
    made.map_err(|cause| Error::Local { what: "cannot start", cause })
}
