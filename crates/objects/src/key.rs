//! Which texts may name an object. A key that passes can never leave the root, whatever the back end.

use crate::Error;

/// First segment kept for writes under way.
pub(crate) const STAGING: &str = ".staging";
/// First segment kept for uploads in parts.
pub(crate) const MULTIPART: &str = ".multipart";

/// Whether `key` can name an object: 1 to 1024 bytes, segments of 1 to 255 bytes separated by `/`, none of them
/// `.` or `..`, no control characters.
pub fn check_key(key: &str) -> Result<(), Error> {
    let wrong = |reason: &str| {
        let key = key.chars().take(80).flat_map(char::escape_default).collect();
        Err(Error::InvalidKey { key, reason: reason.to_owned() })
    };
    if key.is_empty() || key.len() > 1024 {
        return wrong("a key has 1 to 1024 bytes");
    }
    if key.starts_with('/') {
        return wrong("a key is relative: leave out the first `/`");
    }
    if key.chars().any(char::is_control) {
        return wrong("a key has no control characters");
    }
    for segment in key.split('/') {
        match segment {
            "" => return wrong("a segment between two `/` cannot be empty"),
            "." | ".." => return wrong("`.` and `..` cannot be segments"),
            _ if segment.len() > 255 => return wrong("a segment has at most 255 bytes"),
            _ => {}
        }
    }
    if key.split('/').next().is_some_and(|first| [STAGING, MULTIPART].contains(&first)) {
        return wrong("`.staging` and `.multipart` are kept for writes under way");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_keys() {
        for key in ["a", "sources/2c26.tar.zst", "a/b/c", "…/ü #1%2F", "a/.hidden", "a\\b", &"x".repeat(255)]
        {
            check_key(key).unwrap();
        }
    }

    #[test]
    fn names_that_could_leave_the_root_or_cannot_be_stored_are_refused() {
        let long_segment = "x".repeat(256);
        let long_key = "x/".repeat(512) + "x";
        for key in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "a/./b",
            ".",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "a/\u{7f}",
            ".staging/x",
            ".multipart/x",
            &long_segment,
            &long_key,
        ] {
            let error = check_key(key).unwrap_err();
            assert!(matches!(error, Error::InvalidKey { .. }), "{key:?}: {error}");
        }
    }

    #[test]
    fn the_error_names_the_key_and_the_rule() {
        let error = check_key("a/../b").unwrap_err().to_string();
        assert_eq!(error, "`a/../b` cannot name an object: `.` and `..` cannot be segments");
    }
}
