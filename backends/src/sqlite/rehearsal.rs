//! Rows put on trial in a database that nobody else sees, with tables like those of the file.

use super::connection::{Access, File};
use super::editor::{delete, insert, spoiled};
use super::session::Session;
use super::sql;
use async_trait::async_trait;
use qmail_lookup_core::{Deadline, EditCause, LookupError, Rehearsal, Table, TableOptions, TableRow};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// A database that goes away with it.
pub(super) struct SqliteRehearsal {
    file: Arc<File>,
    /// Not there while a call is under way, and after one that failed: its rows are not known then.
    session: Option<Session>,
    /// The tables that are there twice.
    covered: Vec<Table>,
}

impl SqliteRehearsal {
    /// Makes the tables. `None` if each is a view or kept by a module, of which it cannot be told what it refuses.
    pub(super) fn begin(file: &Arc<File>, options: TableOptions, by: Deadline) -> Result<Option<Self>, LookupError> {
        let (texts, covered) = definitions(file, options, by)?;
        if covered.is_empty() {
            return Ok(None);
        }
        let mut session = file.private(by)?;
        let made = session.conn().execute_batch(sql::REHEARSAL_PRAGMAS);
        let made = made.and_then(|()| texts.iter().try_for_each(|text| session.conn().execute_batch(text)));
        made.map_err(|error| file.sqlite(error))?;
        session.begin(sql::BEGIN_IMMEDIATE)?;
        Ok(Some(Self { file: Arc::clone(file), session: Some(session), covered }))
    }
}

/// The statements that make the tables and their indexes, and which tables these are. Triggers are left out: they may
/// reach anything.
fn definitions(
    file: &Arc<File>,
    options: TableOptions,
    by: Deadline,
) -> Result<(Vec<String>, Vec<Table>), LookupError> {
    let ours = |table| sql::create(table, options);
    // A file that is not there yet will be made with our tables.
    if matches!(file.path.try_exists(), Ok(false)) {
        return Ok((Table::ALL.map(ours).into(), Table::ALL.into()));
    }
    let mut session = file.open(Access::Read, by)?;
    session.read(by, |session| {
        let (mut texts, mut covered) = (Vec::new(), Vec::new());
        for table in Table::ALL {
            let found = defined(session, table).map_err(|error| file.sqlite(error))?;
            if found.iter().any(|(kind, text)| kind == "view" || kind == "table" && is_virtual(text)) {
                continue;
            }
            covered.push(table);
            match found.is_empty() {
                true => texts.push(ours(table)),
                false => texts.extend(found.into_iter().map(|(_, text)| text)),
            }
        }
        Ok((texts, covered))
    })
}

fn is_virtual(text: &str) -> bool {
    text.split_ascii_whitespace().nth(1).is_some_and(|word| word.eq_ignore_ascii_case("virtual"))
}

fn defined(session: &Session, table: Table) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = session.conn().prepare(sql::DEFINITION)?;
    let rows = statement.query_map([table.name()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

#[async_trait]
impl Rehearsal for SqliteRehearsal {
    async fn insert(&mut self, rows: &[TableRow], by: Deadline) -> Result<Vec<(usize, String)>, LookupError> {
        let session = self.session.take().ok_or_else(|| self.file.ended())?;
        let rows = rows.to_vec();
        let (reply, answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name("sqlite-trial".to_owned());
        let spawned = thread.spawn(move || {
            session.limit().set(by);
            let refused = trial(&session, &rows);
            // The caller may have left; then nobody needs the database any more.
            let _ = reply.send((session, refused));
        });
        spawned.map_err(|error| self.file.no_thread(error))?;
        let (session, refused) = match timeout_at(by.instant().into(), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => return Err(self.file.ended()),
            Err(_) => return Err(self.file.timeout()),
        };
        let refused = refused?;
        self.session = Some(session);
        Ok(refused)
    }

    fn covers(&self, table: Table) -> bool {
        self.covered.contains(&table)
    }
}

fn trial(session: &Session, rows: &[TableRow]) -> Result<Vec<(usize, String)>, LookupError> {
    let mut refused = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if let Some(why) = refusal(session, row)? {
            refused.push((place, why));
        }
    }
    Ok(refused)
}

/// Why the row is refused, if it is; it is then not kept.
fn refusal(session: &Session, row: &TableRow) -> Result<Option<String>, LookupError> {
    let store = |cause| match cause {
        EditCause::Store(error) => error,
        _ => session.file().ended(),
    };
    let number = match insert(session, row) {
        Ok(number) => number,
        Err(EditCause::RowRefused(why)) => return Ok(Some(why)),
        Err(cause) => return Err(store(cause)),
    };
    let why = spoiled(session, number, row)?;
    if why.is_some() {
        delete(session, row.table(), number).map_err(store)?;
    }
    Ok(why)
}
