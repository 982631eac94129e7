//! Brings what the program needs before it is launched: folders, source, config, requirements. May be interrupted at any
//! point and done again from the start; a folder that holds half of a source is never used.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use runyard_archive::{Limits, extract};
use runyard_client::Error;
use runyard_domain::job::Reason;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;

use crate::{
    environment::{self, Environment},
    inputs,
    job::Job,
    outputs, python, venv,
};

/// How often a download that arrives damaged is tried again.
const DOWNLOADS_MAX: u32 = 3;
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Why the program cannot be launched.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn staging(message: impl ToString) -> Self {
        Self { reason: Reason::StagingFailed, message: message.to_string() }
    }
}

/// Makes everything ready; answers the program's environment.
pub(crate) async fn stage(job: &Job) -> Result<Environment, Failure> {
    let ml = job.folder.ml();
    make_folders(&ml)?;
    match &job.spec.source {
        Some(digest) => bring_source(job, digest).await?,
        None => make(&job.folder.usercode())?,
    }
    write_config(job)?;
    outputs::make_folders(&ml, job)
        .map_err(|error| Failure::staging(format!("cannot make the folders of the outputs: {error}")))?;
    let inputs = inputs::bring(job).await?;
    let mut env = environment::base(&job.spec, std::env::vars_os());
    if !job.spec.requirements.is_empty() {
        let venv = venv::ready(job, &env).await?;
        environment::use_venv(&mut env, &venv);
    }
    match python::place(Path::new(&job.spec.cache_dir)) {
        Ok(folder) => environment::add_python(&mut env, &folder),
        // Most programs do not need it.
        Err(error) => job.output.note(&format!("`import runyard` will not work: cannot place it ({error})")),
    }
    let mut env = environment::program(env, &job.spec, &job.folder, &job.server.url());
    if !environment::add_channels(&mut env, &job.spec, &job.folder, &inputs) {
        job.output.note(
            "the config is too large for PAI_HPS and PAI_USER_ARGS: read the file that $RUNYARD_CONFIG names",
        );
    }
    Ok(env)
}

fn make_folders(ml: &Path) -> Result<(), Failure> {
    ["input/config", "input/data", "output/checkpoints"].iter().try_for_each(|name| make(&ml.join(name)))
}

fn make(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path)
        .map_err(|error| Failure::staging(format!("cannot make `{}`: {error}", path.display())))
}

fn write_config(job: &Job) -> Result<(), Failure> {
    let path = job.folder.config();
    let failed = |error: io::Error| Failure::staging(format!("cannot write `{}`: {error}", path.display()));
    let text = if job.spec.config.is_null() {
        "{}".to_owned()
    } else {
        serde_json::to_string_pretty(&job.spec.config).map_err(|error| failed(error.into()))?
    };
    fs::write(&path, text).map_err(failed)
}

async fn bring_source(job: &Job, digest: &str) -> Result<(), Failure> {
    let archive = job.folder.path("source.tar.zst");
    fetch(job, digest, &archive).await?;
    let (partial, usercode) = (job.folder.ml().join("usercode.partial"), job.folder.usercode());
    let unpack = move || {
        // An earlier runner may have died right here; nothing in them is anybody's work yet.
        for old in [&partial, &usercode] {
            if old.exists() {
                fs::remove_dir_all(old)
                    .map_err(|error| format!("cannot delete `{}`: {error}", old.display()))?;
            }
        }
        let file = File::open(&archive).map_err(|error| format!("cannot read the source: {error}"))?;
        extract(file, &partial, &Limits::default()).map_err(|error| format!("the source: {error}"))?;
        fs::rename(&partial, &usercode).map_err(|error| format!("cannot place the source: {error}"))?;
        // Only a copy of what the server keeps.
        let _ = fs::remove_file(&archive);
        Ok::<(), String>(())
    };
    let unpacked = tokio::task::spawn_blocking(unpack).await;
    unpacked.unwrap_or_else(|error| Err(error.to_string())).map_err(Failure::staging)
}

/// Downloads the source, for as long as the server is away; a digest that is wrong three times is a failure.
pub(crate) async fn fetch(job: &Job, digest: &str, path: &Path) -> Result<(), Failure> {
    let mut damaged = 0;
    let mut pause = Duration::from_millis(20);
    loop {
        let file = File::create(path)
            .map_err(|error| Failure::staging(format!("cannot write the source: {error}")))?;
        let mut download = Download { file, digest: Sha256::new() };
        match job.server.client().fetch_source(digest, &mut download).await {
            Ok(_) if download.hex() == digest => return Ok(()),
            Ok(bytes) => {
                damaged += 1;
                tracing::warn!(bytes, damaged, "the source arrived with a wrong digest");
                if damaged == DOWNLOADS_MAX {
                    return Err(Failure::staging(format!(
                        "the source {digest} arrives damaged, {damaged} times: submit the run again"
                    )));
                }
            }
            Err(Error::Local { what, cause }) => return Err(Failure::staging(format!("{what}: {cause}"))),
            Err(error) if error.status().is_some_and(|status| status < 500) && !error.is_transient() => {
                return Err(Failure::staging(format!("the source {digest} cannot be fetched: {error}")));
            }
            Err(error) => tracing::debug!(%error, "the source cannot be fetched now: trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        job.server.find_again();
    }
}

/// A file that knows the digest of what was written to it.
struct Download {
    file: File,
    digest: Sha256,
}

impl Download {
    fn hex(self) -> String {
        use std::fmt::Write as _;
        self.digest.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Writes at once: a page cache is faster than a trip to another thread and back.
impl AsyncWrite for Download {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.file.write(bytes);
        if let Ok(written) = written {
            self.digest.update(&bytes[..written]);
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.file.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
