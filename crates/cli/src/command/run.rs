//! `runyard run` and `runyard submit`.

use runyard_wire::run::Run;

use crate::{
    address,
    args::submit,
    context::Context,
    failure::Failure,
    follow,
    output::{self, Format},
    submission,
};

pub(super) async fn run(context: &Context, args: submit::Run) -> Result<u8, Failure> {
    if args.detach {
        return submit(context, args.submit).await;
    }
    refuse_csv(context)?;
    let run = submission::submit(context, args.submit, None).await?;
    let id = run.id.as_deref().unwrap_or_default();
    if context.out.format == Format::Table {
        output::note(format!("run {id} ({})", run.name.as_deref().unwrap_or_default()));
    }
    follow::follow(context, id).await
}

pub(super) async fn submit(context: &Context, args: submit::Submit) -> Result<u8, Failure> {
    refuse_csv(context)?;
    let run = submission::submit(context, args, None).await?;
    let id = run.id.clone().unwrap_or_default();
    context.out.one(&run, &id, || tell(&run, &id))?;
    Ok(0)
}

/// The id alone on stdout, so that `$(runyard submit ...)` is it.
pub(super) fn tell(run: &Run, id: &str) -> Result<(), Failure> {
    output::line(id)?;
    let short = address::short(id);
    let name = run.name.as_deref().unwrap_or_default();
    output::note(format!(
        "submitted {name}; follow it with `runyard logs -f {short}`, wait with `runyard wait {short}`"
    ));
    Ok(())
}

/// Before anything is submitted, not after.
fn refuse_csv(context: &Context) -> Result<(), Failure> {
    if context.out.format == Format::Csv { Err(output::no_csv()) } else { Ok(()) }
}
