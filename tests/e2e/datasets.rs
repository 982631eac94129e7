//! Datasets from outside: made, filled, split, built, downloaded, opened again, deleted; and what is refused.

use std::{fmt::Write as _, fs, process::Command};

use runyard_tests::Server;
use serde_json::{Value, json};

/// A server with a corpus of a hundred elements, ten of them on an image that is there.
fn books() -> Server {
    let server = Server::start();
    server.cli(&["corpus", "create", "books"]).ok();
    let image = server.home().join("one.png");
    fs::write(&image, b"\x89PNG and so on").unwrap();
    let mut lines = String::new();
    for n in 0..100 {
        let mut line = json!({"type": if n % 4 == 0 { "cover" } else { "page" }, "name": format!("p{n}")});
        if n < 10 {
            line["image"] = json!({"url": format!("file://{}", image.display()), "width": 3, "height": 2});
        }
        writeln!(lines, "{line}").unwrap();
    }
    let path = server.home().join("pages.jsonl");
    fs::write(&path, lines).unwrap();
    server.cli(&["element", "import", path.to_str().unwrap(), "--corpus", "books"]).ok();
    server
}

fn show(server: &Server) -> Value {
    server.cli(&["dataset", "show", "letters", "--output", "json"]).ok().json()
}

#[test]
fn a_dataset_is_split_built_and_pulled() {
    let server = books();
    server.cli(&["dataset", "create", "letters", "--corpus", "books"]).ok();
    let split = [
        "dataset",
        "split",
        "letters",
        "train=0.8",
        "test=0.2",
        "--seed",
        "7",
        "--stratify",
        "type",
        "--all",
    ];
    server.cli(&split).ok();
    let sets = show(&server)["sets"].clone();
    assert_eq!(sets, json!([{"name": "test", "elements": 20}, {"name": "train", "elements": 80}]));
    server.cli(&["dataset", "pull", "letters", "there"]).refused(1, &["letters"]);
    let built = server.cli(&["dataset", "build", "letters"]).ok();
    assert!(built.stderr.contains(".tar.zst"), "{}", built.stderr);
    let dataset = show(&server);
    assert_eq!(dataset["state"], "complete");
    server.cli(&["dataset", "build", "letters"]).refused(1, &["complete"]);
    server.cli(&["dataset", "add", "letters", "--to", "train", "--type", "page"]).refused(1, &["complete"]);

    let folder = server.home().join("pulled");
    let pulled = server.cli(&["dataset", "pull", "letters", folder.to_str().unwrap()]).ok();
    assert!(pulled.stderr.contains("letters"), "{}", pulled.stderr);
    server.cli(&["dataset", "pull", "letters", folder.to_str().unwrap()]).refused(2, &["is not empty"]);
    let mut databases = Vec::new();
    let mut todo = vec![folder.clone()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if fs::read(&path).unwrap().starts_with(b"SQLite format 3\0") {
                databases.push(path);
            }
        }
    }
    assert_eq!(databases.len(), 1, "{databases:?}");
    let counted = Command::new("python3")
        .args(["-c", include_str!("count_elements.py")])
        .arg(&databases[0])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(counted.stdout).unwrap().trim(), "100");

    server.cli(&["dataset", "reopen", "letters"]).ok();
    assert_eq!(show(&server)["state"], "open");
    server.cli(&["dataset", "rm", "letters"]).refused(2, &["--yes"]);
    server.cli(&["dataset", "rm", "letters", "--yes"]).ok();
    server.cli(&["dataset", "show", "letters"]).refused(1, &["no dataset `letters`"]);
    assert_eq!(
        server
            .cli(&["element", "ls", "--corpus", "books", "-n", "1000", "--output", "quiet"])
            .ok()
            .stdout
            .lines()
            .count(),
        100
    );
}

#[test]
fn elements_are_added_to_sets_that_are_there() {
    let server = books();
    server.cli(&["dataset", "create", "letters", "--corpus", "books", "--sets", "a,b"]).ok();
    let added =
        server.cli(&["dataset", "add", "letters", "--to", "a", "--type", "cover", "--output", "quiet"]).ok();
    assert_eq!(added.stdout.trim(), "25");
    let again =
        server.cli(&["dataset", "add", "letters", "--to", "a", "--name", "p4", "--output", "quiet"]).ok();
    // Of p4 and p40 to p49, four are covers.
    assert_eq!(again.stdout.trim(), "7");
    server.cli(&["dataset", "add", "letters", "--to", "c", "--type", "page"]).refused(1, &["c", "a, b"]);
    server.cli(&["dataset", "add", "letters", "--to", "a"]).refused(2, &["nothing says which elements"]);
    server.cli(&["dataset", "create", "letters", "--corpus", "books"]).refused(1, &["letters"]);
    server.cli(&["dataset", "split", "letters", "train=0.8"]).refused(1, &["1"]);
    server.cli(&["dataset", "split", "letters", "train=x"]).refused(2, &["train=0.8"]);
    let listed = server.cli(&["dataset", "ls"]).ok().stdout;
    assert!(listed.contains("letters") && listed.contains("a 32, b 0"), "{listed}");
}
