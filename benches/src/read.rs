//! Points read back: charts of long series and of many runs, a whole series page by page as Chariot's SDK does it, and
//! what points take on the disk.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use runyard_client::Client;
use runyard_domain::run::Status;
use runyard_wire::metric::{NewMetric, PostMetrics};
use serde::Deserialize;

use crate::{
    Result, Settings,
    figures::{Series, mib, ms, short},
    get::Connection,
    ingest::{at, loss},
    process, run,
    server::Server,
    table::Table,
};

const MILLION: i64 = 1_000_000;
const BATCH: i64 = 10_000;
const RUNS: usize = 100;
const TAG: &str = "train/loss";
const TIMES: usize = 20;

/// How the values of a loss come about.
#[derive(Clone, Copy)]
enum Precision {
    /// What a tensor's `item()` gives: a number of 32 bits, written as one of 64.
    Single,
    /// Every bit of 64 counts, and the last ones are noise.
    Double,
}

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    for (precision, what) in [
        (Precision::Double, "a loss whose every bit counts"),
        (Precision::Single, "a typical loss curve (32-bit losses)"),
    ] {
        let data = home.path().join(format!("disk-{}", what.len()));
        let (bytes, run) = on_disk(settings, &data, precision).await?;
        let text = format!("{bytes:.2} bytes a point");
        let beside = "step, time and value, indexes included; as rows: 8 + 8 + 8 bytes and more".into();
        match precision {
            Precision::Double => table.recorded(&format!("on disk, {what}"), text, beside),
            Precision::Single => {
                table.judged(&format!("on disk, {what}"), "< 8 bytes", text, beside, bytes < 8.0);
                reads(settings, &data, &run, table).await?;
            }
        }
    }
    Ok(())
}

/// Bytes that the database grows by for each of a million points; and the run that has them.
async fn on_disk(settings: &Settings, data: &Path, precision: Precision) -> Result<(f64, String)> {
    let server = Server::start(settings, data, None)?;
    let run = ended(&server.client(), "long").await?;
    server.stop()?;
    let before = database(data)?;
    let server = Server::start(settings, data, None)?;
    let client = server.client();
    for batch in 0..MILLION / BATCH {
        client.post_metrics(&body(&run, batch, precision)).await?;
    }
    server.stop()?;
    Ok(((database(data)? - before) as f64 / MILLION as f64, run))
}

async fn reads(settings: &Settings, data: &Path, long: &str, table: &mut Table) -> Result<()> {
    let server = Server::start(settings, data, None)?;
    let client = server.client();
    let mut runs = Vec::new();
    for n in 0..RUNS {
        let run = ended(&client, &format!("short {n}")).await?;
        client.post_metrics(&body(&run, 0, Precision::Single)).await?;
        runs.push(run);
    }
    let idle = process::peak(server.id());
    let mut reader = Reader { connection: server.connection()?, server: server.id() };
    chart(table, &mut reader, &[long.to_owned()], "a series of 1,000,000 points as 1,000 buckets", 20.0)?;
    chart(table, &mut reader, &runs, "100 runs of 10,000 points as 1,000 buckets each", 100.0)?;
    whole(table, &mut reader, long)?;
    table.recorded(
        "peak memory of the server after these reads",
        mib(process::peak(server.id())),
        format!("before: {}", mib(idle)),
    );
    server.stop()
}

/// Who reads, and from whom.
struct Reader {
    connection: Connection,
    server: u32,
}

fn chart(table: &mut Table, reader: &mut Reader, runs: &[String], what: &str, target: f64) -> Result<()> {
    let path = format!("/api/v2/metrics/series?run_id={}&tag={TAG}&buckets=1000", runs.join(","));
    let mut took = Series::default();
    let mut bytes = reader.connection.get(&path)?.len();
    let cores = process::cores(reader.server);
    for _ in 0..TIMES {
        let began = Instant::now();
        bytes = bytes.max(reader.connection.get(&path)?.len());
        took.add(began.elapsed());
    }
    let cores = process::cores(reader.server).saturating_sub(cores) / TIMES as u32;
    table.judged(
        &format!("{what}, median of {TIMES}"),
        &format!("< {target} ms"),
        format!("{} (p95 {})", ms(took.median()), ms(took.percentile(95.0))),
        format!(
            "{} of JSON; the server has a core for {} of it",
            mib(bytes as u64),
            ms(cores.as_secs_f64() * 1000.0)
        ),
        took.median() < target,
    );
    Ok(())
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct Step {
    global_step: i64,
}

/// Tags until there are no more; of each tag pages of 10,000 until there are no more.
fn whole(table: &mut Table, reader: &mut Reader, run: &str) -> Result<()> {
    let cores = process::cores(reader.server);
    let base = "/api/training/v2/metrics";
    let mut took = Series::default();
    let (mut bytes, mut parsing) = (0, Duration::ZERO);
    for _ in 0..3 {
        let began = Instant::now();
        (bytes, parsing) = (0, Duration::ZERO);
        let (mut tags, mut points) = (Vec::<String>::new(), 0);
        loop {
            let after = tags.last().map(|tag| format!("&tag_after={tag}")).unwrap_or_default();
            let page: Page<String> =
                serde_json::from_slice(&reader.connection.get(&format!("{base}/tags?run_id={run}{after}"))?)?;
            if page.data.is_empty() {
                break;
            }
            tags.extend(page.data);
        }
        for tag in &tags {
            let mut last: Option<i64> = None;
            loop {
                let after = last.map(|step| format!("&global_step_after={step}")).unwrap_or_default();
                let path = format!("{base}?run_id={run}&tag={tag}{after}&sort=global_step:asc&limit={BATCH}");
                let body = reader.connection.get(&path)?;
                let parsed = Instant::now();
                let page: Page<Step> = serde_json::from_slice(&body)?;
                parsing += parsed.elapsed();
                bytes += body.len();
                points += page.data.len();
                let Some(end) = page.data.last() else { break };
                last = Some(end.global_step);
            }
        }
        took.add(began.elapsed());
        if points != MILLION as usize {
            return Err(format!("{points} points were read instead of {MILLION}").into());
        }
    }
    let cores = process::cores(reader.server).saturating_sub(cores).as_secs_f64() / 3.0;
    let seconds = took.median() / 1000.0;
    table.judged(
        "1,000,000 points read back the SDK's way (`get_all_metrics`), median of 3",
        "< 2 s",
        format!("{seconds:.2} s"),
        format!(
            "{} of JSON in 101 pages; the server has a core for {cores:.2} s, reading the JSON takes the client {}; {} points/s",
            mib(bytes as u64),
            ms(parsing.as_secs_f64() * 1000.0),
            short(MILLION as f64 / seconds)
        ),
        seconds < 2.0,
    );
    Ok(())
}

/// A run whose program has ended: it has a job, and takes points still.
async fn ended(client: &Client, name: &str) -> Result<String> {
    let run = run::submit(client, name, "100m", vec!["true".into()]).await?;
    run::reached(client, &run, Status::JobCompleted).await?;
    Ok(run)
}

fn body(run: &str, batch: i64, precision: Precision) -> PostMetrics {
    let point = |step| {
        let value = match precision {
            Precision::Single => f64::from(loss(step) as f32),
            Precision::Double => loss(step),
        };
        NewMetric {
            tag: TAG.to_owned(),
            global_step: step,
            value: value.into(),
            // Steps do not all take equally long.
            created_at: Some(at(step) + step * 7919 % 13),
        }
    };
    let steps = batch * BATCH..(batch + 1) * BATCH;
    PostMetrics { run_id: run.to_owned(), job_id: None, metrics: steps.map(point).collect() }
}

/// Bytes of the database of a server that has ended.
fn database(data: &Path) -> Result<i64> {
    let mut bytes = 0;
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("runyard.db") {
            bytes += entry.metadata()?.len() as i64;
        }
    }
    Ok(bytes)
}
