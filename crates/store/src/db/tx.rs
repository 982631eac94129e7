//! A transaction on either engine. SQL is one text with `$1` placeholders; what differs is asked of [`Dialect`].

use super::{Error, Row, Value, postgres, sqlite};

/// The engine, where SQL must differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite: one writer, so nothing needs a lock.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// Locks the selected rows until the end of the transaction: appended to a SELECT.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Keeps the selected rows from changing until the end of the transaction; others may do the same. Appended to a SELECT.
    pub fn for_share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR SHARE",
        }
    }

    /// Keeps the selected rows of a table (by its name in the statement) from being deleted until the end of the transaction;
    /// others may do the same. Appended to a SELECT.
    pub fn for_key_share_of(self, table: &str) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!(" FOR KEY SHARE OF {table}"),
        }
    }

    /// Locks the selected rows and leaves out those that others hold: appended to a SELECT.
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// `column` matches the pattern `$n` whatever the case (of ASCII letters); `\` escapes.
    pub fn ilike(self, column: &str, n: usize) -> String {
        match self {
            Self::Sqlite => format!(r"{column} LIKE ${n} ESCAPE '\'"),
            Self::Postgres => format!(r"{column} ILIKE ${n} ESCAPE '\'"),
        }
    }

    /// `column` is one of the `n` parameters from `$first`; with none, nothing matches.
    pub fn any_of(self, column: &str, first: usize, n: usize) -> String {
        if n == 0 {
            return "1 = 0".into();
        }
        let list = (first..first + n).map(|i| format!("${i}")).collect::<Vec<_>>().join(", ");
        format!("{column} IN ({list})")
    }
}

/// A transaction under way. After a failed statement it can only be given up, whatever the closure answers:
/// SQLite would go on, PostgreSQL would not, so neither does. Avoid conflicts with `ON CONFLICT` instead.
pub struct Tx<'c> {
    pub(super) connection: Connection<'c>,
    pub(super) failure: Option<Error>,
}

/// The connection below a transaction.
pub(super) enum Connection<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c mut postgres::Session),
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: Connection<'c>) -> Self {
        Self { connection, failure: None }
    }

    /// The engine below.
    pub fn dialect(&self) -> Dialect {
        match self.connection {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; answers how many rows it changed.
    pub fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        self.guarded(params, |connection| match connection {
            Connection::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Connection::Postgres(session) => session.execute(sql, params),
        })
    }

    /// All rows of a query (or of a `RETURNING`).
    pub fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.query_each(sql, params, |row| {
            rows.push(row);
            Ok::<_, Error>(())
        })?;
        Ok(rows)
    }

    /// The row of a query that has at most one.
    pub fn query_opt(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, Error> {
        let mut rows = self.query(sql, params)?;
        if rows.len() > 1 {
            return Err(Error::Sql(format!("{} rows where at most one was expected: {sql}", rows.len())));
        }
        Ok(rows.pop())
    }

    /// The row of a query that always has exactly one, such as a count.
    pub fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Row, Error> {
        self.query_opt(sql, params)?
            .ok_or_else(|| Error::Sql(format!("no row where one was expected: {sql}")))
    }

    /// Hands the rows of a query to `each`, one by one, without holding all of them; ends at its first error.
    pub fn query_each<E: From<Error>>(
        &mut self,
        sql: &str,
        params: &[Value],
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stopped = None;
        self.guarded(params, |connection| {
            let mut each = |row| match each(row) {
                Ok(()) => true,
                Err(error) => {
                    stopped = Some(error);
                    false
                }
            };
            match connection {
                Connection::Sqlite(connection) => sqlite::query_each(connection, sql, params, &mut each),
                Connection::Postgres(session) => session.query_each(sql, params, &mut each),
            }
        })?;
        stopped.map_or(Ok(()), Err)
    }

    /// Runs several statements without parameters.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.guarded(&[], |connection| match connection {
            Connection::Sqlite(connection) => sqlite::batch(connection, sql),
            Connection::Postgres(session) => session.batch(sql),
        })
    }

    fn guarded<T>(
        &mut self,
        params: &[Value],
        run: impl FnOnce(&mut Connection<'c>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let zero_byte = params.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0')));
        let result = if zero_byte { Err(Error::ZeroByte) } else { run(&mut self.connection) };
        if let Err(error) = &result {
            self.failure = Some(error.clone());
        }
        result
    }
}

/// Both engines count parameters, one by panicking.
pub(super) fn check_count(sql: &str, expected: usize, given: usize) -> Result<(), Error> {
    if expected == given {
        return Ok(());
    }
    Err(Error::Sql(format!("{given} parameters for the {expected} of: {sql}")))
}
