//! `runyard dataset build`: asks for the archive, and waits until it is there.

use std::time::Duration;

use indicatif::ProgressBar;
use runyard_wire::dataset::Dataset;

use super::tell;
use crate::{context::Context, failure::Failure, output::Format, source};

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

pub(super) async fn run(context: &Context, dataset: &Dataset, detach: bool) -> Result<(), Failure> {
    let mut now = context.client.build_dataset(&dataset.id).await?;
    if detach {
        return tell(
            context,
            &now,
            &format!("{} is being built; `runyard dataset show` says how far", now.name),
        );
    }
    let bar =
        if context.out.format == Format::Table { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_message(format!("building {}", now.name));
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut pause = PAUSE_MIN;
    while now.state == "building" {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        match context.client_now().dataset(&dataset.id).await {
            Ok(seen) => now = seen,
            // A server that is restarted begins again.
            Err(error) if error.is_transient() => {}
            Err(error) => {
                bar.finish_and_clear();
                return Err(error.into());
            }
        }
    }
    bar.finish_and_clear();
    match (now.state.as_str(), &now.archive) {
        ("complete", Some(archive)) => {
            let size = source::bytes(archive.size);
            tell(
                context,
                &now,
                &format!("{}: {} with {} files, {size}", now.name, archive.name, archive.files),
            )
        }
        ("error", _) => {
            let why = now.error.as_deref().unwrap_or("the server does not say why");
            Err(Failure::new(format!("the archive of {} cannot be made: {why}", now.name))
                .hint(format!("mend it, then `runyard dataset reopen {}` and build again", now.id)))
        }
        (state, _) => Err(Failure::new(format!("somebody else changed the dataset: it is {state} now"))),
    }
}
