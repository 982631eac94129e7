//! The served document as a judge: an answer that it does not know, or that has a field too many, too few, or of another
//! type, is refused.

use runyard_engine::Schema;
use serde_json::{Map, Value, json};

use super::super::Reply;

pub(super) struct Judge {
    document: Value,
    schemas: Value,
}

impl Judge {
    pub(super) fn new(document: &Value) -> Self {
        let mut schemas = document["components"]["schemas"].clone();
        strict(&mut schemas);
        Self { document: document.clone(), schemas }
    }

    /// Method and path of an operation. `what` is for what the path names: an id, or several with spaces between them, of which
    /// the last one is repeated; a query may follow.
    pub(super) fn address(&self, operation: &str, what: &str) -> (String, String) {
        let (method, path, _) = self.find(operation);
        let (ids, query) = what.split_once('?').map_or((what, None), |(ids, query)| (ids, Some(query)));
        let mut ids = ids.split(' ');
        let mut id = ids.next().unwrap_or_default();
        let mut named = 0;
        let mut fill = |part: &str| {
            if !part.starts_with('{') {
                return part.to_owned();
            }
            if named > 0 {
                id = ids.next().unwrap_or(id);
            }
            named += 1;
            id.to_owned()
        };
        let path: Vec<String> = path.split('/').map(&mut fill).collect();
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        (method.to_uppercase(), path.join("/") + &query)
    }

    /// Holds an answer against what the document says of it.
    pub(super) fn check(&self, operation: &str, reply: &Reply) {
        let status = reply.status.as_u16();
        let what = format!("{operation} answered {status}: {}", reply.text());
        let (_, _, found) = self.find(operation);
        let response = self.resolve(&found["responses"][status.to_string()]);
        assert!(response.is_object(), "the document does not know that {what}");
        let Some(content) = response.get("content") else {
            assert!(reply.body.is_empty(), "{what}");
            return;
        };
        assert_eq!(reply.headers["content-type"], "application/json", "{what}");
        let mut schema = content["application/json"]["schema"].clone();
        strict(&mut schema);
        schema["components"] = json!({"schemas": self.schemas});
        let errors = Schema::compile(&schema).expect("the document's schemas compile").check(&reply.json());
        assert!(errors.0.is_empty(), "{what}\n{errors}");
    }

    fn find(&self, operation: &str) -> (&str, &str, &Value) {
        let paths = self.document["paths"].as_object().unwrap();
        let mut all = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(|(method, found)| (method.as_str(), path.as_str(), found))
        });
        let found = all.find(|(_, _, found)| found["operationId"] == operation);
        found.unwrap_or_else(|| panic!("the document does not know {operation}"))
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).expect(reference),
            None => value,
        }
    }
}

/// From OpenAPI 3.0 to JSON Schema: null where the document says so, and no field but those named.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("type") == Some(&json!("object")) && object.contains_key("properties") {
                object.insert("additionalProperties".into(), json!(false));
            }
            object.values_mut().for_each(strict);
            if object.remove("nullable").is_some() {
                let one = Value::Object(std::mem::replace(object, Map::new()));
                object.insert("anyOf".into(), json!([{"type": "null"}, one]));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(strict),
        _ => {}
    }
}

#[test]
fn the_judge_refuses_what_the_document_does_not_have() {
    let document: Value = serde_json::from_str(include_str!("../../dialects/arkindex/openapi.json")).unwrap();
    let judge = Judge::new(&document);
    let fits = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({"id": "i", "slug": "s", "state": "running", "parents": []});
        change(&mut body);
        let reply = Reply {
            status: axum::http::StatusCode::OK,
            headers: [(axum::http::header::CONTENT_TYPE, "application/json".parse().unwrap())]
                .into_iter()
                .collect(),
            body: body.to_string().into_bytes(),
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge.check("RetrieveTask", &reply))).is_ok()
    };
    assert!(fits(&|_| {}));
    assert!(!fits(&|task| task["parents"] = Value::Null));
    assert!(!fits(&|task| task["colour"] = json!("red")));
    assert!(!fits(&|task| drop(task.as_object_mut().unwrap().remove("state"))));
}

#[test]
fn every_reference_of_the_document_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let text = include_str!("../../dialects/arkindex/openapi.json");
    let document: Value = serde_json::from_str(text).unwrap();
    for rest in text.split("\"$ref\": \"#").skip(1) {
        let reference = rest.split('"').next().unwrap();
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut names: Vec<&str> =
        text.split("\"operationId\": \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert!(count > 15 && names.len() == count, "{names:?}");
}

#[test]
fn the_document_keeps_to_what_the_strictest_client_reads() {
    let text = include_str!("../../dialects/arkindex/openapi.json");
    let document: Value = serde_json::from_str(text).unwrap();
    assert!(text.is_ascii() || !text.contains("\\u"), "characters stand as they are");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(["get", "post", "put", "patch", "delete"].contains(&method.as_str()), "{what}");
            let allowed = [
                "operationId",
                "tags",
                "description",
                "x-paginated",
                "parameters",
                "requestBody",
                "responses",
            ];
            for key in operation.as_object().unwrap().keys() {
                assert!(allowed.contains(&key.as_str()), "{what}: {key}");
            }
            let mut named = 0;
            for parameter in operation["parameters"].as_array().unwrap() {
                assert!(parameter["schema"].is_object(), "{what}: {parameter}");
                assert!(parameter["in"] != "path" || parameter["required"] == true, "{what}: {parameter}");
                named += usize::from(parameter["in"] == "path");
            }
            assert_eq!(named, path.matches('{').count(), "{what} names what is in its path");
            if let Some(body) = operation.get("requestBody") {
                let schema = &body["content"]["application/json"]["schema"];
                assert!(schema["type"] == "object" && body["required"] == true, "{what}");
            }
        }
    }
}
