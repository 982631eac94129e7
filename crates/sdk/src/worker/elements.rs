//! Works through elements: claims some, processes them, commits, until there is nothing left. Never claims ahead: what is handed
//! out alone, because its workers died before, has to be alone.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use runyard_domain::worker_run::BATCH;
use runyard_wire::activity::{Claim, ClaimAnswer, CommitItem, Release};
use tokio::runtime::Builder;

use super::{
    Element, ElementsWorker, Options, Stop, Summary, Work,
    commit::Committer,
    guard::{guard, process},
    lease::Kept,
    named,
    session::Session,
};
use crate::{Environment, Error};

/// What is done is committed at least this often: a kill costs no more.
const COMMIT_EVERY: Duration = Duration::from_secs(2);
/// Between claims when others hold all that is left.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Runs a worker to its end, which is that of its elements, a stop, or an error that is not one of an element. Blocks; not to
/// be called on a thread of an async runtime.
///
/// # Errors
/// Configuring failed, there is nothing to process, or the server refuses.
pub fn run_elements(
    worker: &mut impl ElementsWorker,
    environment: &Environment,
    options: &Options,
    stop: Stop,
) -> Result<Summary, Error> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|cause| Error::Local { what: "no more threads can be had", cause })?;
    let mut session = Session::open(environment, runtime.handle(), stop)?;
    let chosen = named::chosen(options)?;
    let work = Work::read(&mut session, options)?;
    guard(|| worker.configure(&work))
        .map_err(|why| Error::Worker(format!("the worker cannot be configured: {why}")))?;
    let chosen = match chosen {
        named::Chosen::Sets(sets) => Some(named::of_sets(&mut session, &sets)?),
        named::Chosen::Elements(ids) => Some(ids),
        named::Chosen::Nothing => None,
    };
    let batch = options.batch.or(environment.batch).unwrap_or(BATCH);
    let mut summary = Summary::default();
    match work.worker_run().filter(|_| !work.is_read_only()) {
        None => named::look_at(worker, &mut session, &work, chosen, batch, &mut summary)?,
        Some(run) => {
            let lease_ms = environment.lease_ms.unwrap_or(run.lease_ms);
            let mut desk = Desk { worker, session, worker_run: run.id.clone(), batch, lease_ms, summary };
            let _kept = Kept::keep(&desk.session, &run.id, lease_ms);
            let done = match chosen {
                Some(ids) => desk.work_through(&ids),
                None => desk.work(),
            };
            if done.is_err() || desk.summary.stopped {
                desk.leave();
            }
            done?;
            summary = desk.summary;
        }
    }
    tracing::info!(
        "Ran on {} element(s): {} completed, {} failed",
        summary.ran,
        summary.ran.saturating_sub(summary.failed + summary.dropped),
        summary.failed
    );
    Ok(summary)
}

/// A worker in its worker run.
pub(super) struct Desk<'a, W> {
    worker: &'a mut W,
    pub(super) session: Session,
    pub(super) worker_run: String,
    pub(super) batch: i64,
    lease_ms: i64,
    pub(super) summary: Summary,
}

impl<W: ElementsWorker> Desk<'_, W> {
    /// Claims and processes until nothing is left for anybody.
    fn work(&mut self) -> Result<(), Error> {
        let holder = self.session.holder.clone();
        let claim = Claim { holder, limit: self.batch, lease_ms: Some(self.lease_ms) };
        let mut pause = FIRST_PAUSE;
        loop {
            if self.session.stop.is_asked() {
                self.summary.stopped = true;
                return Ok(());
            }
            let answer = self.claim(&claim)?;
            if !answer.claimed.is_empty() {
                pause = FIRST_PAUSE;
                self.process(answer.claimed.into_iter().map(Element::from).collect())?;
            } else if answer.left == 0 {
                return self.judge();
            } else {
                // What others hold may come back, and what a claim took whose answer was lost.
                self.session.pause(pause);
                self.release()?;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Claims while nothing is held. What a claim took whose answer was lost would be renewed for ever: it is given back first.
    fn claim(&mut self, claim: &Claim) -> Result<ClaimAnswer, Error> {
        let (id, release) = (&self.worker_run, self.all());
        let again = Cell::new(false);
        self.session.insist(async |client| {
            if again.replace(true) {
                client.release_elements(id, &release).await?;
            }
            client.claim_elements(id, claim).await
        })
    }

    /// Whether the whole worker run went wrong, in whichever process.
    fn judge(&mut self) -> Result<(), Error> {
        let id = &self.worker_run;
        let counts = self.session.insist(async |client| client.worker_run(id).await)?.counts;
        if counts.processed + counts.error == 0 {
            return Err(Error::Worker(format!(
                "worker run {id} has no elements: there is nothing to process"
            )));
        }
        self.summary.all_failed = counts.processed == 0;
        Ok(())
    }

    /// Processes elements that are held, and commits what came of them. After a stop, the rest stays held.
    pub(super) fn process(&mut self, elements: Vec<Element>) -> Result<(), Error> {
        let (mut done, mut committed_at) = (Vec::new(), Instant::now());
        for chunk in elements.chunks(self.worker.batch_size().max(1)) {
            if self.session.stop.is_asked() {
                self.summary.stopped = true;
                break;
            }
            let outcomes = process(self.worker, chunk);
            done.extend(chunk.iter().zip(outcomes).map(|(element, outcome)| item(element, outcome)));
            if committed_at.elapsed() >= COMMIT_EVERY {
                self.commit(std::mem::take(&mut done))?;
                committed_at = Instant::now();
            }
        }
        self.commit(done)
    }

    fn commit(&mut self, items: Vec<CommitItem>) -> Result<(), Error> {
        let mut committer = Committer { worker_run: &self.worker_run, summary: &mut self.summary };
        committer.commit(&mut self.session, items)
    }

    fn all(&self) -> Release {
        Release { holder: self.session.holder.clone(), ..Release::default() }
    }

    /// Gives back all that is held.
    fn release(&mut self) -> Result<i64, Error> {
        let (id, release) = (&self.worker_run, self.all());
        self.session.insist(async |client| client.release_elements(id, &release).await)
    }

    /// The same at the end. When it fails, the leases run out.
    fn leave(&mut self) {
        let (id, release) = (&self.worker_run, self.all());
        match self.session.handle.block_on(self.session.client.release_elements(id, &release)) {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} elements were given back"),
            Err(error) => tracing::warn!("what is held comes back when its lease runs out: {error}"),
        }
    }
}

fn item(element: &Element, outcome: Result<runyard_domain::element::Results, String>) -> CommitItem {
    let item = CommitItem {
        element_id: element.id.clone(),
        attempt: element.attempt,
        state: "processed".to_owned(),
        ..CommitItem::default()
    };
    match outcome {
        Ok(results) => CommitItem { results, ..item },
        Err(error) => CommitItem { state: "error".to_owned(), error: Some(error), ..item },
    }
}
