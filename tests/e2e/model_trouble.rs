//! A publish or pull that is interrupted: by a kill, by a server that goes away, by files that change under it. Repeated, it
//! goes on, and nothing of what failed is left behind.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use runyard_tests::{Cli, SOON, Server, Wire, cli, wait_until};
use serde_json::Value;

use super::models::noise;

/// Eight parts.
const SIZE: usize = 128 << 20;
/// More than is ever read ahead.
const HUGE: usize = 256 << 20;
/// Some parts are sent, most are not.
const SOME: u64 = 50 << 20;

fn large(server: &Server, size: usize) -> PathBuf {
    let folder = server.home().join("large");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("weights"), noise(size)).unwrap();
    fs::write(folder.join("about.json"), "{}").unwrap();
    folder
}

fn start(server: &Server, wire: &Wire, args: &[&str]) -> Cli {
    let mut command = cli::command(&server.home().join("no-data-here"));
    command.env("RUNYARD_URL", wire.url()).env("RUNYARD_TOKEN", server.token());
    command.args(args).current_dir(server.home());
    Cli::spawn(command)
}

fn publish(server: &Server, wire: &Wire) -> Cli {
    start(server, wire, &["model", "publish", "large", "--name", "digits", "--tag", "v1"])
}

fn versions(server: &Server) -> Vec<Value> {
    server.get("/model_versions?limit=1000").as_array().unwrap().clone()
}

fn objects(server: &Server) -> Vec<PathBuf> {
    let (mut found, mut todo) = (Vec::new(), vec![server.data().join("objects")]);
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            if entry.path().is_dir() { todo.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

#[track_caller]
fn is_whole(server: &Server, folder: &Path) {
    server.cli(&["model", "pull", "digits@v1", server.home().join("pulled").to_str().unwrap()]).ok();
    for name in ["weights", "about.json"] {
        let (one, other) = (
            fs::read(folder.join(name)).unwrap(),
            fs::read(server.home().join("pulled").join(name)).unwrap(),
        );
        assert!(one == other, "{name}");
    }
}

#[test]
fn a_publish_that_was_killed_goes_on_when_it_is_repeated() {
    let server = Server::start();
    let folder = large(&server, SIZE);
    let wire = Wire::to(&server);
    wire.hold_after(SOME);
    let first = publish(&server, &wire);
    wire.wait_until_held();
    first.signal(Signal::SIGKILL);
    first.end();
    let pending = versions(&server);
    assert_eq!((pending.len(), pending[0]["state"].as_str()), (1, Some("created")));
    server.cli(&["model", "pull", "digits@v1"]).refused(1, &["no version with the tag `v1`"]);

    // Another way, so that what is still on its way is not counted.
    let wire = Wire::to(&server);
    let said = publish(&server, &wire).end().ok();
    assert!(said.stderr.contains("digits@v1 published"), "{}", said.stderr);
    let again = wire.sent();
    assert!(again < SIZE as u64 - (16 << 20), "{again} bytes were sent the second time");
    let all = versions(&server);
    assert_eq!((all.len(), &all[0]["id"]), (1, &pending[0]["id"]));
    is_whole(&server, &folder);
    wait_until("nothing else is stored", SOON, || objects(&server).len() == 1);
}

#[test]
fn a_publish_outlives_a_server_that_is_killed_under_it() {
    let mut server = Server::start();
    let folder = large(&server, SIZE);
    let wire = Wire::to(&server);
    wire.hold_after(SOME);
    let publish = publish(&server, &wire);
    wire.wait_until_held();
    server.restart_on_same_port();
    wire.release();
    let said = publish.end().ok();
    assert!(said.stderr.contains("digits@v1 published"), "{}", said.stderr);
    assert_eq!(versions(&server).len(), 1);
    is_whole(&server, &folder);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_named_and_no_version_is_made() {
    let server = Server::start();
    let folder = large(&server, HUGE);
    let wire = Wire::to(&server);
    wire.hold_after(SOME / 2);
    let publish = publish(&server, &wire);
    wire.wait_until_held();
    let mut file = OpenOptions::new().append(true).open(folder.join("weights")).unwrap();
    file.write_all(b"more").unwrap();
    drop(file);
    wire.release();
    publish.end().refused(1, &["weights", "changed while"]);
    assert!(
        versions(&server).iter().all(|version| version["state"] == "created"),
        "{:#?}",
        versions(&server)
    );
    // The repeat publishes what is there now.
    self::publish(&server, &wire).end().ok();
    is_whole(&server, &folder);
}

#[test]
fn a_pull_that_is_interrupted_leaves_nothing_and_can_be_repeated() {
    let server = Server::start();
    let folder = large(&server, SIZE);
    let wire = Wire::to(&server);
    publish(&server, &wire).end().ok();
    let place = server.home().join("place");
    fs::create_dir(&place).unwrap();
    let slow = Wire::to(&server);
    slow.hold_answers_after(SOME);
    let pull = start(&server, &slow, &["model", "pull", "digits@v1", "place/here"]);
    slow.wait_until_held();
    wait_until("something is extracted", SOON, || fs::read_dir(&place).unwrap().next().is_some());
    pull.signal(Signal::SIGINT);
    assert_eq!(pull.end().refused(130, &["stopped"]).stdout, "");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);

    // A server that goes away in the middle is waited for.
    let mut server = server;
    let slow = Wire::to(&server);
    slow.hold_answers_after(SOME);
    let pull = start(&server, &slow, &["model", "pull", "digits@v1", "place/here"]);
    slow.wait_until_held();
    server.restart_on_same_port();
    slow.release();
    pull.end().ok();
    assert_eq!(fs::read(place.join("here/about.json")).unwrap(), b"{}");
    is_whole(&server, &folder);
}
