//! What job authors write against in Rust, and what the command line and the runner publish with: model versions are
//! published ([`publish`]), pulled ([`pull`]), or made step by step as a training goes ([`Training`]); elements and datasets
//! are worked through ([`worker`]); jobs are submitted in the words of PAI ([`Processor`], [`Estimator`]).
//!
//! Bytes go straight to the object store in one pass over the files, and never through a copy on the disk. Nothing here
//! reads the environment except [`Environment::of_job`], and nothing here prints, except for a worker that is a whole program, and the
//! output of a job that somebody asked to see.

pub mod blocking;
mod environment;
mod error;
mod estimator;
mod follow;
mod package;
mod patience;
mod processor;
mod publish;
mod pull;
mod training;
pub mod worker;

pub use environment::Environment;
pub use error::Error;
pub use estimator::{Estimator, MetricDefinition};
pub use package::Package;
pub use processor::{Channel, Command, ExperimentConfig, Processor, SpotSpec, UserVpcConfig};
pub use publish::{Progress, Publish, publish};
pub use pull::{Pulled, pull};
pub use runyard_client::Client;
pub use training::{Attributes, Training};

/// What a worker says of an element.
pub mod results {
    pub use runyard_domain::element::{
        Child, Classification, ClassificationState, Entity, Metadata, MetadataType, Orientation, Polygon,
        Results, Transcription,
    };
}
