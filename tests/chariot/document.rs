//! The served document as a judge: an answer that has a field too many, too few, or of another type is refused.

use jsonschema::Validator;
use runyard_tests::http::Answer;
use serde_json::{Value, json};

pub(crate) struct Document(Value);

impl Document {
    pub(crate) fn new(text: &str) -> Self {
        let mut document: Value = serde_json::from_str(text).expect("the document is JSON");
        strict(&mut document["definitions"]);
        Self(document)
    }

    /// Holds an answer against what the document says of it. `path` begins with `/v2`.
    #[track_caller]
    pub(crate) fn check(&self, method: &str, path: &str, answer: &Answer) {
        let what = format!("{method} {path} answered {}: {}", answer.status, answer.text);
        let operation = &self.item(path)[method.to_lowercase()];
        let response = self.resolve(&operation["responses"][answer.status.to_string()]);
        assert!(response.is_object(), "the document does not know that {what}");
        let Some(schema) = response.get("schema") else {
            assert!(answer.text.is_empty(), "{what}");
            return;
        };
        let mut schema = schema.clone();
        schema["definitions"] = self.0["definitions"].clone();
        let schema: Validator = jsonschema::validator_for(&schema).expect("the document's schemas compile");
        let wrong: Vec<String> = schema
            .iter_errors(&answer.body)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{what}\n{}", wrong.join("\n"));
        whole_numbers(&answer.body, &what);
    }

    /// What is said of a path: the template that fits it best.
    fn item(&self, path: &str) -> &Value {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.0["paths"].as_object().expect("paths");
        let fits = |template: &str| {
            let (a, b) = (template.split('/'), path.split('/'));
            a.clone().count() == b.clone().count() && a.zip(b).all(|(a, b)| a == b || a.starts_with('{'))
        };
        let found =
            paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|it| it.1));
        found.unwrap_or_else(|| panic!("the document does not know {path}"))
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).expect(reference),
            None => value,
        }
    }
}

/// In words of JSON Schema: no field but those named, and null where the document says so.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("type") == Some(&json!("object")) && object.contains_key("properties") {
                object.insert("additionalProperties".into(), json!(false));
            }
            if object.remove("x-nullable").is_some() {
                let named = object["type"].take();
                object.insert("type".into(), json!([named, "null"]));
            }
            object.values_mut().for_each(strict);
        }
        Value::Array(values) => values.iter_mut().for_each(strict),
        _ => {}
    }
}

/// JSON Schema takes 1.0 for an integer; Chariot's clients do not.
#[track_caller]
fn whole_numbers(value: &Value, what: &str) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let whole = ["sequence", "global_step", "count"].contains(&name.as_str());
                assert!(!whole || value.is_i64(), "{name} is {value}: {what}");
                // What people wrote is theirs.
                if !["config", "details", "config_schema"].contains(&name.as_str()) {
                    whole_numbers(value, what);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| whole_numbers(value, what)),
        _ => {}
    }
}

#[test]
fn the_judge_refuses_what_the_contract_does_not_have() {
    let document = Document::new(include_str!("../../crates/server/src/dialects/chariot/openapi.json"));
    let event =
        json!({"id": "e", "sequence": 1, "run_id": "r", "created_at": 1, "status": "s", "details": {}});
    let judge = |change: &dyn Fn(&mut Value)| {
        let mut event = event.clone();
        change(&mut event);
        let body = json!({"data": [event]});
        let answer = Answer { status: 200, text: body.to_string(), body };
        std::panic::catch_unwind(|| document.check("GET", "/v2/runs/r/events?limit=1", &answer)).is_ok()
    };
    assert!(judge(&|_| {}));
    assert!(!judge(&|event| event["details"] = Value::Null));
    assert!(!judge(&|event| event["sequence"] = json!(1.0)));
    assert!(!judge(&|event| event["colour"] = json!("red")));
    assert!(!judge(&|event| drop(event.as_object_mut().unwrap().remove("status"))));
}
