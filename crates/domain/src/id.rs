//! Identifiers: UUIDv7, so that the order of ids is the order of creation, also as text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Millis;

/// A text that is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not {} {noun} id: ids are UUIDs such as 01890a5d-ac96-774b-bcce-b302099a8057",
    article(noun)
)]
pub struct Error {
    noun: &'static str,
    text: String,
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

/// Builds a version 7 UUID from a time and 10 random bytes (RFC 9562, section 5.7).
pub fn uuid_v7(now: Millis, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(now.0.max(0).cast_unsigned(), &random).into_uuid()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes an id from the time and 10 random bytes.
            pub fn new(now: Millis, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The time that it was made from.
            pub fn time(self) -> Millis {
                let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
                Millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| Error { noun: $noun, text: text.chars().take(80).collect() })
            }
        }
    };
}

id!(/// Id of a project.
    ProjectId, "project");
id!(/// Id of a blueprint: one per name and version.
    BlueprintId, "blueprint");
id!(/// Id of a run.
    RunId, "run");
id!(/// Id of a job: one attempt at a run.
    JobId, "job");
id!(/// Id of a token (not the secret).
    TokenId, "token");
id!(/// Id of a checkpoint or an artifact.
    FileSetId, "checkpoint or artifact");
id!(/// Id of a corpus.
    CorpusId, "corpus");
id!(/// Id of an element; imported ones keep their own.
    ElementId, "element");
id!(/// Id of a worker run: that of the run that executes it, where there is one.
    WorkerRunId, "worker run");
id!(/// Id of a dataset.
    DatasetId, "dataset");
id!(/// Id of a type of elements.
    ElementTypeId, "element type");
id!(/// Id of an image.
    ImageId, "image");
id!(/// Id of a transcription.
    TranscriptionId, "transcription");
id!(/// Id of a class.
    ClassId, "class");
id!(/// Id of a classification.
    ClassificationId, "classification");
id!(/// Id of a type of entities.
    EntityTypeId, "entity type");
id!(/// Id of an entity.
    EntityId, "entity");
id!(/// Id of an entity in a transcription.
    TranscriptionEntityId, "entity of a transcription");
id!(/// Id of an entry of metadata.
    MetadataId, "metadata");
id!(/// Id of an experiment.
    ExperimentId, "experiment");
id!(/// Id of a bucket.
    BucketId, "bucket");
id!(/// Id of what is under a key of a bucket, or on its way there.
    BucketObjectId, "object");

/// Ids of many things that are made together: they sort in the order in which they are taken, and a repeat from the same
/// start takes the same ones.
#[derive(Debug, Clone)]
pub struct Series {
    at: Millis,
    random: [u8; 10],
    taken: u32,
}

impl Series {
    /// What follows an id: its time, its count within the millisecond, and four of its random bytes are those of all.
    pub fn after(start: Uuid) -> Self {
        let bytes = start.as_bytes();
        let at = i64::from_be_bytes([0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]);
        let random = [bytes[6], bytes[7], 0, 0, 0, 0, bytes[12], bytes[13], bytes[14], bytes[15]];
        Self { at: Millis(at), random, taken: 0 }
    }

    /// The next id. There are 16 million.
    pub fn take(&mut self) -> Uuid {
        let [_, a, b, c] = self.taken.to_be_bytes();
        self.taken += 1;
        self.random[3..6].copy_from_slice(&[a, b, c]);
        uuid_v7(self.at, self.random)
    }
}
id!(/// Id of a model.
    ModelId, "model");
id!(/// Id of a version of a model.
    ModelVersionId, "model version");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_creation_as_text() {
        let early = RunId::new(Millis(1_000), [0xff; 10]).to_string();
        let late = RunId::new(Millis(1_001), [0; 10]).to_string();
        assert!(early < late);
    }

    #[test]
    fn an_id_tells_the_time_that_it_was_made_from() {
        for at in [Millis(0), Millis(1_700_000_000_123), Millis((1 << 48) - 1)] {
            assert_eq!(RunId::new(at, [0xff; 10]).time(), at);
        }
    }

    #[test]
    fn ids_of_a_series_sort_as_they_are_taken_and_are_taken_again_by_a_repeat() {
        let start = uuid_v7(Millis(1_700_000_000_123), [0xff; 10]);
        let take = || {
            let mut series = Series::after(start);
            (0..70_000).map(|_| series.take()).collect::<Vec<_>>()
        };
        let taken = take();
        assert!(taken.is_sorted_by(|one, next| one < next));
        assert_eq!(taken, take());
        assert!(taken.iter().all(|id| ElementId(*id).time() == Millis(1_700_000_000_123)));
        let next = uuid_v7(Millis(1_700_000_000_124), [0; 10]);
        assert!(taken[69_999] < Series::after(next).take());
    }

    #[test]
    fn an_id_reads_back_and_rubbish_is_named() {
        let id = JobId::new(Millis(5), [7; 10]);
        assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        let error = "x".parse::<RunId>().unwrap_err().to_string();
        assert!(error.contains("`x` is not a run id"), "{error}");
    }
}
