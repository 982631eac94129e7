//! `runyard worker`: lists and shows worker runs, says what failed, and queues it again. Running has a file of its own.

use runyard_client::{activity, worker_run::Filter};
use runyard_wire::{
    activity::{Activity, Retry},
    run::RestartRun,
    worker_run::WorkerRun,
};
use serde::Serialize;

use crate::{
    address,
    args::worker::{Ended, Worker as Args},
    command::{confirm::confirm, model::show::row},
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    time,
};

mod run;

/// Activities of one answer.
const PAGE: i64 = 1000;
/// Elements that are named in one request.
const NAMED: usize = 1000;

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Run(args) => return run::run(context, *args).await,
        Args::Ls { corpus, limit } => list(context, corpus.as_deref(), limit).await?,
        Args::Show { run, newest } => show(context, &run, newest).await?,
        Args::Errors { run, newest, limit } => errors(context, &run, newest, limit).await?,
        Args::Retry { run, state, elements, keep_attempts, restart, newest } => {
            let run = address::corpus::worker_run(context, &run, newest).await?;
            let state = match state {
                Ended::Error => "error",
                Ended::Processed => "processed",
            };
            retry(context, &run, state, elements, keep_attempts, restart).await?;
        }
        Args::Rm { runs, yes } => remove(context, &runs, yes).await?,
    }
    Ok(0)
}

async fn list(context: &Context, corpus: Option<&str>, limit: i64) -> Result<(), Failure> {
    let corpus_id = match corpus {
        Some(text) => vec![address::corpus::corpus(context, text).await?.id],
        None => Vec::new(),
    };
    let filter = Filter {
        project_id: context.project.iter().cloned().collect(),
        corpus_id,
        limit: Some(limit),
        ..Filter::default()
    };
    let found = context.client.worker_runs(&filter).await?;
    let now = time::now();
    context.out.list(
        &found,
        |run| run.id.clone(),
        &["ID", "WORKER", "QUEUED", "STARTED", "PROCESSED", "ERROR", "AGE"],
        |run: &WorkerRun| {
            let failed = if run.counts.error > 0 { Tone::Bad } else { Tone::Plain };
            vec![
                run.id.as_str().into(),
                run.worker.as_str().into(),
                run.counts.queued.into(),
                run.counts.started.into(),
                run.counts.processed.into(),
                Cell::new(run.counts.error, failed),
                time::age(now - run.created_at).into(),
            ]
        },
        "no worker runs; `runyard worker run --corpus CORPUS -- PROGRAM` starts one",
    )
}

async fn show(context: &Context, text: &str, newest: bool) -> Result<(), Failure> {
    let run = address::corpus::worker_run(context, text, newest).await?;
    context.out.one(&run, &run.id, || {
        context.out.table(&[], facts(&run))?;
        if run.counts.error > 0 {
            let id = address::short(&run.id);
            output::note(format!(
                "\nnext: runyard worker errors {id}\n      runyard worker retry {id} --state error"
            ));
        }
        Ok(())
    })
}

fn facts(run: &WorkerRun) -> Vec<Vec<Cell>> {
    let mut rows = vec![row("id", run.id.as_str()), row("worker", run.worker.as_str())];
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            rows.push(row(name, value));
        }
    };
    let counts = run.counts;
    let all = counts.queued + counts.started + counts.processed + counts.error;
    fact("summary", Some(run.summary.clone()));
    fact("elements", Some(all.to_string()));
    fact("queued", Some(counts.queued.to_string()));
    fact("started", Some(counts.started.to_string()));
    fact("processed", Some(counts.processed.to_string()));
    fact("error", Some(counts.error.to_string()));
    fact("run", run.run_id.clone());
    fact("corpus", run.corpus_id.clone());
    fact("selection", serde_json::to_string(&run.selection).ok().filter(|text| text != "{}"));
    fact("mode", Some(run.mode.clone()));
    fact("lease", Some(time::duration(run.lease_ms)));
    fact("most attempts", Some(run.max_attempts.to_string()));
    fact("model version", run.model_version_id.clone());
    let object = |object: &serde_json::Map<String, serde_json::Value>| {
        (!object.is_empty()).then(|| serde_json::to_string(object).unwrap_or_default())
    };
    fact("configuration", object(&run.configuration));
    fact("created", Some(time::moment(run.created_at)));
    rows
}

async fn errors(context: &Context, text: &str, newest: bool, limit: i64) -> Result<(), Failure> {
    let run = address::corpus::worker_run(context, text, newest).await?;
    let mut found: Vec<Activity> = Vec::new();
    while (found.len() as i64) < limit {
        let wanted = PAGE.min(limit - found.len() as i64);
        let filter = activity::Filter {
            state: vec!["error".to_owned()],
            id_after: found.last().map(|last| last.element_id.clone()),
            limit: Some(wanted),
            ..activity::Filter::default()
        };
        let page = context.client.activities(&run.id, &filter).await?;
        let last = (page.len() as i64) < wanted;
        found.extend(page);
        if last {
            break;
        }
    }
    context.out.list(
        &found,
        |activity| activity.element_id.clone(),
        &["ELEMENT", "TYPE", "NAME", "ATTEMPT", "ERROR"],
        |activity: &Activity| {
            let error = activity.error.as_deref().unwrap_or("the worker said nothing");
            vec![
                activity.element_id.as_str().into(),
                activity.of_type.as_deref().unwrap_or_default().into(),
                activity.name.as_deref().unwrap_or("(deleted)").into(),
                activity.attempt.into(),
                Cell::new(error.trim_end(), Tone::Bad),
            ]
        },
        "no element of this worker run has failed",
    )?;
    if context.out.format == Format::Table && run.counts.error > found.len() as i64 {
        output::note(format!(
            "and {} more: `--limit {}` shows them",
            run.counts.error - found.len() as i64,
            run.counts.error
        ));
    }
    Ok(())
}

/// What `--output json` says of a retry.
#[derive(Serialize)]
struct Retried<'a> {
    worker_run_id: &'a str,
    queued: i64,
    restarted: bool,
}

async fn retry(
    context: &Context,
    run: &WorkerRun,
    state: &str,
    elements: Vec<String>,
    keep_attempts: bool,
    restart: bool,
) -> Result<(), Failure> {
    let retry = |elements: Option<Vec<String>>| Retry { state: state.to_owned(), elements, keep_attempts };
    let mut queued = 0;
    if elements.is_empty() {
        queued = context.client.retry_elements(&run.id, &retry(None)).await?;
    }
    for some in elements.chunks(NAMED) {
        queued += context.client.retry_elements(&run.id, &retry(Some(some.to_vec()))).await?;
    }
    let ended = match &run.run_id {
        Some(id) => {
            context.client.run(id).await?.status.is_some_and(runyard_domain::run::Status::is_terminal)
        }
        None => false,
    };
    let restarted = restart && ended && queued > 0;
    if let Some(id) = run.run_id.as_ref().filter(|_| restarted) {
        context.client.restart_run(id, &RestartRun::default()).await?;
    }
    let id = address::short(&run.id);
    match context.out.format {
        Format::Json => return output::json(&Retried { worker_run_id: &run.id, queued, restarted }),
        Format::Quiet => return output::line(queued),
        Format::Csv => return Err(output::no_csv()),
        Format::Table => output::note(format!("{queued} elements are queued again")),
    }
    if restarted {
        output::note(format!("restarted; follow it with `runyard logs -f {id}`"));
    } else if ended && queued > 0 {
        output::note(format!("the run has ended: `runyard restart {id}` works through them"));
    }
    Ok(())
}

async fn remove(context: &Context, texts: &[String], yes: bool) -> Result<(), Failure> {
    let mut found: Vec<WorkerRun> = Vec::new();
    for text in texts {
        let one = address::corpus::worker_run(context, text, false).await?;
        if let Some(run) = &one.run_id {
            let run = address::short(run);
            return Err(Failure::usage(format!("worker run {text} is executed by a run"))
                .hint(format!("`runyard rm {run}` deletes both")));
        }
        found.push(one);
    }
    let names: Vec<&str> = found.iter().map(|run| run.worker.as_str()).collect();
    confirm(&format!("Delete the worker runs of {}? What they found stays.", names.join(", ")), yes)?;
    let mut gone = Vec::new();
    for run in &found {
        let deleted = context.client.delete_worker_run(&run.id).await?;
        match context.out.format {
            Format::Table => output::note(format!("deleted the worker run {} of {}", run.id, run.worker)),
            Format::Quiet => output::line(&run.id)?,
            Format::Json | Format::Csv => gone.push(deleted),
        }
    }
    if context.out.format == Format::Json {
        output::json(&gone)?;
    }
    Ok(())
}
