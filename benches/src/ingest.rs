//! Points of metrics over HTTP, acknowledged when they are durable; beside it the same points as plain rows in SQLite.

use std::time::{Duration, Instant};

use runyard_client::{Client, run::Filter};
use runyard_domain::{
    Millis, RunId,
    metric::{Point, Value},
    run::Status,
};
use runyard_store::{Db, Error, Options, testing};
use runyard_wire::{
    metric::{NewMetric, PostMetrics},
    run::{NewRun, RunSpec, StopRun},
};
use tokio::task::JoinSet;

use crate::{Result, Settings, figures::short, server::Server, table::Table};

const CLIENTS: usize = 4;
const BATCHES: i64 = 100;
const BATCH: i64 = 1_000;
const TAG: &str = "train/loss";
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(5);

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    let server = Server::start(settings, &home.path().join("data"), None)?;
    let client = server.client();
    let mut runs = Vec::new();
    for n in 0..CLIENTS {
        runs.push(running(&client, n).await?);
    }
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for run in runs.clone() {
        let client = client.clone();
        clients.spawn(async move {
            for batch in 0..BATCHES {
                client.post_metrics(&body(&run, batch)).await?;
            }
            Ok::<_, runyard_client::Error>(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let packed = began.elapsed();
    for run in &runs {
        client.stop_run(run, &StopRun { grace_period_seconds: Some(1) }).await?;
    }
    for run in &runs {
        reached(&client, run, Status::JobTerminated).await?;
    }
    server.stop()?;
    let points = (CLIENTS as i64 * BATCHES * BATCH) as f64;
    let plain = plain_rows(home.path().join("plain.db"), &runs).await?;
    table.recorded(
        "metrics over HTTP, 4 clients, batches of 1,000, durable",
        format!("{} points/s", short(points / packed.as_secs_f64())),
        format!(
            "the same points as rows into SQLite, no HTTP: {} points/s",
            short(points / plain.as_secs_f64())
        ),
    );
    Ok(())
}

/// A run that is under way until it is stopped.
async fn running(client: &Client, n: usize) -> Result<String> {
    let new = NewRun {
        name: format!("reports {n}"),
        spec: Some(RunSpec { command: vec!["sleep".into(), "600".into()], ..RunSpec::default() }),
        resources: serde_json::from_value(serde_json::json!({"cpu": "100m"}))?,
        ..NewRun::default()
    };
    let run = client.create_run(&new).await?.id.ok_or("a run without an id")?;
    reached(client, &run, Status::JobRunning).await?;
    Ok(run)
}

async fn reached(client: &Client, run: &str, wanted: Status) -> Result<()> {
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

/// A loss that falls, and trembles.
fn loss(step: i64) -> f64 {
    2.0 / (1.0 + step as f64 / 1_000.0) + (step as f64 * 12.9898).sin() * 0.01
}

fn body(run: &str, batch: i64) -> PostMetrics {
    let steps = batch * BATCH..(batch + 1) * BATCH;
    let point = |step| NewMetric {
        tag: TAG.to_owned(),
        global_step: step,
        value: serde_json::json!(loss(step)),
        created_at: Some(at(step)),
    };
    PostMetrics { run_id: run.to_owned(), job_id: None, metrics: steps.map(point).collect() }
}

fn at(step: i64) -> i64 {
    1_700_000_000_000 + step * 50
}

async fn plain_rows(path: std::path::PathBuf, runs: &[String]) -> Result<Duration> {
    let db = tokio::task::spawn_blocking(move || Db::open_sqlite(path, &Options::default())).await??;
    let began = Instant::now();
    for batch in 0..BATCHES {
        for run in runs {
            let run: RunId = run.parse()?;
            let steps = batch * BATCH..(batch + 1) * BATCH;
            let points: Vec<Point> = steps
                .map(|step| Point { step, at: Millis(at(step)), value: Value::Float(loss(step)) })
                .collect();
            db.write(move |tx| testing::insert_points(tx, run, TAG, &points)).await.map_err(|e: Error| e)?;
        }
    }
    let took = began.elapsed();
    db.close().await;
    Ok(took)
}
