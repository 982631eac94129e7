use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Record, String> {
    parse_line(line.as_bytes()).map_err(|error| error.to_string())
}

fn point(tag: &str, step: i64, value: Value, at: Option<i64>) -> Reported {
    Reported { tag: tag.into(), step, value, at: at.map(Millis) }
}

#[track_caller]
fn refused(line: &str, why: &str) {
    let error = parse(line).expect_err(line);
    assert!(error.contains(why), "{line}: {error}");
}

#[test]
fn a_metric_is_read_with_and_without_a_time() {
    assert_eq!(
        parse(r#"{"metric":{"tag":"train/loss","global_step":10,"value":0.5}}"#),
        Ok(Record::Metric(point("train/loss", 10, Value::Float(0.5), None)))
    );
    assert_eq!(
        parse(
            " {\"metric\": {\"value\": 3, \"created_at\": 7, \"global_step\": -1, \"tag\": \"\\u00e9\"}} \r"
        ),
        Ok(Record::Metric(point("é", -1, Value::Int(3), Some(7))))
    );
}

#[test]
fn what_json_cannot_say_is_written_as_text_or_null() {
    for (value, expected) in [
        ("null", f64::NAN),
        ("\"NaN\"", f64::NAN),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
    ] {
        let line = format!(r#"{{"metric":{{"tag":"t","global_step":0,"value":{value}}}}}"#);
        assert_eq!(parse(&line), Ok(Record::Metric(point("t", 0, Value::Float(expected), None))));
    }
}

#[test]
fn several_points_share_a_line() {
    assert_eq!(
        parse(
            r#"{"metrics":[{"tag":"a","global_step":1,"value":1},{"tag":"b","global_step":1,"value":2.0}]}"#
        ),
        Ok(Record::Metrics(vec![point("a", 1, Value::Int(1), None), point("b", 1, Value::Float(2.0), None)]))
    );
}

#[test]
fn progress_keeps_its_numbers_as_written() {
    let line = r#"{"progress":[{"operation":"epoch","value":1,"final_value":2.5,"units":"epochs"}]}"#;
    let Ok(Record::Progress(progress)) = parse(line) else { panic!("no progress") };
    assert_eq!(serde_json::to_string(&progress).unwrap(), line[12..line.len() - 1]);
    assert_eq!(parse(r#"{"progress":[]}"#), Ok(Record::Progress(Vec::new())));
}

#[test]
fn a_wrong_line_is_told_what_is_wrong() {
    refused("", "the line is empty");
    refused(" \t", "the line is empty");
    refused("loss=0.5", "no JSON: expected value at byte 1");
    refused(r#"{"metric":{"tag":"a""#, "no JSON");
    refused(r#"{"metric":{"tag":"a","global_step":1,"value":NaN}}"#, "no JSON");
    refused("[]", "an object with one of the keys");
    refused("{}", "the object is empty");
    refused(r#"{"Metric":{}}"#, "unknown variant `Metric`, expected one of `metric`");
    refused(r#"{"progress":[],"metrics":[]}"#, "more than one key");
}

#[test]
fn checkpoints_and_artifacts_name_what_is_to_be_kept() {
    assert_eq!(
        parse(r#"{"checkpoint":{"global_step":10,"path":"output/checkpoints/10"}}"#),
        Ok(Record::Checkpoint(Checkpoint { global_step: 10, path: "output/checkpoints/10".into() }))
    );
    let artifact = |line: &str| match parse(line) {
        Ok(Record::Artifact(artifact)) => artifact,
        other => panic!("{line}: {other:?}"),
    };
    let named = artifact(r#"{"artifact":{"path":"/ml/output/m","name":"best","type":"model"}}"#);
    assert_eq!((named.name(), named.kind.as_deref()), ("best", Some("model")));
    assert_eq!(artifact(r#"{"artifact":{"path":"output/plots/","name":null}}"#).name(), "plots");
}

#[test]
fn a_model_names_files_and_what_they_are_published_as() {
    let model = |line: &str| match parse(line) {
        Ok(Record::Model(model)) => model,
        other => panic!("{line}: {other:?}"),
    };
    let short = model(r#"{"model":{"path":"output/model","name":"digits"}}"#);
    assert_eq!((short.path.as_str(), short.name.as_str(), short.tag), ("output/model", "digits", None));
    assert!(!short.move_tag && short.config.is_none());
    let long = model(
        r#"{"model":{"path":"/ml/output/m","name":"digits","tag":"v3","move_tag":true,"description":"Best",
            "config":{"classes":10},"parent":"v2"}}"#,
    );
    assert_eq!((long.tag.as_deref(), long.parent.as_deref(), long.move_tag), (Some("v3"), Some("v2"), true));
    assert_eq!(long.config.unwrap()["classes"], 10);
    assert_eq!(long.description.as_deref(), Some("Best"));
}

#[test]
fn a_wrong_model_is_told_what_is_wrong() {
    let with = |more: &str| format!(r#"{{"model":{{"path":"output/model"{more}}}}}"#);
    refused(&with(""), "missing field `name`");
    refused(&with(r#","name":"a/b""#), "name: must not contain '/'");
    refused(&with(r#","name":"digits@v3""#), "name: must not contain '@'");
    refused(&with(r#","name":"digits","tag":"""#), "tag: must have 1 to 200 characters");
    refused(&with(r#","name":"digits","config":[1]"#), "expected a map");
    refused(&with(r#","name":"digits","version":"v3""#), "unknown field `version`");
    refused(r#"{"model":{"path":"../secret","name":"digits"}}"#, "has `..` in it");
}

#[test]
fn a_wrong_checkpoint_or_artifact_is_told_what_is_wrong() {
    let checkpoint = |path: &str| format!(r#"{{"checkpoint":{{"global_step":1,"path":"{path}"}}}}"#);
    refused(&checkpoint("output/../../secret"), "has `..` in it");
    refused(&checkpoint(""), "names no file or folder");
    refused(&checkpoint("./"), "names no file or folder");
    refused(&checkpoint("/"), "names no file or folder");
    refused(&checkpoint("a\\u0000b"), "NUL");
    refused(&checkpoint(&"x".repeat(5000)), "the path has 5000 bytes");
    refused(r#"{"checkpoint":{"global_step":1.0,"path":"x"}}"#, "expected a whole number");
    refused(r#"{"checkpoint":{"path":"x"}}"#, "missing field `global_step`");
    refused(r#"{"checkpoint":{"global_step":1,"path":"x","step":2}}"#, "unknown field `step`");
    refused(r#"{"artifact":{}}"#, "missing field `path`");
    refused(r#"{"artifact":{"path":"x","name":"a/b"}}"#, "`a/b` is no name");
    refused(r#"{"artifact":{"path":"x","name":".."}}"#, "`..` is no name");
    refused(r#"{"artifact":{"path":"x/."}}"#, "`.` is no name");
    refused(r#"{"artifact":{"path":"x","type":""}}"#, "`` is no name");
}

#[test]
fn a_wrong_point_names_its_field() {
    let with = |tag: &str, step: &str, value: &str| {
        format!(r#"{{"metric":{{"tag":{tag},"global_step":{step},"value":{value}}}}}"#)
    };
    refused(&with("\"\"", "1", "1"), "the tag is empty");
    refused(&with("\"a\\nb\"", "1", "1"), "control character");
    refused(&with(&format!("\"{}\"", "x".repeat(10_000)), "1", "1"), "the tag has 10000 characters");
    refused(&with("1", "1", "1"), "expected a string");
    refused(&with("\"a\"", "1.5", "1"), "expected a whole number of 64 bits for `global_step`");
    refused(&with("\"a\"", "1e3", "1"), "expected a whole number");
    refused(&with("\"a\"", "9223372036854775808", "1"), "expected a whole number");
    refused(&with("\"a\"", "\"1\"", "1"), "expected a whole number");
    refused(&with("\"a\"", "1", "[1]"), "the value is a list: it must be a number");
    refused(&with("\"a\"", "1", "true"), "the value is true: it must be a number");
    refused(&with("\"a\"", "1", "\"high\""), "the value is the text \"high\"");
    refused(&with("\"a\"", "1", "1e999"), "number out of range");
    refused(r#"{"metric":{"tag":"a","global_step":1}}"#, "missing field `value`");
    refused(r#"{"metric":{"tag":"a","step":1,"value":1}}"#, "unknown field `step`");
    refused(r#"{"metric":{"tag":"a","tag":"b","global_step":1,"value":1}}"#, "duplicate field `tag`");
}

#[test]
fn a_wrong_progress_names_its_field() {
    let with = |operation: &str, value: &str| {
        format!(r#"{{"progress":[{{"operation":{operation},"value":{value},"final_value":1,"units":"u"}}]}}"#)
    };
    refused(&with("\"\"", "1"), "progress[0].operation is empty");
    refused(&with("\"a\\u0000\"", "1"), "progress[0].operation has a control character");
    refused(&with("\"a\"", "null"), "expected a JSON number");
    refused(r#"{"progress":{}}"#, "expected a sequence");
    let many = vec![r#"{"operation":"a","value":1,"final_value":1,"units":"u"}"#; 101].join(",");
    refused(&format!(r#"{{"progress":[{many}]}}"#), "names 101 operations");
}

#[test]
fn an_endless_line_is_refused_by_its_length_and_messages_stay_short() {
    refused(&"x".repeat(MAX_LINE + 1), "the line has 1048577 bytes");
    let error = parse(&format!(r#"{{"{}":1}}"#, "x".repeat(100_000))).unwrap_err();
    assert!(error.len() < 400, "{}", error.len());
    assert!(parse_line(b"{\"metric\":{\"tag\":\"\xff\",\"global_step\":1,\"value\":1}}").is_err());
    refused(&"[".repeat(100_000), "an object");
    refused(&format!(r#"{{"metric":{{"tag":"a","global_step":1,"value":{}"#, "[".repeat(100_000)), "a list");
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_line(&line);
    }

    #[test]
    fn no_damaged_record_makes_it_panic(at in 0usize..110, byte in any::<u8>(), cut in 0usize..110) {
        let mut line = br#"{"metrics":[{"tag":"train/loss","global_step":10,"value":"Infinity","created_at":1790000000000},{}]}"#.to_vec();
        if let Some(slot) = line.get_mut(at) {
            *slot = byte;
        }
        let _ = parse_line(&line);
        line.truncate(cut);
        let _ = parse_line(&line);
    }

    #[test]
    fn every_point_reads_back(tag in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{1,40}", step in any::<i64>(), value in any::<f64>(), at in any::<i64>()) {
        let json = serde_json::json!({"metric": {"tag": tag, "global_step": step, "value": value, "created_at": at}});
        let expected = if value.is_finite() { value } else { f64::NAN };
        let Record::Metric(read) = parse_line(json.to_string().as_bytes()).unwrap() else { panic!("no metric") };
        prop_assert_eq!(read.tag, tag);
        prop_assert_eq!((read.step, read.at), (step, Some(Millis(at))));
        let Value::Float(read) = read.value else { panic!("an integer") };
        prop_assert!(read.to_bits() == expected.to_bits() || (read - expected).abs() <= expected.abs() * 1e-15);
    }
}
