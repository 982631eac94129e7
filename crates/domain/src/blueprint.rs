//! The rules of what people write on things: names, versions, labels, notes. One rule each, for every noun that has it.
//!
//! Everything that is wrong is told at once, by the path of its field.

use std::collections::BTreeMap;

use crate::FieldErrors;

/// Characters of the longest name of a project, a blueprint or a token.
pub const MAX_NAME: usize = 100;
/// Characters of the longest name of a run.
pub const MAX_RUN_NAME: usize = 200;
/// Characters of the longest version.
pub const MAX_VERSION: usize = 100;
/// Characters of the longest description.
pub const MAX_DESCRIPTION: usize = 10_000;
/// Characters of the longest notes.
pub const MAX_NOTES: usize = 100_000;
/// Labels that a run can have.
pub const MAX_LABELS: usize = 64;
/// Characters of the longest key of a label.
pub const MAX_LABEL_KEY: usize = 100;
/// Characters of the longest value of a label.
pub const MAX_LABEL_VALUE: usize = 1000;

/// The name of a blueprint or a token, at `path`.
pub fn check_name(path: &str, name: &str, errors: &mut FieldErrors) {
    check_title(path, name, MAX_NAME, errors);
}

/// The name of a run, at `path`: not unique, and a little longer.
pub fn check_run_name(path: &str, name: &str, errors: &mut FieldErrors) {
    check_title(path, name, MAX_RUN_NAME, errors);
}

/// The name of a project, at `path`: it stands in addresses and commands, so it is one plain word.
pub fn check_project_name(path: &str, name: &str, errors: &mut FieldErrors) {
    check_length(path, name, 1, MAX_NAME, errors);
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        errors.add(path, format!("must not contain {c:?}: use letters, digits, `-`, `_` and `.`"));
    }
    if matches!(name, "." | "..") {
        errors.add(path, format!("must not be `{name}`, which addresses read as a folder"));
    }
}

/// The version of a blueprint, at `path`.
pub fn check_version(path: &str, version: &str, errors: &mut FieldErrors) {
    check_title(path, version, MAX_VERSION, errors);
}

/// The version of a run, at `path`: free text, and may be empty.
pub fn check_run_version(path: &str, version: &str, errors: &mut FieldErrors) {
    if !version.is_empty() {
        check_version(path, version, errors);
    }
}

/// A description, at `path`.
pub fn check_description(path: &str, description: &str, errors: &mut FieldErrors) {
    check_text(path, description, MAX_DESCRIPTION, errors);
}

/// Notes, at `path`.
pub fn check_notes(path: &str, notes: &str, errors: &mut FieldErrors) {
    check_text(path, notes, MAX_NOTES, errors);
}

/// Labels, at `path`; what is wrong with one label is at `path.key`.
pub fn check_labels(path: &str, labels: &BTreeMap<String, String>, errors: &mut FieldErrors) {
    if labels.len() > MAX_LABELS {
        errors.add(path, format!("has {} labels: at most {MAX_LABELS} are allowed", labels.len()));
        return;
    }
    for (key, value) in labels {
        let path = format!("{path}.{}", key.chars().take(MAX_LABEL_KEY).collect::<String>());
        check_length(&path, key, 1, MAX_LABEL_KEY, errors);
        // `?label=key=value` splits at the first `=`.
        if key.contains('=') || key.chars().any(char::is_control) {
            errors.add(path.as_str(), "the key must not contain `=` or control characters");
        }
        check_text(&path, value, MAX_LABEL_VALUE, errors);
    }
}

/// One line of printable text without space at its ends.
fn check_title(path: &str, text: &str, max: usize, errors: &mut FieldErrors) {
    check_length(path, text, 1, max, errors);
    if let Some(c) = text.chars().find(|c| c.is_control() || is_separator(*c)) {
        errors.add(path, format!("must not contain the control character {c:?}"));
    }
    if text.trim() != text {
        errors.add(path, "must not begin or end with a space");
    }
}

/// Text of any lines.
fn check_text(path: &str, text: &str, max: usize, errors: &mut FieldErrors) {
    check_length(path, text, 0, max, errors);
    if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        errors.add(path, format!("must not contain the control character {c:?}"));
    }
}

fn check_length(path: &str, text: &str, min: usize, max: usize, errors: &mut FieldErrors) {
    let length = text.chars().count();
    if length < min {
        errors.add(path, format!("must have {min} to {max} characters, and is empty"));
    } else if length > max {
        errors.add(path, format!("must have at most {max} characters, and has {length}"));
    }
}

/// Line and paragraph separators, and the marks that reverse the direction of text: a name with them lies on a screen.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: fn(&str, &str, &mut FieldErrors), text: &str, wrong: &[&str]) {
        let mut errors = FieldErrors::default();
        rule("name", text, &mut errors);
        let found = errors.0.remove("name").unwrap_or_default();
        assert_eq!(found.len(), wrong.len(), "{text:?}: {found:?}");
        for (found, wrong) in found.iter().zip(wrong) {
            assert!(found.contains(wrong), "{found}");
        }
    }

    #[test]
    fn a_name_is_one_line_of_text_in_any_script() {
        for good in ["digits", "ResNet-50 (v2) @ 3e-4", "org/model:tag+1", "größe 模型", "a"] {
            check(check_name, good, &[]);
        }
        check(check_name, "", &["is empty"]);
        check(check_name, &"ü".repeat(100), &[]);
        check(check_name, &"ü".repeat(101), &["at most 100 characters, and has 101"]);
        check(check_run_name, &"ü".repeat(200), &[]);
        check(check_name, "a\nb", &[r"'\n'"]);
        check(check_name, "a\0", &[r"'\0'"]);
        check(check_name, "a\u{202e}b", &["control character"]);
        check(check_name, " a", &["begin or end with a space"]);
    }

    #[test]
    fn the_name_of_a_project_is_a_plain_word() {
        check(check_project_name, "team-a_2.0", &[]);
        check(check_project_name, "team a", &["' ': use letters, digits"]);
        check(check_project_name, "größe", &["'ö'"]);
        check(check_project_name, "..", &["addresses read as a folder"]);
        check(check_project_name, "", &["is empty"]);
    }

    #[test]
    fn only_a_run_may_go_without_a_version() {
        check(check_version, "", &["is empty"]);
        check(check_run_version, "", &[]);
        check(check_run_version, "\u{7}", &["control character"]);
    }

    #[test]
    fn notes_have_lines_but_no_control_characters() {
        check(check_notes, "a\n\tb\r\n", &[]);
        check(check_notes, "a\u{1b}[31m", &["control character"]);
        check(check_notes, &"x".repeat(100_001), &["at most 100000"]);
    }

    #[test]
    fn every_wrong_label_is_named_by_its_key() {
        let labels = [("team", "a"), ("", "x"), ("a=b", "x"), ("long", &"v".repeat(1001)), ("nul", "\0")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let mut errors = FieldErrors::default();
        check_labels("labels", &labels, &mut errors);
        assert_eq!(
            errors.0.keys().collect::<Vec<_>>(),
            ["labels.", "labels.a=b", "labels.long", "labels.nul"]
        );

        let many = (0..65).map(|i| (i.to_string(), String::new())).collect();
        let mut errors = FieldErrors::default();
        check_labels("labels", &many, &mut errors);
        assert!(errors.to_string().contains("has 65 labels"), "{errors}");
    }
}
