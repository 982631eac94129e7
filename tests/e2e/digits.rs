//! The example of the README: real training with the real scikit-learn, installed by the runner.

use std::{fs, time::Duration};

use runyard_tests::Server;

use super::models::{elsewhere, machine};

/// Packages are downloaded, perhaps slowly.
const PATIENCE: Duration = Duration::from_mins(6);

#[test]
fn digits_train_to_a_good_accuracy_and_the_second_run_reuses_the_environment() {
    let server = Server::start();
    let run = |name: &str| {
        server.start_cli(&[
            "run",
            "--name",
            name,
            "--source",
            "examples/digits",
            "--requirement",
            "scikit-learn",
            "--config",
            "examples/digits/config.json",
            "--set",
            "epochs=5",
            "--cpu",
            "2",
            "--memory",
            "2Gi",
            "--max-run-time",
            "1h",
            "--",
            "python",
            "train.py",
        ])
    };
    let first = run("first").end_within(PATIENCE).ok();
    assert!(first.stdout.contains("installing scikit-learn"), "{}", first.stdout);
    assert!(first.stdout.contains("epoch   5/5"), "{}", first.stdout);
    assert!(first.stderr.contains("train 5/5 epochs (100%)"), "{}", first.stderr);
    assert!(first.stderr.contains("val/accuracy") && first.stderr.contains("next:"), "{}", first.stderr);
    let csv = server.cli(&["metrics", "first", "--tag", "val/accuracy", "--output", "csv"]).ok().stdout;
    let accuracy: Vec<f64> =
        csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(accuracy.len(), 5);
    assert!(*accuracy.last().unwrap() > 0.9, "{accuracy:?}");
    let id = server.get("/runs?name_ilike=first")[0]["id"].as_str().unwrap().to_owned();
    let model = server.job_folder(&id).join("ml/output/model/model.joblib");
    assert!(fs::metadata(model).unwrap().len() > 1000);

    let second = run("second").end_within(PATIENCE).ok();
    assert!(!second.stdout.contains("installing"), "{}", second.stdout);
    let same = server.cli(&["metrics", "second", "--tag", "val/accuracy", "--output", "csv"]).ok().stdout;
    let values = |csv: &str| -> Vec<String> {
        csv.lines().map(|line| line.split(',').nth(2).unwrap().to_owned()).collect()
    };
    assert_eq!(values(&csv), values(&same), "same seed, same numbers, bit by bit");

    // The same content: one version. On an empty machine it predicts as well as the run said.
    assert_eq!(server.get("/model_versions").as_array().unwrap().len(), 1);
    let home = machine(&server, "elsewhere");
    elsewhere(&server, server.url(), &home, &["model", "pull", "digits", "model"]).end().ok();
    let (source, model) = (runyard_tests::repository().join("examples/digits"), home.join("model"));
    let options =
        ["run", "--name", "predict", "--requirement", "scikit-learn", "--source", source.to_str().unwrap()];
    let program = ["--", "python", "predict.py", model.to_str().unwrap()];
    let predict = elsewhere(&server, server.url(), &home, &[&options[..], &program].concat());
    let said = predict.end_within(PATIENCE).ok().stdout;
    let predicted: f64 = said.trim().rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(Some(&predicted), accuracy.last(), "{said}");
}
