//! Reads query strings: every wrong parameter is named at once, and every unknown one too unless a dialect asked. What
//! a list knows is what its `IntoParams` type documents, so the OpenAPI document cannot say anything else.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use runyard_domain::{FieldErrors, filter};
use runyard_engine::{Schema, run};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};
use utoipa::{
    IntoParams,
    openapi::{Required, path::ParameterIn},
};

use crate::{
    body::from_value,
    error::Problem,
    limits,
    schema::{self, PerType},
};

/// The valid query of a request.
pub(crate) struct Query<T>(pub(crate) T);

/// The same for dialects, whose clients may send what we do not know: it is left out.
pub(crate) struct Lenient<T>(pub(crate) T);

/// For routes that take no parameters.
#[derive(Debug, serde::Deserialize, IntoParams)]
pub(crate) struct Nothing {}

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: IntoParams + DeserializeOwned + 'static,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(parts.uri.query().unwrap_or_default(), Unknown::Refused)?))
    }
}

impl<S, T> FromRequestParts<S> for Lenient<T>
where
    S: Send + Sync,
    T: IntoParams + DeserializeOwned + 'static,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(parts.uri.query().unwrap_or_default(), Unknown::LeftOut)?))
    }
}

/// What becomes of parameters that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Refused,
    LeftOut,
}

/// What a parameter's text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
}

struct Parameter {
    kind: Kind,
    /// May be repeated, and joined by commas.
    list: bool,
}

/// The parameters of a type, and the schema of all of them together.
struct Shape {
    parameters: BTreeMap<String, Parameter>,
    schema: Schema,
}

fn shape<T: IntoParams + 'static>() -> Arc<Shape> {
    static SHAPES: PerType<Shape> = PerType::new();
    SHAPES.get::<T>(|| {
        let mut parameters = BTreeMap::new();
        let mut properties = Map::new();
        let mut required = Vec::new();
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            let described = parameter.schema.as_ref().map(schema::generated).unwrap_or_default();
            let list = has_type(&described, "array");
            let one = if list { &described["items"] } else { &described };
            let kind = if has_type(one, "integer") {
                Kind::Integer
            } else if has_type(one, "boolean") {
                Kind::Boolean
            } else {
                Kind::Text
            };
            if parameter.required == Required::True {
                required.push(parameter.name.clone());
            }
            parameters.insert(parameter.name.clone(), Parameter { kind, list });
            properties.insert(parameter.name, described);
        }
        let document = json!({"type": "object", "properties": properties, "required": required});
        Shape { parameters, schema: schema::compile(&document) }
    })
}

fn has_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::String(one) => one == name,
        Value::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    }
}

/// Reads the raw query string.
fn read<T: IntoParams + DeserializeOwned + 'static>(raw: &str, unknown: Unknown) -> Result<T, FieldErrors> {
    if raw.len() > limits::QUERY {
        let message =
            format!("the query is over the limit of {} KiB: ask in several requests", limits::QUERY >> 10);
        return Err(FieldErrors::one("", message));
    }
    let shape = shape::<T>();
    let mut errors = FieldErrors::default();
    let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
        let key = match filter::decode(key) {
            Ok(key) => key,
            Err(_) if unknown == Unknown::LeftOut => continue,
            Err(error) => {
                errors.add("", error.to_string());
                continue;
            }
        };
        let Some(parameter) = shape.parameters.get(&key) else {
            if unknown == Unknown::Refused {
                errors.add(key, known(&shape.parameters));
            }
            continue;
        };
        let pieces =
            if parameter.list { filter::split_list(text) } else { filter::decode(text).map(|one| vec![one]) };
        match pieces {
            Ok(pieces) => {
                let pieces = pieces.into_iter().map(|piece| typed(piece, parameter.kind));
                values.entry(key).or_default().extend(pieces);
            }
            Err(error) => errors.add(key, error.to_string()),
        }
    }
    let mut object = Map::new();
    for (key, mut pieces) in values {
        let list = shape.parameters[&key].list;
        if list && pieces.len() > filter::MAX_VALUES {
            errors.add(key, filter::Error::ManyValues(pieces.len()).to_string());
        } else if !list && pieces.len() > 1 {
            errors.add(key, format!("is given {} times: give it once", pieces.len()));
        } else {
            let value = if list { Value::Array(pieces) } else { pieces.remove(0) };
            object.insert(key, value);
        }
    }
    let value = Value::Object(object);
    errors.merge("", shape.schema.check(&value));
    errors.finish(())?;
    from_value(value)
}

/// A piece as its kind, or as the text it is: then the schema says what is wrong.
fn typed(piece: String, kind: Kind) -> Value {
    match kind {
        Kind::Text => None,
        Kind::Integer => piece.parse::<i64>().ok().map(|number| Value::Number(Number::from(number))),
        Kind::Boolean => piece.parse().ok().map(Value::Bool),
    }
    .unwrap_or(Value::String(piece))
}

fn known(parameters: &BTreeMap<String, Parameter>) -> String {
    if parameters.is_empty() {
        return "is not known here: this takes no query parameters".to_owned();
    }
    let known: Vec<&str> = parameters.keys().map(String::as_str).collect();
    format!("is not known here: the parameters are {}", known.join(", "))
}

/// Reads each text of a list parameter; what cannot be read is noted under the parameter's name.
pub(crate) fn each<T, E: std::fmt::Display>(
    errors: &mut FieldErrors,
    path: &str,
    texts: Vec<String>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        match read(&text) {
            Ok(value) => values.push(value),
            Err(error) => errors.add(path, error.to_string()),
        }
    }
    values
}

/// Reads an optional parameter; what cannot be read is noted under the parameter's name.
pub(crate) fn one<T, E: std::fmt::Display>(
    errors: &mut FieldErrors,
    path: &str,
    text: Option<String>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    match read(&text?) {
        Ok(value) => Some(value),
        Err(error) => {
            errors.add(path, error.to_string());
            None
        }
    }
}

/// Reads the order of a list: at most one field.
pub(crate) fn sort(
    errors: &mut FieldErrors,
    texts: Vec<String>,
    allowed: &[&'static str],
) -> Option<filter::Sort> {
    let sorts = each(errors, "sort", texts, |text| filter::Sort::parse(text, allowed));
    if sorts.len() > 1 {
        errors.add("sort", "sort by one field only");
    }
    sorts.first().copied()
}

/// The order of runs and blueprints.
pub(crate) fn sort_by_creation(errors: &mut FieldErrors, texts: Vec<String>) -> run::Sort {
    let Some(sort) = sort(errors, texts, &["id", "created_at"]) else { return run::Sort::default() };
    let field = if sort.field == "id" { run::SortField::Id } else { run::SortField::CreatedAt };
    run::Sort { field, descending: sort.descending }
}

/// A valid ILIKE pattern.
pub(crate) fn pattern(text: &str) -> Result<String, filter::Error> {
    filter::Pattern::parse(text).map(|pattern| pattern.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize, IntoParams)]
    #[into_params(parameter_in = Query)]
    struct Things {
        /// Ids.
        #[serde(default)]
        id: Vec<String>,
        /// Steps.
        #[serde(default)]
        step: Vec<i64>,
        /// At most so many.
        #[param(minimum = 0, maximum = 100)]
        limit: Option<i64>,
        /// With logs.
        logs: Option<bool>,
    }

    fn refused(raw: &str) -> BTreeMap<String, Vec<String>> {
        read::<Things>(raw, Unknown::Refused).unwrap_err().0
    }

    #[test]
    fn lists_are_repeated_or_joined_by_raw_commas() {
        let things: Things =
            read("id=a&id=b,c%2Cd&step=1,2&step=-3&limit=7&logs=true", Unknown::Refused).unwrap();
        assert_eq!(things.id, ["a", "b", "c,d"]);
        assert_eq!(things.step, [1, 2, -3]);
        assert_eq!((things.limit, things.logs), (Some(7), Some(true)));
    }

    #[test]
    fn nothing_is_fine_and_a_plus_is_a_space() {
        let nothing = Things { id: vec![], step: vec![], limit: None, logs: None };
        assert_eq!(read::<Things>("", Unknown::Refused).unwrap(), nothing);
        assert_eq!(read::<Things>("id=a+b%20c", Unknown::Refused).unwrap().id, ["a b c"]);
    }

    #[test]
    fn every_wrong_parameter_is_named_at_once() {
        let errors = refused("limit=101&steps=1&logs=maybe&step=x");
        let named: Vec<&str> = errors.keys().map(String::as_str).collect();
        assert_eq!(named, ["limit", "logs", "step.0", "steps"]);
        assert!(errors["steps"][0].contains("id, limit, logs, step"), "{errors:?}");
    }

    #[test]
    fn a_limit_has_two_ends() {
        for raw in ["limit=-1", "limit=101", "limit=1e2", "limit=99999999999999999999", "limit="] {
            assert!(refused(raw).contains_key("limit"), "{raw}");
        }
        for raw in ["limit=0", "limit=100"] {
            assert!(read::<Things>(raw, Unknown::Refused).is_ok(), "{raw}");
        }
    }

    #[test]
    fn a_single_value_is_given_once() {
        assert!(refused("limit=1&limit=2")["limit"][0].contains("2 times"));
    }

    #[test]
    fn broken_encodings_are_refused() {
        for raw in ["id=%", "id=%zz", "id=%ff", "id=%00"] {
            assert!(refused(raw).contains_key("id"), "{raw}");
        }
        assert!(refused("%ff=1").contains_key(""));
        assert!(refused(&"id=a&".repeat(limits::QUERY)).contains_key(""));
        assert!(refused(&"id=a&".repeat(filter::MAX_VALUES + 1)).contains_key("id"));
    }

    #[test]
    fn a_dialect_leaves_out_what_it_does_not_know_and_nothing_else() {
        let things: Things = read("id=a&colour=red&%ff=1&limit=7", Unknown::LeftOut).unwrap();
        assert_eq!((things.id, things.limit), (vec!["a".to_owned()], Some(7)));
        assert!(read::<Things>("colour=red&limit=x", Unknown::LeftOut).unwrap_err().0.contains_key("limit"));
    }
}
