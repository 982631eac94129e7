//! Which names a bucket and the keys in it may have. Knows no bucket.

/// Bytes of the longest key.
pub const MAX_KEY: usize = 1023;
/// Bytes of the longest name of a bucket.
pub const MAX_NAME: usize = 63;

/// First segments of this server's own addresses, which no bucket may have as its name.
pub const RESERVED: &[&str] = &[
    "api",
    "auth",
    "healthz",
    "iiif",
    "metrics",
    "mlflow",
    "objects",
    "oss-objects",
    "readyz",
    "static",
    "worker-process",
];

/// Whether a bucket may have this name: 3 to 63 lower-case letters, digits and `-`, a letter or digit at both ends.
///
/// # Errors
/// A sentence that says what a name looks like.
pub fn check_name(name: &str) -> Result<(), String> {
    let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inside = name.bytes().all(|byte| plain(byte) || byte == b'-');
    let ends = name.bytes().next().is_some_and(plain) && name.bytes().last().is_some_and(plain);
    if !(3..=MAX_NAME).contains(&name.len()) || !inside || !ends {
        return Err(format!(
            "`{shown}` cannot be the name of a bucket: it has 3 to {MAX_NAME} lower-case letters, digits and `-`, and \
             begins and ends with a letter or a digit"
        ));
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "`{name}` cannot be the name of a bucket: this server's own addresses begin so; choose another"
        ));
    }
    Ok(())
}

/// Whether an object may have this key: 1 to 1023 bytes, no `/` and no `\` in front, no zero byte.
///
/// # Errors
/// A sentence that says what a key looks like.
pub fn check_key(key: &str) -> Result<(), String> {
    let shown: String = key.chars().take(80).flat_map(char::escape_default).collect();
    let wrong = if key.is_empty() || key.len() > MAX_KEY {
        "it has 1 to 1023 bytes"
    } else if key.starts_with(['/', '\\']) {
        "it does not begin with `/` or `\\`"
    } else if key.contains('\0') {
        "it has no zero byte"
    } else {
        return Ok(());
    };
    Err(format!("`{shown}` cannot be the key of an object: {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_names_of_buckets() {
        for name in ["abc", "my-bucket", "0data0", &"x".repeat(63)] {
            check_name(name).unwrap();
        }
    }

    #[test]
    fn other_names_are_refused_and_the_rule_is_said() {
        for name in ["", "ab", "Data", "a_b", "-ab", "ab-", "a.b.c", "bücket", "v1", &"x".repeat(64)] {
            let error = check_name(name).unwrap_err();
            assert!(error.contains("3 to 63 lower-case letters"), "{error}");
        }
        for name in ["api", "objects", "metrics", "healthz"] {
            let error = check_name(name).unwrap_err();
            assert!(error.contains("own addresses begin so"), "{error}");
        }
    }

    #[test]
    fn almost_any_text_is_a_key() {
        for key in ["a", "a/b", "a//b", "ü 日本 +%2F#?", "a/../b", "a\tb", ".hidden", "a/", &"x".repeat(1023)]
        {
            check_key(key).unwrap();
        }
        for (key, word) in [("", "1 to 1023"), ("/a", "begin"), ("\\a", "begin"), ("a\0b", "zero byte")] {
            let error = check_key(key).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert!(check_key(&"x".repeat(1024)).is_err());
    }
}
