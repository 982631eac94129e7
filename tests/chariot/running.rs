//! The checklist of the contract, point by point: what runs do, and what they report.

use runyard_domain::run::Status;
use serde_json::{Value, json};

use crate::site::{OBEDIENT, STUBBORN, Site, text};

/// The `details` of the newest event with this status.
fn details(site: &Site, run: &str, status: &str) -> Value {
    let events = site.get(&format!("/v2/runs/{run}/events?limit=1000"));
    let found = events.as_array().unwrap().iter().find(|event| event["status"] == status);
    found.unwrap_or_else(|| panic!("no {status} in {events:#}"))["details"].clone()
}

#[test]
fn point_12_restart_takes_an_empty_body_and_stop_needs_no_grace() {
    let site = Site::start();
    let run = site.create(&site.blueprint("obedient", "1", OBEDIENT), "obedient");
    site.server.wait_for_output(&run, "ready");
    let (stop, restart) = (format!("/v2/runs/{run}/stop"), format!("/v2/runs/{run}/restart"));
    assert_eq!(site.ask("POST", &restart, Some(&json!({}))).status, 409, "it is active");
    for grace in ["0", "-1"] {
        let refused = site.ask("POST", &format!("{stop}?grace_period_seconds={grace}"), None);
        assert!(refused.status == 422 && refused.body["errors"]["grace_period_seconds"].is_array());
    }
    for grace in ["1.5", "soon", ""] {
        assert_eq!(site.ask("POST", &format!("{stop}?grace_period_seconds={grace}"), None).status, 422);
    }
    assert_eq!(site.server.status(&run), Status::JobRunning, "nothing of that stopped it");
    assert_eq!(site.ask("DELETE", &format!("/v2/runs/{run}"), None).status, 409, "it is active");
    assert_eq!(site.ask("POST", &stop, None).status, 204);
    assert_eq!(details(&site, &run, "run_stop_requested")["grace_ms"], 600_000);
    assert_eq!(site.server.wait_for_end(&run), Status::JobTerminated);
    assert_eq!(site.ask("POST", &stop, None).status, 409, "it has ended");

    assert_eq!(site.ask("POST", &restart, Some(&json!({}))).status, 204);
    site.server.wait_for_status(&run, Status::JobRunning);
    assert_eq!(site.server.run(&run)["epoch"], 2);
    let form = "grace_period_seconds=30&colour=red";
    let stopped = site.server.call("POST", &format!("/api/training{stop}")).form(form).send();
    assert_eq!(stopped.status, 204, "{}", stopped.text);
    assert_eq!(details(&site, &run, "run_stop_requested")["grace_ms"], 30_000, "a form says it too");
    site.server.wait_for_end(&run);
    let bad = json!({"resources": {"cpu": "lots", "memory": "1Gi"}});
    assert_eq!(site.ask("POST", &restart, Some(&bad)).status, 422);
    let other =
        json!({"resources": {"cpu": "200m", "memory": "1Gi", "ephemeral_storage": null, "gpu": null}});
    assert_eq!(site.ask("POST", &restart, Some(&other)).status, 204);
    site.server.wait_for_status(&run, Status::JobRunning);
    let shown = site.get(&format!("/v2/runs/{run}"));
    assert_eq!(shown["resources"], json!({"cpu": "200m", "memory": "1Gi"}));
    assert_eq!(shown["config"], json!({"lr": 0.1}), "nothing else changes");
    site.ask("POST", &stop, None);
    site.server.wait_for_end(&run);
    assert_eq!(site.ask("DELETE", &format!("/v2/runs/{run}"), None).status, 204);
    assert_eq!(site.get(&format!("/v2/runs?id={run}")), json!([]));
}

/// Logs 3 tags; steps 1 to 6 of `train/loss` three times each.
const TALKATIVE: &str = r#"
    for step in 1 2 3 4 5 6; do for _ in 1 2 3; do
        echo "{\"metric\":{\"tag\":\"train/loss\",\"global_step\":$step,\"value\":0.5}}"
    done; done > "$RUNYARD_RECORDS"
    for tag in a,b Z; do echo "{\"metric\":{\"tag\":\"$tag\",\"global_step\":1,\"value\":1}}"; done >> "$RUNYARD_RECORDS"
"#;

#[test]
fn point_13_tags_and_steps_are_paged_and_no_page_ends_inside_a_step() {
    let site = Site::start();
    let run = site.ended(TALKATIVE);
    let tags = site.get(&format!("/v2/metrics/tags?run_id={run}"));
    assert_eq!(tags, json!(["Z", "a,b", "train/loss"]), "in the order of bytes");
    assert_eq!(site.get(&format!("/v2/metrics/tags?run_id={run}&tag_after=Z&limit=1")), json!(["a,b"]));
    assert_eq!(site.get(&format!("/v2/metrics/tags?run_id={run}&tag_after=a,b")), json!(["train/loss"]));
    assert_eq!(site.get(&format!("/v2/metrics/tags?run_id={run}&tag_after=train/loss")), json!([]));
    let page = |after: &Value, limit: i64| {
        let after = if after.is_null() { String::new() } else { format!("&global_step_after={after}") };
        let asked =
            format!("/v2/metrics?run_id={run}&tag=train/loss&sort=global_step:asc&limit={limit}{after}");
        site.get(&asked).as_array().unwrap().clone()
    };
    let read_all = |limit: i64| {
        let (mut all, mut last) = (Vec::new(), Value::Null);
        loop {
            let points = page(&last, limit);
            let Some(point) = points.last() else { return all };
            last = point["global_step"].clone();
            all.extend(points);
        }
    };
    let (whole, parts) = (read_all(10_000), read_all(2));
    assert_eq!(whole.len(), 6 * 3, "a step that was logged three times has three points");
    assert_eq!(parts, whole, "small pages lose nothing");
    let tagged = |tag: &str| site.all(&format!("/v2/metrics?run_id={run}&tag={tag}"), "tag");
    assert_eq!(tagged("a%2Cb"), ["a,b"]);
    assert_eq!(tagged("a,b,Z"), ["Z"], "a raw comma separates");
    assert_eq!(site.all(&format!("/v2/metrics?run_id={run}&global_step=2,3&tag=train/loss"), "id").len(), 6);
    let ids = site.all(&format!("/v2/metrics?run_id={run}&sort=id&limit=10000"), "id");
    let after = text(&ids[4]);
    assert_eq!(site.all(&format!("/v2/metrics?run_id={run}&sort=id&id_after={after}"), "id"), ids[5..]);
    assert_eq!(site.get(&format!("/v2/metrics?run_id={run}&created_before=1")), json!([]));
    assert_eq!(site.ask("GET", "/v2/metrics", None).status, 422, "a run must be named");
}

#[test]
fn point_13_a_step_that_a_restarted_run_logs_again_is_the_new_jobs() {
    let site = Site::start();
    let script = r#"
        echo "{\"metric\":{\"tag\":\"t\",\"global_step\":1,\"value\":$RUNYARD_EPOCH}}" >> "$RUNYARD_RECORDS"
    "#;
    let script = script.replace("$RUNYARD_EPOCH", "$(date +%s%N)");
    let run = site.ended(&script);
    let point = |query: &str| site.get(&format!("/v2/metrics?run_id={run}{query}"))[0].clone();
    let old = point("");
    site.ask("POST", &format!("/v2/runs/{run}/restart"), Some(&json!({})));
    site.server.wait_for_end(&run);
    let new = point("");
    assert!(new["value"].as_i64() > old["value"].as_i64(), "{old} {new}");
    assert_eq!(
        point(&format!("&job_id={}", text(&old["job_id"]))),
        old,
        "the old one is kept behind its job"
    );
}

#[test]
fn point_14_a_program_that_ends_well_after_sigterm_was_terminated() {
    let site = Site::start();
    let run = site.create(&site.blueprint("obedient", "1", OBEDIENT), "obedient");
    site.server.wait_for_output(&run, "ready");
    site.ask("POST", &format!("/v2/runs/{run}/stop?grace_period_seconds=60"), None);
    site.server.wait_for_end(&run);
    let shown = site.get(&format!("/v2/runs/{run}"));
    assert_eq!(shown["status"], "job_terminated");
    assert_eq!(details(&site, &run, "job_terminated")["code"], 0, "whatever it exited with");
    let events = site.get(&format!("/v2/runs/{run}/events?limit=1"));
    assert_eq!(
        (&events[0]["status"], &events[0]["created_at"]),
        (&shown["status"], &shown["status_updated_at"])
    );
}

#[test]
fn point_14_a_program_that_must_be_killed_was_terminated_too() {
    let site = Site::start();
    let run = site.create(&site.blueprint("stubborn", "1", STUBBORN), "stubborn");
    site.server.wait_for_output(&run, "ready");
    site.ask("POST", &format!("/v2/runs/{run}/stop?grace_period_seconds=1"), None);
    assert_eq!(site.server.wait_for_end(&run), Status::JobTerminated);
    assert_eq!(details(&site, &run, "job_terminated")["signal"], 9);
}

#[test]
fn point_15_the_program_finds_its_run_and_its_gpus_in_the_environment() {
    let site = Site::start();
    let run = site.ended(r#"echo "run $RUN_ID gpus $REQUESTED_GPU_COUNT""#);
    assert_eq!(site.server.output(&run), format!("run {run} gpus 0\n"));
    assert_eq!(site.get(&format!("/v2/runs/{run}"))["status"], "job_completed");
}
