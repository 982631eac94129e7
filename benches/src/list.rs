//! Filtered pages of a list of a million runs, on SQLite and PostgreSQL, over HTTP: the first, and the thousandth both ways.
//! When a target is missed, how the engine goes about it is told below the table.

use std::time::Instant;

use runyard_client::{Client, run::Filter};
use runyard_domain::run::Status;
use runyard_store::{Db, Error, Options, run as store, testing};

use crate::{
    Result, Settings,
    figures::{Series, mib, short},
    million,
    server::Server,
    table::Table,
};

const PAGE: i64 = 100;
/// Runs before the thousandth page.
const BEFORE: i64 = 999 * PAGE;
const TIMES: usize = 50;
const WARM: usize = 5;
const TARGET_MS: f64 = 10.0;

/// A filter, as a client and as the store take it.
#[derive(Clone)]
struct Case {
    what: &'static str,
    client: Filter,
    store: store::Filter,
    /// Whether the target holds for it.
    judged: bool,
}

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    let data = home.path().join("data");
    std::fs::create_dir(&data)?;
    let path = data.join("runyard.db");
    on("SQLite", settings, table, &data, None, move || Db::open_sqlite(&path, &Options::default())).await?;
    let Some(url) = settings.postgres.clone() else {
        table.note("No PostgreSQL was given: its lists were not measured.".into());
        return Ok(());
    };
    let (data, open) = (home.path().join("postgres"), url.clone());
    on("PostgreSQL", settings, table, &data, Some(&url), move || {
        Db::open_postgres(&open, &Options::default())
    })
    .await
}

/// Fills a database and measures its pages through a server on it.
async fn on(
    engine: &str,
    settings: &Settings,
    table: &mut Table,
    data: &std::path::Path,
    url: Option<&str>,
    open: impl Fn() -> std::result::Result<Db, Error> + Clone + Send + 'static,
) -> Result<()> {
    let began = Instant::now();
    let db = tokio::task::spawn_blocking(open.clone()).await??;
    million::fill(&db, settings.runs).await?;
    db.checkpoint().await?;
    db.close().await;
    if let Some(url) = url.map(str::to_owned) {
        tokio::task::spawn_blocking(move || testing::vacuum_postgres(&url)).await?;
    }
    crate::progress(&format!("{engine} was filled in {:.0?}", began.elapsed()));
    let server = Server::start(settings, data, url)?;
    let client = server.client();
    let beside = whole_rows(&client).await?;
    let mut missed = Vec::new();
    for case in cases() {
        for offset in pages(&client, engine, &case, &beside, table).await? {
            missed.push((case.clone(), offset));
        }
    }
    table.recorded(&format!("resident after that, {engine}"), mib(server.resident()?), String::new());
    server.stop()?;
    if !missed.is_empty() {
        let db = tokio::task::spawn_blocking(open).await??;
        for (case, offset) in missed {
            explain(&db, engine, case, offset, table).await?;
        }
        db.close().await;
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    let case = |what, judged, client, store| Case {
        what,
        client: Filter { limit: Some(PAGE), ..client },
        store: store::Filter { limit: PAGE, ..store },
        judged,
    };
    let (client, store) = (Filter::default, store::Filter::default);
    let (project, blueprint) = (million::large_project(), million::blueprint());
    let two = [Status::JobFailed, Status::JobTerminated];
    let pattern = |text: &str| vec![text.to_owned()];
    let label = |key: &str, value: &str| vec![(key.to_owned(), Some(value.to_owned()))];
    let in_project = || Filter { project_id: vec![project.to_string()], ..client() };
    let of_project = || store::Filter { project_ids: vec![project], ..store() };
    vec![
        case(
            "project and status (15 % of all)",
            true,
            Filter { status: vec![two[0]], ..in_project() },
            store::Filter { statuses: vec![two[0]], ..of_project() },
        ),
        case(
            "project and two statuses (20 %)",
            true,
            Filter { status: two.to_vec(), ..in_project() },
            store::Filter { statuses: two.to_vec(), ..of_project() },
        ),
        case(
            "name_ilike %resnet% (20 %)",
            true,
            Filter { name_ilike: pattern("%resnet%"), ..client() },
            store::Filter { name_ilikes: pattern("%resnet%"), ..store() },
        ),
        case(
            "label team=vision (20 %)",
            true,
            Filter { label: pattern("team=vision"), ..client() },
            store::Filter { labels: label("team", "vision"), ..store() },
        ),
        case(
            "blueprint (20 %)",
            true,
            Filter { blueprint_id: vec![blueprint.to_string()], ..client() },
            store::Filter { blueprint_ids: vec![blueprint], ..store() },
        ),
        case(
            "project and label team=vision (10 %)",
            false,
            Filter { label: pattern("team=vision"), ..in_project() },
            store::Filter { labels: label("team", "vision"), ..of_project() },
        ),
        case(
            "project and label sweep=7 (500 runs)",
            false,
            Filter { label: pattern("sweep=7"), ..in_project() },
            store::Filter { labels: label("sweep", "7"), ..of_project() },
        ),
        case(
            "name_ilike %needle% (100 runs)",
            false,
            Filter { name_ilike: pattern("%needle%"), ..client() },
            store::Filter { name_ilikes: pattern("%needle%"), ..store() },
        ),
    ]
}

/// Measures the pages of a case; answers the offset of the pages that missed their target.
async fn pages(
    client: &Client,
    engine: &str,
    case: &Case,
    beside: &str,
    table: &mut Table,
) -> Result<Vec<i64>> {
    let what = format!("{engine}, page of 100 by {}", case.what);
    let first = median(client, &case.client).await?;
    let before =
        Filter { offset: Some(BEFORE - 1), limit: Some(1), select: vec!["id".into()], ..case.client.clone() };
    let Some(before) = client.runs(&before).await?.pop().and_then(|run| run.id) else {
        // So few match that there is no such page.
        table.recorded(&what, format!("{} ms", short(first)), String::new());
        return Ok(Vec::new());
    };
    let by_id = median(client, &Filter { id_after: Some(before), ..case.client.clone() }).await?;
    let by_offset = median(client, &Filter { offset: Some(BEFORE), ..case.client.clone() }).await?;
    let mut missed = Vec::new();
    let pages = [
        (format!("{what}: first, thousandth by id_after"), vec![first, by_id], 0),
        (format!("{what}: thousandth by offset"), vec![by_offset], BEFORE),
    ];
    for (what, times, offset) in pages {
        let met = times.iter().all(|&time| time < TARGET_MS);
        let told: Vec<String> = times.into_iter().map(short).collect();
        let told = format!("{} ms", told.join(", "));
        if case.judged {
            table.judged(&what, "< 10 ms", told, beside.to_owned(), met);
            missed.extend((!met).then_some(offset));
        } else {
            table.recorded(&what, told, String::new());
        }
    }
    Ok(missed)
}

async fn median(client: &Client, filter: &Filter) -> Result<f64> {
    let mut series = Series::default();
    for n in 0..WARM + TIMES {
        let began = Instant::now();
        client.runs(filter).await?;
        if n >= WARM {
            series.add(began.elapsed());
        }
    }
    Ok(series.median())
}

/// What a hundred runs cost that need no search: by their ids.
async fn whole_rows(client: &Client) -> Result<String> {
    let newest = Filter { limit: Some(PAGE), select: vec!["id".into()], ..Filter::default() };
    let id = client.runs(&newest).await?.into_iter().filter_map(|run| run.id).collect();
    let time = median(client, &Filter { id, limit: Some(PAGE), ..Filter::default() }).await?;
    Ok(format!("100 runs by their ids: {} ms", short(time)))
}

async fn explain(db: &Db, engine: &str, case: Case, offset: i64, table: &mut Table) -> Result<()> {
    let filter = store::Filter { offset, ..case.store };
    let lines = db.read(move |tx| testing::explain_runs(tx, &filter)).await.map_err(|e: Error| e)?;
    table.note(format!("{engine}, {}, offset {offset}:\n\n    {}", case.what, lines.join("\n    ")));
    Ok(())
}
