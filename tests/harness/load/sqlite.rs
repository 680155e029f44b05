//! SQLite files.

use super::{cells, columns, create_tables, open};
use crate::shape::{Ids, Shape, Text};
use crate::subject::Opened;
use libtest_mimic::Failed;
use qmail_lookup_core::{Backend, TableRow};
use rusqlite::Connection;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use std::path::Path;
use std::sync::Arc;

/// Tables as somebody made them by hand: no keys, no checks, a binary collation, ids of no type.
const BY_HAND: &str = "
    CREATE TABLE mailbox (username VARCHAR(32), uid, gid, home TEXT, password TEXT, password_type TEXT, suspended TEXT);
    CREATE TABLE alias (username VARCHAR(32), alias TEXT, alias_username TEXT, alias_host TEXT);
    CREATE TABLE virtual (username VARCHAR(32), ext TEXT, virtual_username TEXT, virtual_host TEXT);
    CREATE TABLE rcpthosts (host TEXT);";

/// How the tables are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// As `init` does.
    Documented,
    /// As `init` does with a wide username and column seq.
    Seq,
    /// By hand.
    ByHand,
}

impl Tables {
    /// What they hold.
    #[must_use]
    pub fn shape(self) -> Shape {
        let checked =
            |shape| Shape { keys: Text::Bytes, values: Text::Bytes, ids: Ids::CHECKED, empty_names: false, ..shape };
        match self {
            Self::Documented => checked(Shape::documented()),
            Self::Seq => checked(Shape::with_seq()),
            Self::ByHand => Shape { ids: Ids::Any, seq: false, ..Shape::anything() },
        }
    }
}

/// A store over a new file in a folder of its own.
///
/// # Errors
/// If the file cannot be made, filled and opened.
pub fn filled(tables: Tables, rows: &[TableRow]) -> Result<Opened, Failed> {
    let folder = tempfile::tempdir()?;
    let (full, empty) = (folder.path().join("full.sqlite"), folder.path().join("empty.sqlite"));
    create(&full, tables, rows)?;
    create(&empty, tables, &[])?;
    Ok(Opened { store: at(&full)?, empty: Some(at(&empty)?), keep: Box::new(folder) })
}

/// Opens the store of a file.
///
/// # Errors
/// If the registry refuses.
pub fn at(path: &Path) -> Result<Arc<dyn Backend>, Failed> {
    open("sqlite", &[("path", path.display().to_string().into())])
}

/// Makes a file and fills it.
///
/// # Errors
/// If it cannot be made, or refuses a row.
pub fn create(path: &Path, tables: Tables, rows: &[TableRow]) -> Result<(), Failed> {
    if tables == Tables::ByHand {
        Connection::open(path)?.execute_batch(BY_HAND)?;
    } else {
        create_tables(&*at(path)?, &tables.shape())?;
    }
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    let shape = tables.shape();
    for row in rows {
        let columns = columns(row.table(), &shape);
        let marks = vec!["?"; columns.len()].join(", ");
        let insert = format!("INSERT INTO `{}` ({}) VALUES ({marks})", row.table(), columns.join(", "));
        let cells = cells(row, &shape).into_iter().map(Cell);
        let stored = transaction.prepare_cached(&insert)?.execute(rusqlite::params_from_iter(cells));
        stored.map_err(|error| format!("{row:?}: {error}"))?;
    }
    Ok(transaction.commit()?)
}

/// Text, even where it is no UTF-8: that is what a careless program stores.
struct Cell<'a>(Option<&'a [u8]>);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0.map_or(ValueRef::Null, ValueRef::Text)))
    }
}
