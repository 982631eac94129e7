//! A server as Arkindex's workers see it, and those workers.
//!
//! `RUNYARD_TEST_ARKINDEX` is a folder with a Python environment for each generation (tests/arkindex/requirements-*.txt);
//! scripts/test makes them. Without it the tests have nothing to run and say so, unless `RUNYARD_TEST_REQUIRE_CLIENTS`
//! says that this must not happen.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use runyard_tests::{Output, Server, Setup, repository};
use serde_json::{Value, json};

/// Each has another protocol: hash conflicts by status, hash conflicts by body, parts.
pub(crate) const GENERATIONS: [&str; 3] = ["0.3.7.post1", "0.4.0", "0.6.0"];

pub(crate) struct Site {
    pub(crate) server: Server,
    environments: PathBuf,
}

impl Site {
    /// `None`: there are no workers to run.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        Self::with(Setup::default())
    }

    /// The same with a server of another kind.
    #[track_caller]
    pub(crate) fn with(setup: Setup) -> Option<Self> {
        let environments = environments()?;
        Some(Self { server: setup.start(), environments })
    }

    /// The Python of a generation.
    pub(crate) fn python(&self, generation: &str) -> PathBuf {
        self.environments.join(generation).join("bin/python")
    }

    /// A folder of model files: a script of names and contents.
    pub(crate) fn folder(&self, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let folder = self.server.home().join(name);
        for (path, bytes) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
        folder
    }

    /// A run that workers can call theirs.
    #[track_caller]
    pub(crate) fn worker_run(&self, config: &Value) -> String {
        let run = json!({"name": "trainer", "version": "1.0", "config": config,
            "spec": {"command": ["true"]}});
        let run = self.server.call("POST", "/api/v2/runs").json(&run).send().data(200);
        let id = text(&run["id"]);
        self.server.wait_for_end(&id);
        id
    }

    /// Makes a model; answers its id.
    #[track_caller]
    pub(crate) fn model(&self, name: &str) -> String {
        let made = self.server.call("POST", "/api/v2/models").json(&json!({"name": name})).send();
        text(&made.data(200)["id"])
    }

    /// All versions of a model, oldest first, as our own API shows them.
    #[track_caller]
    pub(crate) fn versions(&self, model: &str) -> Vec<Value> {
        let versions = self.server.get(&format!("/model_versions?model_id={model}&sort=id:asc&limit=1000"));
        versions.as_array().expect("a list").clone()
    }

    /// A corpus with pages called `page 1` and so on below a book; answers its id and theirs.
    #[track_caller]
    pub(crate) fn pages(&self, name: &str, count: usize) -> (String, Vec<String>) {
        let types = json!([{"slug": "book", "folder": true}, {"slug": "page"}]);
        let new = json!({"name": name, "types": types});
        let corpus = text(&self.server.call("POST", "/api/v2/corpora").json(&new).send().data(200)["id"]);
        let mut elements = vec![json!({"type": "book", "name": "a book"})];
        elements.extend((1..=count).map(|number| {
            let url = format!("https://host/iiif/2/{name}-{number}.jpg");
            json!({"type": "page", "name": format!("page {number}"), "parents": ["a book"],
                "image": {"url": url, "width": 100, "height": 200}})
        }));
        let post = format!("/api/v2/elements?corpus_id={corpus}");
        let made = self.server.call("POST", &post).json(&json!({"elements": elements})).send().data(200);
        let pages = made["ids"].as_array().expect("a list").iter().skip(1).map(text).collect();
        (corpus, pages)
    }

    /// A worker run over what is selected, executed by nobody of ours.
    #[track_caller]
    pub(crate) fn worker_run_over(&self, corpus: &str, more: &Value) -> String {
        let mut new = json!({"corpus": corpus, "worker": "Reader", "summary": "Worker Reader @ 1"});
        for (key, value) in more.as_object().expect("an object") {
            new[key] = value.clone();
        }
        text(&self.server.call("POST", "/api/v2/worker_runs").json(&new).send().data(200)["id"])
    }

    /// Its elements by state.
    #[track_caller]
    pub(crate) fn counts(&self, run: &str) -> Value {
        self.server.get(&format!("/worker_runs/{run}"))["counts"].clone()
    }

    /// A worker that works on these elements as it is told.
    pub(crate) fn reader(&self, generation: &str, run: &str, elements: &[String], plan: &Value) -> Command {
        let mut worker = self.command(generation, "elements_worker.py");
        worker.arg("--plan").arg(plan.to_string()).env("ARKINDEX_WORKER_RUN_ID", run);
        if !elements.is_empty() {
            worker.arg("--element").args(elements);
        }
        worker
    }

    /// What a worker of ours that derives from a generation's classes said, and how it ended.
    pub(crate) fn work(&self, generation: &str, run: &str, steps: &Value) -> Worked {
        self.work_as(generation, run, steps, &[])
    }

    /// The same with more arguments.
    pub(crate) fn work_as(&self, generation: &str, run: &str, steps: &Value, more: &[&str]) -> Worked {
        let mut worker = self.command(generation, "worker.py");
        worker.arg("--steps").arg(steps.to_string()).args(more).env("ARKINDEX_WORKER_RUN_ID", run);
        Worked(output(&mut worker))
    }

    /// The answers to calls that the client of a generation makes; the first one is what it read in the document.
    #[track_caller]
    pub(crate) fn ask(&self, generation: &str, calls: &Value) -> Vec<Value> {
        let said = output(self.command(generation, "client.py").arg(calls.to_string())).ok();
        said.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// A script of this folder with a generation's Python, in the environment that Arkindex gives it and no other.
    pub(crate) fn command(&self, generation: &str, script: &str) -> Command {
        let mut command = self.interpreter(generation);
        command.arg(repository().join("tests/arkindex").join(script));
        command
    }

    /// The Python itself.
    pub(crate) fn interpreter(&self, generation: &str) -> Command {
        let scratch = self.server.home().join("scratch");
        fs::create_dir_all(&scratch).expect("a folder");
        let mut command = Command::new(self.python(generation));
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", &scratch)
            .env("TMPDIR", &scratch)
            .env("ARKINDEX_API_URL", self.server.url())
            .env("ARKINDEX_API_TOKEN", self.server.token())
            .current_dir(&scratch);
        command
    }
}

/// What a worker left.
#[derive(Debug)]
pub(crate) struct Worked(pub(crate) Output);

impl Worked {
    /// Waits for a worker to end.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self(output(command))
    }

    /// The same, after making sure that it went well and logged each of `words`.
    #[track_caller]
    pub(crate) fn well(self, words: &[&str]) -> Self {
        let Output { code, stdout, stderr } = &self.0;
        assert_eq!(*code, 0, "stdout:\n{stdout}\nstderr:\n{stderr}");
        self.logged(words)
    }

    /// The same, after making sure that it ended with 1 as the package does, and logged each of `words`.
    #[track_caller]
    pub(crate) fn failed(self, words: &[&str]) -> Self {
        let Output { code, stdout, stderr } = &self.0;
        assert_eq!(*code, 1, "stdout:\n{stdout}\nstderr:\n{stderr}");
        self.logged(words)
    }

    #[track_caller]
    fn logged(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.0.stderr.contains(word), "`{word}` is not in:\n{}", self.0.stderr);
        }
        self
    }

    /// What it made of its configuration.
    #[track_caller]
    pub(crate) fn configured(&self) -> Value {
        self.said("CONFIGURED ").remove(0)
    }

    /// The version that it held after each step.
    #[track_caller]
    pub(crate) fn versions(&self) -> Vec<Value> {
        self.said("VERSION ")
    }

    /// What it printed behind a word.
    #[track_caller]
    pub(crate) fn said(&self, what: &str) -> Vec<Value> {
        let lines = self.0.stdout.lines().filter_map(|line| line.strip_prefix(what));
        lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// A step of a worker: a method of the package and its arguments.
pub(crate) fn step(method: &str, arguments: &Value) -> Value {
    json!({"method": method, "arguments": arguments})
}

/// What `publish_model_version` is called with.
pub(crate) fn publish(folder: &Path, model: &str, more: &Value) -> Value {
    let mut arguments = json!({"model_path": folder, "model_id": model});
    for (name, value) in more.as_object().expect("an object") {
        arguments[name] = value.clone();
    }
    step("publish_model_version", &arguments)
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn output(command: &mut Command) -> Output {
    let std::process::Output { status, stdout, stderr } = command.output().expect("the program starts");
    Output {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn environments() -> Option<PathBuf> {
    let Some(folder) = env::var_os("RUNYARD_TEST_ARKINDEX") else {
        assert!(
            env::var_os("RUNYARD_TEST_REQUIRE_CLIENTS").is_none(),
            "RUNYARD_TEST_ARKINDEX names no folder of Python environments, and RUNYARD_TEST_REQUIRE_CLIENTS is set"
        );
        eprintln!(
            "left out: RUNYARD_TEST_ARKINDEX names no folder of Python environments (scripts/test makes one)"
        );
        return None;
    };
    Some(repository().join(folder))
}
