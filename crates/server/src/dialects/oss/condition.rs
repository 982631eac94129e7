//! Conditions under which an object is wanted. Times are compared by the second: clients know no more of them.

use axum::http::StatusCode;
use runyard_domain::Millis;
use runyard_engine::oss::Object;

use super::{asked::Asked, refusal::invalid};
use crate::error::Problem;

/// What comes of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    Yes,
    /// The client has this one already.
    NotModified,
}

/// Names of the four conditions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    matches: &'static str,
    none_matches: &'static str,
    modified: &'static str,
    unmodified: &'static str,
}

/// Of who reads an object.
pub(super) const READING: Names = Names {
    matches: "if-match",
    none_matches: "if-none-match",
    modified: "if-modified-since",
    unmodified: "if-unmodified-since",
};

/// Of who copies one.
pub(super) const COPYING: Names = Names {
    matches: "x-oss-copy-source-if-match",
    none_matches: "x-oss-copy-source-if-none-match",
    modified: "x-oss-copy-source-if-modified-since",
    unmodified: "x-oss-copy-source-if-unmodified-since",
};

/// Whether the object is one that is wanted.
pub(super) fn check(asked: &Asked, names: Names, object: &Object) -> Result<Met, Problem> {
    let tag = |text: &str| {
        text.split(',').any(|one| {
            let one = one.trim().trim_matches('"');
            one == "*" || one.eq_ignore_ascii_case(&object.etag)
        })
    };
    let changed = |name: &str| {
        let Some(text) = asked.header(name)? else { return Ok(None) };
        let since = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .map_err(|_| invalid(format!("`{name}` is no time such as `Sat, 21 Nov 2026 21:24:27 GMT`")))?;
        Ok::<_, Problem>(Some(second(object.modified_at) > since.as_second()))
    };
    let fails = |name: &str| {
        let message = format!("the object is not one that `{name}` wants: its ETag is \"{}\"", object.etag);
        Problem::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
    };
    if asked.header(names.matches)?.is_some_and(|text| !tag(text)) {
        return Err(fails(names.matches));
    }
    if changed(names.unmodified)? == Some(true) {
        return Err(fails(names.unmodified));
    }
    if let Some(text) = asked.header(names.none_matches)? {
        // Where this one is given, a time counts for nothing.
        return Ok(if tag(text) { Met::NotModified } else { Met::Yes });
    }
    Ok(if changed(names.modified)? == Some(false) { Met::NotModified } else { Met::Yes })
}

fn second(at: Millis) -> i64 {
    at.0.div_euclid(1000)
}
