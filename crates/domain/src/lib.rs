//! What things are and what they may become.
//!
//! Pure by rule: no I/O, no clock (the time is passed in), no randomness (random bytes are passed in).
//! Everything above reads these types; nothing here knows a database, a process or HTTP.

pub mod activity;
pub mod blueprint;
pub mod bucket;
pub mod channel;
pub mod checkpoint;
pub mod checksum;
pub mod dataset;
pub mod element;
pub mod fields;
pub mod filter;
pub mod id;
pub mod instance;
pub mod instance_type;
pub mod job;
pub mod metric;
pub mod model;
pub mod progress;
pub mod quantity;
pub mod record;
pub mod resources;
pub mod run;
pub mod secret;
pub mod time;
pub mod token;
pub mod worker_run;

pub use checksum::ChecksumKind;
pub use fields::FieldErrors;
pub use id::{
    BlueprintId, BucketId, BucketObjectId, ClassId, ClassificationId, CorpusId, DatasetId, ElementId,
    ElementTypeId, EntityId, EntityTypeId, ExperimentId, FileSetId, ImageId, JobId, MetadataId, ModelId,
    ModelVersionId, ProjectId, RunId, TokenId, TranscriptionEntityId, TranscriptionId, WorkerRunId,
};
pub use time::Millis;
