//! Changing rows, over a connection of its own for each list of changes.

use super::Store;
use super::connection::{Connection, MysqlServer};
use super::error::{database, lookup_error};
use super::facts::{Column, Engine, Keeps};
use super::sql::{self, Session};
use async_trait::async_trait;
use qmail_lookup_core::{
    Applied, Change, Deadline, EditCause, EditError, Editor, LookupError, Numbering, Rehearsal, Table, TableOptions,
    TableRow,
};
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::time::timeout_at;

/// What the tables are like where the changes go.
struct Shape {
    columns: Vec<Column>,
    engines: Vec<Engine>,
}

/// A statement that changes or finds exactly one row, with its values.
struct Statement {
    text: String,
    binds: Vec<Bind>,
    /// It only looks whether the row is there.
    reads: bool,
}

enum Bind {
    /// Compared and stored byte for byte.
    Bytes(Option<Vec<u8>>),
    /// Compared by the column's collation, so that an index is used.
    Text(String),
}

/// A change that cannot be written as a statement.
struct Unwritable(String);

impl Unwritable {
    fn no_column(name: &str) -> Self {
        Self(format!("the table has no column {name}"))
    }
}

/// How far a list of changes got.
#[derive(Clone, Copy)]
enum Stage {
    Preparing,
    /// The first so many were made, and the next one was sent.
    Changing(usize),
    Committing,
}

#[async_trait]
impl Editor for Store {
    async fn apply(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        if changes.is_empty() {
            return Ok(());
        }
        let nothing = |cause| EditError { applied: Applied::Nothing, change: None, cause };
        let reached = self.reach(Session::Edit(by.left()), by).await;
        let (server, mut conn) = reached.map_err(|error| nothing(EditCause::Store(error)))?;
        let shape = server.within(by, shape(&mut conn)).await.map_err(|error| nothing(EditCause::Store(error)))?;
        let mut stage = Stage::Preparing;
        let work = carry_out(&mut conn, changes, &shape, &mut stage);
        let result = timeout_at(by.instant().into(), work).await;
        let trouble = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(trouble)) => Some(trouble),
            Err(_) => None,
        };
        // Whatever the server answers, a transaction without COMMIT is undone; without an answer it is undone there
        // when the connection closes, and only a COMMIT under way may or may not have happened.
        let answered = match &trouble {
            None => false,
            Some(Trouble::Driver(error)) => database(error).is_some(),
            Some(Trouble::Gone | Trouble::Unwritable(_)) => true,
        };
        if answered {
            let rollback = conn.sql.execute(sql::ROLLBACK);
            let _ = timeout_at(by.instant().into(), rollback).await;
        }
        drop(conn);
        Err(error(changes, &shape, stage, trouble, answered, server))
    }

    async fn apply_and_read_back(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        self.apply(changes, by).await
    }

    async fn rows(&self, _table: Table, _key: &[u8], _by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        Ok(Vec::new())
    }

    async fn numbering(&self, _by: Deadline) -> Result<Numbering, LookupError> {
        Ok(Numbering::Free)
    }

    async fn rehearse(&self, _: TableOptions, _: Deadline) -> Result<Option<Box<dyn Rehearsal>>, LookupError> {
        Ok(None)
    }

    async fn create_tables(
        &self,
        tables: &[Table],
        options: TableOptions,
        by: Deadline,
    ) -> Result<Vec<(Table, bool)>, EditError> {
        let nothing = |error| EditError { applied: Applied::Nothing, change: None, cause: EditCause::Store(error) };
        let (server, mut conn) = self.reach(Session::Edit(by.left()), by).await.map_err(nothing)?;
        let mut made = Vec::new();
        for &table in tables {
            let result = server.within(by, create(&mut conn, table, options)).await;
            let new = result.map_err(|error| EditError {
                applied: match error.kind() {
                    qmail_lookup_core::ErrorKind::Timeout | qmail_lookup_core::ErrorKind::Unreachable => {
                        Applied::Unknown
                    }
                    _ if made.iter().any(|(_, new)| *new) => Applied::Partial { applied: made.len() },
                    _ => Applied::Nothing,
                },
                change: None,
                cause: EditCause::Store(error),
            })?;
            made.push((table, new));
        }
        Ok(made)
    }
}

/// True if the table was not there.
async fn create(conn: &mut Connection, table: Table, options: TableOptions) -> Result<bool, sqlx::Error> {
    conn.sql.execute(AssertSqlSafe(sql::create(table, options))).await?;
    let warnings: Vec<MySqlRow> = sqlx::raw_sql(sql::WARNINGS).fetch_all(&mut conn.sql).await?;
    let code = |row: &MySqlRow| row.try_get_unchecked::<String, _>(1);
    Ok(!warnings.iter().any(|row| code(row).is_ok_and(|code| code == "1050")))
}

async fn shape(conn: &mut Connection) -> Result<Shape, sqlx::Error> {
    Ok(Shape { columns: conn.columns().await?, engines: conn.engines().await? })
}

enum Trouble {
    Driver(sqlx::Error),
    Gone,
    Unwritable(Unwritable),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

async fn carry_out(conn: &mut Connection, changes: &[Change], shape: &Shape, stage: &mut Stage) -> Result<(), Trouble> {
    conn.sql.execute(sql::BEGIN).await?;
    for (n, change) in changes.iter().enumerate() {
        *stage = Stage::Changing(n);
        let statement = shape.statement(change).map_err(Trouble::Unwritable)?;
        let mut query = sqlx::query(AssertSqlSafe(statement.text));
        for bind in statement.binds {
            query = match bind {
                Bind::Bytes(bytes) => query.bind(bytes),
                Bind::Text(text) => query.bind(text),
            };
        }
        // The driver asks for the number of rows found, so that a row that is not altered counts too.
        let found = if statement.reads {
            query.fetch_optional(&mut conn.sql).await?.map_or(0, |_| 1)
        } else {
            query.execute(&mut conn.sql).await?.rows_affected()
        };
        if found != 1 {
            return Err(Trouble::Gone);
        }
    }
    *stage = Stage::Committing;
    conn.sql.execute(sql::COMMIT).await?;
    Ok(())
}

fn table_of(change: &Change) -> Table {
    match change {
        Change::Insert(row) | Change::Delete(row) | Change::Replace { old: row, .. } => row.table(),
    }
}

fn error(
    changes: &[Change],
    shape: &Shape,
    stage: Stage,
    trouble: Option<Trouble>,
    answered: bool,
    server: &MysqlServer,
) -> EditError {
    let keeps = |change: &Change| shape.keeps(table_of(change));
    let (done, change, open) = match stage {
        Stage::Preparing => (0, None, Keeps::Nothing),
        Stage::Changing(n) => (n, Some(n), changes.get(n).map_or(Keeps::Nothing, keeps)),
        Stage::Committing => (changes.len(), None, Keeps::Unknown),
    };
    let made = changes.get(..done).unwrap_or_default();
    let applied = if !answered && open != Keeps::Nothing {
        Applied::Unknown
    } else if made.iter().all(|change| keeps(change) == Keeps::Nothing) {
        Applied::Nothing
    } else if made.iter().all(|change| keeps(change) == Keeps::Everything) {
        Applied::Partial { applied: done }
    } else {
        Applied::Unknown
    };
    let cause = match trouble {
        None => EditCause::Store(server.too_late()),
        Some(Trouble::Gone) => EditCause::RowIsGone,
        Some(Trouble::Unwritable(Unwritable(why))) => EditCause::RowRefused(why),
        Some(Trouble::Driver(error)) => match refusal(&error) {
            Some(text) => EditCause::RowRefused(text),
            None => EditCause::Store(lookup_error(error, server.context())),
        },
    };
    EditError { applied, change, cause }
}

/// Why the server refused a row, without its values.
fn refusal(error: &sqlx::Error) -> Option<String> {
    let error = database(error)?;
    let problem = match error.number() {
        1062 | 1586 | 1859 => "a row with this key is there already",
        1048 => "may not be NULL",
        1364 => "needs a value",
        1406 => "too long",
        1264 => "out of range",
        1265 | 1366 | 1292 | 1300 | 3988 => "not a value of the column's type or character set",
        1451 | 1452 => "another table's rows forbid it",
        3819 | 4025 => "a constraint forbids it",
        1644 => "a trigger forbids it",
        _ => {
            let row = error.code().is_some_and(|state| state.starts_with("22") || state.starts_with("23"));
            return row.then(|| format!("error {}", error.number()));
        }
    };
    // The last name that is quoted is the column or the key; what stands before it may be a value.
    let message = error.message();
    let name = message.rfind(['\'', '`']).and_then(|end| {
        let head = message.get(..end)?;
        let quote = message.get(end..)?.chars().next()?;
        head.get(head.rfind(quote)? + 1..)
    });
    Some(match name.filter(|_| error.number() != 1644) {
        Some(name) => format!("{problem} ({} {name})", if error.number() == 1062 { "key" } else { "column" }),
        None => problem.to_owned(),
    })
}

impl Shape {
    fn column(&self, table: Table, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.table == table && column.name.eq_ignore_ascii_case(name))
    }

    /// True if the column is optional. Of a table that is not there nothing is: the server shall say so.
    fn may_lack(&self, table: Table, name: &str) -> bool {
        table.optional_columns().contains(&name) && self.columns.iter().any(|column| column.table == table)
    }

    /// Of a table that is not there nothing can be kept: its statement fails.
    fn keeps(&self, table: Table) -> Keeps {
        self.engines.iter().find(|engine| engine.table == table).map_or(Keeps::Nothing, |engine| engine.keeps)
    }

    /// Whether a cell is written: a NULL is left to the table's default where it cannot be stored, in a column that old
    /// tables lack anyway, and a value without a column is refused.
    fn writes(&self, table: Table, name: &'static str, cell: Option<&[u8]>) -> Result<bool, Unwritable> {
        let optional = self.may_lack(table, name);
        match (self.column(table, name), cell) {
            (None, None) if optional => Ok(false),
            (None, Some(_)) if optional => Err(Unwritable::no_column(name)),
            (Some(column), None) if optional => Ok(column.nullable),
            _ => Ok(true),
        }
    }

    fn statement(&self, change: &Change) -> Result<Statement, Unwritable> {
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
        let table = row.table();
        let (mut names, mut binds) = (Vec::new(), Vec::new());
        for (&name, cell) in table.columns().iter().zip(row.cells()) {
            if self.writes(table, name, cell)? {
                names.push(format!("`{name}`"));
                binds.push(Bind::Bytes(cell.map(<[u8]>::to_vec)));
            }
        }
        let places = vec!["?"; names.len()].join(", ");
        let text = format!("INSERT INTO `{table}` ({}) VALUES ({places})", names.join(", "));
        Ok(Statement { text, binds, reads: false })
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
            } else if name != "seq" && self.column(table, name).is_some() {
                sets.push(format!("`{name}` = DEFAULT"));
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
        let mut conditions = Vec::new();
        let cells: Vec<_> = table.columns().iter().copied().zip(row.cells()).collect();
        for (name, cell) in cells.iter().take(table.key_columns()) {
            // A key outside ASCII may not be comparable with the column's character set; it is found by its bytes.
            let plain = cell.filter(|bytes| bytes.iter().all(|b| (0x21..=0x7E).contains(b)));
            if let Some(text) = plain.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
                conditions.push(format!("`{name}` = ?"));
                binds.push(Bind::Text(text.to_owned()));
            }
        }
        for (name, cell) in cells {
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
