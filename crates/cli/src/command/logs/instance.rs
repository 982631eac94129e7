//! `runyard logs --instance`: what one instance printed, as it printed it.

use runyard_client::run::{From, LogPart};
use runyard_domain::instance::Lines;

use super::PART;
use crate::{context::Context, failure::Failure, output};

/// Prints the lines of the instance, or the last `tail` of them; with `follow` until the run has ended.
pub(super) async fn print(
    context: &Context,
    id: &str,
    instance: i64,
    epoch: Option<i64>,
    tail: Option<i64>,
    follow: bool,
) -> Result<(), Failure> {
    let client = &context.client;
    // Also when nothing is to be printed: it says whether there is such an instance.
    let mut part = match tail {
        Some(lines) => client.instance_lines(id, instance, epoch, -lines.max(1), None).await?,
        None => client.instance_logs(id, instance, epoch, 0, PART).await?,
    };
    if tail == Some(0) {
        part.bytes = Vec::new().into();
        if !follow {
            return Ok(());
        }
    }
    while !print_part(&part)? {
        part = client.instance_logs(id, instance, epoch, part.next_offset, PART).await?;
    }
    if !follow {
        return Ok(());
    }
    let begun = client.jobs(id).await?;
    let begun = begun.iter().find(|job| Some(&job.id) == part.job_id.as_ref()).map(|job| job.epoch);
    let from = match begun {
        Some(epoch) => From::Offset { epoch, offset: part.next_offset },
        // There is no job yet, so nothing was printed.
        None => epoch.map_or(From::Beginning, From::Epoch),
    };
    let of_one = client.run(id).await?.spec.and_then(|spec| spec.instances).unwrap_or(1) < 2;
    let lines = (!of_one).then(|| Lines::of(instance));
    super::follow(context, id, epoch, from, lines).await
}

/// Answers whether that was all there is.
fn print_part(part: &LogPart) -> Result<bool, Failure> {
    output::bytes(&part.bytes)?;
    Ok(part.next_offset >= part.total || part.next_offset <= part.offset)
}
