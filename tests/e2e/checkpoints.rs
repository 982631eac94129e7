//! Checkpoints and artifacts from outside: saved by a program, kept by the server, loaded by the next job, pulled by a person.

use std::{fs, path::Path, time::Duration};

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, processes, wait_until};
use serde_json::{Value, json};

/// Packages are downloaded, perhaps slowly.
const PATIENCE: Duration = Duration::from_mins(6);

/// Saves a checkpoint at each step from the one after the newest on, and says what it found.
pub(crate) const COUNTS: &str = r#"
import runyard, sys, time
first = 1
try:
    with runyard.load_checkpoint() as c:
        print("resumed at", c.global_step, (c.dir / "deep" / "state").read_text(), flush=True)
        first = c.global_step + 1
except runyard.CheckpointNotFoundError:
    print("fresh", flush=True)
last = int(sys.argv[1])
for step in range(first, last + 1):
    with runyard.save_checkpoint(step) as c:
        (c.dir / "deep").mkdir()
        (c.dir / "deep" / "state").write_text(f"state {step}")
        (c.dir / "weights").write_bytes(bytes([step]) * 100_000)
    runyard.log_metric("loss", 1 / step, step)
print("saved", last, flush=True)
while "wait" in sys.argv:
    time.sleep(0.05)
"#;

pub(crate) fn checkpoints(server: &Server, run: &str) -> Vec<Value> {
    let list = server.get(&format!("/checkpoints?run_id={run}&limit=1000"));
    list.as_array().expect("a list").clone()
}

/// Steps of the complete checkpoints, newest first.
pub(crate) fn complete(server: &Server, run: &str) -> Vec<i64> {
    let all = checkpoints(server, run);
    let complete = all.iter().filter(|checkpoint| checkpoint["status"] == "complete");
    complete.map(|checkpoint| checkpoint["global_step"].as_i64().unwrap()).collect()
}

pub(crate) fn submit(server: &Server, options: &[&str], program: &[&str]) -> String {
    let mut args = vec!["submit", "--output", "quiet"];
    args.extend(options);
    args.push("--");
    args.extend(program);
    server.cli(&args).ok().stdout.trim().to_owned()
}

pub(crate) fn counts(server: &Server, options: &[&str], last: &str) -> String {
    submit(server, options, &["python3", "-c", COUNTS, last])
}

/// SIGKILL to the runner and to its program, as when a machine loses power.
fn kill_job(server: &Server, run: &str) {
    let job = server.job(run);
    let runner = processes::runner(server.data(), &job).expect("it has a runner");
    let program = processes::program(server.data(), &job).expect("it has a program");
    processes::sigkill(runner);
    processes::sigkill(program);
}

pub(crate) fn content(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn point_15_a_restarted_run_loads_its_newest_complete_checkpoint() {
    let server = Server::start();
    let program = ["sh", "-c", "exec python3 -c \"$0\" 3 wait", COUNTS];
    let run = submit(&server, &["--name", "counts"], &program);
    server.wait_for_output(&run, "saved 3");
    wait_until("three checkpoints are complete", SOON, || complete(&server, &run) == [3, 2, 1]);
    // What is only begun does not count.
    let begun = server.call("POST", "/api/v2/checkpoints");
    begun.json(&json!({"run_id": run, "global_step": 99})).send().data(200);
    kill_job(&server, &run);
    assert_eq!(server.wait_for_end(&run), Status::JobFailed);
    assert_eq!(server.reason(&run), "RunnerKilled");

    server.cli(&["restart", "counts", "--cpu", "500m", "--memory", "1Gi"]).ok();
    server.wait_for_output(&run, "resumed at 3 state 3");
    assert_eq!(server.run(&run)["resources"]["memory"], "1Gi");
    server.cli(&["stop", "counts", "--grace", "1s"]).ok();
    server.wait_for_end(&run);
}

#[test]
fn checkpoints_are_listed_pulled_verified_and_deleted() {
    let server = Server::start();
    let run = counts(&server, &["--name", "counts"], "3");
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    // The exit comes after the uploads.
    assert_eq!(complete(&server, &run), [3, 2, 1]);
    let table = server.cli(&["checkpoints", "counts"]).ok().stdout;
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("complete") && table.contains("97.7 KiB"), "{table}");

    let home = server.home();
    let at = |name: &str| home.join(name).display().to_string();
    server.cli(&["checkpoint", "pull", "counts", &at("newest")]).ok();
    assert_eq!(content(&home.join("newest/deep/state")), b"state 3");
    assert_eq!(content(&home.join("newest/weights")), vec![3; 100_000]);
    // What an interrupted download left is gone on with, and what is wrong is replaced.
    fs::create_dir(home.join("second")).unwrap();
    fs::write(home.join("second/weights.runyard-part"), vec![2; 60_000]).unwrap();
    fs::create_dir(home.join("second/deep")).unwrap();
    fs::write(home.join("second/deep/state"), "damaged").unwrap();
    let said = server.cli(&["checkpoint", "pull", "counts@2", &at("second")]).ok().stderr;
    assert!(said.contains("checkpoint at step 2: 97.7 KiB in "), "{said}");
    assert_eq!(content(&home.join("second/weights")), vec![2; 100_000]);
    assert_eq!(content(&home.join("second/deep/state")), b"state 2");
    assert_eq!(fs::read_dir(home.join("second")).unwrap().count(), 2);

    server
        .cli(&["checkpoint", "pull", "counts@7"])
        .refused(1, &["no complete checkpoint at step 7", "hint:"]);
    server.cli(&["checkpoint", "rm", "counts@2"]).refused(2, &["There is nobody to ask", "--yes"]);
    let said = server.cli(&["checkpoint", "rm", "--yes", "counts@2"]).ok().stderr;
    assert!(said.contains("deleted the checkpoint at step 2, freed"), "{said}");
    assert_eq!(complete(&server, &run), [3, 1]);
    server.cli(&["rm", "--yes", "counts"]).ok();
    let objects = server.data().join("objects");
    wait_until("the files are gone", SOON, || files_below(&objects).is_empty());
}

pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn a_run_keeps_the_checkpoints_that_it_was_told_to_keep() {
    let server = Server::start();
    let run = counts(&server, &["--keep-last", "2", "--keep-every", "5", "--keep-best", "loss:max"], "12");
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let expected = [12, 11, 10, 5, 1];
    wait_until("the others are gone", SOON, || complete(&server, &run) == expected);
    server.cli(&["submit", "--keep-best", "loss", "--", "true"]).refused(2, &["TAG:min or TAG:max"]);
}

#[test]
fn artifacts_are_listed_and_pulled_by_name() {
    let server = Server::start();
    let script = "cd $RUNYARD_ML/output; mkdir plots; echo plot > plots/a; echo rest > rest; \
         echo '{\"artifact\":{\"path\":\"output/plots\",\"type\":\"plot\"}}' >> $RUNYARD_RECORDS";
    let run = server.submit(&["--name", "art"], script);
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let list = server.cli(&["artifacts", "art", "--output", "json"]).ok().json();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["output", "plots"]);
    let home = server.home();
    server.cli(&["artifact", "pull", "art/plots", &home.join("here").display().to_string()]).ok();
    assert_eq!(content(&home.join("here/a")), b"plot\n");
    server.cli(&["artifact", "pull", "art", &home.join("all").display().to_string()]).ok();
    assert_eq!(content(&home.join("all/plots/a")), b"plot\n");
    assert_eq!(content(&home.join("all/output/rest")), b"rest\n");
    server.cli(&["artifact", "pull", "art/nonesuch"]).refused(1, &["no complete artifact `nonesuch`"]);

    server.cli(&["artifact", "rm", "art/plots"]).refused(2, &["There is nobody to ask", "--yes"]);
    server.cli(&["artifact", "rm", "--yes", "art"]).refused(2, &["does not say which artifact", "RUN/NAME"]);
    server.cli(&["artifact", "rm", "--yes", "art/nonesuch"]).refused(1, &["no artifact `nonesuch`"]);
    let said = server.cli(&["artifact", "rm", "--yes", "art/plots"]).ok().stderr;
    assert!(said.contains("deleted the artifact plots, freed 5 B"), "{said}");
    let left = server.cli(&["artifacts", "art", "--output", "json"]).ok().json();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["name"]), (1, &json!("output")));
    let id = left[0]["id"].as_str().unwrap();
    server.cli(&["artifact", "rm", "--yes", id]).ok();
    let objects = server.data().join("objects");
    wait_until("the files are gone", SOON, || files_below(&objects).is_empty());
}

#[test]
fn digits_killed_in_the_middle_goes_on_from_its_newest_complete_checkpoint() {
    let server = Server::start();
    let options = [
        "--name",
        "digits",
        "--source",
        "examples/digits",
        "--requirement",
        "scikit-learn",
        "--set",
        "epochs=40",
        "--set",
        "checkpoint_epochs=2",
        "--cpu",
        "1",
    ];
    let run = submit(&server, &options, &["python", "train.py"]);
    wait_until("two checkpoints are complete", PATIENCE, || complete(&server, &run).len() >= 2);
    kill_job(&server, &run);
    assert_eq!(server.wait_for_end(&run), Status::JobFailed);
    assert_eq!(server.reason(&run), "RunnerKilled");
    let newest = complete(&server, &run)[0];

    server.cli(&["restart", "digits", "--cpu", "2", "--memory", "2Gi"]).ok();
    wait_until("it runs to its end", PATIENCE, || server.status(&run) == Status::JobCompleted);
    let output = server.output(&run);
    assert!(output.contains(&format!("resuming from the checkpoint at step {newest}\n")), "{output}");
    assert!(!output.contains("epoch   1/40") && output.contains("epoch  40/40"), "{output}");
    assert_eq!(server.run(&run)["resources"]["cpu"], "2");
    assert_eq!(server.get(&format!("/runs/{run}/jobs")).as_array().unwrap().len(), 2);
    // Every epoch has one value of the metric, whichever job it is from, and the training went well.
    let csv = server.cli(&["metrics", "digits", "--tag", "val/accuracy", "--output", "csv"]).ok().stdout;
    let accuracy: Vec<f64> =
        csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(accuracy.len(), 40, "{csv}");
    assert!(*accuracy.last().unwrap() > 0.9, "{accuracy:?}");
    // The model is there for whoever wants it.
    let model = server.home().join("model");
    server.cli(&["model", "pull", "digits", &model.display().to_string()]).ok();
    assert!(content(&model.join("model.joblib")).len() > 1000);
}
