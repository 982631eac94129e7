//! Models and their versions: what their names, tags and descriptions may be.

/// Characters of a model's name and of a tag.
pub const MAX_NAME: usize = 200;
/// Characters of a description.
pub const MAX_DESCRIPTION: usize = 10_000;

/// Whether this may be the name of a model or a tag: `NAME@TAG` must say which is which.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length > MAX_NAME {
        return Err(format!("the name has {length} characters: at most {MAX_NAME} are allowed"));
    }
    if matches!(name, "" | "." | "..") || name.contains(['@', '/']) || name.chars().any(char::is_control) {
        let shown: String = name.escape_default().collect();
        return Err(format!(
            "`{shown}` is no name of a model and no tag: write one without `@`, `/` and control characters"
        ));
    }
    Ok(())
}

/// Whether this may be the description of a model or a version.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn check_description(text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if length > MAX_DESCRIPTION {
        return Err(format!(
            "the description has {length} characters: at most {MAX_DESCRIPTION} are allowed"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_before_and_behind_an_at_sign() {
        for name in ["digits", "v3", "1.0.0-rc.1+build", "Ziffern é", "a b", &"x".repeat(200)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a@b", "a/b", "a\nb", "a\0"] {
            let error = check_name(name).unwrap_err();
            assert!(error.contains("without `@`, `/`"), "{error}");
        }
        assert!(check_name(&"x".repeat(201)).unwrap_err().contains("201 characters: at most 200"));
        assert!(check_description(&"é".repeat(10_000)).is_ok());
        assert!(check_description(&"é".repeat(10_001)).unwrap_err().contains("10001 characters"));
    }
}
