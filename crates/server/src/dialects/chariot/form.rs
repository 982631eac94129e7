//! Reads forms as browsers and OAuth clients send them: `application/x-www-form-urlencoded`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use runyard_domain::filter;

use crate::error::Problem;

/// The fields of a form; of several with one name the last one counts.
pub(super) fn fields(body: &[u8]) -> Result<BTreeMap<String, String>, Problem> {
    let unreadable = |why: String| {
        let message = format!("the form cannot be read: {why}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    };
    let text = std::str::from_utf8(body).map_err(|error| unreadable(error.to_string()))?;
    let mut fields = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |raw| filter::decode(raw).map_err(|error| unreadable(error.to_string()));
        fields.insert(decode(name)?, decode(value)?);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_and_what_is_no_text_is_refused() {
        let read = fields(b"a=1+2&b=%26%3D&c&&a=3").unwrap();
        assert_eq!(
            read.into_iter().map(|(name, value)| name + "=" + &value).collect::<Vec<_>>(),
            ["a=3", "b=&=", "c="]
        );
        for bad in [&b"a=%"[..], b"a=%ff", b"\xff=1", b"a=%00"] {
            assert_eq!(fields(bad).unwrap_err().status, 400);
        }
    }
}
