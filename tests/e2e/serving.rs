//! Starting a server: what can be in the way is named with the way around it; and the doctor's look at a good machine.

use std::{fs, net::TcpListener};

use nix::sys::signal::Signal;
use runyard_tests::{Cli, Output, Server, repository};

/// `runyard serve` on a folder, which is expected to fail.
fn serve(data: &std::path::Path, args: &[&str]) -> Output {
    Cli::start(data, &[&["serve"], args].concat(), None).end()
}

#[test]
fn a_port_in_use_is_named_with_the_way_around_it() {
    let server = Server::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = server.home().join("second");
    serve(&data, &["--listen", &address]).refused(1, &[&address, "in use", "--listen 127.0.0.1:0"]);
    assert!(!data.join("server.json").exists(), "it is not announced");
    serve(&data, &["--listen", "nowhere"]).refused(2, &["nowhere", "127.0.0.1:7878"]);
    serve(&data, &["--log", "=="]).refused(2, &["=="]);
}

#[test]
fn a_data_folder_held_by_another_server_is_named_with_its_process() {
    let server = Server::start();
    let folder = server.data().display().to_string();
    let pid = server.pid().unwrap().to_string();
    serve(server.data(), &["--listen", "127.0.0.1:0"])
        .refused(1, &[&folder, "another server", &pid, "--data"]);
    assert_eq!(server.cli(&["ls", "--output", "json"]).ok().stdout, "[]\n", "the first one goes on");
}

#[test]
fn a_folder_that_cannot_be_used_and_a_database_that_is_not_there_are_named() {
    let server = Server::start();
    let file = server.home().join("file");
    fs::write(&file, "").unwrap();
    serve(&file.join("data"), &["--listen", "127.0.0.1:0"]).refused(1, &["file", "--data"]);
    let data = server.home().join("other");
    let args = ["--listen", "127.0.0.1:0", "--database", "postgres://nobody@127.0.0.1:9/none"];
    let refused = serve(&data, &args).refused(1, &["database"]);
    assert!(
        refused.stderr.contains("127.0.0.1:9") || refused.stderr.contains("refused"),
        "{}",
        refused.stderr
    );
    serve(&data, &["--listen", "127.0.0.1:0", "--database", "mysql://x"]).refused(1, &["postgres://"]);
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("token"), "short").unwrap();
    serve(&data, &["--listen", "127.0.0.1:0"]).refused(1, &["token", "delete"]);
    let data = server.home().join("spoiled");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("runyard.db"), "this is no database, however long one looks at it".repeat(100))
        .unwrap();
    serve(&data, &["--listen", "127.0.0.1:0"]).refused(1, &["database"]);
}

#[test]
fn the_server_says_where_it_is_and_ends_well_on_either_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let server = Cli::start(&data, &["serve", "--listen", "127.0.0.1:0"], None);
        server.wait_for_stdout("listens on http://127.0.0.1:");
        assert!(
            server
                .stdout()
                .contains(&format!("token in {}", data.canonicalize().unwrap().join("token").display()))
        );
        server.signal(signal);
        assert_eq!(server.end().code, 0);
        assert!(!data.join("server.json").exists());
    }
}

#[test]
fn the_doctor_finds_a_good_machine_good() {
    let server = Server::start();
    let output = server.cli(&["doctor"]).ok();
    for name in
        ["data folder", "filesystem", "disk space", "token", "server", "python3", "memory limit", "cpu limit"]
    {
        assert!(output.stdout.contains(name), "`{name}` is not in:\n{}", output.stdout);
    }
    assert!(output.stdout.contains(server.url()), "{}", output.stdout);
    let checks = server.cli(&["doctor", "--output", "json"]).ok().json();
    for check in checks.as_array().unwrap() {
        let (level, fix) = (check["level"].as_str().unwrap(), &check["fix"]);
        assert!(["ok", "warn"].contains(&level), "{check}");
        assert_eq!(level == "warn", fix.is_string(), "whoever warns says what to do: {check}");
    }
}

#[test]
fn the_doctor_names_a_server_that_died_and_a_token_that_all_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let mut server = Server::start();
    server.kill();
    let output = server.cli(&["doctor"]);
    assert_ne!(output.code, 0);
    assert!(output.stdout.contains("runyard serve"), "{}", output.stdout);
    server.restart();
    fs::set_permissions(server.data().join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = server.cli(&["doctor"]);
    assert_ne!(output.code, 0);
    assert!(output.stdout.contains("chmod 600"), "{}", output.stdout);
}

#[test]
fn the_document_of_the_api_is_the_committed_one() {
    let server = Server::start();
    let committed = fs::read_to_string(repository().join("crates/server/openapi.json")).unwrap();
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap();
    assert_eq!(server.call_as("", "GET", "/api/v2/openapi.json").send().body, committed);
}

#[test]
fn a_proxy_of_the_machine_is_not_asked_about_a_local_server() {
    let server = Server::start();
    let mut command = runyard_tests::cli::command(server.data());
    command
        .args(["ls", "--output", "json"])
        .env("http_proxy", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9");
    assert_eq!(Cli::spawn(command).end().ok().stdout, "[]\n");
}
