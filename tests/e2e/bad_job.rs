//! What programs and runners may not say: records that are none, jobs that are superseded, tokens of others.

use runyard_domain::run::Status;
use runyard_tests::Server;
use serde_json::json;

#[test]
fn a_record_that_is_none_is_skipped_and_told_in_the_log_with_its_place() {
    let server = Server::start();
    let script = r#"
        point() { echo "{\"metric\":{\"tag\":\"$1\",\"global_step\":1,\"value\":$2}}" >> $RUNYARD_RECORDS; }
        point good 1
        point text '"abc"'
        point list '[1]'
        echo 'this is no JSON' >> $RUNYARD_RECORDS
        echo '{"artifact":{"name":"x"}}' >> $RUNYARD_RECORDS
        echo '{"metric":{"tag":"","global_step":1,"value":1}}' >> $RUNYARD_RECORDS
        point infinite '"Infinity"'
        printf '{"metric":{"tag":"unfinished","global_step":1,"value":2}}' >> $RUNYARD_RECORDS
    "#;
    let id = server.submit(&[], script);
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "the program is not to blame");
    let output = server.output(&id);
    for said in ["`abc`", "must be a number", "a list", "no JSON", "field `path`", "tag"] {
        let quoted = said.replace('`', "\"");
        assert!(output.contains(&quoted) || output.contains(said), "{said} is not in:\n{output}");
    }
    assert_eq!(output.lines().filter(|line| line.starts_with("[runyard]")).count(), 5, "{output}");
    let tags = server.cli(&["metrics", &id, "--output", "quiet"]).ok().stdout;
    let own: Vec<&str> = tags.lines().filter(|tag| !tag.starts_with("system/")).collect();
    assert_eq!(own, ["good", "infinite", "unfinished"]);
    let csv = server.cli(&["metrics", &id, "--tag", "infinite", "--output", "csv"]).ok().stdout;
    assert!(csv.contains("infinite,1,"), "{csv}");
}

#[test]
fn a_superseded_job_can_change_nothing_any_more() {
    let server = Server::start();
    let id = server.submit(&[], "exit 3");
    server.wait_for_end(&id);
    let old = server.job(&id);
    server.cli(&["restart", &id]).ok();
    server.wait_for_end(&id);
    assert_ne!(server.job(&id), old);
    let before = (server.run(&id), server.get(&format!("/runs/{id}/jobs")));
    for verb in ["start", "heartbeat"] {
        let answer = server.call("POST", &format!("/api/v2/jobs/{old}/{verb}")).json(&json!({})).send();
        answer.refused(409, "stale_epoch", &[]);
    }
    let path = format!("/api/v2/jobs/{old}/streams/logs?offset=0");
    server.call("PUT", &path).raw("late").send().refused(409, "stale_epoch", &[]);
    let point = json!({"run_id": id, "job_id": old, "metrics": [{"tag": "t", "global_step": 1, "value": 1}]});
    server.call("POST", "/api/v2/metrics").json(&point).send().refused(409, "stale_epoch", &[]);
    let end = json!({"exit": {"reason": "Completed", "code": 0, "ended_at": 1}, "lengths": {"logs": 0, "records": 0, "system": 0}});
    // An end may be told again by a runner that did not hear the answer; it is not believed twice.
    server.call("POST", &format!("/api/v2/jobs/{old}/end")).json(&end).send();
    assert_eq!((server.run(&id), server.get(&format!("/runs/{id}/jobs"))), before);
}

#[test]
fn a_gap_in_the_output_is_refused_with_where_to_go_on() {
    let server = Server::start();
    let id = server.submit(&[], "trap 'exit 0' TERM; printf hello; while :; do sleep 0.05; done 2>/dev/null");
    server.wait_for_output(&id, "hello");
    let path = format!("/api/v2/jobs/{}/streams/logs?offset=9", server.job(&id));
    let answer = server.call("PUT", &path).raw("x").send().refused(409, "offset_gap", &[]);
    assert_eq!(answer.body["expected_offset"], 5);
    server.cli(&["stop", &id, "--grace", "1m"]).ok();
    server.wait_for_end(&id);
    assert_eq!(server.output(&id), "hello");
}

#[test]
fn a_source_that_is_no_archive_fails_the_job_before_anything_is_launched() {
    let server = Server::start();
    let source = server.call("POST", "/api/v2/sources").raw("this is no archive").send().data(200);
    let body = json!({"name": "n", "spec": {"command": ["true"], "source": source["digest"]}});
    let run = server.call("POST", "/api/v2/runs").json(&body).send().data(200);
    let id = run["id"].as_str().unwrap();
    assert_eq!(server.wait_for_end(id), Status::JobFailed);
    assert_eq!(server.reason(id), "StagingFailed");
    let events = server.cli(&["events", id]).ok().stdout;
    assert!(events.contains("the source"), "{events}");
    assert!(!server.job_folder(id).join("launched").exists());
}
