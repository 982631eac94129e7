//! `runyard show`: one run, as a person wants to know it.

use runyard_client::model::Filter;
use runyard_domain::run::{Status, recorded::ECHO};
use runyard_wire::{channel::Lineage, job::Job, metric::Metric, model::ModelVersion, run::Run};
use serde::Serialize;

use super::model;
use crate::{
    address,
    args::run::One,
    context::Context,
    failure::Failure,
    output::{self, Cell, Tone, status_cell},
    show, source, time,
};

mod lineage;

/// More metrics than this are left to `runyard metrics`.
const METRICS: usize = 20;
/// More model versions than this are left to `runyard model ls`.
const VERSIONS: i64 = 20;

pub(super) async fn run(context: &Context, args: One) -> Result<u8, Failure> {
    let id = address::run(context, &args.run, args.newest).await?;
    let run = context.client.run(&id).await?;
    let lineage = context.client.lineage(&id).await?;
    let people = context.out.format == crate::output::Format::Table;
    let (jobs, metrics, versions) = if people {
        let metrics = newest_metrics(context, &id).await?;
        (context.client.jobs(&id).await?, metrics, made_versions(context, &id).await?)
    } else {
        (Vec::new(), Vec::new(), Vec::new())
    };
    let shown = Shown { run: &run, lineage: &lineage };
    context.out.one(&shown, &id, || {
        tell(context, &run, &jobs, &metrics, &versions)?;
        lineage::tell(context, &lineage)
    })?;
    Ok(0)
}

/// A run with its lineage, as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    run: &'a Run,
    lineage: &'a Lineage,
}

/// The model versions that the run has made, newest first.
async fn made_versions(context: &Context, id: &str) -> Result<Vec<ModelVersion>, Failure> {
    let filter = Filter { run_id: vec![id.to_owned()], limit: Some(VERSIONS), ..Filter::default() };
    Ok(context.client.model_versions(&filter).await?)
}

/// The newest point of every tag that the program reported, up to a screenful.
async fn newest_metrics(context: &Context, id: &str) -> Result<Vec<Metric>, Failure> {
    let tags = context.client.metric_tags(id).await?;
    let mut newest = Vec::new();
    for tag in tags.iter().filter(|tag| !tag.starts_with("system/")).take(METRICS) {
        newest.extend(context.client.last_metric(id, tag).await?);
    }
    Ok(newest)
}

fn tell(
    context: &Context,
    run: &Run,
    jobs: &[Job],
    metrics: &[Metric],
    versions: &[ModelVersion],
) -> Result<(), Failure> {
    context.out.table(&[], facts(run))?;
    if !jobs.is_empty() {
        output::text("\n")?;
        context.out.table(
            &["JOB", "ID", "STARTED", "DURATION", "OUTPUT", "ENDED AS"],
            jobs.iter().map(job).collect(),
        )?;
    }
    if !metrics.is_empty() {
        output::text("\n")?;
        context.out.table(&["METRIC", "STEP", "VALUE"], metrics.iter().map(show::metric_row).collect())?;
    }
    if !versions.is_empty() {
        output::text("\n")?;
        context.out.table(&model::VERSION_HEADER, versions.iter().map(model::version_row).collect())?;
    }
    Ok(())
}

fn facts(run: &Run) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut fact = |name: &str, value: Cell| rows.push(vec![Cell::new(name, Tone::Dim), value]);
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    fact("id", run.id.as_deref().unwrap_or_default().into());
    fact("name", run.name.as_deref().unwrap_or_default().into());
    if let Some(version) = text(&run.version) {
        fact("version", version.into());
    }
    fact("status", status_cell(run.status));
    if let Some(reason) = text(&run.waiting_for) {
        fact("", reason.into());
    }
    if let Some(exit) = show::exit(run.exit.as_ref()).filter(|_| run.status != Some(Status::JobCompleted)) {
        fact("", show::exit_text(&exit).into());
    }
    for progress in run.progress.iter().flatten() {
        let shown = if run.status.is_some_and(Status::is_terminal) { show::how_far } else { show::progress };
        fact("progress", shown(progress).into());
    }
    if let Some(at) = run.created_at {
        fact("created", format!("{} by {}", time::moment(at), run.user_id.as_deref().unwrap_or("?")).into());
    }
    let duration = show::run_duration(run, time::now());
    if !duration.is_empty() {
        fact("duration", duration.into());
    }
    if let Some(resources) = &run.resources {
        fact("resources", show::resources(resources).into());
    }
    if let Some(executor) = &run.executor {
        fact("executor", executor.as_str().into());
    }
    if let Some(spec) = &run.spec {
        if let Some(image) = &spec.image {
            fact("image", image.as_str().into());
        }
        if let Some(name) = &spec.instance_type {
            fact("instance type", name.as_str().into());
        }
        if let Some(instances) = spec.instances.filter(|instances| *instances > 1) {
            fact("instances", format!("{instances}, each with the resources").into());
        }
        if !spec.command.is_empty() {
            fact("command", show::command(&spec.command).into());
        }
        if let Some(source) = &spec.source {
            fact("source", source.as_str().into());
        }
        if !spec.requirements.is_empty() {
            fact("requirements", spec.requirements.join(", ").into());
        }
        if let Some(limit) = spec.max_run_time_s {
            fact("time limit", time::duration(limit.saturating_mul(1000)).into());
        }
        if let Some(retries) = spec.retries.filter(|&retries| retries > 0) {
            fact("retries", retries.into());
        }
        let recorded: Vec<&str> =
            spec.recorded.keys().map(String::as_str).filter(|word| *word != ECHO).collect();
        if !recorded.is_empty() {
            fact("only recorded", recorded.join(", ").into());
        }
    }
    if let Some(blueprint) = &run.blueprint_id {
        fact("blueprint", blueprint.as_str().into());
    }
    if let Some(task_type) = text(&run.task_type) {
        fact("task type", task_type.into());
    }
    for (key, value) in run.labels.iter().flatten() {
        fact("label", format!("{key}={value}").into());
    }
    if let Some(notes) = text(&run.notes) {
        fact("notes", notes.into());
    }
    if let Some(config) =
        run.config.as_ref().filter(|config| config.as_object().is_some_and(|own| !own.is_empty()))
    {
        fact("config", config.to_string().into());
    }
    rows
}

fn job(job: &Job) -> Vec<Cell> {
    let exit = show::exit(job.exit.as_ref());
    let duration = match (job.started_at, job.ended_at) {
        (Some(from), Some(to)) => time::duration(to - from),
        (Some(from), None) => time::duration(time::now() - from),
        (None, _) => String::new(),
    };
    vec![
        job.epoch.into(),
        address::short(&job.id).into(),
        job.started_at.map(time::moment).unwrap_or_default().into(),
        duration.into(),
        source::bytes(job.log_bytes).into(),
        exit.as_ref().map(show::exit_text).unwrap_or_default().into(),
    ]
}
