//! Keeps the leases of a holder alive in the background, for as long as it exists. Never gives anything back.

use std::time::Duration;

use runyard_wire::activity::Renew;
use tokio::task::JoinHandle;

use super::session::Session;

/// Renewals in the life of a lease.
const RENEWALS: u64 = 3;

/// Leases that are renewed until this is dropped.
pub(super) struct Kept(JoinHandle<()>);

impl Kept {
    pub(super) fn keep(session: &Session, worker_run: &str, lease_ms: i64) -> Self {
        let (session, id) = (session.clone(), worker_run.to_owned());
        let pause = Duration::from_millis(lease_ms.unsigned_abs() / RENEWALS);
        Self(session.handle.clone().spawn(renew(session, id, lease_ms, pause)))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn renew(mut session: Session, id: String, lease_ms: i64, pause: Duration) {
    let renew = Renew { holder: session.holder.clone(), lease_ms: Some(lease_ms) };
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = session.client.renew_leases(&id, &renew).await {
            // The work goes on: until somebody else takes an element, its commit is accepted.
            tracing::warn!("the leases could not be renewed, and it is tried again: {error}");
            session.find_again();
        }
    }
}
