//! Secrets: values that runs get by name. How they may be called, what they may be; and a type for values that prints none.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{FieldErrors, job::JobSpec};

/// Longest name, in characters.
pub const MAX_NAME: usize = 100;
/// Largest value, in bytes: a variable of a program can be no larger than twice that.
pub const MAX_VALUE: usize = 64 << 10;
/// Most secrets of one run.
pub const MAX_PER_RUN: usize = 100;
/// Shorter values are not looked for in a program's output: too much would be taken for them.
pub const SHORTEST_MASKED: usize = 8;

/// What `path` says is wrong with the name of a secret.
pub fn check_name(path: &str, name: &str, errors: &mut FieldErrors) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = name.len() <= MAX_NAME
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || matches!(c, '.' | '-'));
    if !good {
        let shown: String = name.chars().take(MAX_NAME).collect();
        errors.add(
            path,
            format!(
                "`{shown}` is no name of a secret: 1 to {MAX_NAME} letters, digits, `_`, `.` and `-`, the first of them a \
                 letter, a digit or `_`"
            ),
        );
    }
}

/// What `path` says is wrong with the value of a secret. Never says the value.
pub fn check_value(path: &str, value: &str, errors: &mut FieldErrors) {
    if value.is_empty() {
        errors.add(path, "is empty: a secret has a value (`runyard secret rm` deletes one)");
    }
    if value.len() > MAX_VALUE {
        errors.add(path, format!("has {} bytes: a secret has at most {MAX_VALUE}", value.len()));
    }
    if value.contains('\0') {
        errors.add(path, "contains a zero byte, which no variable of a program can have");
    }
}

/// What is wrong with the secrets that a run names for its variables; `env` are those that it sets itself.
pub fn check_wanted(
    path: &str,
    wanted: &BTreeMap<String, String>,
    env: &BTreeMap<String, String>,
    errors: &mut FieldErrors,
) {
    if wanted.len() > MAX_PER_RUN {
        errors.add(path, format!("names {} secrets: at most {MAX_PER_RUN}", wanted.len()));
    }
    for (variable, secret) in wanted {
        let shown: String = variable.chars().take(MAX_NAME).collect();
        let path = format!("{path}.{shown}");
        if variable.is_empty() || variable.contains(['=', '\0']) || variable.len() > 1000 {
            errors.add(
                &path,
                "a variable's name is not empty, has no `=`, no zero bytes and at most 1000 bytes",
            );
        }
        if variable.starts_with("RUNYARD_") {
            errors.add(&path, "variables that begin with RUNYARD_ are set by Runyard: name another one");
        }
        if env.contains_key(variable) {
            errors.add(&path, format!("`{shown}` is a variable in `env` too: leave one of them out"));
        }
        check_name(&path, secret, errors);
    }
}

/// Values of secrets by the variable that gets each. Printed for debugging, it shows the variables alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretEnv(pub BTreeMap<String, String>);

impl SecretEnv {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What must not be seen in the output of a program that knows these: the values, and their lines, longest first.
    pub fn masked(&self) -> Vec<String> {
        let whole = self.0.values().map(|value| value.trim());
        let lines = self.0.values().flat_map(|value| value.lines().map(str::trim));
        let mut masked: Vec<String> =
            whole.chain(lines).filter(|text| text.len() >= SHORTEST_MASKED).map(str::to_owned).collect();
        masked.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        masked.dedup();
        masked
    }
}

impl fmt::Debug for SecretEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The spec of a job that needs its secrets no more: without them. `None`: it has none.
pub fn forgotten(spec: &JobSpec) -> Option<JobSpec> {
    (!spec.secret_env.is_empty()).then(|| JobSpec { secret_env: SecretEnv::default(), ..spec.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(check: impl FnOnce(&mut FieldErrors)) -> String {
        let mut errors = FieldErrors::default();
        check(&mut errors);
        errors.to_string()
    }

    #[test]
    fn the_name_of_a_secret_is_one_plain_word() {
        for good in ["hf", "AWS_SECRET_ACCESS_KEY", "team.a-1", "_x", "1"] {
            assert_eq!(said(|errors| check_name("name", good, errors)), "", "{good}");
        }
        for bad in ["", "a b", "a/b", ".", "..", "-x", "ä", &"x".repeat(101)] {
            assert!(said(|errors| check_name("name", bad, errors)).contains("no name of a secret"), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said_without_the_value() {
        assert_eq!(said(|errors| check_value("value", "line\nline", errors)), "");
        assert!(said(|errors| check_value("value", "", errors)).contains("is empty"));
        let long = said(|errors| check_value("value", &"s3cret".repeat(20_000), errors));
        assert!(long.contains("120000 bytes") && !long.contains("s3cret"), "{long}");
        let zero = said(|errors| check_value("value", "s3cret\0", errors));
        assert!(zero.contains("zero byte") && !zero.contains("s3cret"), "{zero}");
    }

    #[test]
    fn a_variable_has_one_source_and_is_not_one_of_ours() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let env = map(&[("HF_TOKEN", "x")]);
        let wrong =
            |wanted: &[(&str, &str)]| said(|errors| check_wanted("spec.secrets", &map(wanted), &env, errors));
        assert_eq!(wrong(&[("AWS_KEY", "aws")]), "");
        assert!(
            wrong(&[("HF_TOKEN", "hf")])
                .contains("spec.secrets.HF_TOKEN: `HF_TOKEN` is a variable in `env` too")
        );
        assert!(wrong(&[("RUNYARD_TOKEN", "hf")]).contains("set by Runyard"));
        assert!(wrong(&[("A=B", "hf")]).contains("no `=`"));
        assert!(wrong(&[("A", "h f")]).contains("no name of a secret"));
    }

    #[test]
    fn what_is_printed_for_debugging_shows_no_value() {
        let env = SecretEnv(BTreeMap::from([("HF_TOKEN".to_owned(), "s3cret-value".to_owned())]));
        assert_eq!(format!("{env:?}"), r#"{"HF_TOKEN"}"#);
    }

    #[test]
    fn values_and_their_lines_are_masked_unless_they_are_short() {
        let value = "-----BEGIN-----\nabcdefghij\nend\n".to_owned();
        let env = SecretEnv(BTreeMap::from([("A".to_owned(), value), ("B".to_owned(), "short".to_owned())]));
        assert_eq!(env.masked(), ["-----BEGIN-----\nabcdefghij\nend", "-----BEGIN-----", "abcdefghij"]);
    }
}
