//! A SQLite export of Arkindex: a corpus with all that was found about it (versions 7 to 9 of its schema; tables that a version
//! does not have are empty). Only read, a page of rows at a time, as rows of ours; every id is kept.

use std::path::Path;

use runyard_domain::{CorpusId, Millis, ProjectId};
use rusqlite::{Connection, OpenFlags};

use crate::db::Error;

mod faults;
mod read;
mod write;

pub use read::{Page, Table};

/// What tells an export from any other file.
const NEEDED: [&str; 4] = ["element", "element_path", "image", "export_version"];

/// Where what is read goes to.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The project of the corpus.
    pub project: ProjectId,
    /// The corpus.
    pub corpus: CorpusId,
    /// When it is imported.
    pub now: Millis,
}

/// An open export. Blocks whoever reads it.
#[derive(Debug)]
pub struct Export {
    connection: Connection,
}

impl Export {
    /// Opens a file that is an export.
    ///
    /// # Errors
    /// A sentence that says what it is instead.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        // What the file says of itself is not believed: no view, trigger or function of its runs here.
        connection
            .execute_batch(
                "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = FILE;",
            )
            .map_err(failed)?;
        let export = Self { connection };
        let missing: Vec<&str> =
            NEEDED.into_iter().filter(|table| !export.has(table).unwrap_or(false)).collect();
        if !missing.is_empty() {
            return Err(Error::Sql(format!("it has no table {}", missing.join(", "))));
        }
        export.note_children()?;
        Ok(export)
    }

    fn has(&self, table: &str) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
        self.connection.query_row(sql, [table], |row| row.get(0)).map_err(failed)
    }

    /// Who has a parent, to be found fast: an export need not have an index for it.
    fn note_children(&self) -> Result<(), Error> {
        self.connection
            .execute_batch(
                "CREATE TEMP TABLE has_parent (id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
                 INSERT OR IGNORE INTO has_parent SELECT child_id FROM element_path WHERE child_id IS NOT NULL;",
            )
            .map_err(failed)
    }
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Sql(error.to_string())
}
