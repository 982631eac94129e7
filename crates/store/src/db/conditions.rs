//! The WHERE of a list, grown filter by filter: values only ever travel as parameters.

use crate::run::{Sort, SortField};

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

    /// What follows the tables in the statement of a list: the conditions, the order, and one page of it, which begins after
    /// the row with the id `after`. `created_in` names the table whose `created_at` a list may be sorted by; without it the order
    /// of creation is that of the ids.
    pub fn page(
        &mut self,
        id: &str,
        created_in: Option<&str>,
        sort: Sort,
        after: Option<impl Into<Value>>,
        (limit, offset): (i64, i64),
    ) -> String {
        let (direction, follows) = if sort.descending { ("DESC", "<") } else { ("ASC", ">") };
        let created_in = created_in.filter(|_| sort.field == SortField::CreatedAt);
        if let Some(after) = after {
            let place = self.bind(after);
            self.and(match created_in {
                None => format!("{id} {follows} {place}"),
                Some(table) => format!(
                    "(created_at, {id}) {follows} ((SELECT p.created_at FROM {table} p WHERE p.id = {place}), {place})"
                ),
            });
        }
        let order = match created_in {
            None => format!("{id} {direction}"),
            Some(_) => format!("created_at {direction}, {id} {direction}"),
        };
        let (limit, offset) = (self.bind(limit), self.bind(offset));
        format!("{} ORDER BY {order} LIMIT {limit} OFFSET {offset}", self.clause())
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
