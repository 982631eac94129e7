//! A stop: asked for once, by a signal or by whoever embeds a worker, and never taken back.

use std::{future, io};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Hears of a stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Asks for a stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stop {
    /// A stop that may be asked for. When the other side is dropped, it never will be.
    pub fn new() -> (Stopper, Self) {
        let (tell, told) = watch::channel(false);
        (Stopper(tell), Self(told))
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends once it is asked for.
    pub async fn asked(&self) {
        let mut told = self.0.clone();
        if told.wait_for(|asked| *asked).await.is_err() {
            future::pending::<()>().await;
        }
    }
}

impl Stopper {
    /// Asks for the stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// A stop that SIGTERM or SIGINT asks for; the second signal ends the program at once. To be called on a runtime.
pub(super) fn of_signals() -> io::Result<Stop> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stopper, stop) = Stop::new();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                tracing::info!("stopping: what is under work is finished, the rest is given back");
                stopper.stop();
            }
        }
        std::process::exit(143);
    });
    Ok(stop)
}
