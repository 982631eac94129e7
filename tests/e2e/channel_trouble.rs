//! Channels that go wrong: addresses that lead nowhere, accounts that are refused, stores that are away, kills in the middle.
//! Each has its reason, and nothing is left half done.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, processes, s3::Store, wait_until};
use serde_json::{Value, json};

use super::channels::{completed, submit, submit_spec};

/// Submits what cannot be; answers what is said of the field.
#[track_caller]
fn refused(server: &Server, spec: &Value, field: &str) -> String {
    let body = json!({"name": "no", "kind": "processing", "spec": spec});
    let answer = server.call("POST", "/api/v2/runs").json(&body).send();
    assert_eq!(answer.status, 422, "{}", answer.text);
    let said = &answer.body["errors"][field][0];
    said.as_str().unwrap_or_else(|| panic!("nothing of {field}: {}", answer.text)).to_owned()
}

#[test]
fn addresses_that_lead_nowhere_are_refused_by_the_name_of_their_channel() {
    let server = Server::start();
    let script = "until test -e go; do sleep 0.05; done";
    let active = submit(&server, "active", script, &json!({}), &json!({"x": null}));
    let (nobody, nothing) = ("01890000-0000-7000-8000-000000000000", "0".repeat(64));
    for (uri, words) in [
        ("train", "is no address of a channel"),
        ("run://nonesuch/output/x", "no run of this project has the id or the name `nonesuch`"),
        (&format!("run://{nobody}/output/x"), "there is no run"),
        ("run://active/output/x", "has not ended"),
        (&format!("upload://{nothing}"), "upload it first"),
        ("model://nonesuch@v1", "there is no model version `nonesuch@v1`"),
        ("checkpoint://active@latest", "has no complete checkpoint yet; there is none"),
        ("checkpoint://active@best", "no rule that says which checkpoint is best"),
        ("dataset://nonesuch/train", "there is no dataset `nonesuch/train`"),
        ("oss://nonesuch/x", "there is no bucket `nonesuch`"),
    ] {
        let said = refused(&server, &json!({"command": ["true"], "inputs": {"in": uri}}), "spec.inputs.in");
        assert!(said.contains(words), "{uri}: {said}");
    }
    let said = refused(
        &server,
        &json!({"command": ["true"], "inputs": {"a/b": "s3://bucket/x"}}),
        "spec.inputs.a/b",
    );
    assert!(said.contains("no name of a channel"), "{said}");
    let said =
        refused(&server, &json!({"command": ["true"], "outputs": {"x": "model://m"}}), "spec.outputs.x");
    assert!(said.contains("nothing can be written to a model"), "{said}");
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 1, "nothing was made of them");
    server.cli(&["stop", &active, "--grace", "1s"]).ok();
    server.wait_for_end(&active);
    let said = refused(
        &server,
        &json!({"command": ["true"], "inputs": {"in": "run://active/output/x"}}),
        "spec.inputs.in",
    );
    assert!(said.contains("wrote nothing to its output `x`"), "{said}");
}

#[test]
fn an_account_that_is_missing_or_refused_ends_the_run_before_its_program() {
    let store = Store::start();
    store.put("models/a", "1");
    let server = Server::start();
    let mut wrong = store.account();
    wrong["AWS_SECRET_ACCESS_KEY"] = json!("wrong");
    for (env, uri, words) in [
        (json!({}), "s3://models/a", "give the run AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (wrong, "s3://models/a", "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        (store.account(), "s3://models/nonesuch", "there is no object `nonesuch`"),
        (store.account(), "s3://models/nonesuch/", "nothing in the bucket `models` is below `nonesuch/`"),
        (store.account(), "s3://elsewhere/a/", "the bucket `elsewhere` does not exist"),
    ] {
        let spec = json!({"command": ["sh", "-c", "echo never"], "env": env, "inputs": {"in": uri}});
        let run = submit_spec(&server, "reader", spec);
        assert_eq!(server.wait_for_end(&run), Status::JobFailed);
        assert_eq!(server.reason(&run), "StagingFailed");
        let message = server.run(&run)["exit"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("input `in` ({uri}) cannot be brought")), "{message}");
        assert!(message.contains(words) && !message.contains("s3cret"), "{message}");
        assert!(!server.output(&run).contains("never"));
    }
}

#[test]
fn a_run_whose_outputs_cannot_be_kept_has_failed() {
    let store = Store::start();
    let server = Server::start();
    let script =
        "echo x > $PAI_OUTPUT_BAD/x; echo y > $PAI_OUTPUT_GOOD/y; ln -s /etc/passwd $PAI_OUTPUT_LEAK/p";
    let outputs = json!({"bad": "s3://models/out/", "good": null, "leak": null});
    let mut account = store.account();
    account["AWS_SECRET_ACCESS_KEY"] = json!("wrong");
    let spec = json!({"command": ["sh", "-ec", script], "env": account, "outputs": outputs});
    let run = submit_spec(&server, "writer", spec);
    assert_eq!(server.wait_for_end(&run), Status::JobFailed);
    assert_eq!(server.reason(&run), "OutputFailed");
    let message = server.run(&run)["exit"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("output `bad` could not be kept: the object store at"), "{message}");
    assert!(
        message.contains("output `leak` could not be kept: `p`: it is a link out of $RUNYARD_ML"),
        "{message}"
    );
    assert!(
        server.output(&run).contains("[runyard] output `bad` could not be kept"),
        "{}",
        server.output(&run)
    );
    // One that went wrong costs the others nothing.
    let reader = submit(
        &server,
        "reader",
        "cat $PAI_INPUT_IN/y",
        &json!({"in": "run://writer/output/good"}),
        &json!({}),
    );
    assert_eq!(completed(&server, &reader), "y\n");
}

#[test]
fn a_store_that_comes_back_gets_the_outputs_and_the_run_waits_for_it() {
    let mut store = Store::start();
    let server = Server::start();
    let spec = json!({"command": ["sh", "-ec", "echo begun; until test -e go; do sleep 0.05; done; echo x > $PAI_OUTPUT_OUT/x"],
        "env": store.account(), "outputs": {"out": "s3://models/out/"}});
    let run = submit_spec(&server, "writer", spec);
    server.wait_for_output(&run, "begun");
    store.go_away();
    let job = server.data().join("jobs").join(server.job(&run));
    fs::write(job.join("ml/usercode/go"), "").unwrap();
    wait_until("the program has ended", SOON, || job.join("exit.json").exists());
    assert_eq!(server.status(&run), Status::JobRunning, "it is over when its outputs are there");
    store.come_back();
    assert_eq!(completed(&server, &run), "begun\n");
    assert_eq!(store.get("models/out/x").as_deref(), Some("x\n"));
}

#[test]
fn outputs_are_kept_when_a_run_is_stopped_or_out_of_time_or_its_runner_is_killed() {
    let server = Server::start();
    let script = "echo x > $PAI_OUTPUT_OUT/x; echo begun; exec sleep 300";
    let write = |name: &str| submit(&server, name, script, &json!({}), &json!({"out": null}));
    let (stopped, killed) = (write("stopped"), write("killed"));
    let limited = submit_spec(
        &server,
        "limited",
        json!({"command": ["sh", "-ec", script], "outputs": {"out": null}, "max_run_time_s": 1}),
    );
    server.wait_for_output(&stopped, "begun");
    server.cli(&["stop", &stopped, "--grace", "2s"]).ok();
    server.wait_for_output(&killed, "begun");
    let runner = processes::runner(server.data(), &server.job(&killed)).expect("a runner");
    kill(Pid::from_raw(runner), Signal::SIGKILL).unwrap();
    for (run, status, reason) in [
        (&stopped, Status::JobTerminated, "Signaled"),
        (&killed, Status::JobFailed, "RunnerKilled"),
        (&limited, Status::JobFailed, "TimeLimitExceeded"),
    ] {
        assert_eq!(server.wait_for_end(run), status, "{:#}", server.run(run));
        assert_eq!(server.reason(run), reason);
    }
    let inputs = json!({"a": "run://stopped/output/out", "b": "run://killed/output/out", "c": "run://limited/output/out"});
    let reader =
        submit(&server, "reader", "cat $PAI_INPUT_A/x $PAI_INPUT_B/x $PAI_INPUT_C/x", &inputs, &json!({}));
    assert_eq!(completed(&server, &reader), "x\nx\nx\n");
}

#[test]
fn a_killed_server_and_a_killed_runner_lose_no_output() {
    let mut store = Store::start();
    let mut server = Server::start();
    let spec = json!({"command": ["sh", "-ec", "echo begun; until test -e go; do sleep 0.05; done; echo x > $PAI_OUTPUT_OUT/x; echo y > $PAI_OUTPUT_OWN/y"],
        "env": store.account(), "outputs": {"out": "s3://models/out/", "own": null}});
    let run = submit_spec(&server, "writer", spec);
    server.wait_for_output(&run, "begun");
    let job = server.job(&run);
    let folder = server.data().join("jobs").join(&job);
    store.go_away();
    fs::write(folder.join("ml/usercode/go"), "").unwrap();
    wait_until("the program has ended", SOON, || folder.join("exit.json").exists());
    server.kill();
    let runner = processes::runner(server.data(), &job).expect("a runner");
    kill(Pid::from_raw(runner), Signal::SIGKILL).unwrap();
    store.come_back();
    server.restart();
    completed(&server, &run);
    assert_eq!(server.run(&run)["epoch"], 1);
    assert_eq!(store.get("models/out/x").as_deref(), Some("x\n"));
    let reader = submit(
        &server,
        "reader",
        "cat $PAI_INPUT_IN/y",
        &json!({"in": "run://writer/output/own"}),
        &json!({}),
    );
    assert_eq!(completed(&server, &reader), "y\n");
}

#[test]
fn an_input_that_was_deleted_since_ends_the_run_with_the_reason() {
    let server = Server::start();
    let first = submit(&server, "first", "echo x > $PAI_OUTPUT_OUT/x", &json!({}), &json!({"out": null}));
    completed(&server, &first);
    let script = "cat $PAI_INPUT_IN/x; test -e /nonesuch";
    let second = submit(&server, "second", script, &json!({"in": "run://first/output/out"}), &json!({}));
    assert_eq!(server.wait_for_end(&second), Status::JobFailed);
    server.cli(&["rm", "--yes", "first"]).ok();
    server.cli(&["restart", "second"]).ok();
    assert_eq!(server.wait_for_end(&second), Status::JobFailed);
    let run = server.run(&second);
    assert_eq!((&run["epoch"], &run["exit"]["reason"]), (&json!(2), &json!("StagingFailed")));
    let message = run["exit"]["message"].as_str().unwrap();
    assert!(message.contains("was deleted since the run was submitted: submit the run again"), "{message}");
}

#[test]
fn a_job_reads_and_writes_only_its_own_channels() {
    let server = Server::start();
    let script = "echo $RUNYARD_TOKEN; until test -e go; do sleep 0.05; done";
    let own = submit(&server, "own", script, &json!({}), &json!({"kept": null}));
    let other = submit(&server, "other", script, &json!({}), &json!({}));
    server.wait_for_output(&own, "\n");
    let token = server.output(&own).trim().to_owned();
    let (own_job, other_job) = (server.job(&own), server.job(&other));
    let get = |path: String| server.call_as(&token, "GET", &format!("/api/v2{path}")).send();
    assert_eq!(get(format!("/jobs/{own_job}/inputs")).data(200), json!([]));
    assert_eq!(get(format!("/jobs/{other_job}/inputs")).status, 403);
    assert_eq!(get(format!("/runs/{other}/lineage")).status, 403);
    assert_eq!(get(format!("/jobs/{own_job}/inputs/x/files")).status, 404);
    let file = json!({"files": [{"path": "a", "size": 0, "sha256": "0".repeat(64)}]});
    let post = |job: &str, channel: &str, body: &Value| {
        server
            .call_as(&token, "POST", &format!("/api/v2/jobs/{job}/outputs/{channel}/files"))
            .json(body)
            .send()
    };
    assert_eq!(post(&other_job, "kept", &file).status, 403);
    assert_eq!(post(&own_job, "nonesuch", &file).status, 404);
    let said = post(&own_job, "kept", &file);
    assert_eq!(said.status, 422);
    assert!(said.text.contains("does not go to a bucket of this server"), "{}", said.text);
    for run in [&own, &other] {
        server.cli(&["stop", run, "--grace", "1s"]).ok();
        server.wait_for_end(run);
    }
}
