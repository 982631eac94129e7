//! Engines and images that are not there: named errors, no run that fails for an engine's absence, nothing left behind.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use runyard_domain::run::Status;
use runyard_tests::{SOON, Setup, containers, wait_until};

use super::{container, nothing_is_left, submit};

#[test]
fn an_image_that_is_nowhere_fails_its_run_with_its_name_and_leaves_nothing() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let id = server.submit(&["--image", "localhost/nonesuch:1"], "echo begun");
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.reason(&id), "ImageMissing", "{:#}", server.run(&id));
    let message = server.run(&id)["exit"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("localhost/nonesuch:1") && message.contains("check its name"), "{message}");
    assert_eq!(server.output(&id), "");
    nothing_is_left(&server);
    server.cli(&["rm", "--yes", &id]).ok();
}

#[test]
fn an_image_and_a_run_that_name_no_command_fail_with_what_to_do() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let image = containers::image(containers::IMAGE);
    let body = serde_json::json!({"name": "silent", "spec": {"image": image}});
    let made = server.call("POST", "/api/v2/runs").json(&body).send().data(200);
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    let exit = server.run(&id)["exit"].clone();
    assert_eq!(exit["reason"], "LaunchFailed");
    assert!(exit["message"].as_str().unwrap().contains("name a command"), "{exit}");
}

#[test]
fn without_an_engine_a_run_with_an_image_is_refused_unless_it_is_to_be_a_process() {
    for args in
        [&["--container-engine", "unix:///nonexistent/engine.sock"][..], &["--container-engine", "off"]]
    {
        let server = Setup::default().args(args).start();
        let words = ["spec.image", "python:3.11", "--container-engine", "local"];
        let run = ["submit", "--image", "python:3.11", "--", "true"];
        server.cli(&run).refused(1, &words);
        let there = ["submit", "--image", "python:3.11", "--executor", "container", "--", "true"];
        server.cli(&there).refused(1, &["executor"]);
        assert_eq!(server.get("/runs").as_array().map(Vec::len), Some(0), "nothing is made");
        let local = ["--image", "python:3.11", "--executor", "local", "--shared-memory", "64Mi"];
        let id = server.submit(&local, "echo process");
        assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
        assert_eq!(server.output(&id), "process\n");
        assert_eq!(server.run(&id)["spec"]["image"], "python:3.11", "it is recorded");
        let events = server.get(&format!("/runs/{id}/events")).to_string();
        assert!(events.contains("the image `python:3.11` is not used"), "{events}");
        assert!(events.contains("shared memory is not limited to 64Mi"), "{events}");
    }
    let without_image = Setup::default().args(&["--container-engine", "auto"]).start();
    let refused = without_image.cli(&["submit", "--executor", "container", "--", "true"]);
    refused.refused(1, &["spec.image", "is needed"]);
}

#[test]
fn containers_that_could_not_find_the_server_are_refused_at_its_start() {
    let serve =
        ["serve", "--listen", "127.0.0.1:0", "--container-engine", "auto", "--container-network", "bridge"];
    let home = tempfile::tempdir().unwrap();
    let refused = runyard_tests::Cli::start(&home.path().join("data"), &serve, None).end();
    refused.refused(1, &["--container-url", "--container-network host"]);
}

/// A socket that leads to the engine of the tests, for as long as somebody wants it to.
struct Door {
    path: PathBuf,
    open: Arc<AtomicBool>,
}

impl Door {
    fn new(folder: &Path) -> Self {
        let path = folder.join("engine.sock");
        let open = Arc::new(AtomicBool::new(true));
        let listener = UnixListener::bind(&path).unwrap();
        let is_open = Arc::clone(&open);
        thread::spawn(move || {
            for visitor in listener.incoming().flatten() {
                if is_open.load(Ordering::SeqCst) {
                    thread::spawn(move || pass(visitor));
                }
            }
        });
        Self { path, open }
    }

    fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

fn pass(visitor: UnixStream) {
    let address = containers::engine();
    let Ok(engine) = UnixStream::connect(address.trim_start_matches("unix://")) else { return };
    let ways = [(visitor.try_clone(), engine.try_clone()), (Ok(engine), Ok(visitor))];
    for (from, to) in ways {
        let (Ok(mut from), Ok(mut to)) = (from, to) else { return };
        thread::spawn(move || {
            let mut bytes = [0; 8192];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            let _: io::Result<()> = to.shutdown(std::net::Shutdown::Write);
        });
    }
}

#[test]
fn an_engine_that_goes_away_fails_no_run() {
    let place = tempfile::tempdir().unwrap();
    let door = Door::new(place.path());
    let Some(setup) = containers::setup_at(&door.address()) else { return };
    let server = setup.start();
    let lives = submit(&server, &[], "echo 1; until test -e ../gate; do sleep 0.05; done; echo 2");
    let dies = submit(&server, &["--cpu", "100m"], "echo 1; sleep 600");
    for id in [&lives, &dies] {
        server.wait_for_output(id, "1\n");
    }
    let victim = container(&server, &dies);
    door.open.store(false, Ordering::SeqCst);
    containers::kill(&victim.id);
    // One whose container lives needs no engine.
    fs::write(server.job_folder(&lives).join("ml/gate"), "").unwrap();
    assert_eq!(server.wait_for_end(&lives), Status::JobCompleted);
    wait_until("the server finds that the engine is away", SOON, || {
        let executors = server.get("/system/resources");
        executors.as_array().into_iter().flatten().any(|one| one["unavailable"].is_string())
    });
    let new = ["submit", "--image", "localhost/any:1", "--", "true"];
    server.cli(&new).refused(1, &["spec.image", "start Docker or Podman"]);
    // Many rounds later nothing is known of the other one, and nothing is claimed.
    let other = server.submit(&["--cpu", "100m"], "echo process");
    assert_eq!(server.wait_for_end(&other), Status::JobCompleted);
    assert_eq!(server.status(&dies), Status::JobRunning, "{:#}", server.run(&dies));
    door.open.store(true, Ordering::SeqCst);
    assert_eq!(server.wait_for_end(&dies), Status::JobFailed);
    assert_eq!((server.reason(&dies).as_str(), server.output(&dies).as_str()), ("RunnerKilled", "1\n"));
    nothing_is_left(&server);
}
