//! One open connection: its transactions, its statements, and what it knows of the tables.

use super::connection::{File, Identity, Limit};
use super::shape::Shape;
use super::sql::{self, Query};
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::{Cell, Deadline, LookupError, Table};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::collections::HashMap;
use std::sync::Arc;

/// A connection and what it was found to hold.
pub(super) struct Session {
    file: Arc<File>,
    conn: Connection,
    identity: Identity,
    limit: Arc<Limit>,
    known: Option<Known>,
}

/// What is known of the tables, for as long as their version stays.
struct Known {
    version: i64,
    shapes: Vec<Shape>,
    texts: HashMap<(Query, usize), String>,
}

impl Session {
    /// Wraps a connection that was just opened.
    pub(super) fn new(file: Arc<File>, conn: Connection, identity: Identity, limit: Arc<Limit>) -> Self {
        Self { file, conn, identity, limit, known: None }
    }

    /// The file that is open.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// What the path leads to, for messages.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// The instant at which it gives up.
    pub(super) fn limit(&self) -> &Arc<Limit> {
        &self.limit
    }

    /// The connection itself.
    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Carries out `question` in one read transaction, so that everything it reads is of one state of the file.
    pub(super) fn read<T>(
        &mut self,
        by: Deadline,
        question: impl FnOnce(&mut Self) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        self.limit.set(by);
        self.begin(sql::BEGIN)?;
        let answer = question(self)?;
        self.run(sql::COMMIT)?;
        Ok(answer)
    }

    /// Begins a transaction with one of the texts of [`sql`], and looks whether the tables are still what they were.
    /// A session that is dropped in a transaction leaves it; nothing was changed then.
    pub(super) fn begin(&mut self, text: &str) -> Result<(), LookupError> {
        self.run(text)?;
        let version = number(&self.conn, sql::SCHEMA_VERSION).map_err(|error| self.file.sqlite(error))?;
        if self.known.as_ref().is_none_or(|known| known.version != version) {
            self.known = None;
            let shapes = self.look().map_err(|error| self.file.sqlite(error))?;
            let shapes = shapes.ok_or_else(|| self.file.utf16())?;
            self.known = Some(Known { version, shapes, texts: HashMap::new() });
        }
        Ok(())
    }

    fn look(&self) -> rusqlite::Result<Option<Vec<Shape>>> {
        let encoding: String = self.conn.query_row(sql::ENCODING, [], |row| row.get(0))?;
        if encoding != "UTF-8" {
            return Ok(None);
        }
        let shapes = Table::ALL.into_iter().filter_map(|table| Shape::of(&self.conn, table).transpose());
        shapes.collect::<rusqlite::Result<_>>().map(Some)
    }

    /// Runs a statement that takes and returns nothing.
    pub(super) fn run(&self, text: &str) -> Result<(), LookupError> {
        let ran = self.conn.prepare_cached(text).and_then(|mut statement| statement.raw_execute());
        ran.map(drop).map_err(|error| self.file.sqlite(error))
    }

    /// The tables that were found.
    pub(super) fn shapes(&self) -> &[Shape] {
        self.known.as_ref().map(|known| known.shapes.as_slice()).unwrap_or_default()
    }

    /// How `table` was found.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn shape(&self, table: Table) -> Result<&Shape, LookupError> {
        self.shapes().iter().find(|shape| shape.table == table).ok_or_else(|| self.file.no_table(table))
    }

    /// True if the column may hold NULL.
    ///
    /// # Errors
    /// If table or column is not there.
    pub(super) fn nullable(&self, table: Table, column: &str) -> Result<bool, LookupError> {
        let found = self.shape(table)?.column(column);
        found.map(|column| column.nullable).ok_or_else(|| self.file.no_column(table, column))
    }

    /// Answers a question that takes no key, with yes or no.
    pub(super) fn yes(&mut self, query: Query) -> Result<bool, LookupError> {
        let text = text(&self.file, &mut self.known, query, 1)?;
        number(&self.conn, text).map(|number| number != 0).map_err(|error| self.file.sqlite(error))
    }

    /// Adds the rows of `keys` to `found`. `keys` holds the cells of one key after another and must hold no key twice:
    /// it is asked for in pieces, and a row must not come back twice.
    pub(super) fn select<T>(
        &mut self,
        query: Query,
        keys: &[&str],
        make: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        found: &mut Vec<T>,
    ) -> Result<(), LookupError> {
        let width = query.key().len();
        for keys in keys.chunks(KEYS_PER_STATEMENT * width) {
            // Few sizes, so that statements stay prepared; NULL fills up.
            let size = (keys.len() / width).next_power_of_two();
            let text = text(&self.file, &mut self.known, query, size)?;
            let values = keys.iter().copied().map(Some).chain(std::iter::repeat(None)).take(size * width);
            rows(&self.conn, text, values, &make, found).map_err(|error| self.file.sqlite(error))?;
        }
        Ok(())
    }
}

/// Runs a statement that takes nothing and returns one number.
fn number(conn: &Connection, text: &str) -> rusqlite::Result<i64> {
    conn.prepare_cached(text)?.query_row([], |row| row.get(0))
}

/// The text of `query`, made once per size.
fn text<'k>(file: &File, known: &'k mut Option<Known>, query: Query, size: usize) -> Result<&'k str, LookupError> {
    let table = query.table();
    let known = known.as_mut().ok_or_else(|| file.no_table(table))?;
    let shape = known.shapes.iter().find(|shape| shape.table == table).ok_or_else(|| file.no_table(table))?;
    match known.texts.entry((query, size)) {
        std::collections::hash_map::Entry::Occupied(text) => Ok(text.into_mut()),
        std::collections::hash_map::Entry::Vacant(place) => {
            let text = query.text(shape, size).map_err(|column| file.no_column(table, column))?;
            Ok(place.insert(text))
        }
    }
}

fn rows<'v, T>(
    conn: &Connection,
    text: &str,
    values: impl Iterator<Item = Option<&'v str>>,
    make: &impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    found: &mut Vec<T>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(text)?;
    for (place, value) in values.enumerate() {
        statement.raw_bind_parameter(place + 1, value)?;
    }
    let mut rows = statement.raw_query();
    // An error after some rows is an error: the set is whole or there is none.
    while let Some(row) = rows.next()? {
        found.push(make(row)?);
    }
    Ok(())
}

/// One cell as stored. Statements return bytes or NULL only.
pub(super) fn cell(row: &Row<'_>, place: usize) -> rusqlite::Result<Cell> {
    bytes(row, place).map(|cell| cell.map(<[u8]>::to_vec))
}

/// The same for as long as the row is there.
pub(super) fn bytes<'r>(row: &'r Row<'_>, place: usize) -> rusqlite::Result<Option<&'r [u8]>> {
    match row.get_ref(place)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(Some(bytes)),
        other => Err(rusqlite::Error::InvalidColumnType(place, String::new(), other.data_type())),
    }
}
