//! The virtual environment of a job's requirements, shared by all jobs that ask for the same. One that was not finished is
//! never used: it has no `.complete`, and the next job makes it anew. One that a job uses is locked, so that nobody deletes it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use runyard_domain::job::{Reason, environments};
use sha2::{Digest as _, Sha256};

use crate::{environment::Environment, folder, job::Job, launch, stage::Failure};

const COMPLETE: &str = environments::COMPLETE;
/// How often a job looks whether another one has finished the environment that both need.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How much of pip's output an error repeats.
const SAID_LINES: usize = 5;
const SAID_BYTES: u64 = 8 << 10;
/// Names the Python that will be used: its version and where it is installed.
const ASK_PYTHON: &str = "import sys; print(sys.version, sys.base_prefix, sys.implementation.name)";

/// The folder of a virtual environment with the job's requirements; made when there is none.
pub(crate) async fn ready(job: &Job, env: &Environment) -> Result<PathBuf, Failure> {
    let python = python(env).await?;
    let requirements = normal(&job.spec.requirements);
    let home = Path::new(&job.spec.cache_dir).join(environments::FOLDER);
    fs::create_dir_all(&home)
        .map_err(|error| failure(format!("cannot make `{}`: {error}", home.display())))?;
    // The same Python in another image need not find the same libraries.
    let python = python + job.spec.image.as_deref().unwrap_or_default();
    let venv = home.join(key(&python, &requirements, job.spec.source.as_deref(), &job.folder.usercode()));
    let (lock, complete) = (venv.with_extension(environments::LOCK), venv.join(COMPLETE));
    let mut said = false;
    let lock = loop {
        // Many may use it; who has to build it waits until nobody does, or deletes it. The lock of a job that died is free.
        if let Some(shared) = folder::lock_shared(&lock).map_err(failure)?
            && complete.exists()
        {
            break shared;
        }
        if let Some(own) = folder::lock(&lock).map_err(failure)? {
            if !complete.exists() {
                build(job, env, &venv, &requirements).await?;
            }
            folder::share(&own, &lock).map_err(failure)?;
            break own;
        }
        if !std::mem::replace(&mut said, true) {
            job.output.note("waiting for another job that installs the same requirements");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    // Says when it was used last. One that cannot be marked can be used all the same.
    let _ = File::open(&complete).and_then(|mark| mark.set_modified(SystemTime::now()));
    let _ = job.environment.set(lock);
    Ok(venv)
}

/// What identifies the Python on PATH.
async fn python(env: &Environment) -> Result<String, Failure> {
    let asked = tokio::process::Command::new("python3")
        .args(["-c", ASK_PYTHON])
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match asked {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(failure(format!("`python3` does not work ({}): {said}", output.status)))
        }
        Err(error) => {
            let path = env.get(OsStr::new("PATH")).map(|path| path.to_string_lossy()).unwrap_or_default();
            Err(failure(format!(
                "the requirements need `python3`, which cannot be started ({error}; PATH is {path}): install Python 3"
            )))
        }
    }
}

/// The requirements without what makes no difference: order, repetition, blanks.
fn normal(requirements: &[String]) -> Vec<String> {
    let lines = requirements.iter().map(|line| line.trim());
    let mut lines: Vec<String> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// The same for pip: files that they name are meant relative to the source, not to the list.
fn for_pip(requirements: &[String], usercode: &Path) -> String {
    requirements.iter().fold(String::new(), |text, line| {
        let file = ["-r ", "-c ", "--requirement ", "--constraint "]
            .iter()
            .find_map(|option| Some((option, line.strip_prefix(option)?.trim())));
        match file {
            Some((option, file)) => text + option + &usercode.join(file).to_string_lossy() + "\n",
            None => text + line + "\n",
        }
    })
}

/// Same Python and same requirements, same environment. A requirement that reads the source depends on the source too,
/// and an editable one on the very folder.
fn key(python: &str, requirements: &[String], source: Option<&str>, usercode: &Path) -> String {
    use std::fmt::Write as _;
    let local =
        |line: &String| line.starts_with(['-', '.', '/']) || (line.contains('/') && !line.contains("://"));
    let editable = |line: &String| line.starts_with("-e") || line.starts_with("--editable");
    let mut digest = Sha256::new();
    digest.update(python);
    digest.update(requirements.join("\n"));
    if requirements.iter().any(local) {
        digest.update(source.unwrap_or_default());
    }
    if requirements.iter().any(editable) {
        digest.update(usercode.as_os_str().as_encoded_bytes());
    }
    digest.finalize()[..16].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

async fn build(job: &Job, env: &Environment, venv: &Path, requirements: &[String]) -> Result<(), Failure> {
    let write = |error: std::io::Error| failure(format!("cannot write `{}`: {error}", venv.display()));
    if venv.exists() {
        fs::remove_dir_all(venv).map_err(write)?;
    }
    job.output.note(&format!("installing {}", requirements.join(" ")));
    let venv_text = venv.to_string_lossy().into_owned();
    let mut make = vec!["python3", "-m", "venv", &venv_text];
    if job.spec.image.is_some() {
        // What an image brings was chosen for the program, and need not be installed once more.
        make.push("--system-site-packages");
    }
    run(job, env, &make, "a virtual environment could not be made").await?;
    let list = venv.join("requirements.txt");
    fs::write(&list, for_pip(requirements, &job.folder.usercode())).map_err(write)?;
    let pip = venv.join("bin/python").to_string_lossy().into_owned();
    let list = list.to_string_lossy().into_owned();
    let install = [&pip, "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r", &list];
    run(job, env, &install, "the requirements could not be installed").await?;
    let complete = venv.join(COMPLETE);
    File::create(&complete).and_then(|file| file.sync_all()).map_err(write)
}

/// Runs a tool to its end with its output in the job's log. Dropping this future kills the tool.
async fn run(job: &Job, env: &Environment, command: &[&str], wrong: &str) -> Result<(), Failure> {
    let command: Vec<String> = command.iter().map(ToString::to_string).collect();
    let start = job.output.len();
    let mut tool = launch::launch(
        &command,
        &job.folder.usercode(),
        env,
        Vec::new(),
        job.output.clone(),
        launch::Lines::AsTheyCome,
    )
    .map_err(|error| failure(format!("{wrong}: {error}")))?;
    let status = tool.ended().await.map_err(|error| failure(format!("{wrong}: {error}")))?;
    tool.finish_output(launch::OUTPUT_PATIENCE).await;
    if status.success() {
        return Ok(());
    }
    let said = telling_lines(&job.output.tail(start, SAID_BYTES));
    Err(failure(format!("{wrong} ({status}): {said}")))
}

/// The lines that say what is wrong: pip marks them; else the last ones.
fn telling_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("ERROR")).collect();
    let telling = if errors.is_empty() { lines } else { errors };
    telling[telling.len().saturating_sub(SAID_LINES)..].join("\n")
}

fn failure(message: impl ToString) -> Failure {
    Failure { reason: Reason::RequirementsFailed, message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(requirements: &[&str], usercode: &str, source: &str) -> String {
        let lines: Vec<String> = requirements.iter().map(ToString::to_string).collect();
        key("3.11", &normal(&lines), Some(source), Path::new(usercode))
    }

    #[test]
    fn order_and_blanks_make_no_other_environment() {
        assert_eq!(key_of(&["b", "a ", "", "a"], "/j/1", "s"), key_of(&["a", "b"], "/j/2", "t"));
        assert_ne!(key_of(&["a"], "/j/1", "s"), key_of(&["a==1"], "/j/1", "s"));
    }

    #[test]
    fn requirements_that_read_the_source_depend_on_it_and_only_editable_ones_on_the_job() {
        for requirement in ["-r requirements.txt", "./package", "sub/package"] {
            let one = key_of(&[requirement], "/j/1", "s");
            assert_eq!(one, key_of(&[requirement], "/j/2", "s"), "{requirement}");
            assert_ne!(one, key_of(&[requirement], "/j/1", "t"), "{requirement}");
        }
        assert_ne!(key_of(&["-e ."], "/j/1", "s"), key_of(&["-e ."], "/j/2", "s"));
        let url = "package @ https://host/package.whl";
        assert_eq!(key_of(&[url], "/j/1", "s"), key_of(&[url], "/j/2", "t"));
    }

    #[test]
    fn files_of_requirements_are_found_in_the_source() {
        let lines = normal(&["-r more.txt".into(), "numpy".into()]);
        assert_eq!(for_pip(&lines, Path::new("/u")), "-r /u/more.txt\nnumpy\n");
    }

    #[test]
    fn the_lines_that_tell_are_repeated() {
        let said = "Collecting x\nERROR: No version\nERROR: No distribution\n\n[notice] update\n";
        assert_eq!(telling_lines(said), "ERROR: No version\nERROR: No distribution");
        assert_eq!(telling_lines("a\nb\n"), "a\nb");
    }
}
