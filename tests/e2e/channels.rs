//! Inputs and outputs of runs from outside: every kind of address, files and folders, modes and empty files, and what links
//! runs to each other.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use runyard_domain::run::Status;
use runyard_tests::{Server, block_on, s3::Store};
use serde_json::{Value, json};

/// Submits a script with these inputs and outputs; answers the run's id.
#[track_caller]
pub(crate) fn submit(server: &Server, name: &str, script: &str, inputs: &Value, outputs: &Value) -> String {
    let spec = json!({"command": ["sh", "-ec", script], "inputs": inputs, "outputs": outputs});
    submit_spec(server, name, spec)
}

/// Submits a spec; answers the run's id.
#[track_caller]
pub(crate) fn submit_spec(server: &Server, name: &str, spec: Value) -> String {
    let body = json!({"name": name, "kind": "processing", "resources": {"cpu": "100m"}, "spec": spec});
    let run = server.call("POST", "/api/v2/runs").json(&body).send().data(200);
    run["id"].as_str().unwrap().to_owned()
}

/// The run ends well; answers its output.
#[track_caller]
pub(crate) fn completed(server: &Server, run: &str) -> String {
    let status = server.wait_for_end(run);
    assert_eq!(status, Status::JobCompleted, "{}\n{:#}", server.output(run), server.run(run));
    server.output(run)
}

/// Uploads a packed folder, as the command line does; answers its digest.
#[track_caller]
pub(crate) fn upload(server: &Server, folder: &Path) -> String {
    let submitted = server
        .cli(&[
            "submit",
            "--output",
            "json",
            "--name",
            "carrier",
            "--source",
            folder.to_str().unwrap(),
            "--",
            "true",
        ])
        .ok()
        .json();
    submitted["spec"]["source"].as_str().unwrap().to_owned()
}

/// Every file below the folder of a channel, with what is in it and how it may be used.
const LIST: &str = "find . -type f | sort | while read -r f; do \
    printf '%s %s %s\\n' \"$(stat -c %a \"$f\")\" \"$f\" \"$(cat \"$f\")\"; done";

#[test]
fn what_one_run_wrote_is_an_input_of_the_next_with_modes_and_empty_files() {
    let server = Server::start();
    let script = "cd $PAI_OUTPUT_RESULT; mkdir -p deep/er; printf hello > deep/er/a.txt; : > empty; printf '#!/bin/sh\\necho ran\\n' > tool; \
                  chmod 755 tool; chmod 600 deep/er/a.txt; chmod 644 empty; echo rest > ../rest.txt";
    let first = submit(&server, "first", script, &json!({}), &json!({"result": null, "unused": null}));
    completed(&server, &first);

    let read = format!(
        "cd $PAI_INPUT_ALL; {LIST}; ./tool; cat $PAI_INPUT_ONE; cat $PAI_INPUT_DEEP/er/a.txt; echo; cat $PAI_INPUT_REST"
    );
    let address = |path: &str| format!("run://{first}/output/{path}");
    let inputs = json!({"all": address("result"), "one": address("result/tool"), "deep": address("result/deep/"),
        "rest": address("rest.txt"), "by-name": "run://first/output/result/"});
    let second = submit(&server, "second", &read, &inputs, &json!({}));
    let said = completed(&server, &second);
    let expected = "600 ./deep/er/a.txt hello\n644 ./empty \n755 ./tool #!/bin/sh\necho ran\nran\n#!/bin/sh\necho ran\nhello\nrest\n";
    assert_eq!(said, expected);

    // Of its outputs one is an artifact by itself; the rest of the folder is not lost, and nothing is kept twice.
    let artifacts = server.get(&format!("/artifacts?run_id={first}&sort=created_at:asc"));
    let names: Vec<&str> =
        artifacts.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(
        names.len() == 2 && names.contains(&"output") && names.contains(&"output/result"),
        "{artifacts:#}"
    );

    let lineage = server.get(&format!("/runs/{second}/lineage"));
    assert_eq!(lineage["inputs"].as_array().unwrap().len(), 5);
    for input in lineage["inputs"].as_array().unwrap() {
        assert_eq!(
            (&input["run"]["id"], &input["run"]["name"]),
            (&json!(first), &json!("first")),
            "{input:#}"
        );
    }
    let back = server.get(&format!("/runs/{first}/lineage"));
    assert_eq!(back["used_by"][0]["run"]["id"], json!(second));
    assert_eq!(back["used_by"].as_array().unwrap().len(), 5);
    let result = &back["outputs"][0];
    assert_eq!(
        (&result["channel"], &result["files"], &result["status"]),
        (&json!("result"), &json!(3), &json!("complete"))
    );
    assert_eq!(result["uri"], json!(address("result")));
    assert!(back["outputs"][1].get("artifact_id").is_none(), "nothing was written to it");

    let shown = server.cli(&["show", "second"]).ok().stdout;
    for word in ["INPUT", "MADE BY", "run://first/output/result/", "first ("] {
        assert!(shown.contains(word), "{word}:\n{shown}");
    }
    let shown = server.cli(&["show", "first"]).ok().stdout;
    for word in ["OUTPUT", "READ BY", "second (", &address("result")] {
        assert!(shown.contains(word), "{word}:\n{shown}");
    }
    assert_eq!(server.cli(&["show", "first", "--output", "json"]).ok().json()["lineage"], back);

    // A run that is gone leaves its mark on those that read from it.
    server.cli(&["rm", "--yes", "first"]).ok();
    let lineage = server.get(&format!("/runs/{second}/lineage"));
    assert_eq!(lineage["inputs"][0]["run"], json!({"id": first}));
    assert!(server.cli(&["show", "second"]).ok().stdout.contains("(deleted)"));
}

#[test]
fn an_upload_is_a_folder_or_one_of_its_files_and_stays_as_long_as_its_run() {
    let server = Server::start();
    let folder = server.home().join("set");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/a.csv"), "1,2").unwrap();
    fs::write(folder.join("run.sh"), "echo ran").unwrap();
    fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let digest = upload(&server, &folder);
    let inputs =
        json!({"data": format!("upload://{digest}/"), "one": format!("upload://{digest}/sub/a.csv")});
    let script = format!(
        "cd $PAI_INPUT_DATA; {LIST}; echo $PAI_INPUT_ONE; cat $PAI_INPUT_ONE; ls $(dirname $PAI_INPUT_ONE)"
    );
    let run = submit(&server, "reader", &script, &inputs, &json!({}));
    let said = completed(&server, &run);
    let job = server.data().join("jobs").join(server.job(&run)).join("ml/input/data/one/a.csv");
    let expected = format!("755 ./run.sh echo ran\n644 ./sub/a.csv 1,2\n{}\n1,2a.csv\n", job.display());
    assert_eq!(said, expected);

    // The carrier's source is the reader's input: it outlives the carrier, and not the reader.
    server.cli(&["wait", "carrier"]).ok();
    server.cli(&["rm", "--yes", "carrier"]).ok();
    let restarted = server.cli(&["restart", "reader"]).ok();
    assert!(restarted.stderr.is_empty() || !restarted.stderr.contains("error"), "{}", restarted.stderr);
    completed(&server, &run);
    server.cli(&["rm", "--yes", "reader"]).ok();
    let gone = server.call("HEAD", &format!("/api/v2/sources/{digest}")).send();
    assert_eq!(gone.status, 404);
}

#[test]
fn models_and_checkpoints_are_folders() {
    let server = Server::start();
    let model = server.home().join("model");
    fs::create_dir(&model).unwrap();
    fs::write(model.join("weights.bin"), "weights").unwrap();
    server.cli(&["model", "publish", model.to_str().unwrap(), "--name", "digits", "--tag", "v3"]).ok();
    let train = "cd $RUNYARD_ML; for n in 10 20; do mkdir -p output/checkpoints/$n; echo state $n > output/checkpoints/$n/s; \
                 echo \"{\\\"metric\\\":{\\\"tag\\\":\\\"loss\\\",\\\"global_step\\\":$n,\\\"value\\\":$n}}\" >> $RUNYARD_RECORDS; \
                 echo \"{\\\"checkpoint\\\":{\\\"global_step\\\":$n,\\\"path\\\":\\\"output/checkpoints/$n\\\"}}\" >> $RUNYARD_RECORDS; done";
    let best = json!({"keep_best": {"tag": "loss", "mode": "min", "count": 1}});
    let trained =
        submit_spec(&server, "trained", json!({"command": ["sh", "-ec", train], "checkpoints": best}));
    completed(&server, &trained);
    let inputs = json!({"model": "model://digits@v3", "newest": "model://digits", "latest": "checkpoint://trained@latest",
        "best": format!("checkpoint://{trained}@best"), "at": "checkpoint://trained@20"});
    let script = "cat $PAI_INPUT_MODEL/weights.bin $PAI_INPUT_NEWEST/weights.bin; echo; cat $PAI_INPUT_LATEST/s $PAI_INPUT_BEST/s $PAI_INPUT_AT/s";
    let run = submit(&server, "reader", script, &inputs, &json!({}));
    assert_eq!(completed(&server, &run), "weightsweights\nstate 20\nstate 10\nstate 20\n");
    let lineage = server.get(&format!("/runs/{run}/lineage"));
    let of = |channel: &str| {
        let inputs = lineage["inputs"].as_array().unwrap();
        inputs.iter().find(|input| input["channel"] == channel).unwrap().clone()
    };
    assert_eq!((&of("newest")["title"], &of("newest")["kind"]), (&json!("digits@v3"), &json!("model")));
    assert_eq!((&of("best")["title"], &of("best")["run"]["name"]), (&json!("step 10"), &json!("trained")));
}

#[test]
fn a_dataset_is_its_archive_and_says_which_set_was_meant() {
    let server = Server::start();
    server.cli(&["corpus", "create", "books"]).ok();
    let path = server.home().join("pages.jsonl");
    fs::write(&path, "{\"type\":\"page\",\"name\":\"one\"}\n").unwrap();
    server.cli(&["element", "import", path.to_str().unwrap(), "--corpus", "books"]).ok();
    server.cli(&["dataset", "create", "letters", "--corpus", "books"]).ok();
    server.cli(&["dataset", "add", "letters", "--to", "train", "--type", "page"]).ok();
    let inputs = json!({"set": "dataset://letters/train", "all": "dataset://letters"});
    let body = json!({"name": "no", "spec": {"command": ["true"], "inputs": inputs}});
    let early = server.call("POST", "/api/v2/runs").json(&body).send();
    assert_eq!(early.status, 422);
    let said = early.body["errors"]["spec.inputs.set"][0].as_str().unwrap();
    assert_eq!(said, "dataset `letters` is open: build it first (`runyard dataset build`)");
    server.cli(&["dataset", "build", "letters"]).ok();
    let script = "ls $PAI_INPUT_ALL; cat $PAI_INPUT_SET/set.json; test -s $PAI_INPUT_SET/db.sqlite";
    let run = submit(&server, "reader", script, &inputs, &json!({}));
    let said = completed(&server, &run);
    assert!(said.starts_with("db.sqlite\n"), "{said}");
    let set: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&set["dataset"], &set["set"]), (&json!("letters"), &json!("train")));
    let lineage = server.get(&format!("/runs/{run}/lineage"));
    assert_eq!(
        (&lineage["inputs"][1]["title"], &lineage["inputs"][1]["kind"]),
        (&json!("letters"), &json!("dataset"))
    );
    let wrong =
        json!({"name": "no", "spec": {"command": ["true"], "inputs": {"in": "dataset://letters/nonesuch"}}});
    let wrong = server.call("POST", "/api/v2/runs").json(&wrong).send();
    let said = wrong.body["errors"]["spec.inputs.in"][0].as_str().unwrap();
    assert!(said.starts_with("dataset `letters` has no set `nonesuch`; it has "), "{said}");
}

#[test]
fn an_s3_store_is_read_and_written_by_the_job_itself() {
    let store = Store::start();
    store.put("models/train/a.csv", "1");
    store.put("models/train/deep/b.csv", "2");
    store.put("models/trainer", "not below");
    let server = Server::start();
    let script = format!(
        "cd $PAI_INPUT_TRAIN; {LIST}; cat $PAI_INPUT_ONE; mkdir $PAI_OUTPUT_RESULT/x; echo out > $PAI_OUTPUT_RESULT/x/o.txt; : > $PAI_OUTPUT_RESULT/empty; exit 3"
    );
    let spec = json!({"command": ["sh", "-ec", script], "env": store.account(),
        "inputs": {"train": "s3://models/train/", "one": "s3://models/train/deep/b.csv"},
        "outputs": {"result": "s3://models/results/1"}});
    let first = submit_spec(&server, "first", spec);
    // Outputs of a run that failed are kept too.
    assert_eq!(server.wait_for_end(&first), Status::JobFailed);
    assert_eq!(server.output(&first), "644 ./a.csv 1\n644 ./deep/b.csv 2\n2");
    assert_eq!(server.reason(&first), "Error");
    assert_eq!(
        (store.get("models/results/1/x/o.txt"), store.get("models/results/1/empty")),
        (Some("out\n".into()), Some(String::new()))
    );

    // By its address, and as an output of the run: both know who made it. The account may be a secret.
    let mut account = store.account();
    let secret = account["AWS_SECRET_ACCESS_KEY"].take();
    server.cli(&["secret", "set", "s3-key", secret.as_str().unwrap()]).ok();
    account.as_object_mut().unwrap().remove("AWS_SECRET_ACCESS_KEY");
    let spec = json!({"command": ["sh", "-ec", "cat $PAI_INPUT_A/x/o.txt $PAI_INPUT_B"], "env": account,
        "secrets": {"AWS_SECRET_ACCESS_KEY": "s3-key"},
        "inputs": {"a": "run://first/output/result", "b": "s3://models/results/1/x/o.txt"}});
    let second = submit_spec(&server, "second", spec);
    assert_eq!(completed(&server, &second), "out\nout\n");
    let lineage = server.get(&format!("/runs/{second}/lineage"));
    for input in lineage["inputs"].as_array().unwrap() {
        assert_eq!((&input["kind"], &input["run"]["name"]), (&json!("s3"), &json!("first")), "{input:#}");
    }
}

#[test]
fn a_bucket_of_the_server_is_written_by_one_run_and_read_by_another() {
    let server = Server::start();
    let script = "cd $PAI_OUTPUT_OUT; mkdir d; echo a > d/a; : > empty; head -c 70000000 /dev/zero > large; echo 'with space' > 'd/ü %2F.txt'";
    let first = submit(&server, "first", script, &json!({}), &json!({"out": "oss://team-data/results/1/"}));
    completed(&server, &first);
    let inputs = json!({"all": "oss://team-data/results/1/", "one": "oss://team-data/results/1/d/a", "via": "run://first/output/out/d/"});
    let script = "cd $PAI_INPUT_ALL; find . -type f | sort; stat -c %s large empty; cat $PAI_INPUT_ONE $PAI_INPUT_VIA/a \"$PAI_INPUT_VIA/ü %2F.txt\"";
    let second = submit(&server, "second", script, &inputs, &json!({}));
    let expected = "./d/a\n./d/ü %2F.txt\n./empty\n./large\n70000000\n0\na\na\nwith space\n";
    assert_eq!(completed(&server, &second), expected);
    let lineage = server.get(&format!("/runs/{second}/lineage"));
    for input in lineage["inputs"].as_array().unwrap() {
        assert_eq!(input["run"]["name"], "first", "{input:#}");
    }
    let objects = block_on(server.client().lineage(&first)).unwrap();
    assert_eq!(objects.outputs[0].uri, "oss://team-data/results/1/");
}

#[test]
fn programs_find_parameters_and_channels_where_pai_has_them() {
    let server = Server::start();
    let script = "echo \"$PAI_HPS\"; echo $PAI_HPS_TRAIN_LR $PAI_HPS_NAME; echo $PAI_USER_ARGS; echo $PAI_OUTPUT_A_B | sed s,.*/ml/,,; \
                  echo $PAI_WORKING_DIR | sed s,.*/ml/,,; cat $PAI_CONFIG_DIR/hyperparameters.json | tr -d ' \\n'";
    let body = json!({"name": "env", "kind": "processing", "resources": {"cpu": "100m"},
        "config": {"train.lr": 0.1, "name": "a b", "flag": true, "words": "x"},
        "spec": {"command": ["sh", "-ec", script], "outputs": {"a.b": null}, "env": {"PAI_HPS_NAME": "mine"}}});
    let run = server.call("POST", "/api/v2/runs").json(&body).send().data(200);
    let said = completed(&server, run["id"].as_str().unwrap());
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], r#"{"flag":"true","name":"a b","train.lr":"0.1","words":"x"}"#);
    assert_eq!(lines[1], "0.1 mine", "what the run sets stays");
    assert_eq!(lines[2], "--flag true --name 'a b' --train.lr 0.1 --words x");
    assert_eq!(&lines[3..5], ["output/a.b/", "usercode/"]);
    assert_eq!(lines[5], r#"{"flag":true,"name":"ab","train.lr":0.1,"words":"x"}"#);
}
