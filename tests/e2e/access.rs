//! Projects and tokens: who may do what, and from when on no more.

use runyard_tests::{Output, SOON, Server, wait_until};
use serde_json::json;

/// A command with another token than the admin's.
fn cli_as(server: &Server, token: &str, args: &[&str]) -> Output {
    server.cli(&[&["--token", token], args].concat())
}

#[test]
fn projects_are_made_listed_used_and_deleted() {
    let server = Server::start();
    server.cli(&["project", "create", "vision", "--description", "pictures"]).ok();
    let names = |value: serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|project| project["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut listed = names(server.cli(&["project", "ls", "--output", "json"]).ok().json());
    listed.sort();
    assert_eq!(listed, ["default", "vision"]);
    let shown = server.cli(&["project", "show", "vision"]).ok().stdout;
    assert!(shown.contains("pictures"), "{shown}");
    let id = server.submit(&["--project", "vision"], "true");
    server.wait_for_end(&id);
    let own = server.cli(&["ls", "--project", "vision", "--output", "quiet"]).ok().stdout;
    assert_eq!(own.trim(), id);
    assert_eq!(server.cli(&["ls", "--project", "default", "--output", "quiet"]).ok().stdout, "");
    server.cli(&["project", "create", "vision"]).refused(1, &["vision"]);
    server.cli(&["project", "rm", "vision", "--yes"]).refused(1, &["run"]);
    server.cli(&["project", "rm", "default", "--yes"]).refused(1, &["default"]);
    server.cli(&["rm", &id, "--yes"]).ok();
    server.cli(&["project", "rm", "vision", "--yes"]).ok();
    assert_eq!(names(server.get("/projects")), ["default"]);
}

#[test]
fn a_projects_token_reaches_its_project_and_nothing_else() {
    let server = Server::start();
    server.cli(&["project", "create", "mine"]).ok();
    let foreign = server.submit(&["--name", "foreign"], "true");
    server.wait_for_end(&foreign);
    let create = ["token", "create", "ann", "--scope", "project", "--project", "mine", "--output", "quiet"];
    let token = server.cli(&create).ok().stdout.trim().to_owned();
    let submitted =
        cli_as(&server, &token, &["submit", "--project", "mine", "--output", "quiet", "--", "true"])
            .ok()
            .stdout;
    let own = submitted.trim();
    server.wait_for_end(own);
    assert_eq!(server.run(own)["user_id"], "ann", "a token's name is the user of what is done with it");
    let seen = cli_as(&server, &token, &["ls", "--output", "quiet"]).ok().stdout;
    assert_eq!(seen.trim(), own);
    cli_as(&server, &token, &["show", &foreign]).refused(1, &[&foreign]);
    cli_as(&server, &token, &["rm", &foreign, "--yes"]).refused(1, &[&foreign]);
    cli_as(&server, &token, &["submit", "--project", "default", "--", "true"]).refused(1, &["default"]);
    cli_as(&server, &token, &["project", "create", "more"]).refused(1, &["admin"]);
    cli_as(&server, &token, &["token", "create", "x", "--scope", "admin"]).refused(1, &["admin"]);
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 2);
}

#[test]
fn a_runs_token_reaches_its_run_only() {
    let server = Server::start();
    let (own, other) =
        (server.submit(&["--name", "own"], "true"), server.submit(&["--name", "other"], "true"));
    for id in [&own, &other] {
        server.wait_for_end(id);
    }
    let create = ["token", "create", "r", "--scope", "run", "--run", "own", "--output", "json"];
    let created = server.cli(&create).ok().json();
    assert_eq!(created["token"]["run_id"], own.as_str());
    let token = created["secret"].as_str().unwrap();
    assert_eq!(server.call_as(token, "GET", &format!("/api/v2/runs/{own}")).send().status, 200);
    for method in ["GET", "DELETE"] {
        let answer = server.call_as(token, method, &format!("/api/v2/runs/{other}")).send();
        answer.refused(403, "forbidden", &[&other]);
    }
    server.call_as(token, "POST", "/api/v2/runs").json(&json!({"name": "n"})).send().refused(
        403,
        "forbidden",
        &[],
    );
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 2);
}

#[test]
fn a_revoked_token_stops_working_at_once_and_an_expired_one_says_so() {
    let server = Server::start();
    let create = ["token", "create", "ci", "--scope", "admin", "--output", "quiet"];
    let token = server.cli(&create).ok().stdout.trim().to_owned();
    cli_as(&server, &token, &["ls"]).ok();
    let listed = server.cli(&["token", "ls"]).ok().stdout;
    assert!(listed.contains("ci") && !listed.contains(&token), "a secret is shown once: {listed}");
    server.cli(&["token", "revoke", "ci"]).ok();
    cli_as(&server, &token, &["ls"]).refused(1, &["token"]);
    server.call_as(&token, "GET", "/api/v2/runs").send().refused(401, "unauthorized", &[]);

    let create = ["token", "create", "short", "--scope", "admin", "--expires", "1s", "--output", "quiet"];
    let token = server.cli(&create).ok().stdout.trim().to_owned();
    wait_until("the token expires", SOON, || {
        server.call_as(&token, "GET", "/api/v2/runs").send().status == 401
    });
    server.call_as(&token, "GET", "/api/v2/runs").send().refused(401, "unauthorized", &["expired"]);
    server.cli(&["token", "create", "x", "--scope", "project"]).refused(2, &["--project"]);
}

#[test]
fn strangers_read_nothing_and_the_token_in_the_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut server = Server::start();
    for (token, words) in [("", "Authorization: Bearer"), ("ryd_wrong", "token")] {
        server.call_as(token, "GET", "/api/v2/runs").send().refused(401, "unauthorized", &[words]);
        let create = server.call_as(token, "POST", "/api/v2/runs").json(&json!({}));
        create.send().refused(401, "unauthorized", &[]);
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.call_as("", "GET", path).send().status, 200, "{path}");
    }
    for name in ["token", "key", "server.json"] {
        let mode = std::fs::metadata(server.data().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let mode = std::fs::metadata(server.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "the folder");
    let token = server.token();
    server.restart();
    assert_eq!(server.token(), token, "a restart keeps the token");
}
