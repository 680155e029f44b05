//! What the tables are like where changes go, and the statements of the changes.

use super::binds::Missing;
use super::connection::Connection;
use super::facts::{Column, Engine, Keeps};
use super::sql;
use qmail_lookup_core::{Change, Table, TableRow};
use sqlx::AssertSqlSafe;
use sqlx::mysql::{MySql, MySqlArguments};
use sqlx::query::Query;

/// Most rows of one statement.
const ROWS_MAX: usize = 512;

/// Most bytes of cells in one statement. The smallest packet limit that a server may have in use is 1 MiB.
const BYTES_MAX: usize = 256 * 1024;

/// Columns and engines of the tables.
pub(super) struct Shape {
    pub(super) columns: Vec<Column>,
    pub(super) engines: Vec<Engine>,
}

/// A statement that changes or finds rows, with its values.
pub(super) struct Statement {
    text: String,
    binds: Vec<Bind>,
    /// It only looks whether the row is there.
    pub(super) reads: bool,
}

enum Bind {
    /// Compared and stored byte for byte.
    Bytes(Option<Vec<u8>>),
    /// Compared by the column's collation, so that an index is used.
    Text(String),
}

impl Statement {
    /// As the driver takes it.
    pub(super) fn query(self) -> Query<'static, MySql, MySqlArguments> {
        let query = sqlx::query(AssertSqlSafe(self.text));
        self.binds.into_iter().fold(query, |query, bind| match bind {
            Bind::Bytes(bytes) => query.bind(bytes),
            Bind::Text(text) => query.bind(text),
        })
    }
}

/// A change that cannot be written as a statement.
pub(super) struct Unwritable(pub(super) String);

impl Unwritable {
    fn no_column(name: &str) -> Self {
        Self(format!("the table has no column {name}"))
    }
}

/// The cells that are written of a row, with their columns.
pub(super) type Written<'r> = Vec<(&'static str, Option<&'r [u8]>)>;

impl Connection {
    /// Looks at the tables.
    pub(super) async fn shape(&mut self) -> Result<Shape, sqlx::Error> {
        Ok(Shape { columns: self.columns().await?, engines: self.engines().await? })
    }
}

impl Shape {
    pub(super) fn column(&self, table: Table, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.table == table && column.name.eq_ignore_ascii_case(name))
    }

    /// True if the column is optional. Of a table that is not there nothing is: the server shall say so.
    fn may_lack(&self, table: Table, name: &str) -> bool {
        table.optional_columns().contains(&name) && self.columns.iter().any(|column| column.table == table)
    }

    /// Of a table that is not there nothing can be kept: its statement fails.
    pub(super) fn keeps(&self, table: Table) -> Keeps {
        self.engines.iter().find(|engine| engine.table == table).map_or(Keeps::Nothing, |engine| engine.keeps)
    }

    /// Whether a cell is written. Only the number of a row is the table's to give; a NULL in another column is written, and
    /// refused by the server where it cannot be stored: a default would mean something that the row does not say. A value
    /// without a column is refused.
    fn writes(&self, table: Table, name: &'static str, cell: Option<&[u8]>) -> Result<bool, Unwritable> {
        let optional = self.may_lack(table, name);
        match (self.column(table, name), cell) {
            (None, None) if optional => Ok(false),
            (None, Some(_)) if optional => Err(Unwritable::no_column(name)),
            (Some(column), None) if name == "seq" => Ok(column.nullable),
            _ => Ok(true),
        }
    }

    pub(super) fn statement(&self, change: &Change) -> Result<Statement, Unwritable> {
        match change {
            Change::Insert(row) => self.insert(row),
            Change::Replace { old, new } => self.replace(old, new),
            Change::Delete(row) => {
                let mut binds = Vec::new();
                let condition = self.equals(row, &mut binds)?;
                let text = format!("DELETE FROM `{}` WHERE {condition} LIMIT 1", row.table());
                Ok(Statement { text, binds, reads: false })
            }
        }
    }

    fn insert(&self, row: &TableRow) -> Result<Statement, Unwritable> {
        Ok(insert(row.table().name(), &[self.written(row)?]))
    }

    /// The cells of `row` that are written.
    pub(super) fn written<'r>(&self, row: &'r TableRow) -> Result<Written<'r>, Unwritable> {
        let table = row.table();
        let mut written = Vec::new();
        for (&name, cell) in table.columns().iter().zip(row.cells()) {
            if self.writes(table, name, cell)? {
                written.push((name, cell));
            }
        }
        Ok(written)
    }

    /// The first of `rows` that can go out in one statement: of one table, with the same columns. Their number is a
    /// power of two, so that few different statements are prepared.
    pub(super) fn together<'r>(
        &self,
        rows: impl Iterator<Item = &'r TableRow>,
    ) -> Result<Vec<Written<'r>>, Unwritable> {
        let mut together: Vec<Written<'r>> = Vec::new();
        let (mut table, mut bytes) = (None, 0);
        for row in rows.take(ROWS_MAX) {
            let written = match self.written(row) {
                Err(why) if together.is_empty() => return Err(why),
                Err(_) => break,
                Ok(written) => written,
            };
            bytes += written.iter().filter_map(|(_, cell)| *cell).map(<[u8]>::len).sum::<usize>();
            let names = |row: &Written<'_>| row.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            let fits = together
                .last()
                .is_none_or(|last| bytes <= BYTES_MAX && table == Some(row.table()) && names(last) == names(&written));
            if !fits {
                break;
            }
            table = Some(row.table());
            together.push(written);
        }
        let whole = together.len().checked_ilog2().map_or(0, |log| 1 << log);
        together.truncate(whole);
        Ok(together)
    }

    /// The columns that the tables lack and may lack.
    pub(super) fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        for table in Table::ALL {
            let lacks = |name: &&&str| self.may_lack(table, name) && self.column(table, name).is_none();
            for name in table.optional_columns().iter().filter(lacks) {
                missing.note(table, name);
            }
        }
        missing
    }

    /// Finds the whole rows whose key cells are those of `row`, and perhaps some whose key the collation takes for it.
    pub(super) fn alike(&self, row: &TableRow) -> Statement {
        let table = row.table();
        let (mut conditions, mut binds) = key_conditions(row);
        for (name, cell) in table.columns().iter().zip(row.cells()).take(table.key_columns()) {
            if cell.and_then(plain).is_none() {
                conditions.push(format!("{} <=> ?", sql::cell(name)));
                binds.push(Bind::Bytes(cell.map(<[u8]>::to_vec)));
            }
        }
        let cells = sql::cells(table, table.columns(), &self.missing());
        let text = format!("SELECT {cells} FROM `{table}` WHERE {}", conditions.join(" AND "));
        Statement { text, binds, reads: true }
    }

    fn replace(&self, old: &TableRow, new: &TableRow) -> Result<Statement, Unwritable> {
        let table = old.table();
        if new.table() != table {
            return Err(Unwritable("a row cannot move to another table".to_owned()));
        }
        let (mut sets, mut binds) = (Vec::new(), Vec::new());
        for ((&name, before), after) in table.columns().iter().zip(old.cells()).zip(new.cells()) {
            if before == after {
                continue;
            }
            if self.writes(table, name, after)? {
                sets.push(format!("`{name}` = ?"));
                binds.push(Bind::Bytes(after.map(<[u8]>::to_vec)));
            }
        }
        let condition = self.equals(old, &mut binds)?;
        if sets.is_empty() {
            let text = format!("SELECT 1 FROM `{table}` WHERE {condition} LIMIT 1 FOR UPDATE");
            return Ok(Statement { text, binds, reads: true });
        }
        let text = format!("UPDATE `{table}` SET {} WHERE {condition} LIMIT 1", sets.join(", "));
        Ok(Statement { text, binds, reads: false })
    }

    /// The condition that every cell equals that of `row` byte for byte, with one in front that an index serves.
    fn equals(&self, row: &TableRow, binds: &mut Vec<Bind>) -> Result<String, Unwritable> {
        let table = row.table();
        let (mut conditions, front) = key_conditions(row);
        binds.extend(front);
        for (&name, cell) in table.columns().iter().zip(row.cells()) {
            match (self.column(table, name), cell) {
                (None, None) if self.may_lack(table, name) => {}
                (None, Some(_)) if self.may_lack(table, name) => return Err(Unwritable::no_column(name)),
                _ => {
                    conditions.push(format!("{} <=> ?", sql::cell(name)));
                    binds.push(Bind::Bytes(cell.map(<[u8]>::to_vec)));
                }
            }
        }
        Ok(conditions.join(" AND "))
    }
}

/// Conditions that an index serves: they hold for more than the row's own key.
fn key_conditions(row: &TableRow) -> (Vec<String>, Vec<Bind>) {
    let table = row.table();
    let keys = table.columns().iter().zip(row.cells()).take(table.key_columns());
    let plain = keys.filter_map(|(name, cell)| Some((format!("`{name}` = ?"), Bind::Text(plain(cell?)?.to_owned()))));
    plain.unzip()
}

/// A key as text. One outside ASCII may not be comparable with the column's character set; it is found by its bytes.
pub(super) fn plain(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key).ok().filter(|text| text.bytes().all(|b| (0x21..=0x7E).contains(&b)))
}

/// The statement that adds `rows`, which have the same columns, to a table of that name.
pub(super) fn insert(name: &str, rows: &[Written<'_>]) -> Statement {
    let columns: Vec<_> = rows.first().into_iter().flatten().map(|(column, _)| *column).collect();
    let binds = rows.iter().flatten().map(|(_, cell)| Bind::Bytes(cell.map(<[u8]>::to_vec))).collect();
    Statement { text: sql::insert(name, &columns, rows.len()), binds, reads: false }
}
