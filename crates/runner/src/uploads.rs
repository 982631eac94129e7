//! Brings what a program names in its records, checkpoints, artifacts and model versions, to where files are kept, while the
//! program goes on. One at a time, from the start of the records whenever a runner starts: what is there already is not sent again.
//! Never ends the program and never slows the end of one that names nothing.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use runyard_domain::{
    checkpoint::Kind,
    job::folder,
    record::{self, Record},
};
use runyard_wire::{artifact::NewArtifact, checkpoint::NewCheckpoint};
use tokio::sync::watch;

use crate::{
    job::Job,
    records::{self, Cut},
    server::Refusal,
};

pub(crate) mod find;
mod insist;
mod keep;
mod publish;
mod send;

use find::Beyond;
use insist::{Patience, Stop};
pub(crate) use keep::{keep_output, send_output};
use send::{Goal, Sending};

/// How long until a records file that cannot be read is tried again.
const AGAIN: Duration = Duration::from_millis(400);
/// What is left in `output/` at the end of a job is kept under this name.
const OUTPUT: &str = "output";
const CHECKPOINTS: &str = "checkpoints";

/// What a record asks for.
#[derive(Debug)]
enum Asked {
    Files(Wanted),
    Model(publish::Wanted),
}

/// One set of files to bring.
#[derive(Debug)]
struct Wanted {
    what: What,
    /// As the program wrote it.
    path: String,
    /// Tells it from the others of this job, whoever reads the records again.
    source_key: String,
}

#[derive(Debug)]
enum What {
    Checkpoint { global_step: i64 },
    Artifact { name: String, kind: Option<String> },
}

impl Wanted {
    fn kind(&self) -> Kind {
        match self.what {
            What::Checkpoint { .. } => Kind::Checkpoint,
            What::Artifact { .. } => Kind::Artifact,
        }
    }

    /// For people.
    fn title(&self) -> String {
        match &self.what {
            What::Checkpoint { global_step } => format!("checkpoint at step {global_step} ({})", self.path),
            What::Artifact { name, .. } => format!("artifact `{name}` ({})", self.path),
        }
    }
}

/// What the server has of a wanted thing.
enum Begun {
    /// Files are still missing.
    Incomplete(String),
    /// Complete, given up (with the reason) or deleted: nothing to do.
    Over(Option<String>),
}

/// Until `ended` and nothing is left to bring. What cannot be brought is given up and said in the output.
pub(crate) async fn run(job: Rc<Job>, mut ended: watch::Receiver<bool>) -> Result<(), Refusal> {
    let path = job.folder.path(folder::RECORDS);
    let (mut offset, mut named) = (0, Vec::new());
    loop {
        let over = *ended.borrow_and_update();
        match records::next_chunk(&path, offset, Cut::Lines, over) {
            Ok(Some(chunk)) => {
                for asked in asked_in(&job, offset, &chunk.bytes) {
                    match asked {
                        Asked::Files(wanted) => {
                            named.push(wanted.path.clone());
                            bring(&job, &wanted).await?;
                        }
                        // What is not published is kept with the rest of the output: a tag that exists loses no model.
                        Asked::Model(wanted) => {
                            if publish::bring(&job, &wanted).await? {
                                named.push(wanted.model.path);
                            }
                        }
                    }
                }
                offset += chunk.bytes.len() as i64;
                // A long file must not keep the heartbeats waiting.
                tokio::task::yield_now().await;
            }
            // The stream of records says what is wrong with a file that cannot be read.
            Ok(None) | Err(_) if over => break,
            Ok(None) => tokio::select! {
                _ = ended.changed() => {}
                () = job.recorded.notified() => {}
            },
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
    bring_output(&job, &named).await
}

/// What the records in `lines` ask for. Others are only glanced at: there may be millions.
fn asked_in(job: &Job, start: i64, lines: &[u8]) -> Vec<Asked> {
    let (mut found, mut offset) = (Vec::new(), start);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let source_key = || format!("{}:{offset}", job.spec.job_id);
        if may_name_files(line) {
            match record::parse_line(line.strip_suffix(b"\n").unwrap_or(line)) {
                Ok(Record::Checkpoint(checkpoint)) => found.push(Asked::Files(Wanted {
                    what: What::Checkpoint { global_step: checkpoint.global_step },
                    path: here(job, checkpoint.path),
                    source_key: source_key(),
                })),
                Ok(Record::Artifact(artifact)) => found.push(Asked::Files(Wanted {
                    what: What::Artifact { name: artifact.name().to_owned(), kind: artifact.kind },
                    path: here(job, artifact.path),
                    source_key: source_key(),
                })),
                Ok(Record::Model(mut model)) => {
                    model.path = here(job, model.path);
                    found.push(Asked::Model(publish::Wanted { model, source_key: source_key() }));
                }
                // The server says what is wrong with a line.
                Ok(_) | Err(_) => {}
            }
        }
        offset += line.len() as i64;
    }
    found
}

/// What a program in a container named, for a runner that delivers it from outside.
fn here(job: &Job, path: String) -> String {
    if job.spec.image.is_none() || job.folder.ml() == Path::new(folder::ML_INSIDE) {
        return path;
    }
    let inside = path.strip_prefix(folder::ML_INSIDE).and_then(|rest| rest.strip_prefix('/'));
    inside.map_or(path.clone(), str::to_owned)
}

/// Whether the first key of a line may name files; one written with escapes may be anything.
fn may_name_files(line: &[u8]) -> bool {
    let inside = line.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let key = inside.and_then(|inside| inside.strip_prefix(b"\"")).unwrap_or_default();
    [&b"checkpoint"[..], b"artifact", b"model", b"\\"].iter().any(|word| key.starts_with(word))
}

/// Brings one thing, or gives it up. Only a newer job is an error.
async fn bring(job: &Rc<Job>, wanted: &Wanted) -> Result<(), Refusal> {
    let id = match begin(job, wanted).await {
        Ok(Begun::Incomplete(id)) => id,
        Ok(Begun::Over(_)) => return Ok(()),
        Err(stop) => return give_up(job, wanted, None, stop).await,
    };
    let (ml, path) = (job.folder.ml(), wanted.path.clone());
    let found = blocking(move || find::find(&ml, &path)).await;
    let sent = match found {
        Ok(files) => {
            Sending::new(job, wanted.title(), Goal::Set(wanted.kind(), id.clone())).send(files).await
        }
        Err(reason) => Err(Stop::GivenUp(reason)),
    };
    match sent {
        Ok(()) => Ok(()),
        Err(stop) => give_up(job, wanted, Some(&id), stop).await,
    }
}

/// At the end: what is under `output/` and was not named.
async fn bring_output(job: &Rc<Job>, named: &[String]) -> Result<(), Refusal> {
    let ml = job.folder.ml();
    if is_bare(&ml.join(OUTPUT)) {
        return Ok(());
    }
    let except: Vec<PathBuf> =
        named.iter().map(|path| ml.join(path)).chain([ml.join(OUTPUT).join(CHECKPOINTS)]).collect();
    // Channels go where their addresses say.
    let channels = job.spec.outputs.keys().map(|channel| ml.join(OUTPUT).join(channel));
    let except: Vec<PathBuf> = except.into_iter().chain(channels).collect();
    let found = blocking(move || find::rest(&ml, OUTPUT, &except)).await;
    let (files, beyond) = match found {
        Ok(found) => found,
        Err(reason) => {
            job.output.note(&format!("artifact `{OUTPUT}` is given up: {reason}"));
            return Ok(());
        }
    };
    say_left_out(job, &beyond);
    if files.is_empty() {
        return Ok(());
    }
    let wanted = Wanted {
        what: What::Artifact { name: OUTPUT.to_owned(), kind: None },
        path: OUTPUT.to_owned(),
        source_key: format!("{}:{OUTPUT}", job.spec.job_id),
    };
    let id = match begin(job, &wanted).await {
        Ok(Begun::Incomplete(id)) => id,
        Ok(Begun::Over(_)) => return Ok(()),
        Err(stop) => return give_up(job, &wanted, None, stop).await,
    };
    match Sending::new(job, wanted.title(), Goal::Set(wanted.kind(), id.clone())).send(files).await {
        Ok(()) => Ok(()),
        Err(stop) => give_up(job, &wanted, Some(&id), stop).await,
    }
}

/// Whether a folder has nothing in it that a program would have put there.
fn is_bare(output: &Path) -> bool {
    let mut entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    !entries.any(|entry| entry.file_name() != CHECKPOINTS)
}

fn say_left_out(job: &Job, beyond: &[Beyond]) {
    const SAID: usize = 5;
    for one in beyond.iter().take(SAID) {
        job.output.note(&format!("artifact `{OUTPUT}` goes without `{}`: {}", one.path, one.reason));
    }
    if beyond.len() > SAID {
        job.output.note(&format!("artifact `{OUTPUT}` goes without {} more files", beyond.len() - SAID));
    }
}

/// Makes the thing on the server, or finds the one that an earlier runner made.
async fn begin(job: &Job, wanted: &Wanted) -> Result<Begun, Stop> {
    let mut patience = Patience::new(job, wanted.title());
    let (run_id, job_id) = (job.spec.run_id.to_string(), Some(job.spec.job_id.to_string()));
    let (source_key, path) = (Some(wanted.source_key.clone()), Some(wanted.path.clone()));
    let (id, status, reason) = match &wanted.what {
        What::Checkpoint { global_step } => {
            let new = NewCheckpoint { run_id, job_id, global_step: *global_step, source_key, path };
            let made = patience.insist(async |client| client.create_checkpoint(&new).await).await?;
            (made.id, made.status, made.reason)
        }
        What::Artifact { name, kind } => {
            let (name, r#type) = (name.clone(), kind.clone());
            let new = NewArtifact { run_id, job_id, name, r#type, source_key, path };
            let made = patience.insist(async |client| client.create_artifact(&new).await).await?;
            (made.id, made.status, made.reason)
        }
    };
    match id {
        Some(id) if status.as_deref() == Some("incomplete") && reason.is_none() => Ok(Begun::Incomplete(id)),
        _ => Ok(Begun::Over(reason)),
    }
}

/// Says that the thing will never be complete, to the person who reads the output and, when it can be told, to the server.
async fn give_up(job: &Job, wanted: &Wanted, id: Option<&str>, stop: Stop) -> Result<(), Refusal> {
    let reason = match stop {
        Stop::Superseded => {
            job.supersede();
            return Err(Refusal::Superseded);
        }
        Stop::GivenUp(reason) => reason,
    };
    job.output.note(&format!("{} is given up: {reason}", wanted.title()));
    if let Some(id) = id {
        let mut patience = Patience::brief(job, wanted.title());
        let reason: String = reason.chars().take(1000).collect();
        let kind = wanted.kind();
        let told = patience.insist(async |client| client.abandon_files(kind, id, &reason).await).await;
        if let Err(Stop::GivenUp(error)) = told {
            tracing::warn!(%error, id, "the server does not know that an upload was given up");
        }
    }
    Ok(())
}

/// Reads files on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_may_name_files_are_read() {
        for line in [
            r#"{"checkpoint":{}}"#,
            r#" { "artifact" : {} }"#,
            r#"{"model":{}}"#,
            r#"{"\u0063heckpoint":{}}"#,
        ] {
            assert!(may_name_files(line.as_bytes()), "{line}");
        }
        for line in ["", "{", "{}", r#"{"metric":{"tag":"checkpoint"}}"#, "checkpoint", r#"["checkpoint"]"#] {
            assert!(!may_name_files(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_folder_with_nothing_but_checkpoints_is_bare() {
        let base = tempfile::TempDir::new().unwrap();
        assert!(is_bare(&base.path().join("nonesuch")));
        std::fs::create_dir(base.path().join("checkpoints")).unwrap();
        assert!(is_bare(base.path()));
        std::fs::write(base.path().join("model"), "").unwrap();
        assert!(!is_bare(base.path()));
    }
}
