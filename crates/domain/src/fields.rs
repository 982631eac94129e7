//! Every wrong field of a request at once, by its path.

use std::collections::BTreeMap;

/// Messages by field path (`config.lr`, `resources.cpu`, `labels.team`); empty when nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(pub BTreeMap<String, Vec<String>>);

impl FieldErrors {
    /// One wrong field.
    pub fn one(path: impl Into<String>, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(path, message);
        errors
    }

    /// Notes a message for the field at `path`.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.entry(path.into()).or_default().push(message.into());
    }

    /// Takes over all of `other`, each path under `prefix` (`prefix.path`).
    pub fn merge(&mut self, prefix: &str, other: Self) {
        for (path, messages) in other.0 {
            let path = match (prefix, path.as_str()) {
                ("", _) => path,
                (_, "") => prefix.to_owned(),
                _ => format!("{prefix}.{path}"),
            };
            self.0.entry(path).or_default().extend(messages);
        }
    }

    /// `Ok(value)` when nothing is wrong.
    pub fn finish<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl std::fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (path, messages)) in self.0.iter().enumerate() {
            let join = if i == 0 { "" } else { "; " };
            write!(f, "{join}{path}: {}", messages.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}
