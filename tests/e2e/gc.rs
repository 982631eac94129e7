//! `runyard gc`: what nobody needs goes and is counted by kind, what somebody needs stays.

use std::{fs, path::Path, time::Duration, time::SystemTime};

use runyard_domain::run::Status;
use runyard_tests::{Server, wait_until};
use serde_json::Value;

/// An environment is made by pip, perhaps slowly.
const PATIENCE: Duration = Duration::from_mins(3);

/// Count and bytes of a kind.
fn of(freed: &Value, kind: &str) -> (i64, i64) {
    let freed = freed.as_array().expect("a list").iter().find(|freed| freed["kind"] == kind).expect(kind);
    (freed["count"].as_i64().unwrap(), freed["bytes"].as_i64().unwrap())
}

fn gc(server: &Server, args: &[&str]) -> Value {
    server.cli(&[&["gc", "--output", "json"], args].concat()).ok().json()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn folders_of_jobs_that_have_ended_go_and_what_they_reported_stays() {
    let server = Server::start();
    let ended =
        server.submit(&["--name", "ended"], "echo told; head -c 300000 /dev/zero > $RUNYARD_ML/output/big");
    assert_eq!(server.wait_for_end(&ended), Status::JobCompleted);
    let busy = server.submit(&[], "trap 'exit 0' TERM; echo on; while :; do sleep 0.05; done 2>/dev/null");
    server.wait_for_output(&busy, "on");
    let (folder, kept) = (server.job_folder(&ended), server.job_folder(&busy));
    wait_until("it is delivered", PATIENCE, || folder.join("delivered").exists());

    assert_eq!(of(&gc(&server, &[]), "jobs"), (0, 0), "a week has not passed");
    // The runner leaves a moment after it has delivered.
    wait_until("its folder could go", PATIENCE, || {
        of(&gc(&server, &["--dry-run", "--keep-jobs", "0s"]), "jobs").0 == 1
    });
    assert!(folder.exists(), "nothing was freed so far");
    let freed = gc(&server, &["--keep-jobs", "0s"]);
    let (count, bytes) = of(&freed, "jobs");
    assert!(count == 1 && bytes > 300_000, "{freed}");
    assert!(!folder.exists() && kept.exists());
    assert_eq!(server.output(&ended), "told\n");
    let pulled = server.home().join("pulled");
    server.cli(&["artifact", "pull", "ended/output", &pulled.display().to_string()]).ok();
    assert_eq!(fs::metadata(pulled.join("big")).unwrap().len(), 300_000);
    server.cli(&["restart", "ended"]).ok();
    assert_eq!(server.wait_for_end(&ended), Status::JobCompleted);

    let said = server.cli(&["gc"]).ok();
    assert!(said.stdout.contains("folders of jobs that have ended"), "{}", said.stdout);
    assert!(said.stderr.contains("freed 0 B"), "{}", said.stderr);
    let said = server.cli(&["gc", "--dry-run"]).ok();
    assert!(said.stderr.contains("would be freed: nothing was touched"), "{}", said.stderr);
    server.cli(&["gc", "--keep-jobs", "soon"]).refused(2, &["`soon` is not a duration"]);
    server.cli(&["stop", &busy, "--grace", "10s"]).ok();
    server.wait_for_end(&busy);
}

#[test]
fn a_virtual_environment_stays_while_a_job_uses_it() {
    let server = Server::start();
    // pip has itself already: nothing is downloaded.
    let script = "trap 'exit 0' TERM; python -c 'import pip; print(pip.__file__)'; \
                  while test ! -e done; do sleep 0.05; done";
    let options = ["--name", "venv", "--requirement", "pip"];
    let run = server.submit(&options, script);
    wait_until("it runs in its environment", PATIENCE, || server.output(&run).contains("cache/venvs/"));
    let venvs = server.data().join("cache/venvs");
    let all = ["--keep-environments", "0s"];
    assert_eq!(of(&gc(&server, &all), "environments"), (0, 0), "it is in use");
    assert_eq!(names(&venvs).len(), 1);
    server.cli(&["stop", "venv", "--grace", "10s"]).ok();
    server.wait_for_end(&run);
    assert_eq!(of(&gc(&server, &[]), "environments"), (0, 0), "a month has not passed");
    // The runner leaves a moment after it has delivered.
    wait_until("it is free", PATIENCE, || {
        of(&gc(&server, &[&["--dry-run"], &all[..]].concat()), "environments").0 == 1
    });
    let (count, bytes) = of(&gc(&server, &all), "environments");
    assert!(count == 1 && bytes > 1_000_000, "{bytes}");
    assert!(names(&venvs).is_empty());
    // The next job makes it anew.
    let again = server.submit(&["--requirement", "pip"], "python -c 'import pip; print(pip.__file__)'");
    wait_until("it ends", PATIENCE, || server.status(&again).is_terminal());
    assert_eq!(server.status(&again), Status::JobCompleted);
    assert!(server.output(&again).contains("cache/venvs/"));
}

#[test]
fn objects_that_nobody_knows_are_counted_and_freed() {
    let server = Server::start();
    let run = super::checkpoints::counts(&server, &["--name", "counts"], "2");
    server.wait_for_end(&run);
    let sources = server.data().join("objects/sources");
    fs::create_dir_all(&sources).unwrap();
    let lost = sources.join(format!("{}.tar.zst", "ab".repeat(32)));
    fs::write(&lost, vec![0; 5000]).unwrap();
    assert_eq!(of(&gc(&server, &[]), "orphans"), (0, 0), "somebody may be about to note it");
    let old = SystemTime::now() - Duration::from_hours(25);
    let age = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    age(&lost);
    for file in super::checkpoints::files_below(&server.data().join("objects/runs")) {
        age(Path::new(&file));
    }
    assert_eq!(of(&gc(&server, &["--dry-run"]), "orphans"), (1, 5000));
    assert_eq!(of(&gc(&server, &[]), "orphans"), (1, 5000));
    assert!(!lost.exists());
    assert_eq!(super::checkpoints::complete(&server, &run), [2, 1]);
    let pulled = server.home().join("pulled");
    server.cli(&["checkpoint", "pull", "counts@1", &pulled.display().to_string()]).ok();
}
