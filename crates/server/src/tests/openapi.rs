//! The OpenAPI document is what is committed, and holds together.

use std::collections::BTreeSet;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&crate::openapi()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_one_of_this_code() {
    let committed = include_str!("../../openapi.json");
    assert!(
        committed == crate::openapi(),
        "the API changed: look at the change, then `runyard openapi > crates/server/openapi.json`"
    );
}

#[test]
fn every_operation_is_named_once_and_described() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for (what, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{what} has no operationId"));
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{what} has no summary");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{what} has not one tag");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{what}: {parameter}");
        }
    }
    assert!(names.len() > 35, "{names:?}");
}

#[test]
fn every_operation_with_a_token_says_how_it_refuses() {
    let document = document();
    for (what, operation) in operations(&document).iter().filter(|(what, _)| what.contains("/api/v2/")) {
        if what.contains("openapi.json") {
            continue;
        }
        for status in ["401", "403", "422", "500", "503"] {
            assert!(operation["responses"][status].is_object(), "{what} does not say {status}");
        }
        if what.contains('{') {
            assert!(operation["responses"]["404"].is_object(), "{what} does not say 404");
        }
        if operation["requestBody"].is_object() {
            assert!(operation["responses"]["413"].is_object(), "{what} does not say 413");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    found.push(reference.clone());
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("references are within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
