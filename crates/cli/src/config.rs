//! The config of a run from the command line: a file, standard input or JSON in place, and overrides by dotted path.

use std::{io::Read, path::Path};

use serde_json::{Map, Value};

use crate::failure::Failure;

/// Reads `--config` and lays every `--set` over it. `None`: neither was given.
pub(crate) fn read(given: Option<&str>, overrides: &[String]) -> Result<Option<Map<String, Value>>, Failure> {
    if given.is_none() && overrides.is_empty() {
        return Ok(None);
    }
    let mut config = match given {
        None => Map::new(),
        Some(given) => match json(given, "--config")? {
            Value::Object(object) => object,
            other => {
                return Err(Failure::usage(format!("--config is {}, not a JSON object", kind(&other)))
                    .hint("write an object such as {\"lr\": 0.1}"));
            }
        },
    };
    lay(&mut config, "--set", overrides)?;
    Ok(Some(config))
}

/// Lays every `KEY=VALUE` of an option over the config.
pub(crate) fn lay(config: &mut Map<String, Value>, option: &str, pairs: &[String]) -> Result<(), Failure> {
    for text in pairs {
        set(config, text).map_err(|why| {
            Failure::usage(format!("{option} {text}: {why}"))
                .hint(format!("write {option} optimizer.lr=0.1 or {option} layers.0=64"))
        })?;
    }
    Ok(())
}

/// JSON in place (when it begins with `{`), from standard input (`-`), or from a file.
pub(crate) fn json(given: &str, option: &str) -> Result<Value, Failure> {
    let (text, name) = match given {
        _ if given.trim_start().starts_with('{') => (given.to_owned(), option.to_owned()),
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| {
                Failure::new(format!("cannot read {option} from standard input: {error}"))
            })?;
            (text, "standard input".to_owned())
        }
        file => (
            std::fs::read_to_string(Path::new(file)).map_err(|error| {
                Failure::usage(format!("cannot read {option} {file}: {error}"))
                    .hint("name a JSON file, `-` for standard input, or write the JSON in place")
            })?,
            file.to_owned(),
        ),
    };
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{name} is no JSON: {error}")))
}

/// Lays `a.b.0=VALUE` over the config. The value is JSON where it can be read as such, and text otherwise.
fn set(config: &mut Map<String, Value>, text: &str) -> Result<(), String> {
    let (path, value) = text.split_once('=').ok_or("there is no `=`")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let path: Vec<&str> = path.split('.').collect();
    if path.iter().any(|part| part.is_empty()) {
        return Err("the path before `=` has an empty part".to_owned());
    }
    let mut place = config.entry(path[0]).or_insert(Value::Null);
    for (depth, part) in path.iter().enumerate().skip(1) {
        let above = || path[..depth].join(".");
        place = match place {
            Value::Array(items) => {
                let length = items.len();
                let index: usize =
                    part.parse().map_err(|_| format!("`{}` is a list: `{part}` is no index", above()))?;
                if index == length {
                    items.push(Value::Null);
                }
                items
                    .get_mut(index)
                    .ok_or_else(|| format!("`{}` has {length} items: there is no item {index}", above()))?
            }
            Value::Object(object) => object.entry(*part).or_insert(Value::Null),
            Value::Null => {
                *place = Value::Object(Map::new());
                place.as_object_mut().expect("it was just made").entry(*part).or_insert(Value::Null)
            }
            other => return Err(format!("`{}` is {}: it has no `{part}`", above(), kind(other))),
        };
    }
    *place = value;
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(config: &str, overrides: &[&str]) -> Result<Value, String> {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let config = read(Some(config), &overrides).map_err(|failure| failure.to_string())?;
        Ok(Value::Object(config.unwrap()))
    }

    #[test]
    fn overrides_are_typed_as_json_and_text_otherwise() {
        let overrides = [
            "lr=0.1",
            "epochs=3",
            "name=resnet",
            "deep.on=true",
            "ids=[1,2]",
            "text=\"7\"",
            "none=null",
            "eq=a=b",
        ];
        let expected = json!({"lr": 0.1, "epochs": 3, "name": "resnet", "deep": {"on": true}, "ids": [1, 2], "text": "7", "none": null, "eq": "a=b"});
        assert_eq!(with("{}", &overrides), Ok(expected));
    }

    #[test]
    fn an_override_reaches_into_objects_and_lists_and_leaves_the_rest() {
        let config = r#"{"net": {"layers": [64, {"size": 1}], "act": "relu"}}"#;
        let expected = json!({"net": {"layers": [32, {"size": 2}, 9], "act": "relu"}});
        assert_eq!(with(config, &["net.layers.0=32", "net.layers.1.size=2", "net.layers.2=9"]), Ok(expected));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_named() {
        for (overrides, words) in [
            (["lr"], "there is no `=`"),
            (["a..b=1"], "empty part"),
            (["list.x=1"], "`list` is a list: `x` is no index"),
            (["list.5=1"], "`list` has 1 items: there is no item 5"),
            (["number.x=1"], "`number` is a number: it has no `x`"),
        ] {
            let error = with(r#"{"list": [1], "number": 1}"#, &overrides).unwrap_err();
            assert!(error.contains(words) && error.contains(overrides[0]), "{error}");
        }
    }

    #[test]
    fn a_config_must_be_an_object() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        std::fs::write(&file, "[1]").unwrap();
        assert!(with(file.to_str().unwrap(), &[]).unwrap_err().contains("a list, not a JSON object"));
        std::fs::write(&file, r#"{"lr": 1}"#).unwrap();
        assert_eq!(with(file.to_str().unwrap(), &["lr=2"]), Ok(json!({"lr": 2})));
        assert!(with("{oops}", &[]).unwrap_err().contains("--config is no JSON"));
        assert!(with("/nowhere.json", &[]).unwrap_err().contains("/nowhere.json"));
        assert_eq!(read(None, &[]).unwrap(), None);
    }
}
