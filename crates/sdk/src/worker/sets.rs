//! Works through sets of datasets: brings the archive of each dataset once, and hands its sets to the worker. Knows no
//! activities: a set has none.

use std::{fs::File, io::BufReader, path::Path};

use runyard_archive::{Limits, extract};
use runyard_client::Error as ClientError;
use runyard_wire::dataset::Dataset;
use tempfile::TempDir;
use tokio::runtime::Builder;

use super::{DatasetWorker, Options, Set, Stop, Summary, Work, guard::guard, session::Session};
use crate::{Environment, Error};

/// The archive of a dataset, extracted.
struct Brought {
    dataset: Dataset,
    folder: TempDir,
}

/// Runs a worker over sets: those of the command line, else those of the worker run; of a job with several processes, each has
/// its own share of them. Blocks; not to be called on a thread of an async runtime.
///
/// # Errors
/// Configuring failed, there is nothing to process, or the server refuses.
pub fn run_sets(
    worker: &mut impl DatasetWorker,
    environment: &Environment,
    options: &Options,
    stop: Stop,
) -> Result<Summary, Error> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|cause| Error::Local { what: "no more threads can be had", cause })?;
    let mut session = Session::open(environment, runtime.handle(), stop)?;
    let work = Work::read(&mut session, options)?;
    guard(|| worker.configure(&work))
        .map_err(|why| Error::Worker(format!("the worker cannot be configured: {why}")))?;
    if work.is_read_only() {
        tracing::warn!("read-only: a worker must write nothing");
    }
    let sets = wanted(&work, environment, options)?;
    let (mut summary, mut brought) = (Summary::default(), None);
    for (dataset, set) in sets {
        if session.stop.is_asked() {
            summary.stopped = true;
            break;
        }
        summary.ran += 1;
        if let Err(error) = process(worker, &mut session, &dataset, &set, &mut brought)? {
            summary.failed += 1;
            tracing::warn!(dataset, set, "failed: {error}");
        }
    }
    summary.all_failed = summary.ran > 0 && summary.failed >= summary.ran;
    tracing::info!(
        "Ran on {} set(s): {} completed, {} failed",
        summary.ran,
        summary.ran - summary.failed,
        summary.failed
    );
    Ok(summary)
}

/// The sets of this process, those of one dataset behind each other.
fn wanted(work: &Work, environment: &Environment, options: &Options) -> Result<Vec<(String, String)>, Error> {
    let of_run = || {
        let sets = work.worker_run().map(|run| run.selection.sets.as_slice()).unwrap_or_default();
        sets.iter().map(|one| (one.dataset.to_string(), one.set.clone())).collect()
    };
    let mut sets = if options.sets.is_empty() { of_run() } else { options.sets.clone() };
    if sets.is_empty() {
        let text = "there is nothing to process: name sets with --set DATASET:SET, or select some in the run";
        return Err(Error::Worker(text.to_owned()));
    }
    sets.sort_by(|one, other| one.0.cmp(&other.0));
    sets.dedup();
    let (own, of) = environment.process.unwrap_or((0, 1));
    let of = usize::try_from(of).unwrap_or(1).max(1);
    let shares = sets.into_iter().enumerate().filter(|(index, _)| index % of == own as usize % of);
    Ok(shares.map(|(_, set)| set).collect())
}

/// One set: what came of it, or why no other one can be processed either.
fn process(
    worker: &mut impl DatasetWorker,
    session: &mut Session,
    dataset: &str,
    name: &str,
    brought: &mut Option<Brought>,
) -> Result<Result<(), String>, Error> {
    if brought.as_ref().is_none_or(|there| there.dataset.id != dataset) {
        // The files of the last one go first: two may not fit on the disk.
        *brought = None;
        let known = session.insist(async |client| client.dataset(dataset).await)?;
        if known.state != "complete" {
            let (name, state) = (&known.name, &known.state);
            return Ok(Err(format!("dataset `{name}` is {state}: it can be read once it is complete")));
        }
        match bring(session, known) {
            Ok(there) => *brought = Some(there),
            Err(error @ Error::Local { .. }) => return Err(error),
            Err(error) => return Ok(Err(format!("its archive cannot be had: {error}"))),
        }
    }
    let Some(there) = brought else { return Ok(Err("its archive is gone".to_owned())) };
    if !there.dataset.sets.iter().any(|one| one.name == name) {
        let names: Vec<&str> = there.dataset.sets.iter().map(|one| one.name.as_str()).collect();
        let text =
            format!("dataset `{}` has no set `{name}`: it has {}", there.dataset.name, names.join(", "));
        return Ok(Err(text));
    }
    let folder = there.folder.path().join("content");
    let set = Set { dataset: there.dataset.clone(), name: name.to_owned(), folder };
    Ok(guard(|| worker.process_set(&set)))
}

/// Downloads and extracts the archive.
fn bring(session: &mut Session, dataset: Dataset) -> Result<Brought, Error> {
    let local = |what| move |cause| Error::Local { what, cause };
    let folder = TempDir::with_prefix("runyard-dataset-").map_err(local("a folder for a dataset"))?;
    let (packed, id) = (folder.path().join("archive"), dataset.id.clone());
    let call = async |client: &runyard_client::Client| -> Result<Dataset, ClientError> {
        client.pull_dataset(&id, &packed, &|_| {}).await
    };
    let dataset = session.insist(call)?;
    unpack(&packed, &folder.path().join("content"))?;
    std::fs::remove_file(&packed).map_err(local("an archive that was extracted"))?;
    Ok(Brought { dataset, folder })
}

fn unpack(packed: &Path, folder: &Path) -> Result<(), Error> {
    let file =
        File::open(packed).map_err(|cause| Error::Local { what: "an archive that was downloaded", cause })?;
    // As large as the server lets one become.
    let limits = Limits { max_entries: 10_000_000, max_bytes: 1 << 40, ..Limits::default() };
    extract(BufReader::new(file), folder, &limits)?;
    Ok(())
}
