//! Runs of a server under test, in the fewest words: submit a script, see what became of it.

use std::path::PathBuf;

use runyard_domain::run::Status;
use serde_json::Value;

use crate::{SOON, Server, processes, wait_for, wait_until};

impl Server {
    /// Submits a shell script with more options of `runyard submit`; answers the run's id.
    #[track_caller]
    pub fn submit(&self, options: &[&str], script: &str) -> String {
        let mut args = vec!["submit", "--output", "quiet"];
        args.extend(options);
        args.extend(["--", "sh", "-c", script]);
        let id = self.cli(&args).ok().stdout.trim().to_owned();
        assert_eq!(id.len(), 36, "`{id}` is no id");
        id
    }

    /// The run as the API shows it.
    #[track_caller]
    pub fn run(&self, id: &str) -> Value {
        self.get(&format!("/runs/{id}"))
    }

    /// The run's status.
    #[track_caller]
    pub fn status(&self, id: &str) -> Status {
        let run = self.run(id);
        run["status"].as_str().expect("a status").parse().expect("a status that exists")
    }

    /// Waits until the run has this status.
    #[track_caller]
    pub fn wait_for_status(&self, id: &str, status: Status) {
        let mut last = None;
        let reached = crate::holds_within(SOON, || {
            last = Some(self.status(id));
            last == Some(status)
        });
        assert!(reached, "the run is {last:?} and not {status}: {:#}", self.run(id));
    }

    /// Waits until the run has ended; answers how.
    #[track_caller]
    pub fn wait_for_end(&self, id: &str) -> Status {
        wait_until(&format!("run {id} ends"), 2 * SOON, || self.status(id).is_terminal());
        self.status(id)
    }

    /// Waits until the run's output contains `text`.
    #[track_caller]
    pub fn wait_for_output(&self, id: &str, text: &str) {
        let shown = || self.output(id).contains(text);
        let reached = crate::holds_within(SOON, shown);
        assert!(reached, "`{text}` is not in the output: {}; {:#}", self.output(id), self.run(id));
    }

    /// The output of the run's newest job.
    #[track_caller]
    pub fn output(&self, id: &str) -> String {
        let answer = self.call("GET", &format!("/api/v2/runs/{id}/logs?limit=8388608")).send();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }

    /// The words of all events of the run, in order.
    #[track_caller]
    pub fn history(&self, id: &str) -> Vec<String> {
        let events = self.get(&format!("/runs/{id}/events?limit=1000&sort=sequence:asc"));
        let events = events.as_array().expect("a list");
        events.iter().map(|event| event["status"].as_str().expect("a status").to_owned()).collect()
    }

    /// The reason of the run's exit record.
    #[track_caller]
    pub fn reason(&self, id: &str) -> String {
        let run = self.run(id);
        run["exit"]["reason"].as_str().unwrap_or_else(|| panic!("no reason in {run:#}")).to_owned()
    }

    /// The id of the run's newest job.
    #[track_caller]
    pub fn job(&self, id: &str) -> String {
        wait_for("the run has a job", SOON, || {
            let jobs = self.get(&format!("/runs/{id}/jobs"));
            let newest = jobs.as_array()?.iter().max_by_key(|job| job["epoch"].as_i64())?;
            newest["id"].as_str().map(str::to_owned)
        })
    }

    /// The folder of the run's newest job.
    #[track_caller]
    pub fn job_folder(&self, id: &str) -> PathBuf {
        processes::jobs(self.data()).join(self.job(id))
    }
}
