//! Why a model version was not published or pulled, a worker does not work, or a processing job was not made or failed. Every text says what was wrong with what, and what to do.

use std::{io, path::PathBuf};

use runyard_domain::{FieldErrors, run::Status};

/// Why a model version was not published or pulled, a worker does not work, or a processing job was not made or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files cannot be packed: missing, unreadable, changed while they were read, ...
    #[error(transparent)]
    Files(#[from] runyard_archive::model::Error),
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Server(#[from] runyard_client::Error),
    /// Where objects are refused, or cannot be reached.
    #[error("the archive does not reach the object store: {0}")]
    Store(#[source] runyard_client::Error),
    /// Something else is at the place for what is pulled.
    #[error("`{}` is there already, and holds something else: name another folder, or remove it", .0.display())]
    Occupied(PathBuf),
    /// What was pulled cannot be extracted, or is not what was published.
    #[error("the version cannot be extracted: {0}")]
    Extract(#[from] runyard_archive::extract::Error),
    /// Nothing of it can be used.
    #[error("version {id} is not available: {reason}")]
    Unavailable {
        /// The version.
        id: String,
        /// Its state, and why.
        reason: String,
    },
    /// The version is left alone because it was asked to stop.
    #[error("stopped: nothing was kept")]
    Stopped,
    /// A local thing failed.
    #[error("{what}: {cause}")]
    Local {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Fields(FieldErrors),
    /// The steps of a training came in another order than they may.
    #[error("{0}")]
    Order(String),
    /// A folder of code, or the data of an input, cannot be packed.
    #[error(transparent)]
    Pack(#[from] runyard_archive::pack::Error),
    /// The data of an input is not there, or cannot be read.
    #[error("cannot read the input `{}`: {cause}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// What arrived is not what was sent.
    #[error("what was packed changed on its way to the server: its digest is another one there; try again")]
    Garbled,
    /// A processing job that was waited for did not end well.
    #[error("run {id} ({name}) ended as {status}: {reason}")]
    Ended {
        /// Id of the run.
        id: String,
        /// Its name.
        name: String,
        /// Its status.
        status: Status,
        /// How its job ended, for a person.
        reason: String,
    },
    /// A worker has nothing to work on, or cannot work on it.
    #[error("{0}")]
    Worker(String),
}

impl Error {
    /// The call that failed, where it was one.
    pub fn call(&self) -> Option<&runyard_client::Error> {
        match self {
            Self::Server(error) | Self::Store(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the same may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        self.call().is_some_and(runyard_client::Error::is_transient)
    }
}

/// Reads or writes files on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Local { what: "a thread ended unexpectedly", cause: error.into() })
}
