//! The tables' versions: each migration is applied once, in a transaction of its own, and never changes afterwards.

use super::{
    Dialect, Error, Tx,
    task::{Task, Work},
};
use crate::params;

/// A step in the life of the tables. Its SQL says `BLOB` and `TEXT` as types of columns, and nowhere else.
pub(super) struct Migration {
    /// Its number, from 1, without gaps.
    pub(super) version: i64,
    /// What it is about.
    pub(super) name: &'static str,
    /// Statements for both engines.
    pub(super) sql: &'static str,
}

/// All migrations.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "init", sql: include_str!("../../migrations/0001_init.sql") },
    Migration { version: 2, name: "runs", sql: include_str!("../../migrations/0002_runs.sql") },
    Migration { version: 3, name: "metrics", sql: include_str!("../../migrations/0003_metrics.sql") },
    Migration { version: 4, name: "objects", sql: include_str!("../../migrations/0004_objects.sql") },
    Migration { version: 5, name: "models", sql: include_str!("../../migrations/0005_models.sql") },
    Migration { version: 6, name: "elements", sql: include_str!("../../migrations/0006_elements.sql") },
    Migration { version: 7, name: "activities", sql: include_str!("../../migrations/0007_activities.sql") },
    Migration { version: 8, name: "secrets", sql: include_str!("../../migrations/0008_secrets.sql") },
    Migration { version: 9, name: "channels", sql: include_str!("../../migrations/0009_channels.sql") },
    Migration { version: 10, name: "oss", sql: include_str!("../../migrations/0010_oss.sql") },
    Migration {
        version: 11,
        name: "experiments",
        sql: include_str!("../../migrations/0011_experiments.sql"),
    },
];

/// Every table, a table after those that it refers to: as the migrations make them.
pub(crate) fn tables() -> Vec<&'static str> {
    let made = |sql: &'static str| sql.split("CREATE TABLE ").skip(1);
    let name = |rest: &'static str| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
    MIGRATIONS.iter().flat_map(|migration| made(migration.sql)).filter_map(name).collect()
}

/// Any number will do, as long as every Runyard takes the same.
const LOCK: i64 = 0x0052_756e_7961_7264;

/// Brings the tables up to date; `transact` runs a task in a transaction that writes.
pub(super) fn run(
    migrations: &'static [Migration],
    mut transact: impl FnMut(&mut dyn Task) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        let (mut work, mut answer) = Work::new(|tx: &mut Tx<'_>| step(tx, migrations));
        let outcome = transact(&mut *work);
        work.answer(outcome);
        match answer.try_recv() {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(Error::Sql("a migration gave no answer".into())),
        }
    }
}

/// Checks what was applied and applies the next migration; `false` when there was none left.
fn step(tx: &mut Tx<'_>, migrations: &[Migration]) -> Result<bool, Error> {
    if tx.dialect() == Dialect::Postgres {
        // Several servers may start at once; and a large table takes its time.
        tx.batch("SET LOCAL statement_timeout = 0")?;
        tx.query("SELECT pg_advisory_xact_lock($1)", params![LOCK])?;
    }
    tx.batch(&ddl(
        tx.dialect(),
        "CREATE TABLE IF NOT EXISTS schema_migrations \
         (version BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL)",
    ))?;
    let binary = migrations.last().map_or(0, |last| last.version);
    let rows = tx.query("SELECT version, name, checksum FROM schema_migrations ORDER BY version", &[])?;
    let mut applied = 0;
    for row in rows {
        applied = row.get(0)?;
        let Some(known) = migrations.iter().find(|known| known.version == applied) else {
            return Err(Error::Newer { database: applied, binary });
        };
        if row.get::<String>(2)? != checksum(known.sql) {
            return Err(Error::Mismatch { version: applied, name: row.get(1)? });
        }
    }
    let Some(next) = migrations.iter().find(|next| next.version > applied) else {
        return Ok(false);
    };
    tracing::info!(version = next.version, name = next.name, "migrating the database");
    tx.batch(&ddl(tx.dialect(), next.sql))?;
    tx.execute(
        "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
        params![next.version, next.name, checksum(next.sql)],
    )?;
    Ok(true)
}

/// The same types on PostgreSQL: bytes by their name there, texts ordered byte by byte whatever the database's locale.
fn ddl(dialect: Dialect, sql: &str) -> String {
    match dialect {
        Dialect::Sqlite => sql.to_owned(),
        Dialect::Postgres => replace_word(&replace_word(sql, "BLOB", "BYTEA"), "TEXT", "TEXT COLLATE \"C\""),
    }
}

fn replace_word(sql: &str, word: &str, by: &str) -> String {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut out = String::with_capacity(sql.len() + sql.len() / 4);
    let mut rest = sql;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        out.push_str(before);
        let whole = !inside(before.chars().next_back()) && !inside(after.chars().next());
        out.push_str(if whole { by } else { word });
        rest = after;
    }
    out + rest
}

/// FNV-1a, 64 bits: tells an edited migration, which is all it is for. Line ends do not count.
fn checksum(sql: &str) -> String {
    let hash = sql.bytes().filter(|&byte| byte != b'\r').fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_change_only_as_whole_words() {
        let sql = "CREATE TABLE TEXTS (a TEXT, b BLOB NOT NULL, BLOBS TEXT)";
        let postgres =
            "CREATE TABLE TEXTS (a TEXT COLLATE \"C\", b BYTEA NOT NULL, BLOBS TEXT COLLATE \"C\")";
        assert_eq!(ddl(Dialect::Postgres, sql), postgres);
        assert_eq!(ddl(Dialect::Sqlite, sql), sql);
    }

    #[test]
    fn a_checksum_is_stable_and_tells_an_edit() {
        assert_eq!(checksum("a"), "af63dc4c8601ec8c");
        assert_eq!(checksum("a\r\nb"), checksum("a\nb"));
        assert_ne!(checksum("a"), checksum("b"));
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=MIGRATIONS.len() as i64).collect::<Vec<_>>());
    }
}
