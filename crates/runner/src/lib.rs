//! The process inside every job: stages, supervises, reports.
//!
//! An executor writes a job folder and starts this; from then on the runner alone decides about the program. It calls the
//! server, is never called, and a server that is away stops nothing. The folder ([`runyard_domain::job::folder`]) is the
//! runner's memory: whoever runs it next on the same folder goes on, and never launches the program twice.
//!
//! What is enforced depends on the machine ([`probe`]): with control groups (v1 or v2) the kernel limits memory and CPU;
//! without them the CPU is not limited, and memory is measured twice a second and a job over its limit is ended.

mod cgroup;
mod clock;
mod crew;
mod environment;
mod folder;
mod gang;
mod inputs;
mod job;
mod launch;
mod listen;
mod mask;
mod orders;
mod output;
mod outputs;
mod printed;
mod processes;
mod python;
mod records;
mod recover;
mod s3;
mod server;
mod ship;
mod stage;
mod supervise;
mod system;
mod uploads;
mod venv;
mod worker;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
};

pub use cgroup::{Finding, probe};
use runyard_domain::job::{self as names, JobSpec};

use crate::{folder::Folder, job::Job, listen::Signals, mask::Masks, output::Output};

/// Why a runner cannot do its work. The next one on the same folder tries again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Folder(#[from] folder::Error),
    #[error("`{0}` has no {spec}: an executor writes it before it starts a runner", spec = names::folder::SPEC)]
    NoSpec(String),
    #[error("the runner cannot start: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Undelivered(#[from] job::Undelivered),
}

/// What is elsewhere for a runner inside of a container than its job was told.
#[derive(Debug, Clone, Default)]
pub struct Inside {
    /// The program's folders.
    pub ml: Option<PathBuf>,
    /// What jobs share.
    pub cache: Option<PathBuf>,
    /// The file that says where the server is.
    pub server_file: Option<PathBuf>,
    /// Where the server is.
    pub server_url: Option<String>,
}

/// Runs the job in `folder` to its end and delivers it. To be called from the main thread, which must do nothing else.
/// A folder that another runner works on, or whose job is delivered, is left alone, with success.
pub fn run(folder: &Path, inside: &Inside) -> ExitCode {
    match begin(folder, inside) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runner gives up");
            ExitCode::FAILURE
        }
    }
}

impl Inside {
    fn correct(&self, spec: &mut JobSpec) {
        let text = |path: &PathBuf| path.display().to_string();
        if let Some(cache) = &self.cache {
            spec.cache_dir = text(cache);
        }
        if let Some(file) = &self.server_file {
            spec.server_file = Some(text(file));
        }
        if let Some(url) = &self.server_url {
            spec.url.clone_from(url);
        }
    }
}

fn begin(root: &Path, inside: &Inside) -> Result<(), Error> {
    // Out of the session of whoever started this: no key and no closing of their terminal ends a job. The leader of a
    // process group, as which a shell starts a command, has to stay.
    let _ = nix::unistd::setsid();
    let mut folder = Folder::new(root)?;
    if let Some(ml) = &inside.ml {
        folder = folder.with_ml(ml.clone());
    }
    let Some(_claim) = folder.claim()? else {
        tracing::info!("another runner is at work here");
        return Ok(());
    };
    let starts = folder.count_start().unwrap_or_else(|error| {
        tracing::warn!(%error, "this start is not counted");
        1
    });
    if folder.has(names::folder::DELIVERED) {
        return Ok(());
    }
    let mut spec: JobSpec = folder
        .read(names::folder::SPEC)?
        .ok_or_else(|| Error::NoSpec(folder.root().display().to_string()))?;
    inside.correct(&mut spec);
    // What the program abandons becomes a child of the runner, where it is found and ended.
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::warn!(%error, "processes that the program abandons may outlive the job");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, async {
        let signals = Signals::catch()?;
        let output = Output::open(&folder.path(names::folder::OUTPUT), Masks::of(&spec.secret_env))?;
        let job = Rc::new(Job::new(folder, spec, output));
        Ok::<_, Error>(job::live(job, starts, signals).await?)
    });
    // A download that hangs in the kernel must not keep the runner alive.
    runtime.shutdown_background();
    outcome
}
