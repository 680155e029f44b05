//! Changing rows and making tables: a connection and a thread per call, one transaction each.

use super::connection::{Access, File, Readers};
use super::error::refuses_row;
use super::rehearsal::SqliteRehearsal;
use super::session::{Session, cell};
use super::sql::{self, Find};
use crate::written::{differs, otherwise};
use async_trait::async_trait;
use qmail_lookup_core::{
    Applied, Change, Deadline, EditCause, EditError, Editor, ErrorKind, LookupError, Numbering, Rehearsal, Table,
    TableOptions, TableRow,
};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ErrorCode};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Mode of a file that is made. The group may read it, so that the daemon can run as a user of its own in the group of
/// whoever edits; others may not, for it holds passwords.
const MODE: u32 = 0o640;

/// How long the thread is waited for after the deadline, at which it gives up by itself: what it then says about the
/// changes is worth more than "unknown".
const GRACE: Duration = Duration::from_millis(500);

/// Columns that hold numbers.
const NUMBERS: [&str; 3] = ["uid", "gid", "seq"];

/// Changes one file.
pub(super) struct SqliteEditor {
    readers: Arc<Readers>,
}

impl SqliteEditor {
    /// Opens nothing yet.
    pub(super) fn new(readers: Arc<Readers>) -> Self {
        Self { readers }
    }

    fn file(&self) -> &Arc<File> {
        self.readers.file()
    }

    /// Runs `edit` on a thread of its own; a caller that goes away does not stop it.
    async fn run<T, F>(&self, by: Deadline, edit: F) -> Result<T, EditError>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<File>) -> Result<T, EditError> + Send + 'static,
    {
        let file = self.file();
        if by.passed() {
            return Err(nothing(file.timeout()));
        }
        let (reply, answer) = oneshot::channel();
        let opens = Arc::clone(file);
        let thread = std::thread::Builder::new().name("sqlite-edit".to_owned());
        let spawned = thread.spawn(move || drop(reply.send(edit(&opens))));
        spawned.map_err(|error| nothing(file.no_thread(error)))?;
        match timeout_at((by.instant() + GRACE).into(), answer).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(unknown(file.ended())),
            Err(_) => Err(unknown(file.timeout())),
        }
    }
}

impl SqliteEditor {
    async fn carry_out(&self, changes: &[Change], reads_back: bool, by: Deadline) -> Result<(), EditError> {
        if changes.is_empty() {
            return Ok(());
        }
        let changes = changes.to_vec();
        self.run(by, move |file| {
            let mut session = file.open(Access::Write, by).map_err(nothing)?;
            session.begin(sql::BEGIN_IMMEDIATE).map_err(nothing)?;
            for (place, change) in changes.iter().enumerate() {
                apply(&session, change, reads_back).map_err(|cause| {
                    undo(&session);
                    EditError { applied: Applied::Nothing, change: Some(place), cause }
                })?;
            }
            commit(&session)
        })
        .await
    }
}

#[async_trait]
impl Editor for SqliteEditor {
    async fn apply(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        self.carry_out(changes, false, by).await
    }

    async fn apply_and_read_back(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        self.carry_out(changes, true, by).await
    }

    async fn rows(&self, table: Table, key: &[u8], by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        let key = key.to_vec();
        self.readers.ask(by, move |session| rows(session, table, &key)).await
    }

    async fn numbering(&self, by: Deadline) -> Result<Numbering, LookupError> {
        let look = |session: &mut Session| {
            if session.shape(Table::Alias)?.column("seq").is_none() {
                return Ok(Numbering::None);
            }
            let unique = session.conn().query_row(sql::SEQ_IS_UNIQUE, [], |row| row.get(0));
            let unique = unique.map_err(|error| session.file().sqlite(error))?;
            Ok(if unique { Numbering::Unique } else { Numbering::Free })
        };
        self.readers.ask(by, look).await
    }

    async fn rehearse(&self, options: TableOptions, by: Deadline) -> Result<Option<Box<dyn Rehearsal>>, LookupError> {
        let begun = self.run(by, move |file| SqliteRehearsal::begin(file, options, by).map_err(nothing)).await;
        match begun {
            Ok(rehearsal) => Ok(rehearsal.map(|rehearsal| -> Box<dyn Rehearsal> { Box::new(rehearsal) })),
            Err(EditError { cause: EditCause::Store(error), .. }) => Err(error),
            Err(_) => Err(self.file().ended()),
        }
    }

    async fn create_tables(
        &self,
        tables: &[Table],
        options: TableOptions,
        by: Deadline,
    ) -> Result<Vec<(Table, bool)>, EditError> {
        let tables = tables.to_vec();
        self.run(by, move |file| {
            file.make().map_err(nothing)?;
            let mut session = file.open(Access::Write, by).map_err(nothing)?;
            session.begin(sql::BEGIN_IMMEDIATE).map_err(nothing)?;
            let made = tables.iter().map(|&table| create(&session, table, options));
            let made = made.collect::<rusqlite::Result<Vec<_>>>().map_err(|error| {
                undo(&session);
                nothing(file.sqlite(error))
            })?;
            commit(&session)?;
            Ok(made)
        })
        .await
    }
}

impl File {
    /// Makes an empty file, which is an empty database, unless there is one. Its descriptor is closed before SQLite
    /// opens the file, so no lock is lost.
    fn make(&self) -> Result<(), LookupError> {
        match OpenOptions::new().write(true).create_new(true).mode(MODE).open(&self.path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => {
                let kind = if error.kind() == io::ErrorKind::PermissionDenied {
                    ErrorKind::Refused
                } else {
                    ErrorKind::Unreachable
                };
                let what = format!("cannot make {}: {error}", self.path.display());
                Err(self.error(kind, what).with_help("its directory must be there and writable").with_source(error))
            }
        }
    }
}

fn create(session: &Session, table: Table, options: TableOptions) -> rusqlite::Result<(Table, bool)> {
    let there: bool = session.conn().query_row(sql::TABLE_EXISTS, [table.name()], |row| row.get(0))?;
    if !there {
        session.conn().execute_batch(&sql::create(table, options))?;
    }
    Ok((table, !there))
}

fn nothing(error: LookupError) -> EditError {
    EditError { applied: Applied::Nothing, change: None, cause: EditCause::Store(error) }
}

fn unknown(error: LookupError) -> EditError {
    EditError { applied: Applied::Unknown, change: None, cause: EditCause::Store(error) }
}

/// Undoes what was not committed. If even that fails, the connection is about to be closed, which undoes it too.
fn undo(session: &Session) {
    if let Err(error) = session.run(sql::ROLLBACK) {
        tracing::debug!(%error, "roll back");
    }
}

fn commit(session: &Session) -> Result<(), EditError> {
    let Err(error) = session.conn().execute_batch(sql::COMMIT) else { return Ok(()) };
    // While readers hold the file, a deferred constraint fails, or there is no room, the transaction is still open and can
    // be undone; without room SQLite may have undone it itself. Room is taken before anything counts as committed.
    let code = super::error::failure(&error).map(|(code, _)| code.code);
    let undone = match (code, session.conn().is_autocommit()) {
        (Some(ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation | ErrorCode::DiskFull), false) => {
            session.run(sql::ROLLBACK).is_ok()
        }
        (code, true) => code == Some(ErrorCode::DiskFull),
        _ => false,
    };
    let error = session.file().sqlite(error);
    Err(if undone { nothing(error) } else { unknown(error) })
}

fn apply(session: &Session, change: &Change, reads_back: bool) -> Result<(), EditCause> {
    let (number, row) = match change {
        Change::Insert(row) => (insert(session, row)?, row),
        Change::Replace { old, new } if old.table() == new.table() => {
            let number = find(session, old)?;
            update(session, number, new)?;
            (number, new)
        }
        Change::Replace { .. } => {
            return Err(EditCause::RowRefused("the old and the new row are of different tables".to_owned()));
        }
        Change::Delete(row) => {
            let number = find(session, row)?;
            return delete(session, row.table(), number);
        }
    };
    let why = if reads_back { spoiled(session, number, row).map_err(EditCause::Store)? } else { None };
    why.map_or(Ok(()), |why| Err(EditCause::RowRefused(why)))
}

/// Why row number `number` is not what was written, if it is not.
pub(super) fn spoiled(session: &Session, number: i64, written: &TableRow) -> Result<Option<String>, LookupError> {
    let table = written.table();
    let text = sql::numbered(session.shape(table)?).map_err(|column| session.file().no_column(table, column))?;
    let read = || {
        let mut statement = session.conn().prepare_cached(&text)?;
        let mut rows = statement.query([number])?;
        rows.next()?.map(|found| row(table, found)).transpose()
    };
    Ok(match read().map_err(|error| session.file().sqlite(error))? {
        Some(read) => differs(written, &read).map(|column| otherwise(Some(column))),
        None => Some(otherwise(None)),
    })
}

fn row(table: Table, row: &rusqlite::Row<'_>) -> rusqlite::Result<TableRow> {
    let cells = (0..table.columns().len()).map(|place| cell(row, place)).collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(TableRow::from_cells(table, cells))
}

fn rows(session: &Session, table: Table, key: &[u8]) -> Result<Vec<TableRow>, LookupError> {
    let file = session.file();
    let texts = sql::of_key(session.shape(table)?).map_err(|column| file.no_column(table, column))?;
    let mut found = Vec::new();
    for text in texts {
        let mut read = || {
            let mut statement = session.conn().prepare_cached(&text)?;
            statement.raw_bind_parameter(1, borrowed(ValueRef::Text(key)))?;
            let mut rows = statement.raw_query();
            while let Some(next) = rows.next()? {
                found.push(row(table, next)?);
            }
            Ok(())
        };
        read().map_err(|error| file.sqlite(error))?;
    }
    found.retain(|row| row.cells().first().copied().flatten().is_some_and(|cell| cell.eq_ignore_ascii_case(key)));
    found.sort_by_cached_key(TableRow::order);
    Ok(found)
}

/// A column and its cell.
type Named<'r> = (&'static str, Option<&'r [u8]>);

/// The cells that a statement names, with their columns: all that the table has. `seq` without a value is left to the
/// table, which numbers a new row and keeps the number of an old one.
fn named<'r>(session: &Session, row: &'r TableRow) -> Result<Vec<Named<'r>>, EditCause> {
    let table = row.table();
    let shape = session.shape(table).map_err(EditCause::Store)?;
    let mut named = Vec::new();
    for (&column, cell) in table.columns().iter().zip(row.cells()) {
        let optional = table.optional_columns().contains(&column);
        match (shape.column(column), cell) {
            (Some(_), None) if column == "seq" => {}
            (Some(_), _) => named.push((column, cell)),
            (None, None) if optional => {}
            (None, _) if optional => {
                return Err(EditCause::RowRefused(format!(
                    "table {table} has no column {column}, and the row has a value for it"
                )));
            }
            (None, _) => return Err(EditCause::Store(session.file().no_column(table, column))),
        }
    }
    Ok(named)
}

/// Adds a row; returns its number.
pub(super) fn insert(session: &Session, row: &TableRow) -> Result<i64, EditCause> {
    let named = named(session, row)?;
    let columns: Vec<_> = named.iter().map(|(column, _)| *column).collect();
    execute(session, &sql::insert(row.table(), &columns), |statement| bind(statement, &named).map(drop))?;
    Ok(session.conn().last_insert_rowid())
}

/// Removes row number `number`.
pub(super) fn delete(session: &Session, table: Table, number: i64) -> Result<(), EditCause> {
    execute(session, &sql::delete(table), |statement| statement.raw_bind_parameter(1, number))
}

fn update(session: &Session, number: i64, row: &TableRow) -> Result<(), EditCause> {
    let named = named(session, row)?;
    let columns: Vec<_> = named.iter().map(|(column, _)| *column).collect();
    execute(session, &sql::update(row.table(), &columns), |statement| {
        let next = bind(statement, &named)?;
        statement.raw_bind_parameter(next, number)
    })
}

/// Binds the cells from parameter 1 on; returns the place after them.
fn bind(statement: &mut CachedStatement<'_>, named: &[Named<'_>]) -> rusqlite::Result<usize> {
    for (place, (column, cell)) in named.iter().enumerate() {
        statement.raw_bind_parameter(place + 1, value(column, *cell))?;
    }
    Ok(named.len() + 1)
}

/// Runs a statement that must change one row.
fn execute(
    session: &Session,
    text: &str,
    bind: impl FnOnce(&mut CachedStatement<'_>) -> rusqlite::Result<()>,
) -> Result<(), EditCause> {
    let run = || {
        let mut statement = session.conn().prepare_cached(text)?;
        bind(&mut statement)?;
        statement.raw_execute()
    };
    match run() {
        Ok(1) => Ok(()),
        // A trigger of the site's own may do this.
        Ok(count) => Err(EditCause::RowRefused(format!("{count} rows were changed instead of one"))),
        Err(error) => Err(cause(session, error)),
    }
}

/// The number of one row that equals `row` in every cell.
fn find(session: &Session, row: &TableRow) -> Result<i64, EditCause> {
    let table = row.table();
    let shape = session.shape(table).map_err(EditCause::Store)?;
    let cells = row.cells();
    for find in [Find::ByKey, Find::ByReading] {
        let text =
            sql::find(shape, find).map_err(|column| EditCause::Store(session.file().no_column(table, column)))?;
        let keys = match find {
            Find::ByKey => table.key_columns(),
            Find::ByReading => 0,
        };
        let found = || {
            let mut statement = session.conn().prepare_cached(&text)?;
            let exact = cells.iter().map(|cell| borrowed(cell.map_or(ValueRef::Null, ValueRef::Blob)));
            let by_key = cells.iter().take(keys).map(|cell| borrowed(cell.map_or(ValueRef::Null, ValueRef::Text)));
            for (place, value) in exact.chain(by_key).enumerate() {
                statement.raw_bind_parameter(place + 1, value)?;
            }
            let mut rows = statement.raw_query();
            rows.next()?.map(|row| row.get(0)).transpose()
        };
        if let Some(number) = found().map_err(|error| cause(session, error))? {
            return Ok(number);
        }
    }
    Err(EditCause::RowIsGone)
}

fn cause(session: &Session, error: rusqlite::Error) -> EditCause {
    match super::error::failure(&error) {
        Some((_, text)) if refuses_row(&error) => EditCause::RowRefused(text),
        _ => EditCause::Store(session.file().sqlite(error)),
    }
}

fn borrowed(value: ValueRef<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(value)
}

/// A cell as it is stored: a number in the columns that hold numbers, else text, or bytes that are no text.
fn value<'c>(column: &str, cell: Option<&'c [u8]>) -> ToSqlOutput<'c> {
    let Some(bytes) = cell else { return borrowed(ValueRef::Null) };
    let Ok(text) = std::str::from_utf8(bytes) else { return borrowed(ValueRef::Blob(bytes)) };
    let number = text.parse::<i64>().ok().filter(|number| NUMBERS.contains(&column) && number.to_string() == text);
    borrowed(number.map_or(ValueRef::Text(bytes), ValueRef::Integer))
}
