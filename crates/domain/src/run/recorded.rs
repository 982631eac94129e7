//! What was asked for and cannot be honoured here: kept and said, never dropped in silence.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::FieldErrors;

/// What was asked for, by word (`spot`, `vpc`, ...).
pub type Recorded = BTreeMap<String, Value>;

/// The word under which a dialect keeps what its client sent, to answer it again. Nobody is warned of it.
pub const ECHO: &str = "echo";

/// Most words.
const MAX_WORDS: usize = 64;
/// Most bytes of all values as JSON.
const MAX_BYTES: usize = 256 << 10;

/// What is wrong with it, by path below `path`.
pub fn check(path: &str, recorded: &Recorded, errors: &mut FieldErrors) {
    if recorded.len() > MAX_WORDS {
        errors.add(path, format!("has {} words: at most {MAX_WORDS} are kept", recorded.len()));
    }
    let bytes: usize = recorded.values().map(|value| value.to_string().len()).sum();
    if bytes > MAX_BYTES {
        errors.add(path, format!("is larger than {MAX_BYTES} bytes as JSON: put large data into a file"));
    }
    for word in recorded.keys() {
        let right = (1..=64).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b));
        if !right {
            let shown: String = word.chars().take(64).collect();
            errors.add(format!("{path}.{shown}"), "a word has 1 to 64 of the characters a-z 0-9 _ - .");
        }
    }
}

/// The sentence that says which words are only recorded; `None` when there are none.
pub fn warning(recorded: &Recorded) -> Option<String> {
    let words: Vec<&str> = recorded.keys().map(String::as_str).filter(|word| *word != ECHO).collect();
    (!words.is_empty()).then(|| {
        format!("asked for, but only recorded, since nothing here can honour it: {}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_warning_names_every_word_but_a_dialects_echo() {
        let recorded = |words: &[&str]| words.iter().map(|word| ((*word).to_owned(), json!(true))).collect();
        let said = warning(&recorded(&["spot", "vpc", ECHO])).unwrap();
        assert!(said.ends_with("honour it: spot, vpc"), "{said}");
        assert_eq!(warning(&recorded(&[ECHO])), None);
        assert_eq!(warning(&Recorded::default()), None);
    }

    #[test]
    fn words_and_values_have_limits_that_are_named() {
        let mut errors = FieldErrors::default();
        let mut recorded: Recorded = (0..65).map(|n| (format!("word-{n}"), json!(n))).collect();
        recorded.insert("Spot Price".into(), json!("x".repeat(300_000)));
        check("spec.recorded", &recorded, &mut errors);
        let said = errors.to_string();
        for part in
            ["66 words: at most 64", "larger than 262144 bytes", "spec.recorded.Spot Price: a word has"]
        {
            assert!(said.contains(part), "{said}");
        }
    }
}
