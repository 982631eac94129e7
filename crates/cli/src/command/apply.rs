//! `runyard apply`: jobs that files describe. All files are looked at before the first job is submitted.

use runyard_wire::run::Run;

use super::process::submit;
use crate::{
    args::process::Apply,
    context::Context,
    failure::Failure,
    follow, job_file,
    output::{self, Format},
};

pub(super) async fn run(context: &Context, args: Apply) -> Result<u8, Failure> {
    if context.out.format == Format::Csv {
        return Err(output::no_csv());
    }
    let mut jobs = Vec::new();
    for file in &args.files {
        jobs.append(&mut job_file::read(file)?);
    }
    if args.dry_run {
        for job in &jobs {
            output::line(format!("{}: {}", job.title(), job.name()))?;
        }
        return Ok(0);
    }
    let mut runs: Vec<Run> = Vec::new();
    for job in &mut jobs {
        if job.processor.project.is_none() {
            job.processor.project.clone_from(&context.project);
        }
        let run = submit(context, &mut job.processor, &job.inputs, &job.outputs).await;
        let run = run.map_err(|error| job.explain(error));
        // What was submitted goes on: its ids must be known.
        match run {
            Ok(run) => runs.push(run),
            Err(failure) => {
                tell(context, &runs)?;
                return Err(failure);
            }
        }
    }
    tell(context, &runs)?;
    if !args.follow {
        return Ok(0);
    }
    let mut first = 0;
    for run in &runs {
        let code = follow::follow(context, run.id.as_deref().unwrap_or_default()).await?;
        if first == 0 {
            first = code;
        }
    }
    Ok(first)
}

/// The ids on stdout, one to a line; as JSON the runs.
fn tell(context: &Context, runs: &[Run]) -> Result<(), Failure> {
    if context.out.format == Format::Json {
        return output::json(&runs);
    }
    for run in runs {
        output::line(run.id.as_deref().unwrap_or_default())?;
        if context.out.format == Format::Table {
            output::note(format!("submitted {}", run.name.as_deref().unwrap_or_default()));
        }
    }
    Ok(())
}
