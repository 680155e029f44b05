//! Which columns the tables of a file have.

use qmail_lookup_core::Table;
use rusqlite::{Connection, Result};

/// One table as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Which one.
    pub(super) table: Table,
    columns: Vec<Column>,
}

/// One column as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Name.
    pub(super) name: String,
    /// Type, as declared; may be empty.
    pub(super) declared: String,
    /// It may hold NULL, as far as its declaration tells.
    pub(super) nullable: bool,
}

impl Column {
    /// True if what is stored as a key is text, whatever was inserted (a BLOB excepted). Source: the rules of
    /// SQLite's manual, "Determination Of Column Affinity".
    pub(super) fn holds_text(&self) -> bool {
        let declared = self.declared.to_ascii_uppercase();
        !declared.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word))
    }
}

impl Shape {
    /// Looks at `table`; `None` if there is no such table or view.
    pub(super) fn of(conn: &Connection, table: Table) -> Result<Option<Self>> {
        let mut statement = conn.prepare(super::sql::COLUMNS)?;
        let columns = statement.query_map([table.name()], |row| {
            Ok(Column { name: row.get(0)?, declared: row.get(1)?, nullable: !row.get::<_, bool>(2)? })
        })?;
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok((!columns.is_empty()).then_some(Self { table, columns }))
    }

    /// A table as `init` makes it, with `seq`.
    pub(super) fn documented(table: Table) -> Self {
        let column = |name: &&str| Column { name: (*name).to_owned(), declared: "TEXT".to_owned(), nullable: false };
        Self { table, columns: table.columns().iter().map(column).collect() }
    }

    /// The column of that name; SQLite folds ASCII in names.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// All columns, in order.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }
}
