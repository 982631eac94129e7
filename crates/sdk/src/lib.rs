//! What job authors write against in Rust, and what the command line and the runner publish with: model versions are
//! published ([`publish`]), pulled ([`pull`]), or made step by step as a training goes ([`Training`]); elements and datasets
//! are worked through ([`worker`]).
//!
//! Bytes go straight to the object store in one pass over the files, and never through a copy on the disk. Nothing here
//! reads the environment except [`Environment::of_job`], and nothing here prints, except for a worker that is a whole program.

pub mod blocking;
mod environment;
mod error;
mod patience;
mod publish;
mod pull;
mod training;
pub mod worker;

pub use environment::Environment;
pub use error::Error;
pub use publish::{Progress, Publish, publish};
pub use pull::{Pulled, pull};
pub use training::{Attributes, Training};

/// What a worker says of an element.
pub mod results {
    pub use runyard_domain::element::{
        Child, Classification, ClassificationState, Entity, Metadata, MetadataType, Orientation, Polygon,
        Results, Transcription,
    };
}
