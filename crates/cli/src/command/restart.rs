//! `runyard restart`.

use runyard_wire::run::RestartRun;

use crate::{
    address,
    args::run::Restart,
    context::Context,
    failure::Failure,
    output::{self, Format},
    submission,
};

pub(super) async fn run(context: &Context, args: Restart) -> Result<u8, Failure> {
    let id = address::run(context, &args.run.run, args.run.newest).await?;
    // Options change single resources; the API takes all of them.
    submission::resources(&args.resources, None)?;
    let before = context.client.run(&id).await?;
    let resources = submission::resources(&args.resources, before.resources.as_ref())?;
    context.client.restart_run(&id, &RestartRun { resources }).await?;
    match context.out.format {
        Format::Table => {
            let short = address::short(&id);
            output::note(format!("restarting {short}; follow it with `runyard logs -f {short}`"));
            Ok(())
        }
        Format::Quiet => output::line(&id),
        Format::Json => output::json(&context.client.run(&id).await?),
        Format::Csv => Err(output::no_csv()),
    }?;
    Ok(0)
}
