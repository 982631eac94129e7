//! `select`: which fields of each thing in a list are answered.

use std::collections::BTreeSet;

use runyard_domain::FieldErrors;
use serde::Serialize;
use serde_json::Value;

use super::{Answer, data};
use crate::error::Problem;

/// The selected fields of a `noun`; `None`: all.
pub(super) fn read(
    errors: &mut FieldErrors,
    noun: &str,
    names: Vec<String>,
    known: &[&str],
) -> Option<BTreeSet<String>> {
    for name in names.iter().filter(|name| *name != "*" && !known.contains(&name.as_str())) {
        let name: String = name.chars().take(80).collect();
        let message = format!("`{name}` is no field of a {noun}: the fields are {}", known.join(", "));
        errors.add("select", message);
    }
    (!names.is_empty() && !names.iter().any(|name| name == "*")).then(|| names.into_iter().collect())
}

/// A list of things with those fields only.
pub(super) fn show<T: Serialize>(
    things: impl Iterator<Item = T>,
    fields: Option<&BTreeSet<String>>,
) -> Answer<Vec<Value>> {
    let shown = things.map(|thing| {
        let mut value = serde_json::to_value(thing)?;
        if let (Some(fields), Some(object)) = (fields, value.as_object_mut()) {
            object.retain(|name, _| fields.contains(name));
        }
        Ok(value)
    });
    let shown: serde_json::Result<_> = shown.collect();
    data(shown.map_err(|error| Problem::fault(format!("cannot write an answer: {error}")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_or_nothing_is_everything_and_an_unknown_field_is_named() {
        let mut errors = FieldErrors::default();
        let mut asked = |names: &[&str]| {
            read(&mut errors, "run", names.iter().map(|&name| name.to_owned()).collect(), &["id", "notes"])
        };
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["id", "*"]), None);
        assert_eq!(asked(&["notes"]), Some(BTreeSet::from(["notes".to_owned()])));
        asked(&["colour"]);
        assert!(errors.0["select"][0].contains("`colour` is no field of a run: the fields are id, notes"));
    }
}
