//! The command line of the binary, called as a person or a script calls it.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{SOON, holds_within, wait_until};

/// No command that does not install packages takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a command said, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl Output {
    /// The same, after making sure that the command went well.
    ///
    /// # Panics
    /// When its exit code is not 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The same, after making sure that the command was refused with this exit code and that every one of `words` was said.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in:\n{}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// stdout as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout))
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Cli {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

impl Cli {
    /// Starts the binary with `args`, which finds the server of the folder `data` and no other.
    pub fn start(data: &Path, args: &[&str], cwd: Option<&Path>) -> Self {
        let mut command = command(data);
        command.args(args).current_dir(cwd.unwrap_or(&crate::repository()));
        Self::spawn(command)
    }

    /// Starts a command that was made by [`command`].
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = Stream::read(child.stdout.take().expect("it is piped"));
        let stderr = Stream::read(child.stderr.take().expect("it is piped"));
        Self { child, stdout, stderr }
    }

    /// What it has written on stdout until now.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written on stderr until now.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has written `text` on stdout.
    #[track_caller]
    pub fn wait_for_stdout(&self, text: &str) {
        wait_until(&format!("`{text}` on stdout"), SOON, || self.stdout().contains(text));
    }

    /// Waits until it has written `text` on stderr.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        wait_until(&format!("`{text}` on stderr"), SOON, || self.stderr().contains(text));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it runs");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(self) -> Output {
        self.end_within(PATIENCE)
    }

    /// Waits for its end no longer than `patience`.
    #[track_caller]
    pub fn end_within(mut self, patience: Duration) -> Output {
        let mut status: Option<ExitStatus> = None;
        let ended = holds_within(patience, || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
            panic!(
                "a command did not end within {patience:?}; stdout:\n{}\nstderr:\n{}",
                self.stdout(),
                self.stderr()
            );
        }
        let code = status.and_then(|status| status.code()).unwrap_or(-1);
        Output { code, stdout: self.stdout.end(), stderr: self.stderr.end() }
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with a clean environment: none of the settings of whoever runs the tests, and the folder `data`.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(crate::binary());
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"RUNYARD_") {
            command.env_remove(name);
        }
    }
    command.env("RUNYARD_DATA", data).env("NO_COLOR", "1");
    command
}

/// A pipe that is read as it fills.
#[derive(Debug)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                read.lock().expect("no reader panics").extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    /// All of it, once the writer has closed it. A pipe that a stray process keeps open is not waited for.
    fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let until = Instant::now() + Duration::from_secs(5);
            assert!(
                holds_within(until - Instant::now(), || reader.is_finished()),
                "somebody keeps a pipe open"
            );
            reader.join().expect("no reader panics");
        }
        self.text()
    }
}
