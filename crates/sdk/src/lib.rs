//! What job authors write against in Rust, and what the command line and the runner publish with: model versions are
//! published ([`publish`]), pulled ([`pull`]), or made step by step as a training goes ([`Training`]).
//!
//! Bytes go straight to the object store in one pass over the files, and never through a copy on the disk. Nothing here
//! reads the environment except [`Environment::of_job`], and nothing here prints.

pub mod blocking;
mod environment;
mod error;
mod patience;
mod publish;
mod pull;
mod training;

pub use environment::Environment;
pub use error::Error;
pub use publish::{Progress, Publish, publish};
pub use pull::{Pulled, pull};
pub use training::{Attributes, Training};
