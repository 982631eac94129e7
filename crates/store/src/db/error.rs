//! What can go wrong in the database, as the caller needs to tell it apart.

/// Which rule of a table a write broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A primary key or a unique index: the row is there already.
    Unique,
    /// A foreign key: a row that is referred to is missing, or a row to delete is still referred to.
    ForeignKey,
    /// A column that must have a value, or a check.
    Value,
}

/// An error of the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The queue in front of the database is full; nothing was done.
    #[error("the database is busy, its queue is full: try again in a moment")]
    Busy,
    /// The database cannot be reached. Of a write it is not known whether it was done: repeat it.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The transaction lost against others each time it was tried; nothing was done.
    #[error("other transactions were in the way each time: {0}; try again in a moment")]
    Conflict(String),
    /// A write broke a rule of its table; nothing was done.
    #[error("{message}")]
    Constraint {
        /// The rule.
        rule: Rule,
        /// The engine's sentence, which names table, column or index.
        message: String,
    },
    /// The disk of the database is full; nothing was done.
    #[error("the disk of the database is full: {0}; free some space, nothing was half written")]
    Full(String),
    /// A text with a zero byte, which PostgreSQL cannot hold.
    #[error("a text contains a zero byte (\\0), which the database cannot store: leave it out")]
    ZeroByte,
    /// The database was written by a newer Runyard.
    #[error(
        "the database has migration {database}, this runyard knows only {binary}: start the newer runyard that wrote it"
    )]
    Newer {
        /// Newest migration in the database.
        database: i64,
        /// Newest migration in this program.
        binary: i64,
    },
    /// A migration that was applied differs from the one in this program.
    #[error(
        "migration {version} ({name}) of the database is not the one in this runyard: the database belongs to another build; use that build, or another database"
    )]
    Mismatch {
        /// Number of the migration.
        version: i64,
        /// Name of the migration.
        name: String,
    },
    /// SQLite's file would lie on a filesystem whose locks it cannot trust.
    #[error(
        "{path} is on {filesystem}, where SQLite cannot keep a database whole: choose a data folder on a local disk, use --database postgres://..., or allow it explicitly"
    )]
    NetworkFilesystem {
        /// The folder.
        path: String,
        /// What kind of filesystem it is.
        filesystem: String,
    },
    /// The closure panicked; nothing was done.
    #[error("a database operation panicked: {0}")]
    Panicked(String),
    /// Everything else: wrong SQL, wrong types, a damaged file.
    #[error("database error: {0}")]
    Sql(String),
}

impl Error {
    /// Whether a row with the same unique key was there already.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Constraint { rule: Rule::Unique, .. })
    }

    /// Whether a row that was referred to is missing, or one to delete is still referred to.
    pub fn is_foreign_key_violation(&self) -> bool {
        matches!(self, Self::Constraint { rule: Rule::ForeignKey, .. })
    }

    /// Whether the same operation may succeed later without anybody changing anything: a 503.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_) | Self::Conflict(_) | Self::Full(_))
    }

    /// Whether running the closure again, now, may succeed.
    pub(crate) fn is_worth_retrying(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict(_))
    }
}
