//! How jobs in containers end: by themselves, stopped, out of memory, killed from outside. Each end has its reason, what the
//! program wrote is there, and the container is not.

use runyard_domain::run::Status;
use runyard_tests::containers;

use super::{container, nothing_is_left, submit};

#[test]
fn a_program_that_fails_in_a_container_fails_its_run_with_its_code() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let id = submit(&server, &[], "echo last words; exit 7");
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!((server.reason(&id).as_str(), &server.run(&id)["exit"]["code"]), ("Error", &7.into()));
    assert_eq!(server.output(&id), "last words\n");
    let missing = server.submit(&["--image", &containers::image(containers::IMAGE)], "exec /no/such/program");
    assert_eq!(server.wait_for_end(&missing), Status::JobFailed);
    nothing_is_left(&server);
}

#[test]
fn a_program_that_needs_more_memory_than_it_asked_for_is_ended_and_that_is_the_reason() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let grow = r#"echo begun; awk 'BEGIN { s = "0123456789abcdef"; while (1) s = s s }'; echo $?; exit 9"#;
    let id = submit(&server, &["--memory", "64Mi"], grow);
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.reason(&id), "OOMKilled", "{:#}", server.run(&id));
    assert!(server.output(&id).starts_with("begun\n"));
    nothing_is_left(&server);
}

#[test]
fn a_stop_gives_a_program_in_a_container_its_grace_and_no_more() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let obeys =
        submit(&server, &[], "trap 'echo stopping; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    server.wait_for_output(&obeys, "ready");
    server.cli(&["stop", &obeys]).ok();
    assert_eq!(server.wait_for_end(&obeys), Status::JobTerminated);
    // The shell says of its `sleep` that it was terminated, too.
    let output = server.output(&obeys);
    assert!(output.starts_with("ready\n") && output.ends_with("stopping\n"), "{output}");
    let ignores = submit(&server, &[], "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    server.wait_for_output(&ignores, "ready");
    server.cli(&["stop", "--grace", "1s", &ignores]).ok();
    assert_eq!(server.wait_for_end(&ignores), Status::JobTerminated);
    assert_eq!(server.run(&ignores)["exit"]["signal"], 9);
    nothing_is_left(&server);
}

#[test]
fn a_container_that_is_killed_or_removed_from_outside_fails_its_run_with_all_that_it_wrote() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    for (end, reasons) in [
        (containers::kill as fn(&str), &["RunnerKilled"][..]),
        (containers::remove, &["RunnerKilled", "Signaled"]),
    ] {
        let script = "echo kept > ../output/kept.txt; echo '{\"artifact\":{\"path\":\"/ml/output/kept.txt\",\"name\":\"kept\"}}' \
            >> $RUNYARD_RECORDS; echo written; sleep 600";
        let id = submit(&server, &[], script);
        server.wait_for_output(&id, "written");
        end(&container(&server, &id).id);
        assert_eq!(server.wait_for_end(&id), Status::JobFailed);
        // An engine that removes a container tells its runner first, with a signal that the program gets too.
        assert!(reasons.contains(&server.reason(&id).as_str()), "{:#}", server.run(&id));
        assert_eq!(server.output(&id), "written\n");
        let artifacts = server.get(&format!("/artifacts?run_id={id}"));
        let kept = artifacts.as_array().unwrap().iter().find(|one| one["name"] == "kept");
        assert_eq!(kept.expect("it was named")["status"], "complete", "{artifacts:#}");
    }
    nothing_is_left(&server);
}

#[test]
fn a_time_limit_ends_a_program_in_a_container() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let id = submit(&server, &["--max-run-time", "1s"], "echo begun; sleep 600");
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.reason(&id), "TimeLimitExceeded");
    nothing_is_left(&server);
}
