//! Runs that a measurement needs: submitted over HTTP, waited for. Never more of them than was said.

use std::time::{Duration, Instant};

use runyard_client::{Client, run::Filter};
use runyard_domain::run::Status;
use runyard_wire::run::{NewRun, RunSpec, StopRun};

use crate::Result;

const PATIENCE: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(2);

/// Submits a run of this program, which gets no more of the machine than `cpu` (`100m`, `2`).
pub(crate) async fn submit(client: &Client, name: &str, cpu: &str, command: Vec<String>) -> Result<String> {
    let new = NewRun {
        name: name.to_owned(),
        spec: Some(RunSpec { command, ..RunSpec::default() }),
        resources: serde_json::from_value(serde_json::json!({ "cpu": cpu }))?,
        ..NewRun::default()
    };
    client.create_run(&new).await?.id.ok_or_else(|| "a run without an id".into())
}

/// All cores: a program that is measured must not meet a limit.
pub(crate) fn all_cores() -> String {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string()
}

/// A command that is given words of its environment behind its own: a job learns there where to report.
pub(crate) fn given<const N: usize>(words: &str, program: [String; N]) -> Vec<String> {
    let mut command = vec!["sh".to_owned(), "-c".to_owned(), format!("exec \"$@\" {words}"), "sh".to_owned()];
    command.extend(program);
    command
}

/// A run that is under way until it is stopped.
pub(crate) async fn running(client: &Client, name: &str) -> Result<String> {
    let run = submit(client, name, "100m", vec!["sleep".into(), "600".into()]).await?;
    reached(client, &run, Status::JobRunning).await?;
    Ok(run)
}

/// Stops runs that are under way; returns when they have ended.
pub(crate) async fn stop(client: &Client, runs: &[String]) -> Result<()> {
    for run in runs {
        client.stop_run(run, &StopRun { grace_period_seconds: Some(1) }).await?;
    }
    for run in runs {
        reached(client, run, Status::JobTerminated).await?;
    }
    Ok(())
}

/// Waits for a status.
pub(crate) async fn reached(client: &Client, run: &str, wanted: Status) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let filter = Filter { id: vec![run.to_owned()], status: vec![wanted], ..Filter::default() };
        if !client.runs(&filter).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("run {run} does not become {wanted}").into())
}

/// The id of a run's job.
pub(crate) async fn job(client: &Client, run: &str) -> Result<String> {
    let job = client.jobs(run).await?.into_iter().next().ok_or("a run without a job")?;
    Ok(job.id)
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if began.elapsed() > PATIENCE {
            return Err("nothing came of what was waited for".into());
        }
        tokio::time::sleep(LOOK).await;
    }
}
