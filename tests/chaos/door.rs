//! A user who does not give up: asks the server of a data folder, wherever it is now, until there is an answer.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use runyard_client::{Client, Error};
use runyard_tests::{Cli, block_on, wait_for};
use runyard_wire::run::{NewRun, Run, StopRun};
use serde_json::Value;

/// A server that is killed every second still answers within this time.
const PATIENCE: Duration = Duration::from_mins(2);

/// The way to the server of a data folder.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    data: PathBuf,
    http: reqwest::Client,
}

impl Door {
    pub(crate) fn new(data: &Path) -> Self {
        // A lost race is fine: somebody installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(Duration::from_secs(30));
        Self { data: data.to_owned(), http: http.build().expect("a client") }
    }

    /// Where the server said that it is, and the token; it may be gone.
    fn server(&self) -> Option<(String, String)> {
        let file: Value = serde_json::from_slice(&fs::read(self.data.join("server.json")).ok()?).ok()?;
        let token = fs::read_to_string(self.data.join("token")).ok()?;
        Some((file["url"].as_str()?.to_owned(), token.trim().to_owned()))
    }

    /// Submits a run under an idempotency key, again and again, until the answer arrives; answers the run's id.
    pub(crate) fn submit(&self, key: &str, new: &NewRun) -> String {
        let post = || -> Option<String> {
            let (url, token) = self.server()?;
            let call = self.http.post(format!("{url}/api/v2/runs")).bearer_auth(token).json(new);
            block_on(async {
                let answer = call.header("idempotency-key", key).send().await.ok()?;
                let status = answer.status();
                let text = answer.text().await.ok()?;
                assert!(status.is_success() || may_come_back(status.as_u16()), "{status}: {text}");
                let run: runyard_wire::Data<Run> = serde_json::from_str(&text).ok()?;
                run.data.id
            })
        };
        wait_for("a submission is acknowledged", PATIENCE, post)
    }

    /// Stops a run, again and again, until that is acknowledged.
    pub(crate) fn stop(&self, id: &str, grace_s: i64) {
        let stop = StopRun { grace_period_seconds: Some(grace_s) };
        wait_for("a stop is acknowledged", PATIENCE, || {
            let (url, token) = self.server()?;
            match block_on(Client::new(&url, &token).stop_run(id, &stop)) {
                Ok(()) => Some(()),
                // It was acknowledged before, but we did not hear it, and the program has ended since.
                Err(error) if error.status() == Some(409) => Some(()),
                Err(error) => {
                    assert!(transient(&error), "{error}");
                    None
                }
            }
        });
    }

    /// The same as a person does it.
    pub(crate) fn stop_by_hand(&self, id: &str, grace: &str) {
        wait_for("a stop is acknowledged", PATIENCE, || {
            let said = Cli::start(&self.data, &["stop", id, "--grace", grace], None).end();
            (said.code == 0 || said.stderr.contains("already ended")).then_some(())
        });
    }
}

/// Whether a server that has just been started, or another one on the port of ours, answers like this.
fn may_come_back(status: u16) -> bool {
    matches!(status, 401 | 429 | 500 | 502 | 503 | 504)
}

fn transient(error: &Error) -> bool {
    error.is_transient() || error.status().is_some_and(may_come_back)
}
