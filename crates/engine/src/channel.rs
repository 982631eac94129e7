//! Channels: what is behind the addresses of a run's inputs and outputs, what its job reads, and how runs are linked by them.
//! What an address means is decided once, when the run is submitted; every attempt reads the same.

mod bucket;
pub mod inputs;
pub mod lineage;
pub mod outputs;
mod resolve;
#[cfg(test)]
mod tests;

pub use inputs::{Input, InputFile, files, inputs};
pub use lineage::{Lineage, lineage};
pub use outputs::{begin_output, complete_output};
pub(crate) use resolve::links;
pub use runyard_domain::channel::{Direction, Kind};
pub use runyard_store::channel::Link;
