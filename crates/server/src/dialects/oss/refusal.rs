//! Refusals as OSS writes them: XML with its own words, which its SDK makes exceptions of.

use axum::http::{HeaderValue, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runyard_engine as engine;

use super::xml::Writer;
use crate::error::Problem;

/// The body of a refusal.
pub(super) fn written(problem: Problem, request_id: &str) -> (&'static str, String) {
    ("application/xml", text(&problem, request_id))
}

/// The same as a header, for answers without a body.
pub(super) fn said(problem: &Problem, request_id: &str) -> HeaderValue {
    HeaderValue::from_str(&STANDARD.encode(text(problem, request_id))).unwrap_or(HeaderValue::from_static(""))
}

fn text(problem: &Problem, request_id: &str) -> String {
    let mut xml = Writer::new("Error");
    xml.text("Code", code(problem.code));
    xml.text("Message", &problem.message);
    xml.text("RequestId", request_id);
    xml.text("HostId", "runyard");
    xml.end()
}

/// OSS's word for one of ours; what is a word of OSS's already stays.
fn code(ours: &str) -> &str {
    match ours {
        "invalid" | "bad_request" => "InvalidArgument",
        "not_found" => "NoSuchKey",
        "conflict" => "OperationAborted",
        "unauthorized" | "forbidden" => "AccessDenied",
        "too_large" => "EntityTooLarge",
        "busy" | "no_space" => "ServiceUnavailable",
        "internal" => "InternalError",
        other => other,
    }
}

/// What the engine said, as OSS says it.
pub(super) fn refused(error: engine::Error) -> Problem {
    use engine::Error as E;
    let message = error.to_string();
    let (status, code) = match &error {
        E::NotFound { noun: "bucket", .. } => (StatusCode::NOT_FOUND, "NoSuchBucket"),
        E::NotFound { noun: "upload", .. } => (StatusCode::NOT_FOUND, "NoSuchUpload"),
        E::NotFound { .. } => (StatusCode::NOT_FOUND, "NoSuchKey"),
        E::Conflict { code: "bucket_not_empty", .. } => (StatusCode::CONFLICT, "BucketNotEmpty"),
        E::Conflict { code: "file_exists", .. } => (StatusCode::CONFLICT, "FileAlreadyExists"),
        E::Conflict { code: "wrong_digest", .. } => (StatusCode::BAD_REQUEST, "InvalidDigest"),
        E::Conflict { code: "invalid_part", .. } => (StatusCode::BAD_REQUEST, "InvalidPart"),
        E::Conflict { code: "invalid_part_order", .. } => (StatusCode::BAD_REQUEST, "InvalidPartOrder"),
        E::Invalid { fields } => {
            let named = |field: &str| fields.0.contains_key(field);
            let code = match () {
                () if named("bucket") => "InvalidBucketName",
                () if named("key") => "InvalidObjectName",
                () if named("keys") => "MalformedXML",
                () => "InvalidArgument",
            };
            let one = |messages: &Vec<String>| messages.join("; ");
            let message = fields.0.values().map(one).collect::<Vec<_>>().join("; ");
            return Problem::new(StatusCode::BAD_REQUEST, code, message);
        }
        E::Forbidden(_) => (StatusCode::FORBIDDEN, "AccessDenied"),
        E::TooLarge(_) => (StatusCode::BAD_REQUEST, "EntityTooLarge"),
        _ => return error.into(),
    };
    Problem::new(status, code, message)
}

pub(super) fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
}

pub(super) fn malformed(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "MalformedXML", message)
}

/// Not 501: clients ask again after that, and it stays as it is.
pub(super) fn not_implemented(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "NotImplemented", message)
}

pub(super) fn method(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_words_that_the_sdk_reads() {
        let (mime, body) = written(refused(engine::Error::not_found("bucket", "<data>")), "r-1");
        assert_eq!(mime, "application/xml");
        let wanted = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code>\
            <Message>there is no bucket `&lt;data&gt;`</Message><RequestId>r-1</RequestId><HostId>runyard</HostId></Error>";
        assert_eq!(body, wanted);
    }

    #[test]
    fn every_error_of_the_engine_has_its_status_and_word() {
        use engine::Error as E;
        let conflict = |code| E::Conflict { code, message: String::new() };
        for (error, status, word) in [
            (E::not_found("object", "k"), 404, "NoSuchKey"),
            (E::not_found("upload", "u"), 404, "NoSuchUpload"),
            (conflict("bucket_not_empty"), 409, "BucketNotEmpty"),
            (conflict("file_exists"), 409, "FileAlreadyExists"),
            (conflict("wrong_digest"), 400, "InvalidDigest"),
            (conflict("invalid_part"), 400, "InvalidPart"),
            (conflict("invalid_part_order"), 400, "InvalidPartOrder"),
            (E::field("bucket", "no"), 400, "InvalidBucketName"),
            (E::field("key", "no"), 400, "InvalidObjectName"),
            (E::field("range", "no"), 400, "InvalidArgument"),
            (E::Forbidden("no".into()), 403, "AccessDenied"),
            (E::TooLarge("no".into()), 400, "EntityTooLarge"),
            (E::Busy("later".into()), 503, "ServiceUnavailable"),
            (E::Internal("disk".into()), 500, "InternalError"),
        ] {
            let problem = refused(error);
            assert_eq!(problem.status.as_u16(), status);
            assert!(text(&problem, "").contains(&format!("<Code>{word}</Code>")), "{}", text(&problem, ""));
        }
    }
}
