//! Python requirements that cannot be had, or that nobody wants to wait for.

use std::{net::TcpListener, thread, time::Duration};

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, processes, wait_until};

#[test]
fn a_requirement_that_does_not_exist_fails_the_job_with_the_words_of_pip() {
    let server = Server::start();
    let index = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = index.local_addr().unwrap();
    drop(index);
    let output = server.cli(&[
        "run",
        "--requirement",
        "no-such-package==1",
        "--env",
        &format!("PIP_INDEX_URL=http://{address}/simple"),
        "--env",
        "PIP_RETRIES=0",
        "--env",
        "PIP_CONFIG_FILE=/dev/null",
        "--",
        "echo",
        "never",
    ]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    for word in ["RequirementsFailed", "no-such-package"] {
        assert!(output.stderr.contains(word), "`{word}` is not in:\n{}", output.stderr);
    }
    assert!(!output.stdout.contains("never\n"), "{}", output.stdout);
}

#[test]
fn a_stop_while_requirements_are_installed_ends_the_job_without_ever_launching_it() {
    let server = Server::start();
    // An index that takes every question and answers none.
    let index = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = index.local_addr().unwrap();
    let id = server.submit(
        &[
            "--requirement",
            "slow",
            "--env",
            &format!("PIP_INDEX_URL=http://{address}/simple"),
            "--env",
            "PIP_CONFIG_FILE=/dev/null",
            "--env",
            "PIP_TIMEOUT=300",
        ],
        "echo never",
    );
    let asked = thread::spawn(move || index.accept().map(|(question, _)| question));
    wait_until("pip asks for the package", Duration::from_mins(2), || asked.is_finished());
    let question = asked.join().unwrap().unwrap();
    server.cli(&["stop", &id, "--grace", "1s"]).ok();
    assert_eq!(server.wait_for_end(&id), Status::JobTerminated);
    assert_eq!(server.reason(&id), "NeverStarted");
    assert!(!server.job_folder(&id).join("launched").exists());
    let job = server.job(&id);
    wait_until("pip is gone", SOON, || processes::of_job(server.data(), &job).is_empty());
    drop(question);
}
