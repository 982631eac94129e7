//! From submit to result in a container, and what the program finds there.

use std::{fs, io::Write as _, path::Path};

use runyard_domain::run::Status;
use runyard_tests::{SOON, containers, wait_until};

use super::{container, nothing_is_left, submit};

#[test]
fn a_program_runs_in_its_image_with_the_folders_of_the_contract() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let code = server.home().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("words.txt"), "from the source\n").unwrap();
    let script = "echo $RUNYARD_ML $PWD; cat words.txt input/x ../input/config/hyperparameters.json 2>/dev/null; \
        ls /runyard/job/spec.json /bin/busybox; echo made > ../output/result.txt; : > ../output/empty; \
        echo '{\"metric\":{\"tag\":\"loss\",\"global_step\":1,\"value\":0.5}}' >> $RUNYARD_RECORDS; \
        echo '{\"artifact\":{\"path\":\"/ml/output/result.txt\",\"name\":\"result\"}}' >> $RUNYARD_RECORDS";
    let options = ["--source", code.to_str().unwrap(), "--config", r#"{"lr": 1}"#];
    let id = submit(&server, &options, script);
    assert_eq!(
        server.wait_for_end(&id),
        Status::JobCompleted,
        "{:#}\n{}",
        server.run(&id),
        server.output(&id)
    );
    let output = server.output(&id);
    for words in
        ["/ml /ml/usercode", "from the source", r#""lr": 1"#, "/runyard/job/spec.json", "/bin/busybox"]
    {
        assert!(
            output.contains(words) || output.contains(&words.replace(": ", ":")),
            "`{words}` is not in:\n{output}"
        );
    }
    let run = server.run(&id);
    assert_eq!(run["executor"], "container");
    let history = server.history(&id);
    let well = ["run_created", "job_created", "job_submitted", "job_pending", "job_running", "job_completed"];
    assert_eq!(history, well);
    let artifacts = server.get(&format!("/artifacts?run_id={id}"));
    let names: Vec<&str> =
        artifacts.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"result") && names.contains(&"output"), "{artifacts:#}");
    server.cli(&["metrics", &id]).ok();
    nothing_is_left(&server);
}

#[test]
fn a_container_has_what_its_run_asked_for_and_no_more() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let options = ["--cpu", "500m", "--memory", "256Mi", "--shared-memory", "96Mi"];
    let id = submit(&server, &options, "df -m /dev/shm | tail -1; echo ready; sleep 600");
    server.wait_for_output(&id, "ready");
    let size: Vec<String> = server.output(&id).split_whitespace().map(str::to_owned).collect();
    assert_eq!(size[1], "96", "{size:?}");
    let seen = containers::inspect(&container(&server, &id).id);
    let host = &seen["HostConfig"];
    let mib = |bytes: &serde_json::Value| bytes.as_i64().unwrap_or(0) >> 20;
    assert_eq!(mib(&host["Memory"]), 256 + 128, "and what the runner needs");
    assert_eq!(host["NetworkMode"], "host");
    let cpus = host["NanoCpus"].as_i64().unwrap_or(0);
    assert_eq!(cpus, 500_000_000, "{host:#}");
    assert_eq!(seen["Config"]["Labels"]["runyard.job"], server.job(&id));
    let runner = seen["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|mount| mount["Destination"] == "/runyard/bin/runyard");
    assert_eq!(runner.unwrap()["RW"], false, "{:#}", seen["Mounts"]);
    server.cli(&["stop", &id]).ok();
    server.wait_for_end(&id);
    nothing_is_left(&server);
}

#[test]
fn requirements_are_installed_with_the_python_of_the_image() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let code = server.home().join("code");
    fs::create_dir(&code).unwrap();
    wheel(&code.join("greeting-1.0-py3-none-any.whl"));
    let image = containers::image(containers::PYTHON_IMAGE);
    let program = "import greeting, sys; print(greeting.WORDS, sys.prefix)";
    let options = ["run", "--image", &image, "--source", code.to_str().unwrap()];
    let requirement = ["--requirement", "./greeting-1.0-py3-none-any.whl", "--", "python3", "-c", program];
    let output = server.cli(&[&options[..], &requirement].concat()).ok();
    assert!(output.stdout.contains("hello from a wheel /runyard/cache/venvs/"), "{}", output.stdout);
    let wrong = ["--requirement", "./nonesuch-1.0-py3-none-any.whl", "--", "python3", "-c", "print('begun')"];
    let output = server.cli(&[&options[..], &wrong].concat());
    assert_eq!(output.code, 1);
    assert!(output.stdout.contains("nonesuch-1.0") && !output.stdout.contains("begun"), "{}", output.stdout);
    nothing_is_left(&server);
}

/// A package that needs nothing to be built and nothing else to be installed.
fn wheel(path: &Path) {
    let files = [
        ("greeting.py", "WORDS = 'hello from a wheel'\n"),
        ("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"),
        (
            "greeting-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        (
            "greeting-1.0.dist-info/RECORD",
            "greeting.py,,\ngreeting-1.0.dist-info/METADATA,,\ngreeting-1.0.dist-info/WHEEL,,\ngreeting-1.0.dist-info/RECORD,,\n",
        ),
    ];
    let script = "import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as out:\n    \
        for name, text in json.load(sys.stdin):\n        out.writestr(name, text)\n";
    let mut python = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let text = serde_json::to_vec(&files).unwrap();
    python.stdin.take().unwrap().write_all(&text).unwrap();
    assert!(python.wait().unwrap().success());
}

#[test]
fn jobs_in_containers_and_processes_share_the_machine() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.args(&["--cpu", "1"]).start();
    let gate = server.home().join("gate");
    let local = server
        .submit(&["--name", "first"], &format!("until test -e {}; do sleep 0.05; done", gate.display()));
    server.wait_for_status(&local, Status::JobRunning);
    let inside = submit(&server, &[], "echo inside");
    wait_until("the container waits for the process", SOON, || {
        server.run(&inside)["waiting_for"].as_str().is_some_and(|why| why.contains("1 CPU: 0 of 1 are free"))
    });
    fs::write(&gate, "").unwrap();
    assert_eq!(server.wait_for_end(&inside), Status::JobCompleted);
    assert_eq!(server.wait_for_end(&local), Status::JobCompleted);
    nothing_is_left(&server);
}
