//! Waits for the end of a run, and shows what its program prints. Following never changes the run.

use std::io::Write as _;

use runyard_client::{
    Client,
    run::{Update, Want},
};
use runyard_domain::run::Status;
use runyard_wire::run::Run;

use crate::Error;

/// Waits until the run has ended; answers it as it is then. A server that is away is waited for.
pub(crate) async fn to_the_end(client: &Client, id: &str, show_logs: bool) -> Result<Run, Error> {
    let mut following = client.follow_run(id, Want { logs: show_logs, ..Want::default() });
    while let Some(update) = following.next().await? {
        match update {
            Update::Log(part) => show(&part.text),
            Update::Lost(error) => tracing::warn!("the server is out of reach, and asked again: {error}"),
            _ => {}
        }
    }
    Ok(client.run(id).await?)
}

/// Whoever reads our output may have had enough of it; the run goes on.
fn show(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A run that failed is an error; one that was stopped is not.
pub(crate) fn judge(run: Run) -> Result<Run, Error> {
    let Some(status) = run.status else { return Ok(run) };
    if !matches!(status, Status::JobFailed | Status::JobCreateFailed) {
        return Ok(run);
    }
    let said = |field: &str| run.exit.as_ref()?.get(field)?.as_str().map(str::to_owned);
    let reason = said("message").or_else(|| said("reason"));
    Err(Error::Ended {
        id: run.id.unwrap_or_default(),
        name: run.name.unwrap_or_default(),
        status,
        reason: reason.unwrap_or_else(|| "`runyard events` says why".to_owned()),
    })
}
