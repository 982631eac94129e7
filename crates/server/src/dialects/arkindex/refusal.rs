//! Refusals as Django writes them, in the words that clients look for.

use axum::{http::StatusCode, response::Response};
use serde_json::{Value, json};

use crate::error::Problem;

/// What is said of a request as a whole, beside its fields.
const WHOLE: &str = "non_field_errors";
/// Newer workers look for this sentence, and go on without the tag.
const TAG_EXISTS: &str = "A version for this model with this tag already exists.";

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

/// Clients know what is wrong by 400, and take a 409 for a version that there is: only [`conflict`] is one.
pub(super) async fn known_status(mut response: Response) -> Response {
    let Some(problem) = response.extensions_mut().get_mut::<Problem>() else { return response };
    match problem.status {
        StatusCode::UNPROCESSABLE_ENTITY => {}
        StatusCode::CONFLICT if problem.instead.is_none() => {
            let field = match problem.code {
                "tag_exists" => Some((WHOLE, TAG_EXISTS.to_owned())),
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
pub(super) trait Renamed {
    /// The same with the names that the client knows.
    fn renamed(self) -> Self;
}

impl<T> Renamed for Result<T, Problem> {
    fn renamed(mut self) -> Self {
        if let Err(Problem { errors: Some(errors), .. }) = &mut self
            && let Some(messages) = errors.remove("config")
        {
            errors.insert("configuration".to_owned(), messages);
        }
        self
    }
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
    }

    #[test]
    fn fields_have_the_names_that_were_sent() {
        let refused: Result<(), Problem> = Err(Problem::field("config", "is too long")).renamed();
        assert!(refused.unwrap_err().errors.unwrap().contains_key("configuration"));
    }
}
