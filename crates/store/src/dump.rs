//! All rows of a database as one stream of bytes that either engine can write and either can take: what a backup is
//! made of. Which tables there are is read from the migrations, so none can be forgotten.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
};

use crate::{
    db::{self, Dialect, Row, Tx, Value, tables},
    params,
};

/// What every dump begins with.
const MAGIC: &[u8] = b"runyard rows 1\n";
/// Longest text or bytes that are taken: more is damage. The engines' own limit is about the same.
const LONGEST: usize = 1 << 30;
/// Rows of one statement, values of one statement, and bytes of one statement.
const ROWS: usize = 200;
const VALUES: usize = 30_000;
const BYTES: usize = 4 << 20;

/// Why rows cannot be dumped or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The stream of bytes broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are no dump.
    #[error("the rows are damaged: {0}")]
    Damaged(String),
    /// There are rows already.
    #[error("the database is not empty, its table {0} has rows: name an empty one")]
    NotEmpty(String),
}

/// Number of the newest migration that this program knows.
pub fn newest() -> i64 {
    db::newest_migration()
}

/// Number of the newest migration that was applied.
pub fn version(tx: &mut Tx) -> Result<i64, db::Error> {
    tx.query_one("SELECT max(version) FROM schema_migrations", &[])?.get(0)
}

/// Writes all rows, as one transaction sees them; answers how many there were.
pub fn write(tx: &mut Tx, out: &mut dyn Write) -> Result<u64, Error> {
    if tx.dialect() == Dialect::Postgres {
        // A large table takes its time.
        tx.execute("SET LOCAL statement_timeout = 0", &[])?;
    }
    out.write_all(MAGIC)?;
    let mut rows: u64 = 0;
    let there = there(tx)?;
    for table in tables().into_iter().filter(|table| there.contains(*table)) {
        let columns = columns(tx, table)?;
        out.write_all(b"T")?;
        bytes(out, table.as_bytes())?;
        out.write_all(&(columns.len() as u32).to_le_bytes())?;
        for column in &columns {
            bytes(out, column.as_bytes())?;
        }
        let sql = format!("SELECT {} FROM {table}", quoted(&columns));
        tx.query_each::<Error>(&sql, &[], |mut row| {
            rows += 1;
            out.write_all(b"R")?;
            (0..columns.len()).try_for_each(|at| value(out, &row.take(at)?))
        })?;
    }
    out.write_all(b"E")?;
    out.write_all(&rows.to_le_bytes())?;
    Ok(rows)
}

/// Writes the rows of a dump into tables that are empty and of the version that the dump is of; answers how many.
///
/// # Errors
/// [`Error::NotEmpty`], [`Error::Damaged`]; the transaction must be given up then.
pub fn load(tx: &mut Tx, input: &mut dyn Read) -> Result<u64, Error> {
    let there = there(tx)?;
    for table in &there {
        if tx.query_opt(&format!("SELECT 1 FROM {table} LIMIT 1"), &[])?.is_some() {
            return Err(Error::NotEmpty(table.clone()));
        }
    }
    if read::<{ MAGIC.len() }>(input)? != MAGIC {
        return Err(Error::Damaged("they do not begin as rows do".to_owned()));
    }
    let mut rows: u64 = 0;
    let mut insert: Option<Insert> = None;
    loop {
        match read::<1>(input)? {
            [b'T'] => {
                insert.take().map_or(Ok(()), |mut last| last.flush(tx))?;
                insert = Some(Insert::begin(tx, &there, input)?);
            }
            [b'R'] => {
                let insert =
                    insert.as_mut().ok_or_else(|| Error::Damaged("a row is of no table".to_owned()))?;
                insert.row(tx, input)?;
                rows += 1;
            }
            [b'E'] => {
                insert.take().map_or(Ok(()), |mut last| last.flush(tx))?;
                let said = u64::from_le_bytes(read(input)?);
                if said != rows {
                    return Err(Error::Damaged(format!("{rows} of {said} rows are there")));
                }
                return Ok(rows);
            }
            [other] => return Err(Error::Damaged(format!("a row cannot begin with {other}"))),
        }
    }
}

/// Rows of one table on their way into it.
struct Insert {
    table: String,
    columns: Vec<String>,
    waiting: Vec<Value>,
    bytes: usize,
}

impl Insert {
    fn begin(tx: &mut Tx, there: &BTreeSet<String>, input: &mut dyn Read) -> Result<Self, Error> {
        let table = text(input)?;
        if !there.contains(&table) {
            return Err(Error::Damaged(format!("there is no table `{table}` in this version")));
        }
        let count = u32::from_le_bytes(read(input)?);
        let columns: Vec<String> = (0..count.min(1000)).map(|_| text(input)).collect::<Result<_, _>>()?;
        if columns != self::columns(tx, &table)? {
            return Err(Error::Damaged(format!("the table `{table}` has other columns in this version")));
        }
        Ok(Self { table, columns, waiting: Vec::new(), bytes: 0 })
    }

    fn row(&mut self, tx: &mut Tx, input: &mut dyn Read) -> Result<(), Error> {
        for _ in &self.columns {
            let value = read_value(input)?;
            self.bytes += match &value {
                Value::Text(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => 8,
            };
            self.waiting.push(value);
        }
        let full = self.waiting.len() / self.columns.len() >= ROWS
            || self.waiting.len() + self.columns.len() > VALUES
            || self.bytes >= BYTES;
        if full { self.flush(tx) } else { Ok(()) }
    }

    fn flush(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let mut place = 0;
        let rows: Vec<String> = self
            .waiting
            .chunks(self.columns.len())
            .map(|row| {
                let places: Vec<String> = row
                    .iter()
                    .map(|_| {
                        place += 1;
                        format!("${place}")
                    })
                    .collect();
                format!("({})", places.join(", "))
            })
            .collect();
        if !rows.is_empty() {
            let sql =
                format!("INSERT INTO {} ({}) VALUES {}", self.table, quoted(&self.columns), rows.join(", "));
            tx.execute(&sql, &self.waiting)?;
        }
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// Those of our tables that are there.
fn there(tx: &mut Tx) -> Result<BTreeSet<String>, db::Error> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Dialect::Postgres => {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables
              WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        }
    };
    let ours = tables();
    let names = tx.query(sql, &[])?.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, _>>()?;
    Ok(names.into_iter().filter(|name| ours.contains(&name.as_str())).collect())
}

fn columns(tx: &mut Tx, table: &str) -> Result<Vec<String>, db::Error> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info($1)",
        Dialect::Postgres => {
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns
              WHERE table_schema = current_schema() AND CAST(table_name AS TEXT) = $1"
        }
    };
    let rows: Vec<Row> = tx.query(sql, params![table])?;
    let mut names = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, _>>()?;
    // A column that came later stands elsewhere on another engine.
    names.sort_unstable();
    Ok(names)
}

fn quoted(columns: &[String]) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    quoted.join(", ")
}

fn bytes(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(&(bytes.len() as u32).to_le_bytes())?;
    out.write_all(bytes)
}

fn value(out: &mut dyn Write, value: &Value) -> Result<(), Error> {
    match value {
        Value::Null => out.write_all(b"n")?,
        Value::Int(int) => {
            out.write_all(b"i")?;
            out.write_all(&int.to_le_bytes())?;
        }
        Value::Real(real) => {
            out.write_all(b"r")?;
            out.write_all(&real.to_bits().to_le_bytes())?;
        }
        Value::Text(text) => {
            out.write_all(b"t")?;
            bytes(out, text.as_bytes())?;
        }
        Value::Bytes(blob) => {
            out.write_all(b"b")?;
            bytes(out, blob)?;
        }
    }
    Ok(())
}

fn read_value(input: &mut dyn Read) -> Result<Value, Error> {
    Ok(match read::<1>(input)? {
        [b'n'] => Value::Null,
        [b'i'] => Value::Int(i64::from_le_bytes(read(input)?)),
        [b'r'] => Value::Real(f64::from_bits(u64::from_le_bytes(read(input)?))),
        [b't'] => Value::Text(text(input)?),
        [b'b'] => Value::Bytes(read_bytes(input)?),
        [other] => return Err(Error::Damaged(format!("a value cannot begin with {other}"))),
    })
}

fn text(input: &mut dyn Read) -> Result<String, Error> {
    String::from_utf8(read_bytes(input)?).map_err(|_| Error::Damaged("a text is not in UTF-8".to_owned()))
}

fn read_bytes(input: &mut dyn Read) -> Result<Vec<u8>, Error> {
    let length = u32::from_le_bytes(read(input)?) as usize;
    if length > LONGEST {
        return Err(Error::Damaged(format!("a value of {length} bytes")));
    }
    // Not reserved at once: the length may be damage.
    let mut bytes = Vec::new();
    input.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(Error::Damaged("they end too soon".to_owned())) }
}

fn read<const N: usize>(input: &mut dyn Read) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Damaged("they end too soon".to_owned()),
        _ => Error::Io(error),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
