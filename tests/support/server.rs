//! A server on a folder of its own: the real binary, started, killed and restarted. Dropping it ends everything it started,
//! and fails when a job that has ended left a process behind.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_client::Client;
use runyard_domain::job::folder;
use runyard_store::testing::FreshPostgres;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Cli, Output, SOON, cli, containers, holds_within, processes, wait_until};

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    args: Vec<String>,
    env: Vec<(String, String)>,
    data: Option<PathBuf>,
}

impl Setup {
    /// More arguments of `runyard serve`.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// A variable in the server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Whether the server uses a container engine.
    fn has_containers(&self) -> bool {
        self.args.iter().any(|arg| arg == "--container-engine") && !containers::engine().is_empty()
    }

    /// A data folder that the test owns.
    #[must_use]
    pub fn data(mut self, data: &Path) -> Self {
        self.data = Some(data.to_owned());
        self
    }

    /// Starts the server, and returns once it answers.
    #[track_caller]
    pub fn start(self) -> Server {
        Server::begin(self, None)
    }

    /// The same on a fresh PostgreSQL database. `None`: no PostgreSQL was named (`RUNYARD_TEST_POSTGRES`), and none is
    /// required.
    #[track_caller]
    pub fn start_on_postgres(mut self) -> Option<Server> {
        let database = FreshPostgres::create()?;
        self.args.extend(["--database".to_owned(), database.url.clone()]);
        Some(Server::begin(self, Some(database)))
    }
}

/// A server of a test.
pub struct Server {
    setup: Setup,
    data: PathBuf,
    url: String,
    process: Option<Child>,
    // Dropped after all processes are gone.
    database: Option<FreshPostgres>,
    home: TempDir,
}

impl Server {
    /// A server on SQLite, with everything as it is by default, on a free port.
    #[track_caller]
    pub fn start() -> Self {
        Setup::default().start()
    }

    #[track_caller]
    fn begin(setup: Setup, database: Option<FreshPostgres>) -> Self {
        let home = tempfile::Builder::new().prefix("runyard-test-").tempdir().expect("a temporary folder");
        let root = home.path().canonicalize().expect("it is there");
        let data = setup.data.clone().unwrap_or_else(|| root.join("data"));
        let mut server = Self { setup, data, url: String::new(), process: None, database, home };
        server.launch("127.0.0.1:0");
        server
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder beside the data folder, for files of the test.
    pub fn home(&self) -> PathBuf {
        self.home.path().canonicalize().expect("it is there")
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The admin token in the data folder.
    pub fn token(&self) -> String {
        let path = self.data.join("token");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    }

    /// The server's process; `None` while it does not run.
    pub fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(|process| process.id().cast_signed())
    }

    /// Everything that the server has logged, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A typed client with the admin token.
    pub fn client(&self) -> Client {
        Client::new(&self.url, &self.token())
    }

    /// A command of the CLI, in the repository's folder, to its end.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Output {
        self.start_cli(args).end()
    }

    /// A command of the CLI that goes on.
    pub fn start_cli(&self, args: &[&str]) -> Cli {
        Cli::start(&self.data, args, None)
    }

    /// Kills the server with SIGKILL. Its jobs go on.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it can be waited for");
    }

    /// Ends the server as an operator does, with SIGTERM. Its jobs go on.
    #[track_caller]
    pub fn stop(&mut self) {
        let status = self.terminate().expect("the server runs");
        assert!(status.success(), "the server ended with {status}");
    }

    /// Starts the server again on the same folder, on whatever port is free. One that runs is killed first.
    #[track_caller]
    pub fn restart(&mut self) {
        self.restart_on("127.0.0.1:0");
    }

    /// Starts the server again on the same folder and the same port. One that runs is killed first.
    #[track_caller]
    pub fn restart_on_same_port(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        self.restart_on(&address);
    }

    #[track_caller]
    fn restart_on(&mut self, listen: &str) {
        if self.process.is_some() {
            self.kill();
        }
        self.launch(listen);
    }

    #[track_caller]
    fn launch(&mut self, listen: &str) {
        let mut command = cli::command(&self.data);
        command.args(["serve", "--listen", listen]).args(&self.setup.args);
        // An engine that this machine happens to have is for nobody's tests.
        command.env("RUNYARD_CONTAINER_ENGINE", "off");
        command.envs(self.setup.env.iter().map(|(name, value)| (name, value)));
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir(self.home.path());
        self.process = Some(command.spawn().expect("the binary starts"));
        let mut found = None;
        wait_until("the server is ready", SOON, || {
            found = self.announced();
            found.is_some() || self.has_ended()
        });
        self.url = found.unwrap_or_else(|| panic!("the server did not start:\n{}", self.log()));
    }

    /// The address, once this very process has written it.
    fn announced(&self) -> Option<String> {
        let text = fs::read(self.data.join("server.json")).ok()?;
        let server: Value = serde_json::from_slice(&text).ok()?;
        let own = server["pid"].as_i64() == self.pid().map(i64::from);
        own.then(|| server["url"].as_str().map(str::to_owned)).flatten()
    }

    fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None)))
    }

    fn terminate(&mut self) -> Option<ExitStatus> {
        let mut process = self.process.take()?;
        // It may have ended by itself; then its status says so.
        let _ = kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM);
        let mut status = None;
        holds_within(SOON, || {
            status = process.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.or_else(|| {
            let _ = process.kill();
            process.wait().ok()
        })
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("server.log")
    }

    /// Containers of jobs that are over.
    fn left_containers(&self) -> Vec<containers::Container> {
        let over = |one: &containers::Container| {
            processes::jobs(&self.data).join(&one.job).join(folder::DELIVERED).exists()
        };
        let mut all = containers::of(&self.data);
        all.retain(over);
        if self.process.is_some() { all } else { Vec::new() }
    }

    /// What a person needs to see why a test failed.
    fn tell(&self) {
        let mut text = format!("--- log of the server on {}\n{}", self.data.display(), tail(&self.log()));
        for job in fs::read_dir(processes::jobs(&self.data)).into_iter().flatten().flatten() {
            let log = fs::read_to_string(job.path().join(folder::RUNNER_LOG)).unwrap_or_default();
            if !log.is_empty() {
                let _ = write!(text, "--- log of the runner of {}\n{}", job.path().display(), tail(&log));
            }
        }
        print(&text);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let failed = thread::panicking();
        let gone = || processes::leftovers(&self.data).is_empty();
        let clean = failed || holds_within(Duration::from_secs(10), gone);
        let left = if clean { Vec::new() } else { processes::leftovers(&self.data) };
        if failed || !clean {
            self.tell();
        }
        let boxed = self.setup.has_containers();
        let removed = || !boxed || self.left_containers().is_empty();
        let tidy = failed || holds_within(Duration::from_secs(10), removed);
        let left_containers = if tidy { Vec::new() } else { self.left_containers() };
        let running = self.process.is_some();
        let status = self.terminate();
        if boxed {
            containers::end_all(&self.data);
        }
        processes::end_all(&self.data);
        if !failed {
            assert!(left.is_empty(), "jobs that have ended left these behind: {left:#?}");
            assert!(
                left_containers.is_empty(),
                "jobs that have ended left these behind: {left_containers:#?}"
            );
            let well = !running || status.is_some_and(|status| status.success());
            assert!(well, "the server ended with {status:?}:\n{}", tail(&self.log()));
            assert!(!self.log().contains("panicked"), "the server panicked:\n{}", tail(&self.log()));
        }
        drop(self.database.take());
    }
}

/// The last lines of a long text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(120)..];
    shown.join("\n") + "\n"
}

#[expect(clippy::print_stderr, reason = "shown by the test harness below a failed test")]
fn print(text: &str) {
    eprintln!("{text}");
}
