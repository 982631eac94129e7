//! JSON Schema: one place that names the library, so that its churn stays here.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use runyard_domain::FieldErrors;
use serde_json::Value;

/// A compiled JSON Schema (2020-12 unless it says otherwise). Remote references are never fetched.
pub struct Schema(Validator);

impl Schema {
    /// Compiles a schema; the error says where it is wrong.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        if !schema.is_object() && !schema.is_boolean() {
            return Err("a JSON Schema is an object".to_owned());
        }
        jsonschema::validator_for(schema).map(Self).map_err(|error| {
            let place = error.instance_path().to_string();
            if place.is_empty() { error.to_string() } else { format!("at {place}: {error}") }
        })
    }

    /// Every wrong field of `value` by its path (`lr`, `layers.0.size`; the root is the empty path).
    pub fn check(&self, value: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for error in self.0.iter_errors(value) {
            note(&error, &mut errors);
        }
        errors
    }
}

/// A missing or unknown field is told at the field, not at the object around it.
fn note(error: &ValidationError<'_>, errors: &mut FieldErrors) {
    let path = dotted(&error.instance_path().to_string());
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().map_or_else(|| property.to_string(), str::to_owned);
            errors.add(below(&name), "is required");
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                errors.add(below(name), "is not a known field");
            }
        }
        ValidationErrorKind::PropertyNames { error } => {
            let name = error.instance().as_str().map_or_else(|| error.instance().to_string(), str::to_owned);
            errors.add(below(&name), format!("cannot be a name here: {}", short(&error.to_string())));
        }
        ValidationErrorKind::Type { .. } => {
            let given = short(&error.instance().to_string());
            let wanted = error.to_string();
            let wanted = wanted.rsplit(" is not of type").next().unwrap_or("").trim().replace('"', "");
            let wanted = if wanted.starts_with("s ") { wanted.replacen("s ", "one of ", 1) } else { wanted };
            errors.add(path, format!("must be {wanted}, not {given}"));
        }
        _ => errors.add(path, short(&error.to_string())),
    }
}

/// A JSON pointer (`/layers/0/size`) as a path (`layers.0.size`).
fn dotted(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1);
    parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>().join(".")
}

fn short(text: &str) -> String {
    const MOST: usize = 300;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, value: Value) -> Vec<String> {
        let errors = Schema::compile(&schema).unwrap().check(&value);
        errors.0.into_iter().map(|(path, messages)| format!("{path}: {}", messages.join("; "))).collect()
    }

    #[test]
    fn every_wrong_field_is_told_at_its_own_path() {
        let schema = json!({
            "type": "object",
            "properties": {
                "lr": {"type": "number", "exclusiveMinimum": 0},
                "epochs": {"type": "integer"},
                "layers": {"type": "array", "items": {"type": "object", "required": ["size"]}}
            },
            "required": ["lr", "epochs"],
            "additionalProperties": false
        });
        assert_eq!(
            check(schema, json!({"lr": 0, "layers": [{}], "momentum": 1})),
            [
                "epochs: is required",
                "layers.0.size: is required",
                "lr: 0 is less than or equal to the minimum of 0",
                "momentum: is not a known field",
            ]
        );
    }

    #[test]
    fn a_wrong_type_names_the_right_one() {
        let schema =
            json!({"properties": {"epochs": {"type": "integer"}, "x": {"type": ["string", "null"]}}});
        assert_eq!(
            check(schema, json!({"epochs": "five", "x": 1})),
            ["epochs: must be integer, not \"five\"", "x: must be one of null, string, not 1"]
        );
    }

    #[test]
    fn a_wrong_name_is_told_at_the_name() {
        let schema = json!({"properties": {"x": {"propertyNames": {"pattern": "^[a-z]+$"}}}});
        assert_eq!(
            check(schema, json!({"x": {"ok": 1, "A/B": 2}})),
            ["x.A/B: cannot be a name here: \"A/B\" does not match \"^[a-z]+$\""]
        );
    }

    #[test]
    fn a_schema_that_is_none_says_where() {
        assert!(Schema::compile(&json!({"type": "strnig"})).is_err());
        assert!(Schema::compile(&json!("x")).is_err());
    }
}
