//! The WHERE of a list, grown filter by filter: values only ever travel as parameters.

use super::{Dialect, Value};

/// Conditions that must all hold, and the values of their placeholders.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a value; its placeholder, such as `$3`, is what comes back.
    pub fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Adds a condition; placeholders in it come from [`Conditions::bind`].
    pub fn and(&mut self, clause: impl Into<String>) {
        self.clauses.push(clause.into());
    }

    /// `column = value`.
    pub fn equal(&mut self, column: &str, value: impl Into<Value>) {
        let placeholder = self.bind(value);
        self.and(format!("{column} = {placeholder}"));
    }

    /// `column` is one of `values`; no condition when there are none.
    pub fn any_of<V: Into<Value>>(
        &mut self,
        dialect: Dialect,
        column: &str,
        values: impl IntoIterator<Item = V>,
    ) {
        let first = self.values.len() + 1;
        self.values.extend(values.into_iter().map(Into::into));
        let count = self.values.len() + 1 - first;
        if count > 0 {
            self.and(dialect.any_of(column, first, count));
        }
    }

    /// `column` matches one of the ILIKE `patterns`; no condition when there are none.
    pub fn ilike_any(&mut self, dialect: Dialect, column: &str, patterns: &[String]) {
        let mut clauses = Vec::new();
        for pattern in patterns {
            self.values.push(Value::from(pattern));
            clauses.push(dialect.ilike(column, self.values.len()));
        }
        if !clauses.is_empty() {
            self.and(format!("({})", clauses.join(" OR ")));
        }
    }

    /// ` WHERE ... AND ...`, or nothing.
    pub fn clause(&self) -> String {
        if self.clauses.is_empty() { String::new() } else { format!(" WHERE {}", self.clauses.join(" AND ")) }
    }

    /// The values of all placeholders.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}
