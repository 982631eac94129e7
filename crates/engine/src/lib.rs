//! What Runyard does, one verb per file.
//!
//! Knows no HTTP and no foreign system, and never reads a clock: the time comes from [`Clock`]. Every function here
//! may be dropped at an await or killed between any two lines; the next call finds a state that is true.

pub mod access_key;
pub mod activity;
pub mod arkindex_import;
pub mod backup;
pub mod blueprint;
pub mod channel;
pub mod clock;
pub mod corpus;
pub mod dataset;
pub mod element;
pub mod error;
pub mod event;
pub mod experiment;
pub mod file_set;
pub mod garbage;
mod idempotent;
pub mod image;
pub mod instance_type;
pub mod job;
pub mod log;
pub mod metric;
pub mod model;
pub mod open;
pub mod oss;
pub mod project;
pub mod reconcile;
pub mod run;
mod schema;
mod seal;
pub mod secret;
mod signal;
pub mod source;
pub mod system;
pub mod token;
pub mod worker_run;

use std::{path::PathBuf, sync::Arc};

use runyard_domain::{Millis, TokenId, token::Scope};
use runyard_executors::Executor;
use runyard_objects::Objects;
use runyard_store::Db;

pub use clock::{Clock, SystemClock};
pub use error::{Error, NO_SPACE};
pub use open::{Containers, OpenOptions, open};
pub use runyard_executors::container::runner as container_runner;
pub use schema::Schema;
pub use signal::Signals;

/// Result of an engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything the verbs work with; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

/// What an engine is made of.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Files.
    pub objects: Objects,
    /// What starts jobs; the first is the default.
    pub executors: Vec<Arc<dyn Executor>>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// Who is waiting for changes.
    pub signals: Signals,
    /// What this server says of itself.
    pub options: Options,
    /// What the runs that this server drives wait for, as their executors said last; by run.
    pub waiting: std::sync::Mutex<std::collections::HashMap<runyard_domain::RunId, String>>,
    /// Time and count of the newest id.
    pub last_id: std::sync::Mutex<(Millis, u16)>,
    /// Held while an upload is noted or an object is freed.
    pub uploads: tokio::sync::Mutex<()>,
    /// Archives of model versions that are being read.
    pub models: model::Verifications,
    /// Held for writing by a backup, and for reading while objects are freed.
    pub backup: Arc<tokio::sync::RwLock<()>>,
}

/// What this server says of itself to jobs and to other servers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address that jobs report to; known once the server listens.
    pub url: Arc<std::sync::OnceLock<String>>,
    /// A file with the current address, for jobs on this machine.
    pub server_file: Option<PathBuf>,
    /// Folder that jobs share on this machine.
    pub cache_dir: PathBuf,
    /// Stable name of this server: the runs that it drives carry it.
    pub server_id: String,
    /// What the tokens of jobs are made from; known to this server only.
    pub key: [u8; 32],
    /// How much output of a job is kept.
    pub max_log_bytes: i64,
    /// How long is kept what jobs leave on this machine.
    pub keep: garbage::gc::Keep,
    /// Resources under a name, by name.
    pub instance_types: Vec<runyard_domain::instance_type::InstanceType>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Their token; `None`: the product itself.
    pub token_id: Option<TokenId>,
    /// Name of the token: the `user_id` of what they create.
    pub name: String,
    /// What they may touch.
    pub scope: Scope,
}

impl Engine {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The time.
    pub fn now(&self) -> Millis {
        self.0.clock.now()
    }

    /// What a run waits for, if it does and this server drives it: for people, and a hint only.
    pub fn waits_for(&self, run: runyard_domain::RunId) -> Option<String> {
        self.0.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&run).cloned()
    }

    /// The executor with this word.
    pub(crate) fn executor(&self, name: &str) -> Result<&Arc<dyn Executor>> {
        let found = self.0.executors.iter().find(|executor| executor.name() == name);
        found.ok_or_else(|| Error::Internal(format!("there is no executor `{name}` on this server any more")))
    }

    /// New ids for many things that are made together; a clone takes the same ones.
    pub(crate) fn series(&self) -> runyard_domain::id::Series {
        runyard_domain::id::Series::after(self.id(runyard_domain::id::uuid_v7))
    }

    /// A new id. Ids of one server sort by creation even within a millisecond: the 12 bits behind the time count
    /// (RFC 9562, section 6.2, method 1).
    pub(crate) fn id<T>(&self, make: impl FnOnce(Millis, [u8; 10]) -> T) -> T {
        let mut tail = [0; 10];
        self.0.clock.fill(&mut tail);
        let start = u16::from_be_bytes([tail[0], tail[1]]) & 0x7ff;
        let mut last = self.0.last_id.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (at, count) = *last;
        let now = self.now();
        *last = if now > at {
            (now, start)
        } else if count < 0xfff {
            (at, count + 1)
        } else {
            (at.plus(1), start)
        };
        [tail[0], tail[1]] = last.1.to_be_bytes();
        make(last.0, tail)
    }
}

impl std::ops::Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

#[cfg(test)]
mod tests;
