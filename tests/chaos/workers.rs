//! Free workers: processes that claim and commit elements over HTTP, killed and replaced one after the other.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use runyard_tests::{Server, wait_until};

use crate::dice::Dice;

/// What a worker needs at most to see that nothing is left.
const TO_THE_END: Duration = Duration::from_mins(1);

/// What every worker is started with.
#[derive(Debug)]
pub(crate) struct Workers {
    home: PathBuf,
    server_file: PathBuf,
    notes: PathBuf,
    token: String,
    worker_run: String,
    pause: &'static str,
    seed: u64,
}

/// Workers, each in its place. Killed with this value.
#[derive(Debug)]
pub(crate) struct Crew<'a> {
    workers: &'a Workers,
    places: Vec<Child>,
    killed: usize,
}

impl Workers {
    pub(crate) fn new(server: &Server, worker_run: &str, pause: &'static str, seed: u64) -> Self {
        let home = server.home();
        fs::write(home.join("worker.py"), include_str!("worker.py")).unwrap();
        Self {
            server_file: server.data().join("server.json"),
            notes: home.join("notes"),
            token: server.token(),
            worker_run: worker_run.to_owned(),
            pause,
            seed,
            home,
        }
    }

    /// Where they note what was accepted.
    pub(crate) fn notes(&self) -> &Path {
        &self.notes
    }

    /// Starts one. Half of the places hold under one name whoever is in them: then leases are inherited.
    fn start(&self, place: usize, generation: usize) -> Child {
        let holder = if place.is_multiple_of(2) {
            format!("free-{place}")
        } else {
            format!("free-{place}-{generation}")
        };
        let mut command = Command::new("python3");
        command.arg(self.home.join("worker.py")).arg(&self.notes).args([self.pause, &self.seed.to_string()]);
        command.env("RUNYARD_SERVER_FILE", &self.server_file).env("RUNYARD_TOKEN", &self.token);
        command.env("RUNYARD_WORKER_RUN_ID", &self.worker_run).env("RUNYARD_WORKER_HOLDER", holder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.log());
        command.spawn().expect("python3 starts")
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log")
    }

    fn log_path(&self) -> PathBuf {
        self.home.join("workers.log")
    }

    /// What they complained about.
    fn complaints(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl<'a> Crew<'a> {
    /// Starts `count` of them.
    pub(crate) fn start(workers: &'a Workers, count: usize) -> Self {
        let places = (0..count).map(|place| workers.start(place, 0)).collect();
        Self { workers, places, killed: 0 }
    }

    /// Kills one, if it still works, and puts another one in its place.
    pub(crate) fn kill_one(&mut self, dice: &mut Dice) {
        let place = dice.below(self.places.len() as u64) as usize;
        let victim = &mut self.places[place];
        if let Some(status) = victim.try_wait().expect("it can be asked") {
            assert!(status.success(), "a worker gave up with {status}:\n{}", self.workers.complaints());
            return;
        }
        victim.kill().expect("it can be killed");
        victim.wait().expect("it can be waited for");
        self.killed += 1;
        self.places[place] = self.workers.start(place, self.killed);
    }

    /// Waits until all have seen that nothing is left; answers how many were killed.
    pub(crate) fn finish(mut self) -> usize {
        for worker in &mut self.places {
            let mut status = None;
            wait_until("a worker ends", TO_THE_END, || {
                status = worker.try_wait().expect("it can be asked");
                status.is_some()
            });
            let well = status.is_some_and(|status| status.success() && status.signal().is_none());
            assert!(well, "a worker ended with {status:?}:\n{}", self.workers.complaints());
        }
        self.killed
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for worker in &mut self.places {
            // Fails for those that have ended, which is well.
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}
