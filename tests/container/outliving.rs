//! Containers outlive the server, and are found again; what a killed server leaves behind is removed.

use std::fs;

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, containers, wait_until};
use serde_json::json;

use super::{container, nothing_is_left, submit};

/// Prints until a file appears in its own folder, and then some more.
const COUNTER: &str = "echo 1; until test -e ../gate; do sleep 0.05; done; echo 2; exit 5";

fn open_the_gate(server: &Server, id: &str) {
    fs::write(server.job_folder(id).join("ml/gate"), "").unwrap();
}

#[test]
fn a_container_goes_on_while_the_server_is_dead_and_is_found_by_the_next_one() {
    let Some(setup) = containers::setup() else { return };
    let mut server = setup.start();
    let id = submit(&server, &[], COUNTER);
    server.wait_for_output(&id, "1\n");
    let before = container(&server, &id);
    server.kill();
    // On another port: the runner inside finds it.
    server.restart();
    assert_eq!(server.status(&id), Status::JobRunning);
    open_the_gate(&server, &id);
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!((server.output(&id).as_str(), &server.run(&id)["exit"]["code"]), ("1\n2\n", &json!(5)));
    assert_eq!(server.job(&id), before.job);
    assert_eq!(fs::read(server.job_folder(&id).join("starts")).unwrap().len(), 1, "one runner, once");
    nothing_is_left(&server);
}

#[test]
fn a_container_that_ended_or_was_killed_while_the_server_was_dead_is_delivered_and_removed() {
    let Some(setup) = containers::setup() else { return };
    let mut server = setup.start();
    let ends = submit(&server, &[], COUNTER);
    let killed = submit(&server, &[], COUNTER);
    for id in [&ends, &killed] {
        server.wait_for_output(id, "1\n");
    }
    let victim = container(&server, &killed);
    let folder = server.job_folder(&ends);
    server.kill();
    fs::write(folder.join("ml/gate"), "").unwrap();
    wait_until("the program ends without a server", SOON, || folder.join("exit.json").exists());
    containers::kill(&victim.id);
    server.restart();
    assert_eq!(server.wait_for_end(&ends), Status::JobFailed);
    assert_eq!((server.output(&ends).as_str(), &server.run(&ends)["exit"]["code"]), ("1\n2\n", &json!(5)));
    assert_eq!(server.wait_for_end(&killed), Status::JobFailed);
    assert_eq!((server.reason(&killed).as_str(), server.output(&killed).as_str()), ("RunnerKilled", "1\n"));
    nothing_is_left(&server);
}

#[test]
fn a_server_that_is_killed_at_any_moment_of_a_start_starts_the_program_once() {
    let Some(setup) = containers::setup() else { return };
    let mut server = setup.start();
    let mut ids = Vec::new();
    for pause_ms in [0, 30, 100, 250, 500] {
        ids.push(submit(&server, &["--cpu", "100m"], "echo once >> ../output/count; echo done"));
        // Any moment is a good one: none of them is waited for.
        std::thread::sleep(std::time::Duration::from_millis(pause_ms));
        server.kill();
        server.restart();
    }
    for id in ids {
        assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "{:#}", server.run(&id));
        assert_eq!(server.output(&id), "done\n");
        let count = fs::read_to_string(server.job_folder(&id).join("ml/output/count")).unwrap();
        assert_eq!(count, "once\n");
    }
    nothing_is_left(&server);
}

#[test]
fn containers_of_this_server_that_no_run_knows_are_removed_at_its_start() {
    let Some(setup) = containers::setup() else { return };
    let mut server = setup.start();
    let id = submit(&server, &[], COUNTER);
    server.wait_for_output(&id, "1\n");
    let known = container(&server, &id);
    let label = containers::inspect(&known.id)["Config"]["Labels"]["runyard.server"].clone();
    server.kill();
    // Of a job whose run was deleted, as far as this folder knows.
    let job = "0199aaaa-0000-7000-8000-000000000001";
    fs::create_dir_all(server.data().join("jobs").join(job)).unwrap();
    let body = json!({
        "Image": containers::image(containers::IMAGE), "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "host"},
        "Labels": {"runyard.job": job, "runyard.server": label},
    });
    let (status, made) = containers::send("POST", "/containers/create", Some(&body));
    assert_eq!(status, 201, "{made}");
    let orphan = made["Id"].as_str().unwrap().to_owned();
    containers::send("POST", &format!("/containers/{orphan}/start"), None);
    server.restart();
    wait_until("the orphan is gone", SOON, || containers::inspect(&orphan)["Id"].is_null());
    assert!(!containers::inspect(&known.id)["Id"].is_null(), "the other one has a run, and goes on");
    open_the_gate(&server, &id);
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    nothing_is_left(&server);
}
