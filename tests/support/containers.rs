//! The container engine of the tests, asked past the product: which containers a server has, and what they do. Only containers
//! of jobs below the test's own data folder are ever touched.

use std::{
    env,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::Value;

use crate::{Setup, binary, processes::jobs};

/// The image with a shell and little else.
pub const IMAGE: &str = "RUNYARD_TEST_IMAGE";
/// The image with Python and pip.
pub const PYTHON_IMAGE: &str = "RUNYARD_TEST_PYTHON_IMAGE";
const ENGINE: &str = "RUNYARD_TEST_PODMAN";

/// A server with the engine of the tests. `None`: there is none (`RUNYARD_TEST_PODMAN`), which is said once, and none is
/// required.
///
/// # Panics
/// When there is none, and `RUNYARD_TEST_REQUIRE_CONTAINERS` says that there has to be one.
pub fn setup() -> Option<Setup> {
    setup_at(&engine())
}

/// The same through another address.
///
/// # Panics
/// Like [`setup`].
pub fn setup_at(address: &str) -> Option<Setup> {
    let missing = [ENGINE, IMAGE, PYTHON_IMAGE].into_iter().find(|name| env::var_os(name).is_none());
    let runner = binary().with_file_name("runyard-static");
    let why = match missing {
        Some(name) => format!("{name} is not set (scripts/test starts an engine)"),
        None if !runner.exists() => format!("{} is not there (scripts/static-runner)", runner.display()),
        None => return Some(Setup::default().args(&["--container-engine", address])),
    };
    assert!(
        env::var_os("RUNYARD_TEST_REQUIRE_CONTAINERS").is_none(),
        "{why}, and RUNYARD_TEST_REQUIRE_CONTAINERS is set"
    );
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        say(&format!("left out: {why}"));
    }
    None
}

/// The address of the engine.
pub fn engine() -> String {
    env::var(ENGINE).unwrap_or_default()
}

/// The name of an image of the tests.
pub fn image(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"))
}

/// A container of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// The job.
    pub job: String,
    /// `created`, `running`, `exited`, ...
    pub state: String,
}

/// The containers of all jobs below the data folder.
pub fn of(data: &Path) -> Vec<Container> {
    let filter = "%7B%22label%22%3A%5B%22runyard.job%22%5D%7D";
    let (_, all) = call("GET", &format!("/containers/json?all=true&filters={filter}"));
    let own = |one: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let job = text(&one["Labels"]["runyard.job"]);
        jobs(data).join(&job).exists().then(|| Container {
            id: text(&one["Id"]),
            job,
            state: text(&one["State"]),
        })
    };
    all.as_array().into_iter().flatten().filter_map(own).collect()
}

/// What the engine says of a container.
pub fn inspect(id: &str) -> Value {
    call("GET", &format!("/containers/{id}/json")).1
}

/// Sends SIGKILL to all of a container, past the product.
pub fn kill(id: &str) {
    call("POST", &format!("/containers/{id}/kill?signal=SIGKILL"));
}

/// Removes a container, past the product.
pub fn remove(id: &str) {
    call("DELETE", &format!("/containers/{id}?force=true"));
}

/// Removes all containers of jobs below the data folder.
pub fn end_all(data: &Path) {
    for container in of(data) {
        remove(&container.id);
    }
}

/// Calls the engine; answers status and JSON.
///
/// # Panics
/// When it does not answer.
pub fn call(method: &str, path: &str) -> (u16, Value) {
    send(method, path, None)
}

/// The same with a body.
///
/// # Panics
/// When it does not answer.
pub fn send(method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let address = engine();
    let socket = address.strip_prefix("unix://").unwrap_or(&address);
    let mut stream = UnixStream::connect(socket).unwrap_or_else(|error| panic!("{socket}: {error}"));
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a socket has timeouts");
    // HTTP/1.0: the answer ends with the connection, and is in one piece.
    let body = body.map(Value::to_string).unwrap_or_default();
    let head =
        format!("{method} /v1.40{path} HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[expect(clippy::print_stderr, reason = "one line that says what was left out")]
fn say(text: &str) {
    eprintln!("{text}");
}
