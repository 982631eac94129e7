//! YAML as JSON values that remember their lines. What is a text in the schema stays as it was written: `1e-3` is no `0.001`.

use std::{borrow::Cow, collections::BTreeMap};

use saphyr::{MarkedYaml, Scalar, ScalarStyle, Tag, YamlData, YamlLoader};
use saphyr_parser::Parser;
use serde_json::{Map, Number, Value};

/// Fields whose values are texts, whatever they look like.
const TEXTS: [&str; 5] = ["parameters", "env", "secrets", "labels", "resources"];
/// The same of a field itself.
const TEXT: &str = "max_run_time";

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    /// Where it begins.
    pub(super) line: usize,
    /// Of each field, by its dotted path.
    lines: BTreeMap<String, usize>,
}

/// Why a text is no YAML, or none that JSON can say.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) why: String,
}

impl Document {
    /// The line of a field, or of what is nearest around it.
    pub(super) fn line_of(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rsplit_once('.') {
                Some((around, _)) => path = around,
                None => return self.line,
            }
        }
    }
}

/// All documents of a text; those that are empty are left out.
pub(super) fn documents(text: &str) -> Result<Vec<Document>, Wrong> {
    let mut parser = Parser::new_from_str(text);
    let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
    // Texts are kept as they are written; what is a number is decided here.
    loader.early_parse(false);
    let wrong =
        |error: &saphyr::ScanError| Wrong { line: error.marker().line(), why: error.info().to_owned() };
    parser.load(&mut loader, true).map_err(|error| wrong(&error))?;
    if let Some(error) = loader.error() {
        return Err(wrong(error));
    }
    let mut all = Vec::new();
    for node in loader.into_documents() {
        let mut lines = BTreeMap::new();
        let line = node.span.start.line();
        let value = value(&node, "", &mut lines)?;
        if !value.is_null() {
            all.push(Document { value, line, lines });
        }
    }
    Ok(all)
}

fn value(node: &MarkedYaml<'_>, path: &str, lines: &mut BTreeMap<String, usize>) -> Result<Value, Wrong> {
    let line = node.span.start.line();
    let wrong = |why: &str| Wrong { line, why: why.to_owned() };
    match &node.data {
        YamlData::Representation(text, style, tag) => scalar(text, *style, tag.as_ref(), path)
            .ok_or_else(|| wrong("this value is not what its tag says")),
        YamlData::Value(Scalar::Null) => Ok(Value::Null),
        YamlData::Value(other) => Ok(json(other.clone())),
        YamlData::Sequence(items) => {
            let mut all = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let path = below(path, &index.to_string());
                lines.insert(path.clone(), item.span.start.line());
                all.push(value(item, &path, lines)?);
            }
            Ok(Value::Array(all))
        }
        YamlData::Mapping(entries) => {
            let mut all = Map::new();
            for (key, item) in entries {
                let at = key.span.start.line();
                let name = name(key)
                    .ok_or_else(|| Wrong { line: at, why: "a field's name is a text".to_owned() })?;
                let path = below(path, &name);
                lines.insert(path.clone(), at);
                let item = value(item, &path, lines)?;
                if all.insert(name.clone(), item).is_some() {
                    return Err(Wrong { line: at, why: format!("{path}: is there twice: write it once") });
                }
            }
            Ok(Value::Object(all))
        }
        YamlData::Tagged(..) => Err(wrong("tags such as `!name` mean nothing here: leave them out")),
        YamlData::Alias(_) | YamlData::BadValue => Err(wrong("this is no value")),
    }
}

fn name(key: &MarkedYaml<'_>) -> Option<String> {
    match &key.data {
        YamlData::Representation(text, ..) => Some(text.to_string()),
        _ => None,
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>, path: &str) -> Option<Value> {
    let found = Scalar::parse_from_cow_and_metadata(Cow::Owned(text.to_owned()), style, tag)?;
    let is_text = path == TEXT
        || TEXTS.iter().any(|field| path.strip_prefix(field).is_some_and(|rest| rest.starts_with('.')));
    Some(match found {
        Scalar::Null if is_text && text.is_empty() => Value::String(String::new()),
        Scalar::Null => Value::Null,
        _ if is_text => Value::String(text.to_owned()),
        other => json(other),
    })
}

fn json(scalar: Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(yes) => Value::Bool(yes),
        Scalar::Integer(whole) => Value::from(whole),
        // JSON has neither NaN nor the infinities.
        Scalar::FloatingPoint(number) => {
            Number::from_f64(number.0).map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        Scalar::String(text) => Value::String(text.into_owned()),
    }
}
