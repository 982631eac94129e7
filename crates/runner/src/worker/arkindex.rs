//! What Arkindex's workers ask of where they run: variables, folders, and a list of their elements. They take no elements by
//! themselves (before 0.6.0), so the elements are shared out: each process has a list of its own.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::PathBuf,
};

use runyard_domain::job::WorkerJob;
use runyard_wire::activity::Release;

use super::{After, Held, activities, holder, left, release, share, worker_run};
use crate::{
    environment::{self, Environment},
    job::Job,
    server::Refusal,
};

/// Below the job's folder.
const FOLDER: &str = "arkindex";
/// Where the corpus of the worker run is noted, for processes that are started later.
const CORPUS: &str = "corpus";
/// Says that the elements come out of datasets, whose sets the worker lists itself.
const DATASETS: &str = "datasets";
/// With it, workers since 0.6.0 ask for one element after the other and need no list.
const NO_LIST: &str = "SKIP_TASK_ELEMENTS";

/// Asks what the worker run is of, and writes the lists of all processes; answers which of them have something to do.
pub(super) async fn share_out(job: &Job, own: &WorkerJob) -> Result<Vec<usize>, String> {
    let run = worker_run(job, own).await.map_err(|refusal| refusal.to_string())?;
    let root = job.folder.path(FOLDER);
    let failed = |error: std::io::Error| format!("cannot write into `{}`: {error}", root.display());
    fs::create_dir_all(&root).map_err(failed)?;
    fs::write(root.join(CORPUS), run.corpus_id.unwrap_or_default()).map_err(failed)?;
    let all: Vec<usize> = (0..own.processes.max(1) as usize).collect();
    if run.mode == "dataset" {
        fs::write(root.join(DATASETS), "").map_err(failed)?;
        return Ok(all);
    }
    if asks_by_itself(job) {
        return Ok(all);
    }
    let lengths = write_lists(job, own, &all).await?;
    // A worker fails with an empty list. When all are empty, one of them shall say so.
    let mut busy: Vec<usize> = all.into_iter().filter(|number| lengths[*number] > 0).collect();
    if busy.is_empty() {
        busy.push(0);
    }
    Ok(busy)
}

fn asks_by_itself(job: &Job) -> bool {
    job.spec.env.contains_key(NO_LIST)
}

fn list(job: &Job, number: usize) -> PathBuf {
    job.folder.path(FOLDER).join(format!("elements-{number}.json"))
}

/// Writes the lists of these processes: what of their shares is queued now. Answers how long each is.
async fn write_lists(job: &Job, own: &WorkerJob, numbers: &[usize]) -> Result<Vec<i64>, String> {
    let failed = |error: std::io::Error| format!("the list of elements cannot be written: {error}");
    let mut files = Vec::with_capacity(numbers.len());
    for number in numbers {
        let mut file = BufWriter::new(File::create(list(job, *number)).map_err(failed)?);
        file.write_all(b"[").map_err(failed)?;
        files.push((*number, file, 0));
    }
    activities(job, own, "queued", |activity| {
        let number = share(&activity.element_id, own.processes);
        let Some((_, file, length)) = files.iter_mut().find(|(one, ..)| *one == number) else {
            return Ok(());
        };
        let before = if *length > 0 { ",\n" } else { "" };
        *length += 1;
        write!(file, "{before}{{\"id\": \"{}\"}}", activity.element_id).map_err(failed)
    })
    .await?;
    for (_, file, _) in &mut files {
        file.write_all(b"]\n").and_then(|()| file.flush()).map_err(failed)?;
    }
    Ok(files.into_iter().map(|(_, _, length)| length).collect())
}

/// Adds the variables of process `number`, and makes its folders: new ones, since a worker refuses what an earlier one left.
pub(super) fn add(env: &mut Environment, job: &Job, own: &WorkerJob, number: usize) -> Result<(), String> {
    let root = job.folder.path(FOLDER);
    let (id, data) = (own.worker_run_id.to_string(), root.join(format!("data-{number}")));
    let failed = |error: std::io::Error| format!("cannot make `{}`: {error}", data.display());
    if data.exists() {
        fs::remove_dir_all(&data).map_err(failed)?;
    }
    for name in ["current", id.as_str()] {
        fs::create_dir_all(data.join(name)).map_err(failed)?;
    }
    let corpus = fs::read_to_string(root.join(CORPUS)).unwrap_or_default();
    let mut set = |name: &str, value: &str| environment::set(env, name, value);
    // Of this address workers look at the host alone, and send all of it with each request: so the server knows who holds what, and
    // who asks for one element after the other.
    let how = if asks_by_itself(job) { "/one-by-one" } else { "" };
    let address = format!("{}/worker-process/{number}{how}", job.server.url().trim_end_matches('/'));
    set("ARKINDEX_API_URL", &address);
    set("ARKINDEX_TASK_TOKEN", &job.spec.token);
    set("ARKINDEX_WORKER_RUN_ID", &id);
    set("ARKINDEX_CORPUS_ID", &corpus);
    set("PONOS_TASK", &id);
    set("PONOS_DATA", &data.display().to_string());
    if !asks_by_itself(job) && !root.join(DATASETS).exists() {
        set("TASK_ELEMENTS", &list(job, number).display().to_string());
    }
    // What the machine's owner may have set for themselves.
    for name in
        ["ARKINDEX_API_TOKEN", "ARKINDEX_API_SCHEMA_URL", "ARKINDEX_API_AUTH_SCHEME", "ARKINDEX_TASK_CHUNK"]
    {
        if !job.spec.env.contains_key(name) {
            env.remove(std::ffi::OsStr::new(name));
        }
    }
    Ok(())
}

/// Takes away what a dead process had, and writes the list of the one that follows it.
pub(super) async fn after_death(job: &Job, own: &WorkerJob, number: usize) -> Result<After, Refusal> {
    let mut held = Held::new();
    let own_name = holder(job.spec.job_id, number as i64);
    let found = activities(job, own, "started", |activity| {
        let shared = !asks_by_itself(job) && share(&activity.element_id, own.processes) == number;
        if let Some(holder) = activity.holder.filter(|holder| shared || *holder == own_name) {
            held.entry(holder).or_default().push(activity.element_id);
        }
        Ok(())
    })
    .await;
    found.map_err(Refusal::Refused)?;
    let mut after = After::default();
    for (holder, elements) in held {
        for some in elements.chunks(1000) {
            let died = Release { holder: holder.clone(), elements: Some(some.to_vec()), died: true };
            after.held += release(job, own, &died).await?;
        }
    }
    after.left = if asks_by_itself(job) {
        left(job, own).await?
    } else {
        write_lists(job, own, &[number]).await.map_err(Refusal::Refused)?.into_iter().sum()
    };
    Ok(after)
}
