//! What Arkindex's clients ask in queries and bodies, in the form in which they write it: Python's booleans, ids or `False` for
//! who made something, parts of names.

use std::{fmt::Display, str::FromStr};

use runyard_domain::{FieldErrors, WorkerRunId};
use runyard_engine::element::MadeBy;

use crate::query;

/// A boolean as Python writes it, or as JSON does.
pub(super) fn flag(errors: &mut FieldErrors, name: &str, text: Option<String>) -> Option<bool> {
    match text?.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        "" => None,
        other => {
            let other: String = other.chars().take(80).collect();
            errors.add(name, format!("`{other}` is no boolean: send true or false"));
            None
        }
    }
}

/// Who made something: the id of a worker run, or `False` for people. A worker run is its own worker version here, so both
/// parameters mean the same; of two that differ, nothing is made by both.
pub(super) fn made_by(
    errors: &mut FieldErrors,
    version: (&str, Option<String>),
    run: (&str, Option<String>),
) -> Option<MadeBy> {
    let [version, run] = [version, run].map(|(name, text)| one_maker(errors, name, text));
    match (version, run) {
        (None, made_by) | (made_by, None) => made_by,
        (Some(version), Some(run)) if version == run => Some(run),
        _ => Some(MadeBy::WorkerRuns(Vec::new())),
    }
}

fn one_maker(errors: &mut FieldErrors, name: &str, text: Option<String>) -> Option<MadeBy> {
    let text = text?;
    if text.eq_ignore_ascii_case("false") {
        return Some(MadeBy::People);
    }
    let id = query::one(errors, name, Some(text), str::parse::<WorkerRunId>);
    id.map(|id| MadeBy::WorkerRuns(vec![id]))
}

/// The pattern of names that have this text in them.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Reads an id of a body.
pub(super) fn id<T>(errors: &mut FieldErrors, name: &str, text: &str) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error: T::Err| errors.add(name, error.to_string())).ok()
}

/// The same, where there may be none.
pub(super) fn optional_id<T>(errors: &mut FieldErrors, name: &str, text: Option<&str>) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    text.and_then(|text| id(errors, name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_pythons_or_jsons() {
        let read = |text: &str| {
            let mut errors = FieldErrors::default();
            let value = flag(&mut errors, "f", Some(text.to_owned()));
            errors.finish(value).map_err(|errors| errors.to_string())
        };
        assert_eq!((read("True"), read("false")), (Ok(Some(true)), Ok(Some(false))));
        assert_eq!(read(""), Ok(None));
        assert!(read("maybe").unwrap_err().contains("`maybe` is no boolean"));
    }

    #[test]
    fn a_name_is_looked_for_as_it_is_written() {
        assert_eq!(containing("50%_a\\"), "%50\\%\\_a\\\\%");
    }

    #[test]
    fn who_made_something_is_a_worker_run_or_people() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let read = |version: Option<&str>, run: Option<&str>| {
            let mut errors = FieldErrors::default();
            let own = |text: Option<&str>| text.map(str::to_owned);
            let value = made_by(&mut errors, ("v", own(version)), ("r", own(run)));
            errors.finish(value).map_err(|errors| errors.to_string())
        };
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some("False"), None), Ok(Some(MadeBy::People)));
        assert_eq!(read(None, Some(id)), Ok(Some(MadeBy::WorkerRuns(vec![id.parse().unwrap()]))));
        assert_eq!(read(Some(id), Some(id)), Ok(Some(MadeBy::WorkerRuns(vec![id.parse().unwrap()]))));
        assert_eq!(read(Some("False"), Some(id)), Ok(Some(MadeBy::WorkerRuns(Vec::new()))));
        assert!(read(None, Some("True")).unwrap_err().contains("r: "));
    }
}
