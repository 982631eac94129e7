//! Wakes those who wait for a change of a run, and the controller. A hint only: whoever waits also looks by the clock.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use runyard_domain::RunId;
use tokio::sync::{Notify, watch};

/// Who is waiting for what.
#[derive(Default, Clone)]
pub struct Signals {
    controller: Arc<Notify>,
    builder: Arc<Notify>,
    garbage: Arc<Notify>,
    due: Arc<Mutex<BTreeSet<RunId>>>,
    runs: Arc<Mutex<HashMap<RunId, watch::Sender<u64>>>>,
}

impl Signals {
    /// Something about this run was committed.
    pub fn changed(&self, run: RunId) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = runs.get(&run) {
            if sender.receiver_count() == 0 {
                runs.remove(&run);
            } else {
                sender.send_modify(|version| *version += 1);
            }
        }
    }

    /// A receiver that changes whenever something about the run was committed by this server.
    pub fn watch(&self, run: RunId) -> watch::Receiver<u64> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.entry(run).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// The controller has a next step with this run.
    pub fn drive(&self, run: RunId) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).insert(run);
        self.controller.notify_one();
    }

    /// A dataset is to be built.
    pub fn build(&self) {
        self.builder.notify_one();
    }

    /// Becomes ready when a dataset is to be built.
    pub(crate) async fn built(&self) {
        self.builder.notified().await;
    }

    /// Something that was discarded could not be freed.
    pub(crate) fn leave_garbage(&self) {
        self.garbage.notify_one();
    }

    /// Becomes ready when something could not be freed.
    pub(crate) async fn garbage_left(&self) {
        self.garbage.notified().await;
    }

    /// The runs that the controller has a next step with, taken.
    pub(crate) fn take_due(&self) -> BTreeSet<RunId> {
        std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Becomes ready when the controller has a next step.
    pub(crate) async fn driven(&self) {
        self.controller.notified().await;
    }
}
