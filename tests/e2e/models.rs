//! Model versions from outside: published from a folder, listed, compared, pulled elsewhere, deleted; and every folder, tag and
//! parent that is refused.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use runyard_tests::{Cli, Output, SOON, Server, Wire, cli, wait_until};
use serde_json::{Value, json};

/// A command of somebody who has the address and a token, and nothing else on this machine.
pub(crate) fn elsewhere(server: &Server, url: &str, home: &Path, args: &[&str]) -> Cli {
    let mut command = cli::command(&home.join("no-data-here"));
    command.env("HOME", home).env("RUNYARD_URL", url).env("RUNYARD_TOKEN", server.token());
    command.args(args).current_dir(home);
    Cli::spawn(command)
}

/// An empty machine.
pub(crate) fn machine(server: &Server, name: &str) -> PathBuf {
    let home = server.home().join(name);
    fs::create_dir(&home).unwrap();
    home
}

/// A folder with all that a model may hold.
fn model(server: &Server, name: &str) -> PathBuf {
    let folder = server.home().join(name);
    fs::create_dir_all(folder.join("deep/empty")).unwrap();
    fs::write(folder.join("weights.bin"), noise(300_000)).unwrap();
    fs::write(folder.join("deep/labels.txt"), "zero\none\n").unwrap();
    fs::write(folder.join(".hidden"), "").unwrap();
    fs::write(folder.join("predict"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("predict"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("deep/labels.txt", folder.join("labels")).unwrap();
    folder
}

/// Bytes that nothing can compress; the same every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// What is below a folder: paths, with contents, targets of links, and whether a file may be executed.
fn tree(folder: &Path) -> Vec<(String, String)> {
    let (mut found, mut todo) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let what = if kind.is_dir() {
                todo.push(path.clone());
                "folder".to_owned()
            } else if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                let executable = path.metadata().unwrap().permissions().mode() & 0o111 != 0;
                format!("{executable} {:?}", fs::read(&path).unwrap())
            };
            found.push((path.strip_prefix(folder).unwrap().display().to_string(), what));
        }
    }
    found.sort();
    found
}

/// Files of the object store, but not those that are being written.
fn objects(server: &Server) -> Vec<PathBuf> {
    let (mut found, mut todo) = (Vec::new(), vec![server.data().join("objects")]);
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            if entry.path().is_dir() { todo.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn publish(server: &Server, folder: &Path, more: &[&str]) -> Output {
    server.cli(&[&["model", "publish", text(folder), "--name", "digits"], more].concat())
}

fn versions(server: &Server) -> Vec<Value> {
    server.get("/model_versions?limit=1000").as_array().unwrap().clone()
}

#[test]
fn a_folder_is_published_and_pulled_on_an_empty_machine() {
    let server = Server::start();
    let folder = model(&server, "model");
    let args =
        ["--tag", "v1", "--description", "First", "--config", "classes=10", "--config", "net.act=relu"];
    let said = publish(&server, &folder, &args).ok();
    assert!(said.stderr.contains("digits@v1 published: 4 files, 293.0 KiB"), "{}", said.stderr);
    let id = said.stdout.trim();
    let shown = server.cli(&["model", "show", "digits@v1", "--output", "json"]).ok().json();
    assert_eq!((shown["id"].as_str(), shown["state"].as_str()), (Some(id), Some("available")));
    assert_eq!(shown["config"], json!({"classes": 10, "net": {"act": "relu"}}));
    assert_eq!((&shown["files"], &shown["size"]), (&json!(4), &json!(300_019)));
    let people = server.cli(&["model", "show", "digits"]).ok().stdout;
    for word in ["First", "deep/labels.txt", "executable", "link", "293.0 KiB", "v1"] {
        assert!(people.contains(word), "`{word}` is not in:\n{people}");
    }
    let table = server.cli(&["model", "ls"]).ok().stdout;
    assert!(table.contains("digits") && table.lines().count() == 2, "{table}");
    assert_eq!(server.cli(&["model", "ls", "digits", "--output", "quiet"]).ok().stdout.trim(), id);

    let home = machine(&server, "elsewhere");
    let run = |args: &[&str]| elsewhere(&server, server.url(), &home, args).end();
    let said = run(&["model", "pull", "digits@v1"]).ok().stderr;
    assert!(said.contains("digits@v1: 293.0 KiB in digits-v1"), "{said}");
    assert_eq!(tree(&home.join("digits-v1")), tree(&folder));
    assert!(run(&["model", "pull", id, "digits-v1"]).ok().stderr.contains("all of it was there"));
    // What is not this version is left alone.
    fs::write(home.join("digits-v1/own"), "mine").unwrap();
    run(&["model", "pull", "digits@v1"]).refused(1, &["`digits-v1` is there already", "another folder"]);
    fs::write(home.join("file"), "mine").unwrap();
    run(&["model", "pull", "digits", "file"]).refused(1, &["`file` is there already"]);
    fs::create_dir(home.join("empty")).unwrap();
    run(&["model", "pull", "digits", "empty"]).ok();
    assert_eq!(tree(&home.join("empty")), tree(&folder));
    run(&["model", "pull", "digits@v9"])
        .refused(1, &["no version with the tag `v9`", "runyard model ls digits"]);
    run(&["model", "pull", "nonesuch"]).refused(1, &["no model `nonesuch`", "runyard model ls"]);
    run(&["model", "pull", "a@b@c"]).refused(2, &["NAME@TAG"]);
    let left: Vec<String> =
        tree(&home).into_iter().map(|(path, _)| path).filter(|path| !path.contains('/')).collect();
    assert_eq!(left, ["digits-v1", "empty", "file"], "refusals leave nothing");
}

#[test]
fn what_is_pulled_is_verified_and_a_pull_that_fails_leaves_nothing() {
    let server = Server::start();
    publish(&server, &model(&server, "model"), &["--tag", "v1"]).ok();
    let object = objects(&server).pop().unwrap();
    let mut bytes = fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&object, &bytes).unwrap();
    let home = machine(&server, "elsewhere");
    let said = elsewhere(&server, server.url(), &home, &["model", "pull", "digits@v1", "here"]).end();
    said.refused(1, &["cannot be extracted"]);
    bytes.truncate(middle);
    fs::write(&object, &bytes).unwrap();
    elsewhere(&server, server.url(), &home, &["model", "pull", "digits@v1", "here"])
        .end()
        .refused(1, &["error: "]);
    assert_eq!(tree(&home), []);
}

#[test]
fn the_same_content_is_stored_once_and_not_sent_again() {
    let server = Server::start();
    let folder = model(&server, "model");
    let wire = Wire::to(&server);
    let home = machine(&server, "elsewhere");
    let publish = |folder: &Path, more: &[&str]| {
        let before = wire.sent();
        let args = [&["model", "publish", text(folder), "--name", "digits"], more].concat();
        let said = elsewhere(&server, wire.url(), &home, &args).end().ok();
        (said, wire.sent() - before)
    };
    let (first, sent) = publish(&folder, &["--tag", "v1"]);
    assert!(sent > 300_000, "{sent}");
    let stored = objects(&server);
    assert_eq!(stored.len(), 1, "{stored:?}");

    // Again, and from a copy with other times, by somebody else.
    let copy = model(&server, "copy");
    for (folder, tag) in [(&folder, "v1"), (&copy, "v1"), (&copy, "v2")] {
        let (again, sent) = publish(folder, &["--tag", tag]);
        assert_eq!(again.stdout, first.stdout);
        assert!(again.stderr.contains("nothing was sent"), "{}", again.stderr);
        assert!(sent < 50_000, "{sent}");
    }
    let (again, _) = publish(&copy, &["--tag", "v2"]);
    assert!(
        again.stderr.contains("note: ") && again.stderr.contains("keeps its tag `v1`"),
        "{}",
        again.stderr
    );
    publish(&copy, &["--tag", "v2", "--move-tag"]);
    assert_eq!(objects(&server), stored);
    let all = versions(&server);
    assert_eq!((all.len(), &all[0]["tag"]), (1, &json!("v2")));

    // One bit of a mode is another content; a file of the same size is looked at.
    fs::set_permissions(copy.join("predict"), fs::Permissions::from_mode(0o644)).unwrap();
    let (other, sent) = publish(&copy, &[]);
    assert_ne!(other.stdout, first.stdout);
    assert!(sent > 300_000 && versions(&server).len() == 2, "{sent}");
}

#[test]
fn two_who_publish_one_content_at_once_make_one_version() {
    let server = Server::start();
    let home = machine(&server, "elsewhere");
    let wires = [Wire::to(&server), Wire::to(&server)];
    let both: Vec<Cli> = (["one", "two"].iter().zip(&wires))
        .map(|(name, wire)| {
            let folder = model(&server, name);
            // Both have begun before either is done.
            wire.hold_after(100_000);
            elsewhere(&server, wire.url(), &home, &["model", "publish", text(&folder), "--name", "digits"])
        })
        .collect();
    wires.iter().for_each(Wire::wait_until_held);
    assert_eq!(versions(&server).len(), 2);
    wires.iter().for_each(Wire::release);
    let said: Vec<Output> = both.into_iter().map(|cli| cli.end().ok()).collect();
    assert_eq!(said[0].stdout, said[1].stdout);
    assert_eq!(versions(&server).len(), 1);
    wait_until("what came second is freed", SOON, || objects(&server).len() == 1);
}

#[test]
fn versions_are_compared_by_their_files() {
    let server = Server::start();
    let folder = model(&server, "model");
    publish(&server, &folder, &["--tag", "v1"]).ok();
    fs::write(folder.join("deep/labels.txt"), "zero\none\ntwo\n").unwrap();
    fs::write(folder.join("new"), "new").unwrap();
    fs::remove_file(folder.join(".hidden")).unwrap();
    fs::set_permissions(folder.join("predict"), fs::Permissions::from_mode(0o644)).unwrap();
    publish(&server, &folder, &["--tag", "v2", "--parent", "digits@v1"]).ok();

    let diff = |format: &str, from: &str, to: &str| {
        let said = server.cli(&["model", "diff", from, to, "--output", format]);
        (said.code, said)
    };
    let (code, table) = diff("table", "digits@v1", "digits@v2");
    assert_eq!(code, 1);
    let lines: Vec<Vec<&str>> = table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["changed", "deep/labels.txt", "9", "B", "13", "B"]), "{lines:?}");
    assert!(lines.contains(&vec!["added", "new", "3", "B"]), "{lines:?}");
    assert!(lines.contains(&vec!["removed", ".hidden", "0", "B"]), "{lines:?}");
    assert!(lines.contains(&vec!["changed", "predict", "10", "B,", "executable", "10", "B"]), "{lines:?}");
    let (code, found) = diff("json", "digits@v2", "digits@v1");
    let found = found.json();
    assert_eq!((code, &found["added"][0]["path"]), (1, &json!(".hidden")));
    assert_eq!(found["changed"][0]["from"]["size"], 13);
    assert_eq!(diff("quiet", "digits@v1", "digits").1.stdout, ".hidden\ndeep/labels.txt\nnew\npredict\n");
    let (code, same) = diff("table", "digits", "digits@v2");
    assert!(code == 0 && same.stderr.contains("the same files"), "{}", same.stderr);
    diff("table", "digits@v1", "digits@v7").1.refused(2, &["no version with the tag `v7`"]);

    let parent = server.cli(&["model", "show", "digits@v1", "--output", "quiet"]).ok().stdout;
    let shown = server.cli(&["model", "show", "digits@v2", "--output", "json"]).ok().json();
    assert_eq!(shown["parent_id"], parent.trim());
}

#[test]
fn versions_and_models_are_deleted_and_their_bytes_freed() {
    let server = Server::start();
    let folder = model(&server, "model");
    publish(&server, &folder, &["--tag", "v1"]).ok();
    fs::write(folder.join("more"), "more").unwrap();
    publish(&server, &folder, &["--tag", "v2"]).ok();
    fs::write(folder.join("more"), "even more").unwrap();
    publish(&server, &folder, &[]).ok();
    server.cli(&["model", "rm", "digits@v1"]).refused(2, &["Delete the version digits@v1?", "--yes"]);
    let said = server.cli(&["model", "rm", "digits@v1", "--yes"]).ok().stderr;
    assert!(said.contains("deleted the version digits@v1, freed 29"), "{said}");
    server.cli(&["model", "show", "digits@v1"]).refused(1, &["no version with the tag `v1`"]);
    wait_until("its bytes are gone", SOON, || objects(&server).len() == 2);
    server.cli(&["model", "rm", "digits"]).refused(2, &["the model digits with 2 versions"]);
    let gone = server.cli(&["model", "rm", "digits", "--yes", "--output", "json"]).ok().json();
    assert!(gone[0]["freed_bytes"].as_i64().unwrap() > 600_000, "{gone}");
    assert_eq!((server.get("/models"), versions(&server)), (json!([]), vec![]));
    wait_until("all bytes are gone", SOON, || objects(&server).is_empty());
}

#[test]
fn a_folder_that_cannot_be_a_model_is_refused_and_nothing_is_written() {
    let server = Server::start();
    let home = server.home();
    let at = |name: &str| home.join(name);
    fs::create_dir_all(at("empty/inside")).unwrap();
    fs::create_dir(at("pipe")).unwrap();
    nix::unistd::mkfifo(&at("pipe/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(at("leak")).unwrap();
    symlink("/etc/passwd", at("leak/passwd")).unwrap();
    let good = model(&server, "good");
    let before = server.state();
    for (folder, words) in [
        (at("missing"), ["missing", "does not exist"]),
        (at("empty"), ["holds no file", "empty"]),
        (at("pipe"), ["fifo", "pipe"]),
        (at("leak"), ["passwd", "link"]),
    ] {
        publish(&server, &folder, &["--tag", "v1"]).refused(1, &words);
    }
    for (more, words) in [
        (&["--parent", "digits@v0"][..], &["no model `digits`"][..]),
        (&["--parent", "00000000-0000-7000-8000-000000000000"], &["no model"]),
    ] {
        publish(&server, &good, more).refused(1, words);
    }
    for (more, words) in [
        (&["--config", "classes"][..], &["--config classes: there is no `=`"][..]),
        (&["--move-tag"], &["--tag"]),
        (&["--tag", "a/b"], &["tag", "'/'"]),
    ] {
        publish(&server, &good, more).refused(2, words);
    }
    let name = ["model", "publish", text(&good), "--name", "a@b"];
    server.cli(&name).refused(2, &["name", "'@'"]);
    assert_eq!(server.state(), before, "nothing is written");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let server = Server::start();
    let folder = model(&server, "model");
    fs::set_permissions(folder.join("weights.bin"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = cli::command(&server.home().join("no-data-here"));
    if nix::unistd::geteuid().is_root() {
        // Root reads everything: somebody else does it, with a binary that they can reach.
        use std::os::unix::process::CommandExt as _;
        let open = fs::Permissions::from_mode(0o755);
        for place in [server.home(), folder.clone()] {
            fs::set_permissions(place, open.clone()).unwrap();
        }
        let binary = server.home().join("runyard");
        fs::copy(runyard_tests::binary(), &binary).unwrap();
        command = std::process::Command::new(binary);
        command.env_clear().env("HOME", "/nonexistent").uid(65534).gid(65534);
    }
    command.env("RUNYARD_URL", server.url()).env("RUNYARD_TOKEN", server.token());
    command.args(["model", "publish", text(&folder), "--name", "digits"]).current_dir(server.home());
    Cli::spawn(command).end().refused(1, &["weights.bin", "Permission denied"]);
    assert_eq!(versions(&server), Vec::<Value>::new());
}

#[test]
fn a_tag_and_a_parent_must_fit() {
    let server = Server::start();
    let folder = model(&server, "model");
    let first = publish(&server, &folder, &["--tag", "v1"]).ok().stdout;
    server.cli(&["model", "publish", text(&folder), "--name", "other", "--tag", "v1"]).ok();
    fs::write(folder.join("more"), "more").unwrap();
    let before = server.state();
    publish(&server, &folder, &["--tag", "v1"])
        .refused(1, &[first.trim(), "has the tag `v1` already", "hint: ", "--move-tag"]);
    publish(&server, &folder, &["--parent", "other@v1"]).refused(1, &["is a version of model `other`"]);
    publish(&server, &folder, &["--parent", "digits@v7"]).refused(1, &["no version with the tag `v7`"]);
    assert_eq!(server.state(), before, "nothing is written");
    let second = publish(&server, &folder, &["--tag", "v1", "--move-tag"]).ok().stdout;
    assert_eq!(server.cli(&["model", "show", "digits@v1", "--output", "quiet"]).ok().stdout, second);
    let first = server.cli(&["model", "show", first.trim(), "--output", "json"]).ok().json();
    assert!(first.get("tag").is_none_or(Value::is_null), "{first}");
}

#[test]
fn a_checkpoint_becomes_a_version_with_semver() {
    let server = Server::start();
    let script = "cd $RUNYARD_ML/output; mkdir -p checkpoints/10; echo w > checkpoints/10/weights; \
         echo '{\"checkpoint\":{\"global_step\":10,\"path\":\"output/checkpoints/10\"}}' >> $RUNYARD_RECORDS";
    let run = server.submit(&["--name", "train"], script);
    server.wait_for_end(&run);
    let publish = |checkpoint: &str, version: &str| {
        let words = ["--name", "digits", "--version", version, "--summary", "Good", "--output", "json"];
        server.cli(&[&["checkpoint", "publish", checkpoint], &words[..]].concat())
    };
    let made = publish("train@10", "1.0.0").ok().json();
    assert_eq!(
        (&made["tag"], &made["description"], &made["run_id"]),
        (&json!("1.0.0"), &json!("Good"), &json!(run))
    );
    assert_eq!(publish("train", "1.0.0").ok().json()["id"], made["id"], "a repeat is the same version");
    publish("train", "v1").refused(1, &["version", "SemVer"]);
    publish("train@11", "1.0.1").refused(1, &["no complete checkpoint at step 11"]);
    let home = machine(&server, "elsewhere");
    elsewhere(&server, server.url(), &home, &["model", "pull", "digits@1.0.0", "here"]).end().ok();
    assert_eq!(fs::read_to_string(home.join("here/weights")).unwrap(), "w\n");
    let shown = server.cli(&["show", "train"]).ok().stdout;
    assert!(shown.contains("digits") && shown.contains("1.0.0"), "{shown}");
}
