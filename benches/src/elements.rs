//! A million elements: imported over HTTP, selected, claimed and committed by eight workers, listed; and what the server's memory
//! is meanwhile.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use runyard_client::{Client, activity, element::HowMade};
use runyard_wire::{
    activity::{Claim, CommitItem},
    corpus::{NewCorpus, NewElementType},
    worker_run::{NewWorkerRun, WorkerRun},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Result, Settings,
    figures::{Series, mib, ms, short},
    process, progress,
    server::Server,
    table::Table,
};

const LINES: u64 = 10_000;
const IMPORTERS: u64 = 2;
const WORKERS: usize = 8;
const PAGES: usize = 200;
const MEMORY: u64 = 150 << 20;
/// Wide enough that nobody loses a lease to a slow disk.
const LEASE_MS: i64 = 600_000;

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    let server = Server::start(settings, &home.path().join("data"), None)?;
    let client = server.client();
    let total = settings.elements;
    let new = NewCorpus {
        name: "bench".to_owned(),
        types: vec![NewElementType { slug: "page".to_owned(), ..NewElementType::default() }],
        ..NewCorpus::default()
    };
    let corpus = client.create_corpus(&new).await?.id;
    progress(&format!("elements: importing {total}"));
    let took = import(&client, &corpus, total).await?;
    judge_rate(table, "import of elements over HTTP, 10,000 to a request", 50_000.0, total, took);
    let peak_of_import = process::peak(server.id());

    let began = Instant::now();
    let run = worker_run(&client, &corpus).await?;
    table.recorded("a worker run over all of them", ms(began.elapsed().as_secs_f64() * 1e3), String::new());

    for batch in [100, 1000] {
        let share = total / 4;
        progress(&format!("elements: {WORKERS} workers, batches of {batch}"));
        let took = work(&client, &run.id, batch, share).await?;
        let what = format!("8 workers claim and commit a class each, batches of {batch}");
        judge_rate(table, &what, 20_000.0, share, took);
    }
    judge_time(table, "a page of 100 activities by state", &list(&client, &run.id).await?);
    judge_time(table, "the counts of a worker run", &bar(&client, &run.id).await?);
    let peak = process::peak(server.id());
    let beside = format!("{} after the import", mib(peak_of_import));
    table.judged("the server's memory at its highest", "150 MiB", mib(peak), beside, peak < MEMORY);
    let counts = client.worker_run(&run.id).await?.counts;
    let done = counts.processed.cast_unsigned();
    if done < total / 2 || counts.error > 0 {
        return Err(format!("only {done} of {} were processed, {} failed", total / 2, counts.error).into());
    }
    server.stop()
}

fn judge_rate(table: &mut Table, what: &str, target: f64, count: u64, took: Duration) {
    let rate = count as f64 / took.as_secs_f64();
    let target_text = format!("{}/s", short(target));
    table.judged(what, &target_text, format!("{}/s", short(rate)), String::new(), rate >= target);
}

fn judge_time(table: &mut Table, what: &str, series: &Series) {
    let beside = format!("{} at the 99th of 100", ms(series.percentile(99.0)));
    table.judged(what, "10 ms", ms(series.median()), beside, series.median() < 10.0);
}

async fn import(client: &Client, corpus: &str, total: u64) -> Result<Duration> {
    let began = Instant::now();
    let mut importers = JoinSet::new();
    for importer in 0..IMPORTERS {
        let (client, corpus) = (client.clone(), corpus.to_owned());
        importers.spawn(async move {
            let how = HowMade { corpus_id: corpus, ..HowMade::default() };
            for request in (importer..total / LINES).step_by(IMPORTERS as usize) {
                let mut lines = String::with_capacity(64 * LINES as usize);
                for n in request * LINES..(request + 1) * LINES {
                    let _ = writeln!(lines, "{{\"type\":\"page\",\"name\":\"page {n}\"}}");
                }
                client.create_elements_of_lines(&how, lines.into()).await?;
            }
            Ok::<_, runyard_client::Error>(())
        });
    }
    while let Some(done) = importers.join_next().await {
        done??;
    }
    Ok(began.elapsed())
}

async fn worker_run(client: &Client, corpus: &str) -> Result<WorkerRun> {
    let new = NewWorkerRun {
        corpus: Some(corpus.to_owned()),
        worker: "bench".to_owned(),
        selection: Some(serde_json::from_value(json!({"query": {}}))?),
        lease_ms: Some(LEASE_MS),
        ..NewWorkerRun::default()
    };
    Ok(client.create_worker_run(&new).await?)
}

/// Works through `share` elements.
async fn work(client: &Client, run: &str, batch: i64, share: u64) -> Result<Duration> {
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (client, run) = (client.clone(), run.to_owned());
        workers.spawn(async move {
            let holder = format!("bench-{batch}/{worker}");
            let mut left = share / WORKERS as u64;
            while left > 0 {
                let limit = batch.min(left.cast_signed());
                let claim = Claim { holder: holder.clone(), limit, lease_ms: None };
                let claimed = client.claim_elements(&run, &claim).await?.claimed;
                if claimed.is_empty() {
                    break;
                }
                left = left.saturating_sub(claimed.len() as u64);
                let items = claimed.into_iter().map(|one| done(&one.element_id, one.attempt));
                client.commit_elements(&run, items.collect()).await?;
            }
            Ok::<_, runyard_client::Error>(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(began.elapsed())
}

/// One classification for each element.
fn done(element_id: &str, attempt: i64) -> CommitItem {
    let class = ["zero", "one", "two", "three"][usize::from(element_id.as_bytes()[30]) % 4];
    let results = json!({"classifications": [{"class": class, "confidence": 0.9}]});
    CommitItem {
        element_id: element_id.to_owned(),
        attempt,
        state: "processed".to_owned(),
        error: None,
        results: serde_json::from_value(results).unwrap_or_default(),
    }
}

async fn list(client: &Client, run: &str) -> Result<Series> {
    let mut series = Series::default();
    for state in ["queued", "processed"] {
        let mut id_after = None;
        for _ in 0..PAGES {
            let filter = activity::Filter {
                state: vec![state.to_owned()],
                id_after: id_after.take(),
                limit: Some(100),
                ..activity::Filter::default()
            };
            let began = Instant::now();
            let page = client.activities(run, &filter).await?;
            series.add(began.elapsed());
            id_after = page.last().map(|last| last.element_id.clone());
        }
    }
    Ok(series)
}

async fn bar(client: &Client, run: &str) -> Result<Series> {
    let mut series = Series::default();
    for _ in 0..PAGES {
        let began = Instant::now();
        client.worker_run(run).await?;
        series.add(began.elapsed());
    }
    Ok(series)
}
