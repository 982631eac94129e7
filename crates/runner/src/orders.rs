//! What the job was told to do: stop by a deadline, or go because another job took its place. Only ever gets stricter.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

/// What is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// A stop: SIGTERM at once, SIGKILL then.
    pub(crate) deadline: Option<Instant>,
    /// The run has a newer job, so nothing of this one is wanted any more.
    pub(crate) superseded: bool,
}

/// Where orders are given.
#[derive(Debug)]
pub(crate) struct Orders(watch::Sender<Order>);

impl Orders {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Order::default()))
    }

    /// A stop. A second one may only shorten the time that is left.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.0.send_if_modified(|order| {
            let sooner = order.deadline.is_none_or(|old| deadline < old);
            if sooner {
                order.deadline = Some(deadline);
            }
            sooner
        });
    }

    /// The run has a newer job.
    pub(crate) fn supersede(&self, grace: Duration) {
        self.stop(Instant::now() + grace);
        self.0.send_if_modified(|order| !std::mem::replace(&mut order.superseded, true));
    }

    /// What is in force now.
    pub(crate) fn now(&self) -> Order {
        *self.0.borrow()
    }

    /// To see changes. What is in force already counts as seen.
    pub(crate) fn watch(&self) -> watch::Receiver<Order> {
        self.0.subscribe()
    }

    /// Waits until there is a stop in force.
    pub(crate) async fn stopped(&self) {
        let mut watch = self.watch();
        // Cannot fail: the sender is borrowed by this very call.
        let _ = watch.wait_for(|order| order.deadline.is_some()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_stop_only_shortens() {
        let orders = Orders::new();
        let soon = Instant::now();
        let late = soon + Duration::from_mins(1);
        orders.stop(late);
        assert_eq!(orders.now().deadline, Some(late));
        orders.stop(soon);
        orders.stop(late);
        assert_eq!(orders.now().deadline, Some(soon));
    }
}
