//! Workers of each generation over elements: what becomes of each, of rivals, and of those that were killed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use runyard_tests::{SOON, Setup, processes, wait_until};
use serde_json::{Value, json};

use crate::site::{GENERATIONS, Site, Worked, text};

/// A worker that was started, and hangs in an element.
struct Hanging(Child);

impl Hanging {
    #[track_caller]
    fn start(worker: &mut Command) -> Self {
        let mut child =
            worker.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let hangs = said.lines().map_while(Result::ok).any(|line| line.starts_with("HANGING"));
        assert!(hangs, "the worker ended before it came to its element");
        Self(child)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn over_pages() -> Value {
    json!({"selection": {"query": {"type": "page"}}})
}

fn names(worked: &Worked) -> Vec<String> {
    worked.said("ELEMENT ").iter().map(|element| text(&element["name"])).collect()
}

#[test]
fn every_generation_processes_elements_and_says_what_became_of_each() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        let (corpus, pages) = site.pages(generation, 3);
        let run = site.worker_run_over(&corpus, &over_pages());
        let plan = json!({"fail": ["page 2"]});
        let worked = Worked::of(&mut site.reader(generation, &run, &pages, &plan)).well(&[
            "Loaded Worker Reader @ 1 from API",
            "Ran on 3 elements: 2 completed, 1 failed",
            "cannot read page 2",
        ]);
        assert_eq!(names(&worked), ["page 1", "page 2", "page 3"], "{generation}");
        let first = &worked.said("ELEMENT ")[0];
        assert_eq!((&first["corpus"], &first["type"]), (&json!(corpus), &json!("page")), "{generation}");
        assert_eq!(first["polygon"], json!([[0, 0], [100, 0], [100, 200], [0, 200]]));
        let iiif = format!("https://host/iiif/2/{generation}-1.jpg/full/full/0/default.jpg");
        assert_eq!((&first["zone_url"], &first["image"]), (&json!(iiif), &json!(iiif)), "{generation}");
        assert_eq!(site.counts(&run), json!({"queued": 0, "started": 0, "processed": 2, "error": 1}));
        // Only what failed is done again.
        let again = Worked::of(&mut site.reader(generation, &run, &pages, &json!({}))).well(&[
            &format!("Skipping element {} as it was already processed", pages[0]),
            "Ran on 3 elements: 3 completed, 0 failed",
        ]);
        assert_eq!(names(&again), ["page 2"], "{generation}");
        assert_eq!(site.counts(&run), json!({"queued": 0, "started": 0, "processed": 3, "error": 0}));
    }
}

#[test]
fn a_worker_whose_elements_all_fail_ends_with_1() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        let (corpus, pages) = site.pages(generation, 2);
        let run = site.worker_run_over(&corpus, &over_pages());
        let plan = json!({"fail": ["page 1", "page 2"]});
        let worker = &mut site.reader(generation, &run, &pages, &plan);
        Worked::of(worker).failed(&["Ran on 2 elements: 0 completed, 2 failed"]);
        assert_eq!(site.counts(&run)["error"], 2, "{generation}");
    }
}

#[test]
fn an_element_that_is_not_there_fails_alone() {
    let Some(site) = Site::start() else { return };
    let (corpus, mut pages) = site.pages("books", 1);
    let run = site.worker_run_over(&corpus, &over_pages());
    pages.push("01890a5d-ac96-774b-bcce-b302099a8057".to_owned());
    for generation in ["0.4.0", "0.6.0"] {
        let worker = &mut site.reader(generation, &run, &pages, &json!({}));
        Worked::of(worker).well(&["Ran on 2 elements: 1 completed, 1 failed", "404 Not Found"]);
    }
}

#[test]
fn a_rival_leaves_an_element_to_whoever_has_it() {
    let Some(site) = Site::start() else { return };
    let (corpus, pages) = site.pages("books", 2);
    let run = site.worker_run_over(&corpus, &over_pages());
    let first = Hanging::start(&mut site.reader("0.4.0", &run, &pages, &json!({"hang": ["page 1"]})));
    let skipped = format!("Skipping element {} as it was already processed", pages[0]);
    let rival = Worked::of(&mut site.reader("0.6.0", &run, &pages, &json!({}))).well(&[&skipped]);
    assert_eq!(names(&rival), ["page 2"]);
    assert_eq!(site.counts(&run), json!({"queued": 0, "started": 1, "processed": 1, "error": 0}));
    drop(first);
}

#[test]
fn what_a_killed_worker_had_comes_back_when_its_lease_runs_out() {
    let Some(site) = Site::with(Setup::default().args(&["--arkindex-lease", "2s"])) else { return };
    let refused = site.server.cli(&["serve", "--arkindex-lease", "8d"]);
    refused.refused(2, &["--arkindex-lease", "`8d` is not from 1s to 7d"]);
    let (corpus, pages) = site.pages("books", 1);
    let run = site.worker_run_over(&corpus, &over_pages());
    let plan = json!({"hang": ["page 1"], "write": true});
    drop(Hanging::start(&mut site.reader("0.4.0", &run, &pages, &plan)));
    assert_eq!(site.counts(&run)["started"], 1);
    let held = site.server.get(&format!("/worker_runs/{run}/activities?state=started"));
    let until = held[0]["lease_until"].as_i64().expect("a lease");
    assert_eq!(until - held[0]["updated_at"].as_i64().expect("a time"), 2_000, "{held}");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis() as i64;
    wait_until("the lease to run out", SOON, || now() > until);
    let next = Worked::of(&mut site.reader("0.4.0", &run, &pages, &json!({}))).well(&[]);
    assert_eq!(names(&next), ["page 1"]);
    assert_eq!(site.counts(&run)["processed"], 1);
}

#[test]
fn workers_that_runyard_runs_share_the_elements_and_a_killed_one_is_followed_by_another() {
    let Some(site) = Site::start() else { return };
    let server = &site.server;
    for (generation, env) in [("0.4.0", json!({})), ("0.6.0", json!({"SKIP_TASK_ELEMENTS": "1"}))] {
        let (corpus, _) = site.pages(generation, 12);
        let script = runyard_tests::repository().join("tests/arkindex/elements_worker.py");
        let mark = server.home().join(format!("hung-{generation}"));
        let plan = json!({"hang_once": mark}).to_string();
        let run = json!({"name": "read", "kind": "worker", "spec": {
            "command": [site.python(generation), script, "--plan", plan], "env": env,
            "worker": {"corpus": corpus, "selection": {"query": {"type": "page"}}, "processes": 2,
                "worker_type": "arkindex"}}});
        let run = text(&server.call("POST", "/api/v2/runs").json(&run).send().data(200)["id"]);
        let hung = runyard_tests::wait_for("a worker that hangs", SOON, || {
            let output = server.output(&run);
            assert!(!server.status(&run).is_settled(), "{generation}: {output}");
            let line = output.lines().find_map(|line| line.split("HANGING ").nth(1).map(str::to_owned))?;
            line.trim().parse::<i32>().ok()
        });
        processes::sigkill(hung);
        let status = server.wait_for_end(&run);
        let output = server.output(&run);
        assert_eq!(status, runyard_domain::run::Status::JobCompleted, "{generation}: {output}");
        let counts = json!({"queued": 0, "started": 0, "processed": 12, "error": 0});
        assert_eq!(site.counts(&run), counts, "{generation}: {output}");
        assert_eq!(output.matches("ELEMENT ").count(), 13, "one of them was begun twice: {output}");
    }
}
