//! The main road: submit, follow, read what a run wrote, and see that every view of it agrees.

use runyard_tests::Server;

#[test]
fn run_follows_and_exits_with_the_programs_code() {
    let server = Server::start();
    let output = server.cli(&["run", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(output.code, 7, "{output:?}");
    assert_eq!(output.stdout, "out\nerr\n");
}
