//! The checklist of the contract, point by point: checkpoints.

use runyard_tests::{SOON, wait_until};
use serde_json::{Value, json};

use crate::site::{Site, text};

/// Saves 12 checkpoints, at the steps 10 to 120.
const SAVING: &str = r#"
    for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
        mkdir "$RUNYARD_ML/output/checkpoints/$n"; echo "weights $n" > "$RUNYARD_ML/output/checkpoints/$n/weights"
        echo "{\"checkpoint\":{\"global_step\":${n}0,\"path\":\"output/checkpoints/$n\"}}" >> "$RUNYARD_RECORDS"
    done
"#;

#[test]
fn point_04_checkpoints_are_the_newest_10_when_nothing_was_said() {
    let site = Site::start();
    let run = site.ended(SAVING);
    let other = site.create(&site.blueprint("idle", "1", "true"), "other");
    let steps = |query: &str| {
        let found = site.all(&format!("/v2/checkpoints?run_id={run}{query}"), "global_step");
        found.iter().map(|step| step.as_i64().expect("a step")).collect::<Vec<_>>()
    };
    let all: Vec<i64> = (1..=12).map(|n| n * 10).collect();
    assert_eq!(steps(""), all.iter().rev().take(10).copied().collect::<Vec<_>>());
    assert_eq!(steps("&sort=created_at&limit=100"), all);
    assert_eq!(steps("&sort=id:asc&limit=2&offset=1"), [20, 30]);
    assert_eq!(steps("&global_step=30,50&global_step=7&sort=id"), [30, 50]);
    assert_eq!(steps("&status=complete&limit=1"), [120]);
    assert_eq!(steps("&status=incomplete"), [] as [i64; 0]);
    assert_eq!(site.get(&format!("/v2/checkpoints?run_id={other}")), json!([]));
    for unknown in ["run_id=2N1bQ", "id=2N1bQ", "project_id=nobody"] {
        assert_eq!(site.get(&format!("/v2/checkpoints?{unknown}")), json!([]), "{unknown}");
    }

    let newest = site.get(&format!("/v2/checkpoints?run_id={run}&limit=1"))[0].clone();
    let fields = ["id", "created_at", "run_id", "project_id", "global_step", "status", "status_updated_at"];
    for field in fields.iter().chain(&["key_prefix"]) {
        assert!(!newest[field].is_null(), "{field} is not in {newest}");
    }
    let id = text(&newest["id"]);
    assert_eq!(
        site.get(&format!("/v2/checkpoints?id={id}&select=global_step")),
        json!([{"global_step": 120}])
    );
    let selected = site.get(&format!("/v2/checkpoints?id={id}&select={}", fields.join(",")));
    assert_eq!(selected[0].as_object().expect("an object").len(), fields.len(), "{selected}");
    let time = &newest["created_at"];
    let before = steps(&format!("&created_before={time}&limit=100"));
    let after = site.get(&format!("/v2/checkpoints?run_id={run}&created_after={time}"));
    assert!(before.len() <= 11 && !before.contains(&120) && after == json!([]), "{before:?}");
    assert_eq!(site.ask("GET", "/v2/checkpoints?select=key_prefix", None).status, 422, "as in the original");
    assert_eq!(site.ask("GET", "/v2/checkpoints?status=deleted", None).status, 422);
}

/// Goes on from the newest checkpoint, saves two more, and waits for a stop.
const RESUMING: &str = r#"exec python3 -c '
import pathlib, time, runyard
with runyard.open_run_context() as run:
    first = 0
    try:
        with run.load_checkpoint() as found:
            first = found.global_step
            weights = (pathlib.Path(found.dir) / "weights").read_text()
            print("resumed at", first, "with", weights, "of", found.id, found.run_id)
    except runyard.CheckpointNotFoundError:
        print("fresh")
    for step in (first + 10, first + 20):
        with run.save_checkpoint(step) as new:
            (pathlib.Path(new.dir) / "weights").write_text(f"w{step}")
    print("saved")
    while True:
        time.sleep(0.1)
'"#;

#[test]
fn point_15_the_newest_complete_checkpoint_of_the_run_is_what_a_restarted_program_loads() {
    let site = Site::start();
    let run = site.create(&site.blueprint("resuming", "1", RESUMING), "resuming");
    let complete = || site.all(&format!("/v2/checkpoints?run_id={run}&status=complete"), "global_step");
    wait_until("both checkpoints are complete while the program goes on", SOON, || complete() == [20, 10]);
    assert_eq!(site.server.output(&run), "fresh\nsaved\n");
    // A newer one, of which not every byte will ever be there.
    let begun = json!({"run_id": run, "global_step": 99});
    site.server.call("POST", "/api/v2/checkpoints").json(&begun).send().data(200);
    let newest = site.get(&format!("/v2/checkpoints?run_id={run}&limit=1"));
    assert_eq!((&newest[0]["global_step"], &newest[0]["status"]), (&json!(99), &json!("incomplete")));

    site.ask("POST", &format!("/v2/runs/{run}/stop?grace_period_seconds=30"), None);
    site.server.wait_for_end(&run);
    assert_eq!(site.get(&format!("/v2/runs/{run}"))["status"], "job_terminated");
    let id = site.all(&format!("/v2/checkpoints?run_id={run}&global_step=20"), "id").remove(0);
    site.ask("POST", &format!("/v2/runs/{run}/restart"), Some(&json!({})));
    site.server.wait_for_output(&run, "resumed");
    site.server.wait_for_output(&run, "saved\n");
    let said = format!("resumed at 20 with w20 of {} {run}\nsaved\n", text(&id));
    assert_eq!(site.server.output(&run), said);
    wait_until("it goes on from there", SOON, || complete()[..2] == [Value::from(40), Value::from(30)]);
    site.ask("POST", &format!("/v2/runs/{run}/stop?grace_period_seconds=30"), None);
    site.server.wait_for_end(&run);
}
