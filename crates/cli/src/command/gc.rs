//! `runyard gc`: frees what nobody needs, and says how much of what.

use runyard_wire::system::{CollectGarbage, Freed};

use crate::{
    args::server::Gc,
    context::Context,
    failure::Failure,
    output::{self, Cell, Format},
    source,
};

pub(super) async fn run(context: &Context, args: Gc) -> Result<u8, Failure> {
    let seconds = |ms: i64| ms / 1000;
    let wanted = CollectGarbage {
        dry_run: args.dry_run,
        keep_jobs_s: args.keep_jobs.map(seconds),
        keep_environments_s: args.keep_environments.map(seconds),
    };
    let freed = context.client.collect_garbage(&wanted).await?;
    match context.out.format {
        Format::Table => {
            context.out.table(&["WHAT", "COUNT", "SIZE"], freed.iter().map(row).collect())?;
            let bytes = source::bytes(freed.iter().map(|freed| freed.bytes).sum());
            output::note(if args.dry_run {
                format!("{bytes} would be freed: nothing was touched")
            } else {
                format!("freed {bytes}")
            });
        }
        Format::Json => output::json(&freed)?,
        Format::Quiet => output::line(freed.iter().map(|freed| freed.bytes).sum::<i64>())?,
        Format::Csv => return Err(output::no_csv()),
    }
    Ok(0)
}

fn row(freed: &Freed) -> Vec<Cell> {
    let what = match freed.kind.as_str() {
        "deleted" => "what was deleted",
        "sources" => "sources that nothing refers to",
        "orphans" => "objects that nobody knows",
        "jobs" => "folders of jobs that have ended",
        "environments" => "unused virtual environments",
        other => other,
    };
    vec![what.into(), freed.count.into(), source::bytes(freed.bytes).into()]
}
