//! Several instances in one container: they start together, find each other, and one that takes too much memory is named.

use runyard_domain::run::Status;
use runyard_tests::containers;

use super::{nothing_is_left, submit};

#[test]
fn two_instances_in_a_container_print_their_rank_and_each_has_a_log_of_its_own() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let script =
        "echo rank $RANK of $WORLD_SIZE at $MASTER_ADDR in $RUNYARD_ML; test $RANK = 0 || echo only one";
    let id = submit(&server, &["--cpu", "100m", "--instances", "2"], script);
    assert_eq!(
        server.wait_for_end(&id),
        Status::JobCompleted,
        "{:#}\n{}",
        server.run(&id),
        server.output(&id)
    );
    let mut lines: Vec<String> = server.output(&id).lines().map(str::to_owned).collect();
    lines.sort();
    let expected =
        ["[0] rank 0 of 2 at 127.0.0.1 in /ml", "[1] only one", "[1] rank 1 of 2 at 127.0.0.1 in /ml"];
    assert_eq!(lines, expected);
    let own = server.cli(&["logs", &id, "--instance", "1"]).ok();
    assert_eq!(own.stdout, "rank 1 of 2 at 127.0.0.1 in /ml\nonly one\n");
    nothing_is_left(&server);
}

#[test]
fn the_failure_of_one_instance_ends_the_others_in_its_container() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let script = "if [ $RANK = 1 ]; then until test -e ../output/ready; do sleep 0.1; done; exit 4; fi; \
        touch ../output/ready; sleep 300";
    let id = submit(&server, &["--cpu", "100m", "--instances", "2"], script);
    assert_eq!(server.wait_for_end(&id), Status::JobFailed, "{}", server.output(&id));
    let run = server.run(&id);
    let words = "instance 1 exited with code 4; of the others 0 ended by SIGTERM";
    assert_eq!((&run["exit"]["code"], &run["exit"]["message"]), (&4.into(), &words.into()), "{run:#}");
    nothing_is_left(&server);
}

#[test]
fn an_instance_over_its_own_part_of_the_memory_of_a_container_is_named() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let script = "import os, time\nif os.environ['RANK'] == '1':\n    held = bytearray(150 << 20)\n    \
        for at in range(0, len(held), 4096): held[at] = 1\ntime.sleep(300)";
    let image = containers::image(containers::PYTHON_IMAGE);
    let args = ["submit", "--output", "quiet", "--image", &image, "--cpu", "100m", "--memory", "96Mi"];
    let args = [&args[..], &["--instances", "2", "--", "python3", "-c", script]].concat();
    let id = server.cli(&args).ok().stdout.trim().to_owned();
    assert_eq!(server.wait_for_end(&id), Status::JobFailed, "{}", server.output(&id));
    assert_eq!(server.reason(&id), "OOMKilled");
    let message = server.run(&id)["exit"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("instance 1") && message.contains("96Mi"), "{message}");
    nothing_is_left(&server);
}
