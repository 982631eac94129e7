use std::fs;

use serde_json::json;

use super::*;

/// The jobs of a text, as if it were `job.yaml` in a folder with a folder `src` and a file `ref.csv`.
fn read(text: &str) -> Result<Vec<Job>, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("ref.csv"), "1,2").unwrap();
    jobs("job.yaml", folder.path(), text).map_err(|failure| failure.to_string())
}

const WHOLE: &str = "
name: ocr
kind: training
project: books
image: python:3.11
registry_secret: registry
command: python main.py
source: src
parameters: {lr: 1e-3, deep: true, note: 'a b', empty: }
env: {K: 010}
secrets: {TOKEN: hub}
requirements: [pandas]
inputs:
  train: s3://bucket/train/
  ref: ref.csv
outputs: {result: s3://bucket/out/, kept: null}
output_path: s3://bucket/all
max_run_time: 90
retries: 2
retry_on: [oom]
instances: 2
instance_type: cpu.small
resources: {memory: 2Gi, gpu: 'A100:2', shared_memory: 1Gi, ephemeral_storage: 3Gi}
executor: local
metric_definitions: [{name: loss, regex: 'loss=(\\S+)', description: what is lost}]
labels: {team: ocr}
notes: by hand
priority: 5
job_type: TFJob
spot: {spot_strategy: SpotWithPriceLimit, spot_discount_limit: 0.5}
resource_type: Lingjun
vpc: {vpc_id: vpc-1, security_group_id: sg-1}
experiment: exp-1
settings: {Priority: 9}
";

#[test]
fn every_word_of_the_schema_is_a_word_of_the_file_and_arrives() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let words: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let said: Value = yaml::documents(WHOLE).unwrap().remove(0).value;
    let mut missing = words.into_iter().filter(|word| said.get(word.as_str()).is_none());
    assert_eq!(missing.next(), None, "the example has every word");

    let job = read(WHOLE).unwrap().remove(0);
    let it = job.processor;
    assert_eq!((it.image.as_deref(), it.kind), (Some("python:3.11"), Some(Kind::Training)));
    assert_eq!(it.command, Command::Line("python main.py".into()));
    assert!(it.source_dir.unwrap().ends_with("src"));
    let parameters = [("deep", "true"), ("empty", ""), ("lr", "1e-3"), ("note", "a b")];
    assert!(
        it.parameters.iter().map(|(name, text)| (name.as_str(), text.as_str())).eq(parameters),
        "as written"
    );
    assert_eq!((it.environments["K"].as_str(), it.secrets["TOKEN"].as_str()), ("010", "hub"));
    assert_eq!(
        (it.max_run_time, it.retries, it.instance_count),
        (Some(Duration::from_secs(90)), Some(2), Some(2))
    );
    let resources = it.resources.unwrap();
    assert_eq!((resources.cpu.as_str(), resources.memory.as_deref()), ("", Some("2Gi")), "the type's cores");
    assert_eq!(resources.gpu.unwrap().count, 2);
    assert_eq!(it.metric_definitions[0].name, "loss");
    assert_eq!(it.spot_spec.unwrap().spot_discount_limit, Some(0.5));
    assert_eq!(it.user_vpc_config.unwrap().vpc_id, "vpc-1");
    assert_eq!(it.settings["Priority"], json!(9));
    assert_eq!(job.inputs[1], ("train".to_owned(), "s3://bucket/train/".to_owned()));
    assert!(job.inputs[0].1.ends_with("/ref.csv"), "beside the file: {:?}", job.inputs[0]);
    assert_eq!(job.outputs[0], ("kept".to_owned(), None));
}

#[test]
fn every_wrong_field_is_named_with_its_file_and_line() {
    let text = "name: ocr\ncomand: x\nimage: i\nresources:\n  memory: 5GB\n  cpu: 2\ninputs:\n  a/b: s3://bucket/x\nmax_run_time: -5\n";
    let error = read(text).unwrap_err();
    assert!(error.contains("job.yaml:2: comand: is not a known field"), "{error}");
    assert!(error.contains("job.yaml:8: inputs.a/b: cannot be a name here"), "{error}");
    assert!(error.contains("runyard schema job"), "{error}");
    let text = "image: i\nresources:\n  memory: 5GB\n\nmax_run_time: -5\nsource: nowhere\n";
    let error = read(text).unwrap_err();
    assert!(error.contains("job.yaml:3: resources.memory: ") && error.contains("5Gi"), "{error}");
    assert!(error.contains("job.yaml:5: max_run_time: `-5` is not a duration"), "{error}");
    assert!(error.contains("job.yaml:6: source: cannot use"), "{error}");
    let error = read("name: x\n").unwrap_err();
    assert!(error.contains("job.yaml:1: command: is needed"), "{error}");
}

#[test]
fn what_is_no_yaml_is_named_with_its_line() {
    for (text, line, word) in [
        ("image: i\n  name: x\n", 2, "mapping"),
        ("image: i\nimage: j\n", 2, "duplicated key"),
        ("image: i\n'image': j\n", 2, "is there twice"),
        ("image: !!int x\n", 1, "tag"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(&format!("job.yaml:{line}: ")) && error.contains(word), "{text}: {error}");
    }
    assert!(read("").unwrap_err().contains("job.yaml is empty"));
    assert!(read("# nothing\n---\n").unwrap_err().contains("is empty"));
    assert!(read(&" ".repeat(2 << 20)).unwrap_err().contains("is larger than"));
}

#[test]
fn several_documents_are_several_jobs_and_one_wrong_one_stops_all() {
    let two = "name: one\ncommand: [a, b]\n---\nname: two\ncommand: c\n";
    let all = read(two).unwrap();
    assert_eq!(all.iter().map(Job::name).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(all[0].processor.command, Command::Words(vec!["a".into(), "b".into()]));
    let error = read("name: one\ncommand: a\n---\nname: two\ncommand: 3\n").unwrap_err();
    assert!(error.contains("job.yaml:5: command"), "{error}");
}

#[test]
fn what_the_server_refuses_is_told_at_its_line() {
    let job = read("command: a\nparameters:\n  lr: 1\nmax_run_time: 1h\n").unwrap().remove(0);
    let errors = [("spec.max_run_time_s", "is too long"), ("config.lr", "is too low"), ("name", "is taken")];
    let lines: Vec<String> = errors
        .iter()
        .map(|(path, said)| job.place.lines(&FieldErrors::one(ours(path), *said)).trim().to_owned())
        .collect();
    assert_eq!(
        lines,
        [
            "job.yaml:4: max_run_time: is too long",
            "job.yaml:3: parameters.lr: is too low",
            "job.yaml:1: name: is taken"
        ]
    );
}
