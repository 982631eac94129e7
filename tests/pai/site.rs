//! A server as PAI's SDK sees it: an address, and an access key.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use runyard_tests::{Server, Setup, repository};
use serde_json::json;

use crate::clients;

pub(crate) struct Site {
    pub(crate) server: Server,
    python: PathBuf,
    key: String,
    secret: String,
    image: Option<String>,
}

impl Site {
    /// A server whose jobs are processes. `None`: there is no SDK, and none is required.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        Self::with(Setup::default().args(&["--pai-executor", "local"]), None)
    }

    /// A server started like this, whose jobs name this image.
    #[track_caller]
    pub(crate) fn with(setup: Setup, image: Option<String>) -> Option<Self> {
        let python = clients::python()?;
        let server = setup.start();
        let token = json!({"name": "pai", "scope": "admin", "access_key": true});
        let made = server.call("POST", "/api/v2/tokens").json(&token).send().data(200);
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let (key, secret) = (text(&made["token"]["access_key_id"]), text(&made["secret"]));
        Some(Self { server, python, key, secret, image })
    }

    /// Runs one case of a program to its end, and makes sure that all of it worked.
    #[track_caller]
    pub(crate) fn works(&self, program: &str, case: &[&str]) -> String {
        let Output { status, stdout, stderr } =
            self.command(program, case).output().expect("the program starts");
        let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        assert!(
            status.success() && said.contains("all of it works"),
            "{program} {case:?} ended with {status}:\n{said}\n--- log of the server\n{}",
            self.server.log()
        );
        said.into_owned()
    }

    /// Starts one case of a program.
    #[track_caller]
    pub(crate) fn begin(&self, program: &str, case: &[&str]) -> Child {
        let mut command = self.command(program, case);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    fn command(&self, program: &str, case: &[&str]) -> Command {
        let here: PathBuf = repository().join("tests/pai");
        let mut command = Command::new(&self.python);
        command.arg(here.join(program)).args(case).current_dir(self.server.home());
        // The SDK uses a proxy even for this machine, whatever NO_PROXY says, and asks the network for an account.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        let image = self.image.as_deref().unwrap_or("registry.example/python:3.11");
        command
            .env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
            .env("PAI_NETWORK_TYPE", "PUBLIC")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HOME", self.home())
            .env("PAI_TEST_IMAGE", image)
            .env("RUNYARD_TEST_URL", self.server.url())
            .env("RUNYARD_TEST_KEY", &self.key)
            .env("RUNYARD_TEST_SECRET", &self.secret)
            .env("RUNYARD_TEST_TOKEN", self.server.token())
            .env("RUNYARD_TEST_DATA", self.server.data());
        command
    }

    /// Resumable uploads of the SDK leave records at home.
    fn home(&self) -> PathBuf {
        let home = self.server.home();
        let home: &Path = &home;
        home.join("home")
    }
}
