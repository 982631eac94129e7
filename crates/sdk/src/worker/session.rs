//! What a worker says to the server, for as long as it takes: a server that is away is waited for, less long once a stop is asked
//! for. Never repeats what the server has refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runyard_client::{Client, Error as ClientError};
use tokio::runtime::Handle;

use super::Stop;
use crate::{Environment, Error, patience::Patience};

/// A worker's way to the server.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) environment: Environment,
    pub(super) client: Client,
    pub(super) handle: Handle,
    pub(super) stop: Stop,
    /// Who it is, in a worker run.
    pub(super) holder: String,
}

impl Session {
    pub(super) fn open(environment: &Environment, handle: &Handle, stop: Stop) -> Result<Self, Error> {
        let client = environment.client().ok_or_else(|| {
            Error::Worker(
                "no server is known: set RUNYARD_URL and RUNYARD_TOKEN, or run this as a job".into(),
            )
        })?;
        let holder = environment.holder.clone().unwrap_or_else(own_name);
        Ok(Self { environment: environment.clone(), client, handle: handle.clone(), stop, holder })
    }

    /// Makes a call until it succeeds or is refused.
    pub(super) fn insist<T>(
        &mut self,
        call: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Error> {
        let mut stopping = self.stop.is_asked();
        let mut patience = if stopping { Patience::brief() } else { Patience::of_job() };
        self.handle.clone().block_on(async {
            loop {
                let error = match call(&self.client).await {
                    Ok(done) => return Ok(done),
                    Err(error) => Error::from(error),
                };
                tokio::select! {
                    met = patience.meet(error) => met?,
                    () = self.stop.asked(), if !stopping => {
                        stopping = true;
                        patience = Patience::brief();
                    }
                }
                self.find_again();
            }
        })
    }

    /// The server may have been started again elsewhere.
    pub(super) fn find_again(&mut self) {
        if let Some(url) = self.environment.url_now() {
            self.client.set_url(&url);
        }
    }

    /// Waits, but no longer than until a stop.
    pub(super) fn pause(&self, time: Duration) {
        self.handle.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.stop.asked() => {}
            }
        });
    }
}

/// A name that no other process has.
fn own_name() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("worker-{}-{:x}", std::process::id(), since.as_nanos())
}
