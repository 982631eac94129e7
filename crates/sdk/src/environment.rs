//! What a job tells its program. Given as values; read from the process's variables in one place, for job authors.

use std::{env, path::PathBuf};

use runyard_client::Client;
use serde::Deserialize;

/// What a program of a job knows of its job.
#[derive(Clone, Default)]
pub struct Environment {
    /// Address of the server.
    pub url: Option<String>,
    /// Token of the run.
    pub token: Option<String>,
    /// The run.
    pub run_id: Option<String>,
    /// The job.
    pub job_id: Option<String>,
    /// The file that says where a server that was started again is, where both share a disk.
    pub server_file: Option<PathBuf>,
    /// The model version that the training starts from, by `NAME`, `NAME@TAG` or id.
    pub model_version: Option<String>,
    /// Warn instead of writing anything.
    pub read_only: bool,
    /// The worker run that this program works through.
    pub worker_run_id: Option<String>,
    /// Who it is there; absent: a name of its own.
    pub holder: Option<String>,
    /// Which of the processes of its job it is, from 0, and how many they are.
    pub process: Option<(i64, i64)>,
    /// Elements that it claims at once.
    pub batch: Option<i64>,
    /// How long it keeps elements when it is not heard of, in milliseconds.
    pub lease_ms: Option<i64>,
}

#[derive(Deserialize)]
struct ServerFile {
    url: String,
}

impl Environment {
    /// The environment of this process: for the programs of job authors, and for nobody else.
    ///
    /// Read are `RUNYARD_URL`, `RUNYARD_TOKEN`, `RUNYARD_RUN_ID`, `RUNYARD_JOB_ID` and `RUNYARD_SERVER_FILE`, which every
    /// job has, and two that a run may set: `RUNYARD_MODEL_VERSION`, what it starts from, and `RUNYARD_READ_ONLY`, which
    /// is on when it is neither empty nor `0`. Of a worker run, each process also has `RUNYARD_WORKER_RUN_ID`,
    /// `RUNYARD_WORKER_HOLDER`, `RUNYARD_WORKER_PROCESS`, `RUNYARD_WORKER_PROCESSES`, `RUNYARD_WORKER_BATCH` and
    /// `RUNYARD_WORKER_LEASE_MS`. An empty variable is an absent one.
    pub fn of_job() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
        let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
        Self {
            url: text("RUNYARD_URL"),
            token: text("RUNYARD_TOKEN"),
            run_id: text("RUNYARD_RUN_ID"),
            job_id: text("RUNYARD_JOB_ID"),
            server_file: text("RUNYARD_SERVER_FILE").map(PathBuf::from),
            model_version: text("RUNYARD_MODEL_VERSION"),
            read_only: text("RUNYARD_READ_ONLY").is_some_and(|text| text != "0"),
            worker_run_id: text("RUNYARD_WORKER_RUN_ID"),
            holder: text("RUNYARD_WORKER_HOLDER"),
            process: number("RUNYARD_WORKER_PROCESS").zip(number("RUNYARD_WORKER_PROCESSES")),
            batch: number("RUNYARD_WORKER_BATCH"),
            lease_ms: number("RUNYARD_WORKER_LEASE_MS"),
        }
    }

    /// A client with the token of the run, where the server is now; `None` outside of a job.
    pub fn client(&self) -> Option<Client> {
        let mut client = Client::new(self.url.as_deref()?, self.token.as_deref()?);
        if let Some(url) = self.url_now() {
            client.set_url(&url);
        }
        Some(client)
    }

    /// Where a server that was started again is, if that can be known.
    pub(crate) fn url_now(&self) -> Option<String> {
        let text = std::fs::read(self.server_file.as_ref()?).ok()?;
        serde_json::from_slice(&text).ok().map(|file: ServerFile| file.url)
    }
}
