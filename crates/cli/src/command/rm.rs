//! `runyard rm`.

use runyard_client::{
    Error,
    run::{Update, Want},
};
use runyard_wire::run::{Run, StopRun};

use super::confirm::confirm;
use crate::{
    address,
    args::run::Rm,
    context::Context,
    failure::Failure,
    output::{self, Format},
    source,
};

pub(super) async fn run(context: &Context, args: Rm) -> Result<u8, Failure> {
    let mut runs = Vec::new();
    for text in &args.runs.runs {
        let id = address::run(context, text, args.runs.newest).await?;
        if !runs.iter().any(|run: &Run| run.id.as_ref() == Some(&id)) {
            runs.push(context.client.run(&id).await?);
        }
    }
    check(&runs, args.force)?;
    confirm(&format!("Delete {} with logs, metrics and files?", names(&runs)), args.yes)?;
    let mut freed = Vec::new();
    for run in &runs {
        let id = run.id.as_deref().unwrap_or_default();
        if args.force && run.status.is_some_and(|status| !status.is_settled()) {
            stop(context, id, args.grace).await?;
        }
        let deleted = context.client.delete_run(id).await?;
        match context.out.format {
            Format::Table => {
                output::note(format!(
                    "deleted {}, freed {}",
                    address::short(id),
                    source::bytes(deleted.freed_bytes)
                ));
            }
            Format::Quiet => output::line(id)?,
            Format::Json | Format::Csv => freed.push(deleted),
        }
    }
    if context.out.format == Format::Json {
        output::json(&freed)?;
    }
    Ok(0)
}

/// All or nothing: said before the first one is deleted.
fn check(runs: &[Run], force: bool) -> Result<(), Failure> {
    let active: Vec<&str> = runs
        .iter()
        .filter(|run| run.status.is_some_and(|status| !status.is_settled()))
        .filter_map(|run| run.id.as_deref())
        .collect();
    if active.is_empty() || force {
        return Ok(());
    }
    let one = if active.len() == 1 { "this run has not ended" } else { "these runs have not ended" };
    Err(Failure::new(format!("{one}: {}", active.join(", ")))
        .hint("stop them first with `runyard stop`, or stop and delete in one with --force"))
}

fn names(runs: &[Run]) -> String {
    let one = |run: &Run| {
        let id = address::short(run.id.as_deref().unwrap_or_default());
        format!("{} ({id})", run.name.as_deref().unwrap_or("run"))
    };
    match runs {
        [run] => format!("run {}", one(run)),
        _ => format!("{} runs: {}", runs.len(), runs.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

/// Stops a run and waits until it has ended.
async fn stop(context: &Context, id: &str, grace: i64) -> Result<(), Failure> {
    let stop = StopRun { grace_period_seconds: Some(grace) };
    match context.client.stop_run(id, &stop).await {
        // 409: it ended in between.
        Ok(()) | Err(Error::Api { status: 409, .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let mut following = context.client.follow_run(id, Want::default());
    while let Some(update) = following.next().await? {
        if let Update::Lost(error) = update {
            return Err(error.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use runyard_domain::run::Status;

    use super::*;

    fn run(id: &str, status: Status) -> Run {
        Run { id: Some(id.into()), name: Some("digits".into()), status: Some(status), ..Run::default() }
    }

    #[test]
    fn nothing_is_deleted_while_one_of_the_runs_is_active() {
        let runs = [run("a", Status::JobCompleted), run("b", Status::JobRunning)];
        let error = check(&runs, false).unwrap_err().to_string();
        assert!(error.contains("has not ended: b") && error.contains("--force"), "{error}");
        assert!(check(&runs, true).is_ok() && check(&runs[..1], false).is_ok());
    }

    #[test]
    fn the_question_names_what_will_be_gone() {
        let runs = [run("a", Status::JobCompleted), run("b", Status::JobFailed)];
        assert_eq!(names(&runs[..1]), "run digits (a)");
        assert_eq!(names(&runs), "2 runs: digits (a), digits (b)");
    }
}
