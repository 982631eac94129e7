//! `runyard stop`.

use runyard_wire::run::StopRun;

use crate::{
    address,
    args::run::Stop,
    context::Context,
    failure::Failure,
    output::{self, Format},
    time,
};

/// The server's grace when nobody says one.
const GRACE_S: i64 = 600;

pub(super) async fn run(context: &Context, args: Stop) -> Result<u8, Failure> {
    let mut ids = Vec::new();
    for text in &args.runs.runs {
        ids.push(address::run(context, text, args.runs.newest).await?);
    }
    let stop = StopRun { grace_period_seconds: args.grace };
    for id in &ids {
        context.client.stop_run(id, &stop).await?;
        match context.out.format {
            Format::Table => {
                let grace = time::duration(args.grace.unwrap_or(GRACE_S).saturating_mul(1000));
                let short = address::short(id);
                output::note(format!(
                    "stopping {short}: SIGTERM now, SIGKILL after {grace}; `runyard wait {short}` waits for the end"
                ));
            }
            Format::Quiet => output::line(id)?,
            Format::Json => output::json(&context.client.run(id).await?)?,
            Format::Csv => return Err(output::no_csv()),
        }
    }
    Ok(0)
}
