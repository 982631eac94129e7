//! Guards the house: the arrows between crates, who may name what, and the rules of style that no compiler checks.
//! Reads the files of the repository; never builds, runs or changes anything.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

/// Which crates each crate may depend on: the picture in ARCHITECTURE.md, arrow by arrow. Nothing stands on benches and tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("archive", &[]),
    ("benches", &["archive", "client", "domain", "store", "wire"]),
    ("cli", &["archive", "client", "domain", "runner", "sdk", "server", "wire"]),
    ("client", &["domain", "wire"]),
    ("domain", &[]),
    ("engine", &["archive", "domain", "executors", "objects", "store"]),
    ("executors", &["domain"]),
    ("objects", &["domain"]),
    ("runner", &["archive", "client", "domain", "objects", "sdk", "wire"]),
    ("sdk", &["archive", "client", "domain", "wire"]),
    ("server", &["domain", "engine", "executors", "objects", "store", "wire"]),
    ("store", &["domain"]),
    ("tests", &["client", "domain", "sdk", "store", "wire"]),
    ("wire", &["domain"]),
];

/// Dependencies that belong to one crate, or to the few named here.
const OWNERS: &[(&str, &[&str])] = &[
    ("anyhow", &["cli"]),
    ("axum", &["server"]),
    ("bollard", &["executors"]),
    ("chacha20poly1305", &["engine"]),
    ("clap", &["cli"]),
    ("crc-fast", &["objects"]),
    ("k8s-openapi", &["executors"]),
    ("kube", &["executors"]),
    ("md-5", &["archive", "objects"]),
    ("postgres", &["store"]),
    ("quick-xml", &["server"]),
    ("reqwest", &["client", "objects"]),
    ("rusqlite", &["store"]),
    ("rusty-s3", &["objects"]),
    ("s3s", &["objects"]),
    ("s3s-fs", &["objects"]),
    ("sha1", &["server"]),
    ("tar", &["archive"]),
    ("tokio-postgres-rustls", &["store"]),
    ("utoipa", &["server", "wire"]),
    ("utoipa-axum", &["server"]),
    ("zstd", &["archive"]),
];

/// Crates that must not be anywhere in the build: one TLS provider (ring), no OpenSSL.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];

const LINES_MAX: usize = 600;

/// A text file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }

    /// The crate whose folder the file is in.
    fn of_crate(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether the whole file is there for tests, or is an example or bench.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || ["/tests.rs", "/testing.rs"].iter().any(|name| self.path.ends_with(name))
            || ["/tests/", "/examples/", "/benches/"].iter().any(|folder| self.path.contains(folder))
    }

    /// Lines of code with their numbers: no comments, and with `product` nothing of the tests at the end of the file.
    fn code(&self, product: bool) -> impl Iterator<Item = (usize, &str)> {
        let end = if product { self.text.find("#[cfg(test)]\nmod tests {") } else { None };
        let text = &self.text[..end.unwrap_or(self.text.len())];
        text.lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The lines of code that contain one of `needles`, ready to be read.
    fn lines_with(&self, product: bool, needles: &[&str]) -> Vec<String> {
        self.code(product)
            .filter(|(_, line)| needles.iter().any(|needle| line.contains(needle)))
            .map(|(at, line)| format!("{}:{at}: {}", self.path, line.trim()))
            .collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every text file of the repository that people write.
fn files() -> Vec<File> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            let made = ["target", "node_modules", "dist", "output", "__pycache__"].contains(&name.as_str());
            let hidden = name.starts_with('.') && ![".ci", ".config"].contains(&name.as_str());
            if made || hidden {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(File { path, text });
            }
        }
    }
    assert!(found.iter().any(|file| file.path == "crates/domain/src/lib.rs"), "the repository was not found");
    found
}

/// The Rust files, except this one: it must name what it forbids.
fn rust_files() -> Vec<File> {
    files().into_iter().filter(|file| file.is("rs") && file.path != "tests/tidy.rs").collect()
}

/// The members of the workspace: folder (`crates/store`) and Cargo.toml.
fn members() -> Vec<(String, Table)> {
    let manifests = files().into_iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let folder = |path: &str| path.trim_end_matches("/Cargo.toml").to_owned();
    manifests.map(|file| (folder(&file.path), file.text.parse().expect(&file.path))).collect()
}

/// All dependencies of a Cargo.toml, of whatever kind.
fn dependencies(manifest: &Table) -> Vec<(&str, &Value)> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
    tables.flatten().map(|(name, value)| (name.as_str(), value)).collect()
}

/// Fails with the rule and every offence against it.
#[track_caller]
fn holds(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}\n  {}\n", offences.join("\n  "));
}

#[test]
fn crates_depend_on_each_other_only_as_drawn() {
    let mut offences = Vec::new();
    for (folder, manifest) in members() {
        let name = folder.strip_prefix("crates/").unwrap_or(&folder);
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            offences
                .push(format!("{folder} is not in the picture: draw it in ARCHITECTURE.md and in ARROWS"));
            continue;
        };
        for (dependency, _) in dependencies(&manifest) {
            if let Some(to) = dependency.strip_prefix("runyard-")
                && !allowed.contains(&to)
            {
                offences.push(format!("{folder} depends on {to}; it may depend on: {}", allowed.join(", ")));
            }
        }
    }
    holds("arrows between crates only as drawn in ARCHITECTURE.md:", offences);
}

#[test]
fn each_foreign_thing_is_named_by_its_owner_only() {
    let mut offences = Vec::new();
    for (folder, manifest) in members() {
        let Some(name) = folder.strip_prefix("crates/") else { continue };
        for (dependency, _) in dependencies(&manifest) {
            if let Some((_, owners)) = OWNERS.iter().find(|(owned, _)| *owned == dependency)
                && !owners.contains(&name)
            {
                offences.push(format!("{folder} names {dependency}: only {} may", owners.join(" and ")));
            }
        }
    }
    for file in rust_files().iter().filter(|file| file.of_crate().is_some_and(|name| name != "executors")) {
        offences.extend(file.lines_with(true, &["\"sbatch\"", "\"squeue\"", "\"scancel\"", "\"sacct\""]));
    }
    holds("a dependency has one home:", offences);
}

#[test]
fn every_crate_is_a_citizen_of_the_workspace() {
    let mut offences = Vec::new();
    for (folder, manifest) in members() {
        let package = manifest["package"].as_table().unwrap();
        let name = format!("runyard-{}", folder.trim_start_matches("crates/"));
        if package["name"].as_str() != Some(&name) {
            offences.push(format!("{folder}: the package must be named {name}"));
        }
        let inherits = |value: Option<&Value>| {
            value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
        };
        if !inherits(manifest.get("lints")) {
            offences.push(format!("{folder}: add `[lints] workspace = true`"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(package.get(key)) {
                offences.push(format!("{folder}: write `{key}.workspace = true`"));
            }
        }
        for (dependency, value) in dependencies(&manifest) {
            // Our own crates may be asked for a feature here; those of others are chosen once, for all.
            let may = |key: &str| {
                ["workspace", "optional"].contains(&key)
                    || key == "features" && dependency.starts_with("runyard-")
            };
            let only_workspace = value.as_table().is_some_and(|table| table.keys().all(|key| may(key)));
            if !inherits(Some(value)) || !only_workspace {
                offences.push(format!(
                    "{folder}: write `{dependency}.workspace = true`; version and features stand in the root Cargo.toml"
                ));
            }
        }
    }
    holds("every crate takes its settings and dependencies from the workspace:", offences);
}

#[test]
fn no_dependency_is_there_for_nothing() {
    let (files, mut used, mut offences) = (files(), BTreeSet::new(), Vec::new());
    for (folder, manifest) in members() {
        for (dependency, _) in dependencies(&manifest) {
            let ident = if dependency == "md-5" { "md5".to_owned() } else { dependency.replace('-', "_") };
            let inside = format!("{folder}/");
            let mut own = files.iter().filter(|file| file.is("rs") && file.path.starts_with(&inside));
            if !own.any(|file| file.text.contains(&ident)) {
                offences.push(format!("{folder} depends on {dependency} and never names it"));
            }
            used.insert(dependency.to_owned());
        }
    }
    let workspace: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for name in workspace["workspace"]["dependencies"].as_table().unwrap().keys() {
        if !used.contains(name) {
            offences.push(format!("Cargo.toml names {name} and no crate uses it"));
        }
    }
    holds("dependencies are paid for by everybody who builds:", offences);
}

#[test]
fn banned_crates_are_not_in_the_build() {
    let lock: Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let names = packages.iter().filter_map(|package| package["name"].as_str());
    let found = names.filter(|name| BANNED.contains(name));
    holds(
        "banned crates are in Cargo.lock (see who brings one with `cargo tree -i NAME`):",
        found.map(str::to_owned).collect(),
    );
}

#[test]
fn domain_knows_no_clock_no_io_and_no_randomness() {
    let impure = [
        "SystemTime",
        "Instant",
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "now_v7",
        "new_v4",
        "getrandom",
        "rand::",
        "tokio",
    ];
    let files = rust_files();
    let domain = files.iter().filter(|file| file.of_crate() == Some("domain") && !file.is_test());
    holds(
        "domain is pure: times and random bytes are passed in:",
        domain.flat_map(|file| file.lines_with(true, &impure)).collect(),
    );
}

#[test]
fn only_cli_reads_the_environment() {
    let mut offences = Vec::new();
    for file in rust_files().iter().filter(|file| !file.is_test() && file.of_crate() != Some("cli")) {
        // The runner hands the environment on to the program, and the executors keep the server's settings from the
        // runner: both go through the names, neither looks up one.
        let whole = matches!(file.of_crate(), Some("runner" | "executors"));
        // Job authors' programs have no command line of ours: one constructor, which they call, reads what the job tells them.
        if file.path == "crates/sdk/src/environment.rs" {
            continue;
        }
        let lines = file.lines_with(true, &["env::var", "env::set_var"]);
        offences.extend(lines.into_iter().filter(|line| !(whole && line.contains("env::vars"))));
    }
    holds("settings are read in cli and passed in as values:", offences);
}

#[test]
fn sql_is_written_in_store_only() {
    let sql = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "UPDATE runs ", "UPDATE jobs "];
    let files = rust_files();
    let others = files.iter().filter(|file| file.of_crate() != Some("store"));
    holds("all SQL is in store:", others.flat_map(|file| file.lines_with(false, &sql)).collect());
}

#[test]
fn every_migration_is_in_the_list() {
    let files = files();
    let migrations: Vec<_> =
        files.iter().filter(|file| file.of_crate() == Some("store") && file.is("sql")).collect();
    assert!(!migrations.is_empty(), "store has no migrations: was the folder moved?");
    let listed = |path: &str| {
        let included = format!("/{}\")", path.rsplit('/').next().unwrap());
        let mut store = files.iter().filter(|file| file.of_crate() == Some("store") && file.is("rs"));
        store.any(|file| {
            file.text.lines().any(|line| line.contains("include_str!") && line.contains(&included))
        })
    };
    let forgotten = migrations.iter().filter(|file| !listed(&file.path));
    holds(
        "a migration that is not in store's list never runs:",
        forgotten.map(|file| file.path.clone()).collect(),
    );
}

#[test]
fn nothing_is_left_undone_or_silenced() {
    let needles = ["todo!(", "unimplemented!(", "[allow(", "#[ignore", "dbg!("];
    let files = rust_files();
    holds(
        "finish it; `#[expect(lint, reason = ..)]` instead of allow; a test runs or is deleted:",
        files.iter().flat_map(|file| file.lines_with(false, &needles)).collect(),
    );
}

#[test]
fn every_file_says_what_it_is_for_and_is_short_enough_to_read() {
    let mut offences = Vec::new();
    for file in files() {
        let name = Path::new(&file.path).file_stem().unwrap().to_str().unwrap();
        let code = ["rs", "py", "ts", "svelte", "sql"].iter().any(|extension| file.is(extension));
        if file.is("rs") && name != "tests" && !file.text.starts_with("//! ") {
            offences
                .push(format!("{} must open with `//!` and one to three lines: what it is for", file.path));
        }
        if code && file.text.lines().count() > LINES_MAX {
            let lines = file.text.lines().count();
            offences
                .push(format!("{} has {lines} lines, {LINES_MAX} is the most: find its parts", file.path));
        }
        if code && ["common", "helper", "helpers", "manager", "misc", "util", "utils"].contains(&name) {
            offences
                .push(format!("{} is named after nothing: name it after the noun that is in it", file.path));
        }
    }
    holds("a newcomer reads files from the top:", offences);
}

#[test]
fn nothing_carries_a_path_of_somebody_s_machine() {
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| file.path != "tests/tidy.rs") {
        for (at, line) in file.text.lines().enumerate() {
            for home in ["/home/", "/root/", "/Users/", "/work/"] {
                let inner =
                    |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric() || "._~-/}*>".contains(c));
                if line.match_indices(home).any(|(at, _)| !inner(at)) {
                    offences.push(format!("{}:{}: {}", file.path, at + 1, line.trim()));
                }
            }
        }
    }
    holds("paths are relative, or come from a setting:", offences);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| file.is("md")) {
        let mut fenced = false;
        for (at, line) in file.text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            let links =
                line.match_indices("](").map(|(at, _)| line[at + 2..].split([')', '#', ' ']).next().unwrap());
            for link in links.filter(|link| !fenced && !link.is_empty() && !link.contains(':')) {
                if !root().join(&file.path).parent().unwrap().join(link).exists() {
                    offences.push(format!("{}:{}: {link} does not exist", file.path, at + 1));
                }
            }
        }
    }
    holds("links in Markdown are relative to their page, and lead to files that exist:", offences);
}

#[test]
fn scripts_can_be_run_and_stop_at_the_first_error() {
    let mut offences = Vec::new();
    for file in
        files().iter().filter(|file| file.path.starts_with("scripts/") || file.path.starts_with(".ci/"))
    {
        let mode = fs::metadata(root().join(&file.path)).unwrap().permissions().mode();
        if mode & 0o111 == 0 {
            offences.push(format!("{} is not executable", file.path));
        }
        if !file.text.starts_with("#!/usr/bin/env bash\n# ") || !file.text.contains("\nset -euo pipefail\n") {
            offences.push(format!(
                "{} must open with `#!/usr/bin/env bash`, a comment on what it is for, and `set -euo pipefail`",
                file.path
            ));
        }
    }
    holds("scripts:", offences);
}
