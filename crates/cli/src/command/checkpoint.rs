//! `runyard checkpoints`, `runyard checkpoint`.

use std::path::PathBuf;

use runyard_client::checkpoint::Filter;
use runyard_domain::{FileSetId, checkpoint::Kind};
use runyard_wire::{checkpoint::Checkpoint, model::CheckpointModel};

use super::{confirm::confirm, model};
use crate::{
    address,
    args::checkpoint::{Checkpoint as Args, Checkpoints},
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    pull::{self, Wanted},
    source, time,
};

/// More at one step than anybody has.
const AT_A_STEP: i64 = 1000;

pub(super) async fn list(context: &Context, args: Checkpoints) -> Result<u8, Failure> {
    let run = address::run(context, &args.run.run, args.run.newest).await?;
    let status = if args.complete { vec!["complete".to_owned()] } else { Vec::new() };
    let filter = Filter { run_id: vec![run], status, limit: Some(args.limit), ..Filter::default() };
    let found = context.client.checkpoints(&filter).await?;
    let now = time::now();
    context.out.list(
        &found,
        |checkpoint| checkpoint.id.clone().unwrap_or_default(),
        &["ID", "STEP", "STATUS", "FILES", "SIZE", "AGE", "REASON"],
        |checkpoint| row(checkpoint, now),
        "this run has no checkpoints",
    )?;
    Ok(0)
}

fn row(checkpoint: &Checkpoint, now: i64) -> Vec<Cell> {
    vec![
        checkpoint.id.as_deref().unwrap_or_default().into(),
        checkpoint.global_step.map(|step| step.to_string()).unwrap_or_default().into(),
        status_cell(checkpoint.status.as_deref(), checkpoint.reason.as_deref()),
        checkpoint.files.map(|files| files.to_string()).unwrap_or_default().into(),
        checkpoint.size.map(source::bytes).unwrap_or_default().into(),
        checkpoint.created_at.map(|at| time::age(now - at)).unwrap_or_default().into(),
        Cell::new(checkpoint.reason.as_deref().unwrap_or_default(), Tone::Dim),
    ]
}

/// Green when all is there, red when it never will be.
pub(super) fn status_cell(status: Option<&str>, reason: Option<&str>) -> Cell {
    let tone = match (status, reason) {
        (Some("complete"), _) => Tone::Good,
        (_, Some(_)) => Tone::Bad,
        _ => Tone::Busy,
    };
    Cell::new(status.unwrap_or_default(), tone)
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Pull { checkpoint, folder, newest } => {
            let found = meant(context, &checkpoint, newest).await?;
            let step = found.global_step.unwrap_or_default();
            let folder = folder.unwrap_or_else(|| PathBuf::from(format!("checkpoint-{step}")));
            let wanted = Wanted {
                kind: Kind::Checkpoint,
                id: found.id.as_deref().unwrap_or_default(),
                title: format!("checkpoint at step {step}"),
                size: found.size.unwrap_or_default(),
            };
            pull::pull(context, &wanted, &folder).await?;
            if context.out.format == Format::Json {
                output::json(&found)?;
            }
        }
        Args::Publish { checkpoint, name, version, summary, newest } => {
            let found = meant(context, &checkpoint, newest).await?;
            let project_id = context.project.clone();
            let new = CheckpointModel { name, version, summary, project_id };
            let made = context.client.checkpoint_model(found.id.as_deref().unwrap_or_default(), &new).await?;
            model::publish::tell(context, &made, "published", None)?;
        }
        Args::Rm { checkpoints, newest, yes } => remove(context, &checkpoints, newest, yes).await?,
    }
    Ok(0)
}

/// The checkpoint with this id, if `text` is one.
async fn by_id(context: &Context, text: &str) -> Result<Option<Checkpoint>, Failure> {
    let Ok(id) = text.parse::<FileSetId>() else { return Ok(None) };
    match context.client.checkpoint(&id.to_string()).await {
        Ok(found) => Ok(Some(found)),
        // Runs have ids of the same form.
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The complete checkpoint that `text` means.
async fn meant(context: &Context, text: &str, newest: bool) -> Result<Checkpoint, Failure> {
    if let Some(found) = by_id(context, text).await? {
        return match found.status.as_deref() {
            Some("complete") => Ok(found),
            _ => Err(Failure::new(format!("checkpoint {text} is not complete"))
                .hint(found.reason.unwrap_or_else(|| "wait until all of it is uploaded".to_owned()))),
        };
    }
    let (run, step) = split(text);
    let run = address::run(context, run, newest).await?;
    let found = context.client.newest_checkpoint(&run, step).await?;
    found.ok_or_else(|| {
        let at = step.map(|step| format!(" at step {step}")).unwrap_or_default();
        Failure::new(format!("run {} has no complete checkpoint{at}", address::short(&run)))
            .hint(format!("`runyard checkpoints {}` lists those that it has", address::short(&run)))
    })
}

/// Run and step of `RUN@STEP`; a name may have an `@` in it.
fn split(text: &str) -> (&str, Option<i64>) {
    match text.rsplit_once('@').map(|(run, step)| (run, step.parse())) {
        Some((run, Ok(step))) if !run.is_empty() => (run, Some(step)),
        _ => (text, None),
    }
}

async fn remove(context: &Context, texts: &[String], newest: bool, yes: bool) -> Result<(), Failure> {
    let mut found: Vec<Checkpoint> = Vec::new();
    for text in texts {
        for checkpoint in named(context, text, newest).await? {
            if !found.iter().any(|known| known.id == checkpoint.id) {
                found.push(checkpoint);
            }
        }
    }
    let steps: Vec<String> =
        found.iter().filter_map(|checkpoint| checkpoint.global_step).map(|step| step.to_string()).collect();
    let many = if found.len() == 1 { "checkpoint at step" } else { "checkpoints at steps" };
    confirm(&format!("Delete the {many} {}?", steps.join(", ")), yes)?;
    let mut gone = Vec::new();
    for checkpoint in &found {
        let id = checkpoint.id.as_deref().unwrap_or_default();
        let deleted = context.client.delete_checkpoint(id).await?;
        match context.out.format {
            Format::Table => output::note(format!(
                "deleted the checkpoint at step {}, freed {}",
                checkpoint.global_step.unwrap_or_default(),
                source::bytes(deleted.freed_bytes)
            )),
            Format::Quiet => output::line(id)?,
            Format::Json | Format::Csv => gone.push(deleted),
        }
    }
    if context.out.format == Format::Json {
        output::json(&gone)?;
    }
    Ok(())
}

/// Every checkpoint that `text` names: by its id, or all of a run at a step.
async fn named(context: &Context, text: &str, newest: bool) -> Result<Vec<Checkpoint>, Failure> {
    if let Some(found) = by_id(context, text).await? {
        return Ok(vec![found]);
    }
    let (run, Some(step)) = split(text) else {
        return Err(Failure::usage(format!("`{text}` does not say which checkpoint"))
            .hint("write RUN@STEP, or the id of a checkpoint"));
    };
    let run = address::run(context, run, newest).await?;
    let filter =
        Filter { run_id: vec![run], global_step: vec![step], limit: Some(AT_A_STEP), ..Filter::default() };
    let found = context.client.checkpoints(&filter).await?;
    if found.is_empty() {
        return Err(Failure::new(format!("`{text}`: this run has no checkpoint at step {step}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stands_behind_the_last_at_sign() {
        assert_eq!(split("digits@10"), ("digits", Some(10)));
        assert_eq!(split("digits@-1"), ("digits", Some(-1)));
        assert_eq!(split("me@home@10"), ("me@home", Some(10)));
        assert_eq!(split("me@home"), ("me@home", None));
        assert_eq!(split("@10"), ("@10", None));
        assert_eq!(split("digits"), ("digits", None));
    }
}
