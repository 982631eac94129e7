//! A thousand runs of `true`, submitted one by one over HTTP, until all have ended; HyperQueue does the same beside it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use runyard_client::{Client, run::Filter};
use runyard_domain::run::Status;
use runyard_wire::run::{NewRun, RunSpec};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Result, Settings,
    figures::{mib, short},
    server::Server,
    table::Table,
};

const RUNS: usize = 1_000;
/// Callers that submit at the same time.
const CALLERS: usize = 8;
const TARGET: f64 = 50.0;
const LOOK: Duration = Duration::from_millis(50);

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    let server = Server::start(settings, &home.path().join("data"), None)?;
    let client = server.client();
    submit(&client, 20).await?;
    all_ended(&client).await?;
    let began = Instant::now();
    submit(&client, RUNS).await?;
    let submitted = began.elapsed();
    all_ended(&client).await?;
    let rate = RUNS as f64 / began.elapsed().as_secs_f64();
    let completed = client.runs(&filter(&[Status::JobCompleted], 1_000)).await?.len();
    if completed < RUNS {
        return Err(format!("only {completed} of {RUNS} runs completed").into());
    }
    let resident = server.resident()?;
    server.stop()?;
    let beside = match &settings.peer {
        Some(_) => hyperqueue(settings)?,
        None => "HyperQueue was not given".into(),
    };
    table.judged(
        "1,000 runs of `true`, submit to all ended",
        ">= 50 runs/s",
        format!("{} runs/s", short(rate)),
        beside,
        rate >= TARGET,
    );
    let submits = RUNS as f64 / submitted.as_secs_f64();
    table.recorded(
        "of these, submitting (8 callers, while jobs run)",
        format!("{} runs/s", short(submits)),
        String::new(),
    );
    table.recorded("resident after 1,000 runs", mib(resident), String::new());
    table.note(
        "HyperQueue: server and worker in one process as its Python package brings them, no journal: what it has accepted is \
         in memory only. Runyard has every submit, every transition and every exit on disk (`synchronous=FULL`) before it \
         answers. Both run as many at a time as there are cores, and keep each program's output."
            .into(),
    );
    Ok(())
}

async fn submit(client: &Client, count: usize) -> Result<()> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            for n in (caller..count).step_by(CALLERS) {
                let new = NewRun {
                    name: format!("true {n}"),
                    spec: Some(RunSpec { command: vec!["true".into()], ..RunSpec::default() }),
                    ..NewRun::default()
                };
                client.create_run(&new).await?;
            }
            Ok::<_, runyard_client::Error>(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(())
}

fn filter(statuses: &[Status], limit: i64) -> Filter {
    Filter { status: statuses.to_vec(), select: vec!["id".into()], limit: Some(limit), ..Filter::default() }
}

async fn all_ended(client: &Client) -> Result<()> {
    let active: Vec<Status> = Status::ALL.into_iter().filter(|status| !status.is_terminal()).collect();
    let active = filter(&active, 1);
    while !client.runs(&active).await?.is_empty() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// What HyperQueue takes for the same, in words.
fn hyperqueue(settings: &Settings) -> Result<String> {
    let Some((python, script)) = &settings.peer else { return Ok(String::new()) };
    let folder = tempfile::tempdir_in(&settings.work)?;
    let cores = std::thread::available_parallelism()?;
    let mut command = Command::new(python);
    command.arg(script).arg(folder.path()).args([RUNS.to_string(), cores.to_string()]);
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)?;
    // The server greets on stdout first.
    let last = text.lines().last().unwrap_or_default();
    let figures: Value = serde_json::from_str(last)
        .map_err(|_| format!("{}: {text}{}", script.display(), String::from_utf8_lossy(&output.stderr)))?;
    let rate = |key: &str| figures[key].as_f64().map(|seconds| short(RUNS as f64 / seconds));
    let (array, single) =
        rate("array_s").zip(rate("single_s")).ok_or_else(|| format!("no figures: {figures}"))?;
    let version = figures["version"].as_str().unwrap_or_default();
    Ok(format!("HyperQueue {version}: {single} jobs/s; as one job of 1,000 tasks: {array}/s"))
}
