//! Where orders come from: the answers to heartbeats, signals to the runner, and `stop.json`. Listens for as long as the
//! job lives and never gives up because the server is away.

use std::{rc::Rc, time::Duration};

use runyard_domain::{
    Millis,
    job::{StopOrder, folder},
};
use runyard_wire::job::{Heartbeat, JobState};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use crate::job::Job;

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);

/// The signals that mean something to a runner, caught from this moment on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Caught so that a closed terminal ends nothing.
    hangup: Signal,
}

impl Signals {
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Every SIGTERM or SIGINT is a stop.
    pub(crate) async fn obey(mut self, job: Rc<Job>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hangup.recv() => continue,
            }
            obey_file(&job, true);
        }
    }
}

/// Obeys `stop.json`; when there is none and a stop was `asked` for by a signal, the job's own grace holds.
pub(crate) fn obey_file(job: &Job, asked: bool) {
    match job.folder.read::<StopOrder>(folder::STOP) {
        Ok(Some(order)) => job.orders.stop(job.server.instant(order.deadline)),
        Ok(None) if !asked => {}
        Ok(None) => job.orders.stop(Instant::now() + job.grace()),
        Err(error) => {
            tracing::warn!(%error, "the stop order cannot be read: using the job's own grace");
            job.orders.stop(Instant::now() + job.grace());
        }
    }
}

/// Obeys an answer of the server.
pub(crate) fn obey(job: &Job, state: &JobState) {
    job.server.learn_clock(state);
    if let Some(deadline) = state.stop_deadline {
        job.orders.stop(job.server.instant(Millis(deadline)));
    }
}

/// Says once a second that the job is alive, and at once that it is ending.
pub(crate) async fn heartbeats(job: Rc<Job>) {
    let mut terminating = job.terminating.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            _ = terminating.changed() => {}
        }
        let beat = Heartbeat { terminating: *terminating.borrow_and_update() };
        match job.server.client().heartbeat(&beat).await {
            Ok(state) => obey(&job, &state),
            Err(error) if error.code() == Some("stale_epoch") => {
                tracing::info!("the run has a newer job: ending this one");
                job.supersede();
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "no answer to a heartbeat");
                job.server.find_again();
            }
        }
    }
}
