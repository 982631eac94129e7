//! The example of elements: digits are made, imported, read by eight processes, split, built, pulled, and held against the truth.
//! And the same by a worker of Arkindex, which is not changed in anything.

use std::{env, fs, path::Path, process::Command, time::Duration};

use runyard_tests::{Server, Setup, repository};
use serde_json::{Value, json};

/// Packages are downloaded, perhaps slowly.
const PATIENCE: Duration = Duration::from_mins(10);

/// One environment for everything that a test starts.
const NEEDS: [&str; 6] =
    ["--requirement", "scikit-learn", "--requirement", "pillow", "--requirement", "zstandard"];

/// Trains and publishes the model `digits`, and imports so many images of digits into the corpus `digits`.
fn prepare(server: &Server, count: &str, needs: &[&str]) {
    let train =
        ["run", "--name", "train", "--source", "examples/digits", "--config", "examples/digits/config.json"];
    let train = [&train, needs, &["--set", "epochs=5", "--", "python", "train.py"]].concat();
    server.start_cli(&train).end_within(PATIENCE).ok();
    let images = server.home().join("images");
    let make = ["run", "--name", "images", "--source", "examples/elements"];
    let make = [&make, needs, &["--", "python", "images.py", images.to_str().unwrap(), count]].concat();
    server.start_cli(&make).end_within(PATIENCE).ok();
    server.cli(&["corpus", "create", "digits"]).ok();
    let lines = images.join("elements.jsonl");
    let import = ["element", "import", lines.to_str().unwrap(), "--corpus", "digits", "--type", "digit"];
    let said = server.cli(&import).ok();
    assert!(said.stderr.contains(&format!("{count} elements")), "{}", said.stderr);
}

/// The newest worker run.
fn worker_run(server: &Server) -> Value {
    server.get("/worker_runs?limit=1")[0].clone()
}

/// Makes a dataset of all elements, pulls it, and holds what a worker run said against the truth.
fn confusion(server: &Server, run: &str) -> String {
    server.cli(&["dataset", "create", "letters", "--corpus", "digits"]).ok();
    let split = ["dataset", "split", "letters", "train=0.8", "dev=0.1", "test=0.1", "--all", "--seed", "1"];
    server.cli(&[&split[..], &["--stratify", "class"]].concat()).ok();
    server.cli(&["dataset", "build", "letters"]).ok();
    let pulled = server.home().join("letters");
    server.cli(&["dataset", "pull", "letters", pulled.to_str().unwrap()]).ok();
    let script = repository().join("examples/elements/confusion.py");
    let said = Command::new("python3").arg(script).arg(&pulled).arg(run).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

/// The part that is right, as the line about all of them says.
fn accuracy(said: &str, count: f64) -> f64 {
    let line = said.lines().find_map(|line| line.strip_prefix("all: ")).unwrap_or_else(|| panic!("{said}"));
    line.split(' ').next().unwrap().parse::<f64>().unwrap() / count
}

#[test]
fn eight_workers_read_every_digit_and_the_archive_of_a_dataset_tells_how_well() {
    let server = Server::start();
    prepare(&server, "1797", &NEEDS);
    let read = ["worker", "run", "--corpus", "digits", "--type", "digit", "-n", "8", "--batch", "64"];
    let what = [
        "--source",
        "examples/elements",
        "--config-set",
        "model_version=digits",
        "--",
        "python",
        "worker.py",
    ];
    let read = [&read[..], &NEEDS, &what].concat();
    let said = server.start_cli(&read).end_within(PATIENCE).ok();
    assert!(said.stderr.contains("1797 processed, 0 failed"), "{}", said.stderr);
    let run = worker_run(&server);
    assert_eq!(run["counts"], json!({"queued": 0, "started": 0, "processed": 1797, "error": 0}));
    let said = confusion(&server, run["id"].as_str().unwrap());
    assert!(said.starts_with("1797 elements and 1797 images; of 0 the worker run said nothing"), "{said}");
    assert!(accuracy(&said, 1797.0) > 0.95, "{said}");
    // Every digit is in every set, in proportion.
    for set in ["train", "dev", "test"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{set}: "))), "{said}");
    }
    let sets = server.get("/datasets")[0]["sets"].clone();
    let sizes = sets.as_array().unwrap().iter().map(|set| set["elements"].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sizes, 1797);
}

#[test]
fn a_worker_of_arkindex_reads_the_same_digits() {
    let Some(python) = environment() else { return };
    let path = env::join_paths([python.as_path()].into_iter().map(Path::to_owned).chain(paths())).unwrap();
    let server = Setup::default().env("PATH", path.into_string().unwrap()).start();
    let needs = ["--requirement", "scikit-learn", "--requirement", "arkindex-base-worker==0.4.0"];
    prepare(&server, "64", &needs);
    let model = server.home().join("model");
    server.cli(&["model", "pull", "digits", model.to_str().unwrap()]).ok();
    let config = json!({"model": model}).to_string();
    let read =
        ["worker", "run", "--corpus", "digits", "-n", "2", "--worker-type", "arkindex", "--config", &config];
    let what = ["--source", "examples/elements", "--", "python", "arkindex_digits.py"];
    let read = [&read[..], &needs, &what].concat();
    server.start_cli(&read).end_within(PATIENCE).ok();
    let run = worker_run(&server);
    assert_eq!(run["counts"], json!({"queued": 0, "started": 0, "processed": 64, "error": 0}));
    let said = confusion(&server, run["id"].as_str().unwrap());
    assert!(said.starts_with("64 elements and 64 images; of 0 the worker run said nothing"), "{said}");
    assert!(accuracy(&said, 64.0) > 0.9, "{said}");
}

fn paths() -> Vec<std::path::PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
}

/// Where a Python is that such workers run on; see tests/arkindex.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn environment() -> Option<std::path::PathBuf> {
    let found =
        env::var_os("RUNYARD_TEST_ARKINDEX").map(|folder| repository().join(folder).join("0.4.0/bin"));
    let found = found.filter(|folder| fs::metadata(folder).is_ok());
    if found.is_none() {
        let required = env::var_os("RUNYARD_TEST_REQUIRE_CLIENTS").is_some();
        assert!(
            !required,
            "RUNYARD_TEST_ARKINDEX names no folder of Python environments, and one is required"
        );
        eprintln!(
            "left out: RUNYARD_TEST_ARKINDEX names no folder of Python environments (scripts/test makes one)"
        );
    }
    found
}
