//! Points of metrics over HTTP, acknowledged when they are durable; beside it the same points as plain rows in SQLite, and
//! what MLflow's server takes of them, when it was given.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use runyard_client::Client;
use runyard_domain::{
    Millis, RunId,
    metric::{Point, Value},
};
use runyard_store::{Db, Error, Options, testing};
use runyard_wire::metric::{NewMetric, PostMetrics};
use tokio::task::JoinSet;

use crate::{
    Result, Settings,
    figures::{mib, short},
    process, run,
    server::Server,
    table::Table,
};

const CLIENTS: usize = 4;
const BATCHES: i64 = 100;
const BATCH: i64 = 1_000;
const TAG: &str = "train/loss";
const TARGET: f64 = 500_000.0;

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    let server = Server::start(settings, &home.path().join("data"), None)?;
    let client = server.client();
    let mut runs = Vec::new();
    for n in 0..CLIENTS {
        runs.push(run::running(&client, &format!("reports {n}")).await?);
    }
    let packed = post(&client, &runs, 1).await?;
    let wide = post(&client, &runs, 500).await?;
    let peak = process::peak(server.id());
    run::stop(&client, &runs).await?;
    server.stop()?;
    let plain = plain_rows(home.path().join("plain.db"), &runs).await?;
    let plain = format!("the same points as rows into SQLite, no HTTP: {} points/s", short(plain));
    let mut beside = plain.clone();
    if let Some((python, script)) = &settings.mlflow {
        beside = format!("{beside}; {}", mlflow(python, script, home.path())?);
    }
    for (what, rate, beside) in [
        ("metrics over HTTP, 4 clients, batches of 1,000, durable", packed, beside),
        ("the same, each batch with 500 tags", wide, plain),
    ] {
        let measured = format!("{} points/s", short(rate));
        table.judged(what, ">= 500 k points/s", measured, beside, rate >= TARGET);
    }
    table.recorded("peak memory of the server after these points", mib(peak), String::new());
    Ok(())
}

/// Points a second of all clients together, each in a run of its own.
async fn post(client: &Client, runs: &[String], tags: i64) -> Result<f64> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for run in runs {
        let (client, run) = (client.clone(), run.clone());
        clients.spawn(async move {
            for batch in 0..BATCHES {
                client.post_metrics(&body(&run, batch, tags)).await?;
            }
            Ok::<_, runyard_client::Error>(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok((CLIENTS as i64 * BATCHES * BATCH) as f64 / began.elapsed().as_secs_f64())
}

/// A loss that falls, and trembles.
pub(crate) fn loss(step: i64) -> f64 {
    2.0 / (1.0 + step as f64 / 1_000.0) + (step as f64 * 12.9898).sin() * 0.01
}

/// A batch of so many tags, as many steps of each.
fn body(run: &str, batch: i64, tags: i64) -> PostMetrics {
    let points = batch * BATCH..(batch + 1) * BATCH;
    let point = |n: i64| {
        let (step, number) = (n / tags, n % tags);
        NewMetric {
            tag: if tags == 1 { TAG.to_owned() } else { format!("layer-{number:03}/grad_norm") },
            global_step: step,
            value: serde_json::json!(loss(n)),
            created_at: Some(at(step)),
        }
    };
    PostMetrics { run_id: run.to_owned(), job_id: None, metrics: points.map(point).collect() }
}

pub(crate) fn at(step: i64) -> i64 {
    1_700_000_000_000 + step * 50
}

/// Points a second.
async fn plain_rows(path: PathBuf, runs: &[String]) -> Result<f64> {
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
    let took: Duration = began.elapsed();
    db.close().await;
    Ok((BATCHES * BATCH) as f64 * runs.len() as f64 / took.as_secs_f64())
}

/// What MLflow's server takes, in words.
fn mlflow(python: &Path, script: &Path, home: &Path) -> Result<String> {
    let folder = home.join("mlflow");
    let output = Command::new(python).arg(script).arg(&folder).arg(CLIENTS.to_string()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().unwrap_or_default();
    let figures: serde_json::Value = serde_json::from_str(last)
        .map_err(|_| format!("{}: {text}{}", script.display(), String::from_utf8_lossy(&output.stderr)))?;
    let rate = figures["points_per_second"].as_f64().ok_or_else(|| format!("no figures: {figures}"))?;
    let version = figures["version"].as_str().unwrap_or_default();
    Ok(format!("MLflow {version} on SQLite, log-batch of 1,000: {} points/s", short(rate)))
}
