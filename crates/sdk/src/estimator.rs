//! A training job in the words of PAI's `Estimator`: a [`Processor`] with three outputs that are always there (`model`,
//! `checkpoints`, `tensorboard`), and metrics that are read from what it prints.

use runyard_client::Client;
use runyard_domain::run::Kind;
use runyard_wire::run::Run;

use crate::{Channel, Command, Error, Processor};

pub use runyard_domain::metric::definition::Definition as MetricDefinition;

const MODEL: &str = "model";
const CHECKPOINTS: &str = "checkpoints";
const TENSORBOARD: &str = "tensorboard";
const NAME: &str = "estimator";

/// A training job, to be fitted any number of times.
#[derive(Debug, Clone)]
pub struct Estimator {
    /// Everything that it has in common with a processing job. Hyperparameters are its `parameters`.
    pub job: Processor,
    /// Where checkpoints go: `s3://` or `oss://`; `None`: where the other outputs go.
    pub checkpoints_path: Option<String>,
}

impl Estimator {
    /// A training with this command in this image; `None`: in no image.
    pub fn new<'a>(image: impl Into<Option<&'a str>>, command: impl Into<Command>) -> Self {
        let mut job = Processor { kind: Some(Kind::Training), ..Processor::new(image, command) };
        job.base_job_name = Some(NAME.to_owned());
        job.set_output_channels([MODEL, CHECKPOINTS, TENSORBOARD].map(Channel::optional).into());
        Self { job, checkpoints_path: None }
    }

    /// Reads metrics from each line that the program prints: names, and expressions with one group, which holds the number.
    pub fn set_metric_definitions(&mut self, definitions: &[(&str, &str)]) -> &mut Self {
        let definition = |(name, regex): &(&str, &str)| MetricDefinition {
            name: (*name).to_owned(),
            regex: (*regex).to_owned(),
            description: None,
        };
        self.job.metric_definitions = definitions.iter().map(definition).collect();
        self
    }

    /// Submits the training; as [`Processor::run`].
    ///
    /// # Errors
    /// As [`Processor::run`].
    pub async fn fit(
        &mut self,
        client: &Client,
        inputs: &[(&str, &str)],
        wait: bool,
        show_logs: bool,
    ) -> Result<Run, Error> {
        let checkpoints = self.checkpoints_path.clone();
        let given = checkpoints.as_deref().map(|path| (CHECKPOINTS, Some(path)));
        let outputs: Vec<_> = given.into_iter().collect();
        self.job.run(client, inputs, &outputs, wait, show_logs).await
    }

    /// Where the model of the latest training is; `None` before the first.
    pub fn model_data(&self) -> Option<String> {
        self.job.get_outputs_data().remove(MODEL)
    }

    /// Where its checkpoints are.
    pub fn checkpoints_data(&self) -> Option<String> {
        self.job.get_outputs_data().remove(CHECKPOINTS)
    }

    /// Where what it wrote for TensorBoard is.
    pub fn tensorboard_data(&self) -> Option<String> {
        self.job.get_outputs_data().remove(TENSORBOARD)
    }
}
