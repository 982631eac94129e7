//! `runyard wait`.

use futures::stream::{FuturesUnordered, StreamExt};
use runyard_client::run::{Update, Want};
use runyard_wire::run::Run;

use crate::{
    address,
    args::run::Wait,
    context::Context,
    failure::Failure,
    output::{self, Format, status_tone},
    show, time,
};

/// As `timeout(1)` answers.
const TIMED_OUT: u8 = 124;

pub(super) async fn run(context: &Context, args: Wait) -> Result<u8, Failure> {
    let mut ids = Vec::new();
    for text in &args.runs.runs {
        ids.push(address::run(context, text, args.runs.newest).await?);
    }
    let all = wait_all(context, &ids);
    let runs = match args.timeout {
        None => all.await?,
        Some(limit) => {
            let Ok(runs) = tokio::time::timeout(limit, all).await else {
                output::note("not all runs have ended in time");
                return Ok(TIMED_OUT);
            };
            runs?
        }
    };
    if context.out.format == Format::Json {
        output::json(&runs)?;
    }
    Ok(runs.iter().map(code).find(|&code| code != 0).unwrap_or(0))
}

/// The runs in the order of `ids`, once all have ended; each is said when it ends.
async fn wait_all(context: &Context, ids: &[String]) -> Result<Vec<Run>, Failure> {
    let mut waiting: FuturesUnordered<_> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| async move { end(context, id).await.map(|run| (place, run)) })
        .collect();
    let mut runs = vec![Run::default(); ids.len()];
    while let Some(ended) = waiting.next().await {
        let (place, run) = ended?;
        match context.out.format {
            Format::Table => tell(context, &run)?,
            Format::Quiet => output::line(run.id.as_deref().unwrap_or_default())?,
            Format::Json => {}
            Format::Csv => return Err(output::no_csv()),
        }
        runs[place] = run;
    }
    Ok(runs)
}

async fn end(context: &Context, id: &str) -> Result<Run, Failure> {
    let mut following = context.client.follow_run(id, Want::default());
    while let Some(update) = following.next().await? {
        if let (Update::Lost(_), Some(url)) = (update, context.url_now()) {
            following.set_url(&url);
        }
    }
    Ok(context.client_now().run(id).await?)
}

fn tell(context: &Context, run: &Run) -> Result<(), Failure> {
    let id = address::short(run.id.as_deref().unwrap_or_default());
    let status =
        run.status.map_or_else(String::new, |status| context.out.painted(status.word(), status_tone(status)));
    let name = run.name.as_deref().unwrap_or_default();
    let duration = show::run_duration(run, time::now());
    output::line(format!("{id}  {name}  {status}  {duration}").trim_end())
}

fn code(run: &Run) -> u8 {
    show::exit_code(run.status, show::exit(run.exit.as_ref()).as_ref())
}
