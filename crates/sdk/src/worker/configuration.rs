//! The configuration that a worker sees, put together of four in the order of Arkindex's contract. Asks nobody for any of them.

use serde_json::{Map, Value};

/// What the worker brings, covered by that of its model version, by the defaults of what people may choose (where the model says
/// nothing), and by what was chosen for the run.
pub(super) fn merge(
    worker: &Map<String, Value>,
    model: &Map<String, Value>,
    user: &Map<String, Value>,
    run: &Map<String, Value>,
) -> Map<String, Value> {
    let defaults = user
        .iter()
        .filter(|(key, _)| !model.contains_key(*key))
        .filter_map(|(key, field)| Some((key, field.get("default")?)));
    let all = worker.iter().chain(model).chain(defaults).chain(run);
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn the_run_covers_the_defaults_which_cover_the_worker_where_the_model_says_nothing() {
        let merged = merge(
            &map(json!({"a": 1, "b": 1, "c": 1})),
            &map(json!({"b": 3})),
            &map(json!({"b": {"default": 2}, "c": {"default": 2}, "d": {"title": "no default"}})),
            &map(json!({"c": 4})),
        );
        assert_eq!(Value::Object(merged), json!({"a": 1, "b": 3, "c": 4}));
    }

    #[test]
    fn a_default_covers_what_the_worker_brings() {
        let merged = merge(
            &map(json!({"a": 1})),
            &Map::new(),
            &map(json!({"a": {"default": null}, "z": {"default": [2]}})),
            &Map::new(),
        );
        assert_eq!(Value::Object(merged), json!({"a": null, "z": [2]}));
    }
}
