//! The bench of these tests: a job folder, a fake server, and runners as processes between them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_domain::{
    JobId, Millis, ProjectId, RunId,
    job::{Exit, JobSpec, StopOrder, Stream, folder},
    resources::Resources,
};
use serde_json::json;
use tempfile::TempDir;

use crate::fake::Fake;

/// More than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(4);

/// Programs that know that they are stopped: one obeys, one does not.
pub(crate) const SAVES_ON_TERM: &str =
    "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
pub(crate) const IGNORES_TERM: &str = "trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done";

/// A job folder, a fake server, and runners between them.
pub(crate) struct Bench {
    pub(crate) base: TempDir,
    pub(crate) server: Fake,
    pub(crate) spec: JobSpec,
}

impl Bench {
    pub(crate) fn new(command: &[&str]) -> Self {
        let base = TempDir::new().unwrap();
        let server = Fake::start();
        let now = Millis(server.state().now());
        let random = random_bytes(base.path());
        let spec = JobSpec {
            job_id: JobId::new(now, random),
            run_id: RunId::new(now, random),
            project_id: ProjectId::new(now, random),
            epoch: 1,
            run_name: "test".into(),
            url: server.url.clone(),
            server_file: None,
            token: "secret".into(),
            command: command.iter().map(ToString::to_string).collect(),
            image: None,
            source: None,
            env: [].into(),
            secret_env: runyard_domain::secret::SecretEnv::default(),
            requirements: Vec::new(),
            config: json!({"lr": 0.5}),
            resources: Resources::default(),
            instances: 1,
            gpus: Vec::new(),
            max_run_time_ms: None,
            grace_ms: 30_000,
            cache_dir: base.path().join("cache").to_str().unwrap().to_owned(),
            metric_definitions: Vec::new(),
            worker: None,
            inputs: std::collections::BTreeMap::default(),
            outputs: std::collections::BTreeMap::default(),
        };
        fs::create_dir(base.path().join("job")).unwrap();
        Self { base, server, spec }
    }

    pub(crate) fn shell(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.base.path().join("job")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder().join(name).exists()
    }

    /// A file that programs of this test may write.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// As the executor starts it.
    pub(crate) fn runner(&self) -> Runner {
        let mut command = Command::new(binary());
        command.arg(self.folder());
        self.spawn(command)
    }

    pub(crate) fn spawn(&self, mut command: Command) -> Runner {
        fs::write(self.folder().join(folder::SPEC), serde_json::to_vec(&self.spec).unwrap()).unwrap();
        command.env("RUNYARD_SERVER_SECRET", "must not be seen").stdin(Stdio::null());
        Runner(command.spawn().unwrap())
    }

    /// Runs the job to its end.
    pub(crate) fn run(&self) -> Exit {
        self.runner().wait();
        assert!(self.has(folder::DELIVERED), "not delivered");
        let state = self.server.state();
        assert_eq!(state.offences, Vec::<String>::new());
        state.exit.clone().expect("the runner delivered an exit")
    }

    pub(crate) fn logs(&self) -> String {
        self.server.state().text(Stream::Logs)
    }

    pub(crate) fn order_stop(&self, in_ms: i64) {
        let deadline = Millis(self.server.state().now() + in_ms);
        let text = serde_json::to_vec(&StopOrder { deadline }).unwrap();
        fs::write(self.folder().join("stop.partial"), text).unwrap();
        fs::rename(self.folder().join("stop.partial"), self.folder().join(folder::STOP)).unwrap();
    }

    pub(crate) fn until_logged(&self, word: &str) {
        until(&format!("`{word}` in the log"), || self.logs().contains(word));
    }
}

/// A runner that does not outlive its test.
pub(crate) struct Runner(Child);

impl Runner {
    pub(crate) fn wait(mut self) {
        until("the end of the runner", || self.0.try_wait().unwrap().is_some());
        assert!(self.0.wait().unwrap().success());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let binary = here.parent().unwrap().parent().unwrap().join("examples/runner");
    assert!(binary.exists(), "build the examples too: cargo test -p runyard-runner");
    binary
}

/// Ten bytes that no other test has: the end of a random name.
pub(crate) fn random_bytes(path: &Path) -> [u8; 10] {
    let name = path.file_name().unwrap().as_encoded_bytes();
    name[name.len() - 10..].try_into().unwrap()
}

#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn lines(numbers: std::ops::Range<u32>, line: impl Fn(u32) -> String) -> String {
    numbers.fold(String::new(), |text, number| text + &line(number) + "\n")
}

pub(crate) fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
