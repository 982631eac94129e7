//! Refusals as Django writes them, in the words that clients look for.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use serde_json::{Value, json};

use crate::error::Problem;

/// What is said of a request as a whole, beside its fields.
const WHOLE: &str = "non_field_errors";
/// Newer workers look for this sentence, and go on without the tag.
const TAG_EXISTS: &str = "A version for this model with this tag already exists.";

/// Workers look for this sentence, and go on without the classification.
const CLASSIFIED: &str = "The fields element, worker_run, ml_class must make a unique set.";

/// The body of a refusal.
pub(super) fn written(problem: Problem, _: &str) -> (&'static str, String) {
    let body = match (problem.instead, problem.errors) {
        (Some(instead), _) => *instead,
        (None, Some(errors)) => {
            let name = |path: String| if path.is_empty() { WHOLE.to_owned() } else { path };
            errors.into_iter().map(|(path, messages)| (name(path), Value::from(messages))).collect()
        }
        (None, None) => json!({"detail": problem.message}),
    };
    ("application/json", body.to_string())
}

/// A conflict whose body clients act on.
pub(super) fn conflict(body: Value) -> Problem {
    Problem::new(StatusCode::CONFLICT, "same_content", "another version has this content").instead(body)
}

/// An activity cannot go to the state that was asked for: a worker that wanted to start it leaves the element to others.
pub(super) fn not_now(message: String) -> Problem {
    let body = json!({"state": [message]});
    Problem::new(StatusCode::CONFLICT, "conflict", message).instead(body)
}

/// Clients know what is wrong by 400, and take a 409 for a version that there is, or for an element that another worker has:
/// only [`conflict`] and [`not_now`] are one.
pub(super) async fn known_status(mut response: Response) -> Response {
    let Some(problem) = response.extensions_mut().get_mut::<Problem>() else { return response };
    match problem.status {
        StatusCode::UNPROCESSABLE_ENTITY => {}
        StatusCode::CONFLICT if problem.instead.is_none() => {
            let field = match problem.code {
                "tag_exists" => Some((WHOLE, TAG_EXISTS.to_owned())),
                "already_classified" => Some((WHOLE, CLASSIFIED.to_owned())),
                "already_exists" => Some(("name", problem.message.clone())),
                "available" | "failed" => Some(("state", problem.message.clone())),
                "no_upload" => Some(("upload_id", problem.message.clone())),
                "invalid_part" => Some(("parts", problem.message.clone())),
                _ => None,
            };
            problem.errors = field.map(|(field, message)| [(field.to_owned(), vec![message])].into());
        }
        _ => return response,
    }
    problem.status = StatusCode::BAD_REQUEST;
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Fields have other names here than in the engine.
pub(super) trait Renamed: Sized {
    /// The same with each field that is called like the first of a pair called like the second, wherever it stands in a path.
    fn fields(self, names: &[(&str, &str)]) -> Self;

    /// The same for a request that sent the only entry of `list` without its list; what is wrong with the entry itself has no name.
    fn single(self, list: &str, names: &[(&str, &str)]) -> Self;

    /// The same with the names that clients know a model version by.
    fn renamed(self) -> Self {
        self.fields(&[("config", "configuration")])
    }
}

impl<T> Renamed for Result<T, Problem> {
    fn fields(mut self, names: &[(&str, &str)]) -> Self {
        paths(&mut self, |path| {
            let new =
                |segment| names.iter().find(|(old, _)| *old == segment).map_or(segment, |(_, new)| *new);
            path.split('.').map(new).collect::<Vec<_>>().join(".")
        });
        self
    }

    fn single(mut self, list: &str, names: &[(&str, &str)]) -> Self {
        let entry = format!("{list}.0");
        paths(&mut self, |path| match path.strip_prefix(&entry) {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => rest.trim_start_matches('.').to_owned(),
            _ => path.to_owned(),
        });
        self.fields(names)
    }
}

fn paths<T>(answer: &mut Result<T, Problem>, new: impl Fn(&str) -> String) {
    let Err(Problem { errors: Some(errors), .. }) = answer else { return };
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, mut messages) in std::mem::take(errors) {
        named.entry(new(&path)).or_default().append(&mut messages);
    }
    *errors = named;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_as_django_writes_them() {
        let body = |problem| written(problem, "r-1").1;
        assert_eq!(body(Problem::not_found("gone")), r#"{"detail":"gone"}"#);
        assert_eq!(body(Problem::field("size", "is 1")), r#"{"size":["is 1"]}"#);
        assert_eq!(body(Problem::field("", "taken")), r#"{"non_field_errors":["taken"]}"#);
        assert_eq!(body(conflict(json!({"id": ["x"]}))), r#"{"id":["x"]}"#);
        assert_eq!(body(not_now("done".to_owned())), r#"{"state":["done"]}"#);
    }

    #[test]
    fn fields_have_the_names_that_were_sent() {
        let named =
            |refused: Result<(), Problem>| refused.unwrap_err().errors.unwrap().into_keys().next().unwrap();
        assert_eq!(named(Err(Problem::field("config", "is too long")).renamed()), "configuration");
        let class = || Err(Problem::field("classifications.0.class_id", "is not there"));
        assert_eq!(named(class().fields(&[("class_id", "ml_class")])), "classifications.0.ml_class");
        assert_eq!(named(class().single("classifications", &[("class_id", "ml_class")])), "ml_class");
        let element = Err(Problem::field("selection.elements.0", "is not there"));
        assert_eq!(named(element.single("selection.elements", &[("", "element_id")])), "element_id");
    }
}
