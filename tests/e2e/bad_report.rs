//! What programs and clients may not report, and what they may, however odd: metrics, checkpoints, addresses. What is refused
//! is refused with a reason, what was taken stays, nothing half written is ever seen.

use std::fs;

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, Wire, wait_until};
use serde_json::{Value, json};

use super::checkpoints::{checkpoints, complete, content, counts};

/// Runs until it is stopped, or `done` appears where it started.
const WAITS: &str = "trap 'exit 0' TERM; echo on; while test ! -e done; do sleep 0.05; done 2>/dev/null";

fn waiting(server: &Server) -> String {
    let run = server.submit(&["--name", "waiting"], WAITS);
    server.wait_for_output(&run, "on");
    run
}

fn stop(server: &Server, run: &str) {
    server.cli(&["stop", run, "--grace", "10s"]).ok();
    server.wait_for_end(run);
}

fn post(server: &Server, run: &str, metrics: Value) -> runyard_tests::http::Answer {
    server.call("POST", "/api/v2/metrics").json(&json!({"run_id": run, "metrics": metrics})).send()
}

#[test]
fn a_metric_that_is_no_scalar_or_too_much_is_refused_and_nothing_of_its_batch_is_kept() {
    let server = Server::start();
    let run = waiting(&server);
    let good = json!({"tag": "good", "global_step": 1, "value": 1});
    for (value, words) in [
        (json!([1]), "a list"),
        (json!({"a": 1}), "an object"),
        (json!(true), "true"),
        (json!("large"), "large"),
    ] {
        let bad = json!({"tag": "bad", "global_step": 1, "value": value});
        post(&server, &run, json!([good, bad])).refused(422, "invalid", &["metrics.1.value", words]);
    }
    let long = json!({"tag": "x".repeat(10_000), "global_step": 1, "value": 1});
    post(&server, &run, json!([good, long])).refused(422, "invalid", &["metrics.1.tag", "10000", "500"]);
    post(&server, &run, Value::Array(vec![good.clone(); 10_001])).refused(422, "invalid", &["10000"]);
    let huge = format!(r#"{{"run_id":"{run}","metrics":[{{"tag":"t","global_step":1,"value":1e999}}]}}"#);
    let answer = server.call("POST", "/api/v2/metrics").raw(huge).send();
    assert!((400..500).contains(&answer.status), "{}", answer.text);
    let wide = json!({"tag": "t", "global_step": 1.5, "value": 1});
    post(&server, &run, json!([wide])).refused(422, "invalid", &["global_step"]);
    let tags = server.get(&format!("/metrics/tags?run_id={run}"));
    let own: Vec<&Value> =
        tags.as_array().unwrap().iter().filter(|tag| *tag == "good" || *tag == "t").collect();
    assert!(own.is_empty(), "{tags}");
    stop(&server, &run);
}

#[test]
fn a_tag_of_ten_thousand_characters_in_a_record_is_told_with_its_place() {
    let server = Server::start();
    let script = r#"tag=$(head -c 10000 /dev/zero | tr '\0' x)
        echo "{\"metric\":{\"tag\":\"$tag\",\"global_step\":1,\"value\":1}}" >> $RUNYARD_RECORDS
        echo "{\"metric\":{\"tag\":\"kept\",\"global_step\":1,\"value\":1}}" >> $RUNYARD_RECORDS"#;
    let run = server.submit(&[], script);
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let output = server.output(&run);
    assert!(output.contains("10000") && output.contains("1 to 500"), "{output}");
    let csv = server.cli(&["metrics", &run, "--tag", "kept", "--output", "csv"]).ok().stdout;
    assert_eq!(csv.lines().count(), 2, "{csv}");
}

#[test]
fn steps_that_go_backwards_are_kept_and_shown_in_their_order() {
    let server = Server::start();
    let run = waiting(&server);
    for step in [5, 3, 4, 3, -2] {
        post(&server, &run, json!([{"tag": "t", "global_step": step, "value": step}])).data(200);
    }
    let csv = server.cli(&["metrics", &run, "--tag", "t", "--output", "csv"]).ok().stdout;
    let steps: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(steps, ["-2", "3", "3", "4", "5"]);
    let chart = server.get(&format!("/metrics/series?run_id={run}&tag=t&buckets=100"));
    assert_eq!(chart["series"][0]["x"], json!([-2, 3, 4, 5]));
    stop(&server, &run);
}

#[test]
fn nan_and_the_infinities_are_told_apart_wherever_a_person_meets_them() {
    let server = Server::start();
    let run = waiting(&server);
    let values = [json!("NaN"), json!("Infinity"), json!("-Infinity"), json!(null), json!(0.5), json!(2)];
    let points = values
        .iter()
        .enumerate()
        .map(|(step, value)| json!({"tag": "t", "global_step": step, "value": value}));
    post(&server, &run, points.collect()).data(200);
    let listed = server.get(&format!("/metrics?run_id={run}&tag=t"));
    let listed: Vec<&Value> = listed.as_array().unwrap().iter().map(|point| &point["value"]).collect();
    assert_eq!(json!(listed), json!(["NaN", "Infinity", "-Infinity", "NaN", 0.5, 2]));
    let chart = server.get(&format!("/metrics/series?run_id={run}&tag=t&buckets=3"));
    let series = &chart["series"][0];
    assert_eq!(series["last"], json!(["Infinity", "NaN", 2.0]));
    assert_eq!((&series["nan"], &series["infinity"]), (&json!([1, 1, 0]), &json!([1, 0, 0])));
    assert_eq!((&series["minus_infinity"], &series["gaps"]), (&json!([0, 1, 0]), &json!(4)));
    let csv = server.cli(&["metrics", &run, "--tag", "t", "--output", "csv"]).ok().stdout;
    let values: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(values, ["NaN", "Infinity", "-Infinity", "NaN", "0.5", "2"]);
    let plot = server.cli(&["metrics", &run, "--tag", "t", "--plot"]).ok().stdout;
    assert!(plot.contains("2 NaN, 1 Infinity, 1 -Infinity of 6 points: not drawn"), "{plot}");
    // Chariot's clients know null, and nothing else.
    let chariot =
        server.call("GET", &format!("/api/training/v2/metrics?run_id={run}&tag=t")).send().data(200);
    assert_eq!(chariot[1]["value"], Value::Null, "{chariot}");
    stop(&server, &run);
}

#[test]
fn progress_that_arrives_in_a_burst_says_the_rate_at_which_it_was_made() {
    let server = Server::start();
    // A report every two seconds, as the program says; all of them arrive in a moment.
    let script = r#"i=0; while test $i -lt 40; do
        echo "{\"progress\":[{\"operation\":\"train\",\"value\":$i,\"final_value\":100,\"units\":\"epochs\",\"created_at\":$((1700000000000 + i * 2000))}]}"
        i=$((i + 1)); done >> $RUNYARD_RECORDS"#;
    let run = server.submit(&[], script);
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let progress = server.get(&format!("/runs/{run}/progress"));
    assert_eq!((&progress[0]["value"], &progress[0]["rate_per_s"]), (&json!(39), &json!(0.5)), "{progress}");
    assert_eq!(progress[0]["seconds_left"], json!(122.0));
    // Chariot's clients know four fields, and no others.
    let chariot = server.call("GET", &format!("/api/training/v2/runs/{run}")).send().data(200);
    assert_eq!(chariot["progress"][0].as_object().unwrap().len(), 4, "{chariot}");
}

#[test]
fn a_checkpoint_out_of_the_jobs_folder_or_through_a_link_is_given_up_with_the_reason() {
    let server = Server::start();
    let secret = server.home().join("secret");
    fs::write(&secret, "nobody's business").unwrap();
    let script = format!(
        r#"cd $RUNYARD_ML/output; mkdir linked; ln -s {} linked/data; echo fine > linked/own
        save() {{ echo "{{\"checkpoint\":{{\"global_step\":$1,\"path\":\"$2\"}}}}" >> $RUNYARD_RECORDS; }}
        save 1 ../../secret; save 2 /etc; save 3 output/linked; save 4 output/never"#,
        secret.display()
    );
    let run = server.submit(&[], &script);
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    let output = server.output(&run);
    for words in ["..", "is not below $RUNYARD_ML", "link out of $RUNYARD_ML", "`output/never` is not there"]
    {
        assert!(output.contains(words), "`{words}` is not in:\n{output}");
    }
    assert!(complete(&server, &run).is_empty());
    let reasons = checkpoints(&server, &run);
    assert!(reasons.iter().all(|checkpoint| checkpoint["reason"].is_string()), "{reasons:?}");
    let stored = super::checkpoints::files_below(&server.data().join("objects"));
    assert!(stored.iter().all(|file| content(file.as_ref()) != b"nobody's business"), "{stored:?}");
}

#[test]
fn a_checkpoint_whose_folder_vanishes_before_it_is_uploaded_is_given_up_and_the_run_goes_on() {
    let mut server = Server::start();
    let gate = server.home().join("gate");
    let script = format!(
        r#"cd $RUNYARD_ML/output; echo ready; until test -e {0}; do sleep 0.05; done
        mkdir gone kept; head -c 200000 /dev/zero > gone/weights; echo kept > kept/weights
        save() {{ echo "{{\"checkpoint\":{{\"global_step\":$1,\"path\":\"output/$2\"}}}}" >> $RUNYARD_RECORDS; }}
        save 1 gone; save 2 kept; sleep 1; rm -r gone; touch {0}.done; echo end"#,
        gate.display()
    );
    let run = server.submit(&[], &script);
    server.wait_for_output(&run, "ready");
    // Nothing can be uploaded before the folder is gone.
    server.kill();
    fs::write(&gate, "").unwrap();
    wait_until("the folder is gone", SOON, || gate.with_extension("done").exists());
    server.restart();
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    assert_eq!(complete(&server, &run), [2]);
    let all = checkpoints(&server, &run);
    let gone = all.iter().find(|checkpoint| checkpoint["global_step"] == 1).expect("it was begun");
    let reason = gone["reason"].as_str().expect("it was given up");
    assert!(
        reason.contains("is not there") || reason.contains("gone") || reason.contains("vanished"),
        "{reason}"
    );
    assert!(server.output(&run).contains("checkpoint at step 1"), "{}", server.output(&run));
}

#[test]
fn a_file_larger_than_was_said_and_an_altered_address_are_refused_and_nothing_is_seen() {
    let server = Server::start();
    let run = waiting(&server);
    let begun = json!({"run_id": run, "global_step": 7});
    let set = server.call("POST", "/api/v2/checkpoints").json(&begun).send().data(200);
    let path = format!("/api/v2/checkpoints/{}", set["id"].as_str().unwrap());
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    for bad in ["../up", "/etc/passwd", "a/../b", "a//b"] {
        let files = json!({"files": [{"path": bad, "size": 5, "sha256": sha256}]});
        server.call("POST", &format!("{path}/files")).json(&files).send().refused(
            422,
            "invalid",
            &["files.0.path"],
        );
    }
    let files = json!({"files": [{"path": "a", "size": 5, "sha256": sha256}]});
    let put = server.call("POST", &format!("{path}/files")).json(&files).send().data(200)[0]["put"].clone();
    let url = put["url"].as_str().unwrap();
    let send = |url: &str, body: &str| {
        let mut call = server.call_as("", "PUT", url);
        for header in put["headers"].as_array().unwrap() {
            // Said by whoever sends a body.
            if header[0] != "content-length" {
                call = call.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
            }
        }
        call.raw(body).send()
    };
    assert!(url.starts_with("/objects/"), "a path of this server, by whatever name it is reached: {url}");
    let refused = send(url, "hello and more");
    assert!([400, 403, 413].contains(&refused.status), "{}", refused.text);
    assert!(refused.body["error"].as_str().is_some_and(|text| !text.is_empty()), "{}", refused.text);
    let refused = send(url, "HELLO");
    assert_eq!(refused.status, 400, "{}", refused.text);
    for altered in [
        url.replace("/a?", "/b?"),
        url.replace("expires=", "expires=9"),
        url.replace("signature=", "signature=x"),
    ] {
        assert_ne!(altered, url);
        send(&altered, "hello").refused(403, "forbidden", &["ask for a new one"]);
    }
    let early = server.call("POST", &format!("{path}/complete")).json(&json!({})).send();
    early.refused(409, "incomplete", &["a"]);
    let read = server.call("GET", &format!("{path}/files/a")).send();
    read.refused(409, "incomplete", &[]);
    assert!(
        super::checkpoints::files_below(&server.data().join("objects")).is_empty(),
        "nothing is half there"
    );
    assert_eq!(send(url, "hello").status, 200);
    server.call("POST", &format!("{path}/complete")).json(&json!({})).send().data(200);
    assert_eq!(complete(&server, &run), [7]);
    stop(&server, &run);
}

#[test]
fn a_server_is_used_by_another_name_than_its_own() {
    let server = Server::start();
    let run = counts(&server, &["--name", "counts"], "2");
    server.wait_for_end(&run);
    let wire = Wire::to(&server);
    let token = server.token();
    let elsewhere = server.home();
    let at = |name: &str| elsewhere.join(name).display().to_string();
    let cli = |args: &[&str]| {
        let mut command = runyard_tests::cli::command(&elsewhere.join("none"));
        command.args(args).env("RUNYARD_URL", wire.url()).env("RUNYARD_TOKEN", &token);
        runyard_tests::Cli::spawn(command).end()
    };
    let before = wire.received();
    cli(&["checkpoint", "pull", "counts", &at("pulled")]).ok();
    assert_eq!(content(&elsewhere.join("pulled/weights")), vec![2; 100_000]);
    assert!(wire.received() - before > 100_000, "the bytes came by the name that the client uses");
    let files =
        server.get(&format!("/checkpoints/{}/files", checkpoints(&server, &run)[0]["id"].as_str().unwrap()));
    assert!(files[0]["url"].as_str().unwrap().starts_with("/objects/"), "{files}");
    let code = elsewhere.join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("main.sh"), "echo from elsewhere").unwrap();
    let sent = wire.sent();
    let output = cli(&["run", "--source", &code.display().to_string(), "--", "sh", "main.sh"]).ok();
    assert!(output.stdout.contains("from elsewhere"), "{}", output.stdout);
    assert!(wire.sent() > sent);
}
