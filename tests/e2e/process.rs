//! Processing jobs from the command line: `process`, `apply`, and what they refuse.

use std::{fs, path::Path};

use runyard_domain::run::Status;
use runyard_tests::{Server, Setup, containers, repository};
use serde_json::json;

/// A folder of code and local data for inputs.
fn prepare(home: &Path) {
    let folder = |name: &str| fs::create_dir_all(home.join(name)).unwrap();
    folder("src");
    folder("train");
    fs::write(
        home.join("src/main.sh"),
        "echo \"lr $PAI_HPS_LR env $K args $PAI_USER_ARGS\"\n\
         cat \"$PAI_INPUT_TRAIN\"/*.txt \"$PAI_INPUT_REF\" > \"$PAI_OUTPUT_RESULT/all.txt\"\n\
         : > \"$PAI_OUTPUT_RESULT/empty\"\n\
         for i in 1 2 3; do echo \"loss=0.$i\"; done\n\
         exit ${1:-0}\n",
    )
    .unwrap();
    fs::write(home.join("train/a.txt"), "one\n").unwrap();
    fs::write(home.join("train/b.txt"), "two\n").unwrap();
    fs::write(home.join("train/c.pyc"), "data is data\n").unwrap();
    fs::write(home.join("ref.csv"), "three\n").unwrap();
}

/// `process` with the folder of code and both inputs.
fn process(server: &Server, more: &[&str], exit: &str) -> runyard_tests::Output {
    let home = server.home();
    let at = |name: &str| home.join(name).display().to_string();
    let (source, train, reference) =
        (at("src"), format!("train={}", at("train")), format!("ref={}", at("ref.csv")));
    let line =
        ["process", "--source", &source, "--input", &train, "--input", &reference, "--parameter", "lr=1e-1"];
    server.cli(&[&line, more, &["--", "sh", "main.sh", exit]].concat())
}

#[test]
fn a_processing_job_takes_local_data_in_and_what_comes_out_is_kept() {
    let server = Server::start();
    prepare(&server.home());
    let more =
        ["--output", "result", "--env", "K=V", "--max-run-time", "2h", "--label", "team=ocr", "--spot"];
    let more = [&more[..], &["--vpc", "vpc-1", "--metric", "loss=loss=([0-9.]+)", "--name", "ocr"]].concat();
    let said = process(&server, &more, "0").ok();
    assert!(said.stdout.contains("lr 1e-1 env V args --lr 1e-1"), "as it was written: {}", said.stdout);
    assert!(said.stderr.contains("input train: 3 files"), "{}", said.stderr);
    assert!(said.stderr.contains("output result: run://"), "{}", said.stderr);

    let run = server.get("/runs?name_ilike=ocr")[0].clone();
    assert_eq!(run["kind"], "processing");
    assert_eq!(run["labels"], json!({"team": "ocr"}));
    assert_eq!(run["config"], json!({"lr": "1e-1"}));
    assert_eq!(run["spec"]["recorded"]["spot"]["spot_strategy"], "SpotAsPriceGo");
    assert_eq!(run["spec"]["max_run_time_s"], 7200);
    let id = run["id"].as_str().unwrap();

    let pulled = server.home().join("pulled");
    server.cli(&["artifact", "pull", &format!("{id}/output/result"), pulled.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(pulled.join("all.txt")).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(fs::read(pulled.join("empty")).unwrap(), b"");

    let points = server.get(&format!("/metrics?run_id={id}&tag=loss"));
    let values: Vec<_> =
        points.as_array().unwrap().iter().map(|it| (&it["global_step"], &it["value"])).collect();
    assert_eq!(values, [(&json!(1), &json!(0.1)), (&json!(2), &json!(0.2)), (&json!(3), &json!(0.3))]);

    let warnings: Vec<String> = warnings(&server, id);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("only recorded") && warnings[0].ends_with(": spot, vpc"), "{warnings:?}");
    assert!(server.cli(&["events", id]).ok().stdout.contains("warning: asked for"), "people see it");
    assert!(server.cli(&["show", id]).ok().stdout.contains("only recorded"));

    // What one run has made is the next one's input; data that the server has is not sent again.
    let from = format!("train=run://{id}/output/result");
    let next = ["process", "--input", &from, "--", "sh", "-c", "ls $PAI_INPUT_TRAIN"];
    assert_eq!(server.cli(&next).ok().stdout, "all.txt\nempty\n");
    assert!(process(&server, &[], "0").stderr.contains("unchanged on the server"));
}

fn warnings(server: &Server, id: &str) -> Vec<String> {
    let events = server.get(&format!("/runs/{id}/events"));
    let said = events.as_array().unwrap().iter().filter_map(|event| event["details"]["warning"].as_str());
    said.map(str::to_owned).collect()
}

#[test]
fn the_exit_code_is_the_programs_and_outputs_of_a_failed_job_are_kept() {
    let server = Server::start();
    prepare(&server.home());
    let said = process(&server, &["--output", "result", "--name", "bad"], "7");
    assert_eq!(said.code, 7, "{}", said.stderr);
    let run = server.get("/runs?name_ilike=bad")[0]["id"].as_str().unwrap().to_owned();
    let pulled = server.home().join("pulled");
    server.cli(&["artifact", "pull", &format!("{run}/output/result"), pulled.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(pulled.join("all.txt")).unwrap(), "one\ntwo\nthree\n");

    let id = process(&server, &["--detach", "--output", "quiet"], "0").ok().stdout.trim().to_owned();
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "{}", server.reason(&id));
}

#[test]
fn what_cannot_be_is_named_and_leaves_nothing_behind() {
    let server = Server::start();
    prepare(&server.home());
    let empty = server.home().join("train").display().to_string();
    let data = format!("a={empty}");
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["process"], 2, &["there is nothing to run", "--image"]),
        (
            &["process", "--input", "a/b=s3://bucket/x", "--", "true"],
            2,
            &["inputs.a/b", "no name of a channel"],
        ),
        (&["process", "--input", &data, "--input", &data, "--", "true"], 2, &["inputs.a: is given twice"]),
        (&["process", "--output", "o", "--output", "o", "--", "true"], 2, &["outputs.o: is given twice"]),
        (&["process", "--output", "o=./here", "--", "true"], 2, &["outputs.o", "./here"]),
        (&["process", "--input", "a=/no/such/place", "--", "true"], 2, &["inputs.a", "/no/such/place"]),
        (&["process", "--input", "a=run://nobody/output/x", "--", "true"], 1, &["spec.inputs.a", "nobody"]),
        (&["process", "--input", "a=ftp://x/y", "--", "true"], 2, &["inputs.a", "`ftp://` is not known"]),
        (&["process", "--source", "/no/such/folder", "--", "true"], 2, &["--source /no/such/folder"]),
        (
            &["process", "--max-run-time", "-1h", "--", "true"],
            2,
            &["--max-run-time", "`-1h` is not a duration"],
        ),
        (
            &["process", "--metric", "loss=loss=[0-9]+", "--", "true"],
            1,
            &["metric_definitions.0.regex", "has no group"],
        ),
        (&["process", "--metric", "loss=(", "--", "true"], 1, &["metric_definitions.0.regex", "unclosed"]),
        (&["process", "--parameter", "lr", "--", "true"], 2, &["`lr` is no KEY=VALUE"]),
        (
            &["process", "--parameter", "a=1", "--parameter", "a=2", "--", "true"],
            2,
            &["--parameter a is given twice"],
        ),
        (&["process", "--executor", "moon", "--", "true"], 1, &["executor", "`moon`"]),
        (&["process", "--secret", "TOKEN=nothing", "--", "true"], 1, &["spec.secrets", "nothing"]),
        (&["ls", "--output", "jsn"], 2, &["'jsn'", "table, json, quiet or csv"]),
        (&["apply", "/no/such/file"], 2, &["cannot read /no/such/file"]),
    ];
    for (line, code, words) in cases {
        server.cli(line).refused(*code, words);
    }
    assert_eq!(server.get("/runs"), json!([]), "no run was made");
}

#[test]
fn a_source_over_the_limit_is_refused_before_anything_is_sent() {
    let server = Server::start();
    let source = server.home().join("large");
    fs::create_dir(&source).unwrap();
    fs::File::create(source.join("weights.bin")).unwrap().set_len(600 << 20).unwrap();
    let source = source.display().to_string();
    let line = ["process", "--source", &source, "--", "true"];
    server.cli(&line).refused(1, &["at most 512.0 MiB", "weights.bin", ".runyardignore"]);
}

#[test]
fn a_requirement_that_cannot_be_installed_fails_before_the_program_with_pips_words() {
    let server = Server::start();
    let line =
        ["process", "--requirement", "./no-such-package-here", "--name", "pip", "--", "sh", "-c", "echo ran"];
    let said = server.cli(&line);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(!said.stdout.contains("ran"), "{}", said.stdout);
    let id = server.get("/runs?name_ilike=pip")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.run(&id)["exit"]["reason"], "RequirementsFailed");
    assert!(server.output(&id).contains("no-such-package-here"), "{}", server.output(&id));
}

#[test]
fn a_file_of_jobs_is_submitted_as_a_whole_and_its_errors_have_lines() {
    let server = Server::start();
    prepare(&server.home());
    let file = server.home().join("jobs.yaml");
    let path = file.display().to_string();
    let one = "name: first\nsource: src\ncommand: sh main.sh\nparameters: {lr: 1e-1}\nenv: {K: V}\n\
               inputs: {train: train, ref: ref.csv}\noutputs: {result: null}\nmax_run_time: 90\n";
    fs::write(&file, format!("{one}---\nname: second\ncommand: [sh, -c, 'exit 3']\nspot: true\n")).unwrap();

    let seen = server.cli(&["apply", &path, "--dry-run"]).ok().stdout;
    assert_eq!(seen, format!("{path}:1: first\n{path}:10: second\n"));
    assert_eq!(server.get("/runs"), json!([]));

    let said = server.cli(&["apply", &path, "--follow"]);
    assert_eq!(said.code, 3, "that of the first that did not end well: {}", said.stderr);
    assert!(said.stdout.contains("lr 1e-1 env V args --lr 1e-1"), "{}", said.stdout);
    let ids: Vec<&str> = said.stdout.lines().filter(|line| line.len() == 36).collect();
    assert_eq!(ids.len(), 2, "{}", said.stdout);
    assert_eq!(server.run(ids[0])["spec"]["max_run_time_s"], 90);
    assert_eq!(warnings(&server, ids[1]).len(), 1);

    // The server's word has a line too, and one wrong job stops all.
    fs::write(&file, "command: x\n\nmetric_definitions:\n  - name: loss\n    regex: (\n").unwrap();
    server.cli(&["apply", &path]).refused(2, &["jobs.yaml:5: metric_definitions.0.regex: ", "unclosed"]);
    fs::write(&file, format!("{one}---\nname: second\ncommnad: x\nimage: i\n")).unwrap();
    server
        .cli(&["apply", &path])
        .refused(2, &["jobs.yaml:11: commnad: is not a known field", "runyard schema job"]);
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 2);
}

#[test]
fn the_published_schema_is_the_one_that_files_are_held_against() {
    let server = Server::start();
    let published = fs::read_to_string(repository().join("docs/job.schema.json")).unwrap();
    let printed = server.cli(&["schema", "job"]).ok().stdout;
    assert_eq!(printed, published, "`runyard schema job > docs/job.schema.json`");
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&json!({"command": "x", "parameters": {"lr": 0.1}})));
    assert!(!validator.is_valid(&json!({"command": "x", "lr": 0.1})));
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_job_loses_nothing_of_it() {
    let mut server = Server::start();
    prepare(&server.home());
    let home = server.home();
    let train = format!("train={}", home.join("train").display());
    let script = "cat $PAI_INPUT_TRAIN/*.txt > $PAI_OUTPUT_RESULT/all.txt; echo loss=1; \
                  until test -e go; do sleep 0.05; done; echo loss=2; echo done >> $PAI_OUTPUT_RESULT/all.txt";
    let line =
        ["process", "--detach", "--output", "quiet", "--output", "result", "--metric", "loss=loss=(.*)"];
    let line = [&line[..], &["--input", &train, "--", "sh", "-c", script]].concat();
    let id = server.cli(&line).ok().stdout.trim().to_owned();
    server.wait_for_output(&id, "loss=1");
    let folder = server.job_folder(&id);
    server.kill();
    fs::write(folder.join("ml/usercode/go"), "").unwrap();
    server.restart();
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "{}", server.reason(&id));
    let points = server.get(&format!("/metrics?run_id={id}&tag=loss"));
    let values: Vec<_> =
        points.as_array().unwrap().iter().map(|it| (&it["global_step"], &it["value"])).collect();
    assert_eq!(values, [(&json!(1), &json!(1)), (&json!(2), &json!(2))]);
    let pulled = home.join("pulled");
    server.cli(&["artifact", "pull", &format!("{id}/output/result"), pulled.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(pulled.join("all.txt")).unwrap(), "one\ntwo\ndone\n");
}

/// Applies the example, and looks at what came out.
fn example(server: &Server, file: &str) {
    let said = server.cli(&["apply", file, "--follow"]).ok();
    assert!(said.stdout.contains("text 1 hope: words=31"), "{}", said.stdout);
    assert!(
        said.stdout.ends_with("the 3 most frequent of 3 texts:\ndare,4\nhand,4\ntyger,4\n"),
        "{}",
        said.stdout
    );
    let id = said.stdout.lines().next().unwrap().to_owned();
    let pulled = server.home().join("words");
    server.cli(&["artifact", "pull", &format!("{id}/output/words"), pulled.to_str().unwrap()]).ok();
    let sonnet = fs::read_to_string(pulled.join("texts/sonnet-18.csv")).unwrap();
    assert_eq!(sonnet.lines().next(), Some("fair,3"));
    assert_eq!(fs::read_to_string(pulled.join("all.csv")).unwrap().lines().count(), 139);
    let points = server.get(&format!("/metrics?run_id={id}&tag=words"));
    let values: Vec<_> =
        points.as_array().unwrap().iter().map(|point| point["value"].as_i64().unwrap()).collect();
    assert_eq!(values, [31, 59, 53]);
}

#[test]
fn the_example_counts_the_words_of_real_texts_as_a_process() {
    example(&Server::start(), "examples/texts/job.yaml");
}

#[test]
fn the_example_counts_the_words_of_real_texts_in_a_container() {
    let Some(setup): Option<Setup> = containers::setup() else { return };
    let server = setup.start();
    // The same files with a line more.
    let folder = server.home().join("texts");
    copy(&repository().join("examples/texts"), &folder);
    let job = fs::read_to_string(folder.join("job.yaml")).unwrap();
    let job = format!("{job}image: {}\n", containers::image(containers::IMAGE));
    fs::write(folder.join("job.yaml"), job).unwrap();
    example(&server, folder.join("job.yaml").to_str().unwrap());
    assert_eq!(server.get("/runs?name_ilike=texts")[0]["executor"], "container");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
