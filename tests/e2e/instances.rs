//! Runs of several instances, and instance types, from outside: start together or not at all, logs by instance, failures, kills.

use std::{env, fs, os::unix::fs::PermissionsExt};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, Setup, processes, wait_until};
use serde_json::json;

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn two_instances_print_their_rank_and_each_has_a_log_of_its_own() {
    let server = Server::start();
    let script = "echo rank $RANK of $WORLD_SIZE; printf 'no newline'";
    let said = server
        .cli(&["run", "--name", "pair", "--cpu", "100m", "--instances", "2", "--", "sh", "-c", script])
        .ok();
    let expected = ["[0] no newline", "[0] rank 0 of 2", "[1] no newline", "[1] rank 1 of 2"];
    assert_eq!(sorted(&said.stdout), expected, "{}", said.stdout);
    for rank in ["0", "1"] {
        let own = server.cli(&["logs", "pair", "--instance", rank]).ok();
        assert_eq!(own.stdout, format!("rank {rank} of 2\nno newline\n"));
        let tail = server.cli(&["logs", "pair", "--instance", rank, "--tail", "1"]).ok();
        assert_eq!(tail.stdout, "no newline\n");
        let followed = server.cli(&["logs", "pair", "--instance", rank, "--follow"]).ok();
        assert_eq!(followed.stdout, own.stdout);
        let found = server.cli(&["logs", "pair", "--instance", rank, "--grep", "^rank", "--regex"]).ok();
        assert!(found.stdout.ends_with(&format!(":rank {rank} of 2\n")), "{}", found.stdout);
    }
    server.cli(&["logs", "pair", "--instance", "2"]).refused(1, &["no instance 2", "0 to 1"]);
    let shown = server.cli(&["show", "pair"]).ok().stdout;
    assert!(shown.contains("2, each with the resources"), "{shown}");
}

#[test]
fn instances_start_together_or_not_at_all() {
    let server = Setup::default().args(&["--cpu", "2"]).start();
    let gate = server.home().join("gate");
    let wait = format!("until test -e {}; do sleep 0.05; done", gate.display());
    let blocker = server.submit(&["--cpu", "1"], &wait);
    server.wait_for_status(&blocker, Status::JobRunning);
    let pair = server.submit(&["--cpu", "1", "--instances", "2"], "echo started");
    server.wait_for_status(&pair, Status::JobPending);
    wait_until("it is said what the pair waits for", SOON, || {
        server.run(&pair)["waiting_for"]
            .as_str()
            .is_some_and(|why| why.contains("waits for 2 CPU: 1 of 2 are free"))
    });
    assert_eq!(server.output(&pair), "", "one core is free, and not even one of the two starts in it");
    fs::write(gate, "").unwrap();
    assert_eq!(server.wait_for_end(&pair), Status::JobCompleted);
    assert_eq!(sorted(&server.output(&pair)), ["[0] started", "[1] started"]);
    let never = server.cli(&["run", "--cpu", "1", "--instances", "3", "--", "true"]);
    assert_eq!(never.code, 1);
    assert!(
        never.stderr.contains("asks for 3 CPU") && never.stderr.contains("for 3 instances"),
        "{}",
        never.stderr
    );
}

#[test]
fn the_failure_of_one_instance_ends_the_run_with_the_reason() {
    let server = Server::start();
    let ready = server.home().join("ready");
    let script = format!(
        "if [ $RANK = 1 ]; then until test -e {0}; do sleep 0.02; done; exit 4; fi; touch {0}; sleep 300",
        ready.display()
    );
    let said = server.cli(&[
        "run",
        "--name",
        "broken",
        "--cpu",
        "100m",
        "--instances",
        "2",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    let words = "instance 1 exited with code 4; of the others 0 ended by SIGTERM";
    assert!(said.stderr.contains(words), "{}", said.stderr);
    let restarted = server.cli(&["restart", "broken", "--output", "quiet"]).ok().stdout.trim().to_owned();
    assert_eq!(server.wait_for_end(&restarted), Status::JobFailed);
    let run = server.run(&restarted);
    assert_eq!((&run["epoch"], &run["spec"]["instances"]), (&json!(2), &json!(2)));
    assert!(run["exit"]["message"].as_str().unwrap().starts_with("instance 1 exited with code 4"), "{run:#}");
}

#[test]
fn each_instance_sees_its_own_gpus() {
    let bin = tempfile::tempdir().unwrap();
    let file = bin.path().join("nvidia-smi");
    let list = "#!/bin/sh\nfor n in 0 1 2 3; do echo \"$n, GPU-$n, NVIDIA T4, 15360, 12, 3\"; done\n";
    fs::write(&file, list).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), env::var("PATH").unwrap());
    let server = Setup::default().env("PATH", path).start();
    let script = "echo $CUDA_VISIBLE_DEVICES $REQUESTED_GPU_COUNT $NPROC_PER_NODE";
    let id = server.submit(&["--cpu", "100m", "--gpu", "2", "--instances", "2"], script);
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
    assert_eq!(sorted(&server.output(&id)), ["[0] GPU-0,GPU-1 2 2", "[1] GPU-2,GPU-3 2 2"]);
    let never = server.cli(&["run", "--cpu", "100m", "--gpu", "2", "--instances", "3", "--", "true"]);
    assert!(never.stderr.contains("asks for 6 GPU"), "{}", never.stderr);
}

#[test]
fn a_gang_goes_on_while_the_server_is_dead() {
    let mut server = Server::start();
    let gate = server.home().join("gate");
    let script =
        format!("echo begun; until test -e {}; do sleep 0.05; done; echo rank $RANK ends", gate.display());
    let id = server.submit(&["--cpu", "100m", "--instances", "2"], &script);
    server.wait_for_output(&id, "[0] begun");
    server.wait_for_output(&id, "[1] begun");
    server.kill();
    fs::write(&gate, "").unwrap();
    server.restart();
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
    for rank in ["0", "1"] {
        let own = server.cli(&["logs", &id, "--instance", rank]).ok();
        assert_eq!(own.stdout, format!("begun\nrank {rank} ends\n"));
    }
    assert_eq!(server.run(&id)["epoch"], 1, "it was started once");
}

#[test]
fn a_killed_runner_takes_all_instances_with_it_and_a_restart_starts_all_of_them() {
    let server = Server::start();
    let again = server.home().join("again");
    let script = format!("test -e {} && exit 0; setsid sleep 300 & echo begun; sleep 300", again.display());
    let id = server.submit(&["--cpu", "100m", "--instances", "2"], &script);
    server.wait_for_output(&id, "[0] begun");
    server.wait_for_output(&id, "[1] begun");
    let job = server.job(&id);
    let runner = processes::runner(server.data(), &job).expect("a runner");
    kill(Pid::from_raw(runner), Signal::SIGKILL).unwrap();
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.reason(&id), "RunnerKilled");
    wait_until("nothing of it is left", SOON, || processes::of_job(server.data(), &job).is_empty());
    fs::write(again, "").unwrap();
    server.cli(&["restart", &id]).ok();
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
}

#[test]
fn a_stop_ends_all_instances() {
    let server = Server::start();
    let script = "trap 'echo $RANK ends; exit 0' TERM; echo begun; while :; do sleep 0.05; done";
    let id = server.submit(&["--cpu", "100m", "--instances", "3"], script);
    for rank in 0..3 {
        server.wait_for_output(&id, &format!("[{rank}] begun"));
    }
    server.cli(&["stop", &id]).ok();
    assert_eq!(server.wait_for_end(&id), Status::JobTerminated);
    for rank in 0..3 {
        assert!(server.output(&id).contains(&format!("[{rank}] {rank} ends\n")), "{}", server.output(&id));
    }
}

#[test]
fn an_instance_type_fills_in_what_the_run_does_not_name() {
    let types = tempfile::tempdir().unwrap();
    let file = types.path().join("types.toml");
    fs::write(
        &file,
        "[\"ecs.tiny\"]\ncpu = 0.25\nmemory = \"128Mi\"\n[huge]\ncpu = 4000\n[boxed]\nexecutor = \"slurm\"\n",
    )
    .unwrap();
    let server = Setup::default().args(&["--instance-types", file.to_str().unwrap()]).start();
    let listed = server.cli(&["instance-types"]).ok().stdout;
    for words in
        ["cpu.small", "local_gpu", "ecs.tiny", "0.25 CPU, 128Mi memory", "there is no executor `slurm` here"]
    {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    let listed = server.get("/instance-types");
    let of = |name: &str| listed.as_array().unwrap().iter().find(|own| own["name"] == name).unwrap().clone();
    assert_eq!(
        of("ecs.tiny"),
        json!({"name": "ecs.tiny", "resources": {"cpu": "0.25", "memory": "128Mi"}, "executor": "local"})
    );
    assert!(of("huge")["unavailable"].as_str().unwrap().contains("asks for 4000 CPU"), "{listed:#}");

    let resources = |options: &[&str]| {
        let id = server.submit(options, "true");
        assert_eq!(server.wait_for_end(&id), Status::JobCompleted);
        server.run(&id)["resources"].clone()
    };
    let tiny = ["--instance-type", "ecs.tiny"];
    assert_eq!(resources(&tiny), json!({"cpu": "0.25", "memory": "128Mi"}));
    assert_eq!(
        resources(&[&tiny[..], &["--memory", "64Mi"]].concat()),
        json!({"cpu": "0.25", "memory": "64Mi"})
    );
    assert_eq!(
        resources(&[&tiny[..], &["--cpu", "500m"]].concat()),
        json!({"cpu": "500m", "memory": "128Mi"})
    );

    let refused = |body: serde_json::Value, field: &str, words: &str| {
        let answer = server.call("POST", "/api/v2/runs").json(&body).send();
        assert_eq!(answer.status, 422, "{}", answer.text);
        let said = answer.body["errors"][field].to_string();
        assert!(said.contains(words), "{field}: {}", answer.text);
    };
    let run = |spec: serde_json::Value| {
        let mut body = json!({"name": "n", "spec": {"command": ["true"]}});
        body["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        body
    };
    refused(
        run(json!({"instance_type": "nonesuch"})),
        "spec.instance_type",
        "there is boxed, cpu.large, cpu.medium",
    );
    refused(run(json!({"instance_type": "boxed"})), "spec.instance_type", "executor `slurm`");
    refused(run(json!({"instances": 0})), "spec.instances", "1");
    refused(run(json!({"instances": 65})), "spec.instances", "64");
}

#[test]
fn a_file_of_instance_types_that_is_wrong_keeps_the_server_from_starting_and_says_the_line() {
    let server = Server::start();
    let file = server.home().join("types.toml");
    fs::write(&file, "[good]\ncpu = 1\n\n[bad]\nmemory = \"5GB\"\n").unwrap();
    let path = file.to_str().unwrap();
    let args = ["serve", "--data", "never", "--listen", "127.0.0.1:0", "--instance-types", path];
    server.cli(&args).refused(2, &["types.toml:5", "`bad`: memory: `5GB` is not a quantity: write 5Gi"]);
    let args = ["serve", "--listen", "127.0.0.1:0", "--instance-types", "/nonesuch.toml"];
    server.cli(&args).refused(2, &["cannot read the instance types in /nonesuch.toml"]);
}
