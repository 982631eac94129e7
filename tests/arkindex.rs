//! Arkindex's workers from PyPI, unmodified, against the real binary: three generations of arkindex-base-worker, each with
//! the client that it brings.

#[path = "arkindex/clients.rs"]
mod clients;
#[path = "arkindex/datasets.rs"]
mod datasets;
#[path = "arkindex/elements.rs"]
mod elements;
#[path = "arkindex/job.rs"]
mod job;
#[path = "arkindex/publishing.rs"]
mod publishing;
#[path = "arkindex/refusals.rs"]
mod refusals;
#[path = "arkindex/results.rs"]
mod results;
#[path = "arkindex/site.rs"]
mod site;
#[path = "arkindex/suite.rs"]
mod suite;
