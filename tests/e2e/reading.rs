//! Reading runs from the command line: lists, one run, output, events, formats, completions, help.

use std::{fs, process::Command};

use runyard_domain::run::Status;
use runyard_tests::{Server, repository};

#[test]
fn logs_are_followed_as_they_come_and_can_begin_at_the_end() {
    let server = Server::start();
    let gate = server.home().join("gate");
    let script = format!(
        "for i in 1 2 3 4 5; do echo line $i; done; until test -e {}; do sleep 0.05; done; echo last",
        gate.display()
    );
    let id = server.submit(&["--name", "talker"], &script);
    server.wait_for_output(&id, "line 5");
    assert_eq!(server.cli(&["logs", "talker", "--tail", "2"]).ok().stdout, "line 4\nline 5\n");
    let all = server.start_cli(&["logs", "talker", "-f"]);
    let tail = server.start_cli(&["logs", &id, "--follow", "--tail", "1"]);
    all.wait_for_stdout("line 5");
    tail.wait_for_stdout("line 5");
    fs::write(gate, "").unwrap();
    assert_eq!(all.end().ok().stdout, "line 1\nline 2\nline 3\nline 4\nline 5\nlast\n");
    assert_eq!(tail.end().ok().stdout, "line 5\nlast\n");
    assert_eq!(server.cli(&["logs", &id[28..]]).ok().stdout.lines().count(), 6, "a piece of an id is enough");
    assert_eq!(server.cli(&["logs", "talker", "-n", "0"]).ok().stdout, "");
}

#[test]
fn output_that_is_no_text_and_has_no_newline_comes_out_as_it_went_in() {
    let server = Server::start();
    let id = server.submit(&[], r"printf '\377\000gr\303\274n, no newline'");
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
    let mut command = runyard_tests::cli::command(server.data());
    let output = command.args(["logs", &id]).output().unwrap();
    assert_eq!(output.stdout, b"\xff\0gr\xc3\xbcn, no newline");
}

#[test]
fn a_megabyte_of_output_arrives_whole() {
    let server = Server::start();
    let id = server.submit(&[], "seq 1 200000");
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
    let expected: String = (1..=200_000).map(|n| n.to_string() + "\n").collect();
    assert!(server.cli(&["logs", &id]).ok().stdout == expected, "{} bytes", expected.len());
    assert_eq!(server.cli(&["logs", &id, "--tail", "1"]).ok().stdout, "200000\n");
}

#[test]
fn lists_are_filtered_sorted_and_paged() {
    let server = Server::start();
    let a = server.submit(&["--name", "alpha", "--label", "team=vision"], "true");
    let b = server.submit(&["--name", "beta", "--label", "team=speech", "--label", "big="], "exit 1");
    let c = server.submit(&["--name", "alphabet"], "true");
    for id in [&a, &b, &c] {
        server.wait_for_end(id);
    }
    let ls = |args: &[&str]| -> Vec<String> {
        let args = [&["ls", "--output", "quiet"], args].concat();
        server.cli(&args).ok().stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(ls(&[]), [c.as_str(), &b, &a], "newest first");
    assert_eq!(ls(&["--sort", "created_at:asc", "-n", "2"]), [a.as_str(), &b]);
    assert_eq!(ls(&["--status", "failed"]), [b.as_str()]);
    assert_eq!(ls(&["--status", "completed,failed"]).len(), 3);
    assert_eq!(ls(&["--name", "ALPHA"]), [c.as_str(), &a], "names are found whatever their case");
    assert_eq!(ls(&["--name", "alph_"]), [a.as_str()]);
    assert_eq!(ls(&["--label", "team=vision"]), [a.as_str()]);
    assert_eq!(ls(&["--label", "team"]).len(), 2);
    assert_eq!(ls(&["--label", "big", "--label", "team=speech"]), [b.as_str()]);
    assert_eq!(ls(&["--since", "1h"]).len(), 3);
    let page = server.get(&format!("/runs?select=id&limit=1&id_after={c}"));
    assert_eq!(page[0]["id"], b.as_str(), "what follows in the order of the sort");
    let page = server.get("/runs?select=id,name&limit=1&offset=2");
    assert_eq!(page, serde_json::json!([{"id": a, "name": "alpha"}]));
    let empty = server.cli(&["ls", "--name", "nothing"]).ok();
    assert!(empty.stdout.is_empty() && empty.stderr.contains("runyard run"), "{empty:?}");
}

#[test]
fn json_is_the_apis_own_object_and_quiet_is_the_id_alone() {
    let server = Server::start();
    let id = server.submit(&["--name", "one"], "echo hi");
    server.wait_for_end(&id);
    let mut whole = server.run(&id);
    whole["lineage"] = server.get(&format!("/runs/{id}/lineage"));
    assert_eq!(server.cli(&["show", "one", "--output", "json"]).ok().json(), whole);
    assert_eq!(server.cli(&["ls", "--output", "json"]).ok().json(), server.get("/runs"));
    let events = server.get(&format!("/runs/{id}/events?sort=sequence:asc"));
    assert_eq!(server.cli(&["events", "one", "--output", "json"]).ok().json(), events);
    assert_eq!(server.cli(&["project", "ls", "--output", "json"]).ok().json(), server.get("/projects"));
    assert_eq!(server.cli(&["token", "ls", "--output", "json"]).ok().json(), server.get("/tokens"));
    assert_eq!(server.cli(&["show", "one", "--output", "quiet"]).ok().stdout, format!("{id}\n"));
    let openapi = server.cli(&["openapi"]).ok().json();
    assert_eq!(openapi, server.call("GET", "/api/v2/openapi.json").send().body);
    let run = server.cli(&["run", "--output", "json", "--", "sh", "-c", "echo from the program"]).ok();
    assert_eq!(run.json()["status"], "job_completed", "stdout is one object even while following");
    assert!(run.stderr.contains("from the program"), "{}", run.stderr);
}

#[test]
fn people_get_tables_with_what_they_want_to_know() {
    let server = Server::start();
    let id = server.submit(&["--name", "shown", "--label", "a=b", "--retries", "1"], "echo hi; exit 4");
    server.cli(&["wait", &id]);
    let show = server.cli(&["show", "shown"]).ok().stdout;
    for word in
        [id.as_str(), "shown", "job_failed", "exit code 4", "a=b", "sh -c", "1 CPU", "retries", "local"]
    {
        assert!(show.contains(word), "`{word}` is not in:\n{show}");
    }
    let ls = server.cli(&["ls"]).ok().stdout;
    assert!(ls.starts_with("ID") && ls.contains("shown") && ls.contains("job_failed"), "{ls}");
    let events = server.cli(&["events", "shown"]).ok().stdout;
    assert!(events.contains("run_restart_requested") && events.contains("exit code 4"), "{events}");
    assert!(![show, ls, events].concat().contains('\x1b'), "no colours where there is no terminal");
}

#[test]
fn completions_are_understood_by_their_shells() {
    let server = Server::start();
    for shell in ["bash", "zsh", "fish"] {
        let script = server.cli(&["completions", shell]).ok().stdout;
        assert!(script.contains("runyard") && script.contains("blueprint"), "{shell}:\n{script}");
        let file = server.home().join(shell);
        fs::write(&file, script).unwrap();
        // Not every machine has every shell.
        if let Ok(output) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn every_command_of_the_readme_has_help_and_knows_its_options() {
    let server = Server::start();
    let readme = fs::read_to_string(repository().join("README.md")).unwrap().replace("\\\n", " ");
    let commands: Vec<&str> = readme
        .lines()
        .flat_map(|line| line.split("&&"))
        .map(|command| command.split(['#', '`']).next().unwrap_or_default().trim())
        .filter(|command| command.starts_with("runyard "))
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().skip(1).take_while(|&word| word != "--").collect();
        let mut help = server.cli(&[words[0], "--help"]).ok().stdout;
        if help.contains("<COMMAND>") {
            help = server.cli(&[words[0], words[1], "--help"]).ok().stdout;
        }
        for option in words.iter().filter(|word| word.starts_with('-')) {
            assert!(help.contains(option), "{option} of `{command}` is not in:\n{help}");
        }
    }
}
