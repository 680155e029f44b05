//! Reading whole tables: a connection and a thread per scan, and a cursor that stays open.

use super::connection::{Access, File, Limit};
use super::session::{Session, bytes, cell};
use super::sql;
use crate::stamp::Stamp;
use async_channel::{Receiver, Sender};
use async_trait::async_trait;
use qmail_lookup_core::{Catalog, Cell, Deadline, ErrorKind, LookupError, Mark, Scan, Table, TableRow};
use rusqlite::ffi::SQLITE_IOERR_GETTEMPPATH;
use rusqlite::{ErrorCode, Row, Rows};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Reads the tables of one file. A scan sees one state of the file; while it lasts, a writer of a file that is not
/// in WAL mode waits.
pub(super) struct SqliteCatalog {
    file: Arc<File>,
}

impl SqliteCatalog {
    /// Opens nothing yet.
    pub(super) fn new(file: Arc<File>) -> Self {
        Self { file }
    }
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn scan(&self, table: Table, after: Option<&Mark>, by: Deadline) -> Result<Box<dyn Scan>, LookupError> {
        let (ready, started) = oneshot::channel();
        let (asks, asked) = async_channel::bounded(1);
        let (file, after) = (Arc::clone(&self.file), after.cloned());
        let thread = std::thread::Builder::new().name("sqlite-scan".to_owned());
        let spawned = thread.spawn(move || Cursor { table, after, asked }.run(&file, by, ready));
        spawned.map_err(|error| self.file.no_thread(error))?;
        let limit = match timeout_at(by.instant().into(), started).await {
            Ok(Ok(started)) => started?,
            Ok(Err(_)) => return Err(self.file.ended()),
            Err(_) => return Err(self.file.timeout()),
        };
        Ok(Box::new(SqliteScan { file: Arc::clone(&self.file), asks, limit, cut: None }))
    }

    /// Of the rows themselves: the counters that SQLite keeps are a connection's own (`data_version`), or do not count in
    /// WAL mode (the change counter), and the file may be replaced by another.
    async fn stamp(&self, tables: &[Table], by: Deadline) -> Result<Option<Vec<u8>>, LookupError> {
        let (reply, answer) = oneshot::channel();
        let (file, tables) = (Arc::clone(&self.file), tables.to_vec());
        let thread = std::thread::Builder::new().name("sqlite-stamp".to_owned());
        let spawned = thread.spawn(move || {
            let stamp = file.open(Access::Read, by).and_then(|mut session| {
                session.read(by, |session| {
                    tables.iter().map(|&table| stamp(session, table)).collect::<Result<Vec<_>, _>>()
                })
            });
            // The caller may have left; nobody else waits for this.
            let _ = reply.send(stamp);
        });
        spawned.map_err(|error| self.file.no_thread(error))?;
        match timeout_at(by.instant().into(), answer).await {
            Ok(Ok(stamp)) => Ok(Some(stamp?.concat())),
            Ok(Err(_)) => Err(self.file.ended()),
            Err(_) => Err(self.file.timeout()),
        }
    }
}

fn stamp(session: &Session, table: Table) -> Result<Vec<u8>, LookupError> {
    let file = session.file();
    let text = sql::all(session.shape(table)?).map_err(|column| file.no_column(table, column))?;
    let read = || {
        let mut stamp = Stamp::default();
        let mut statement = session.conn().prepare(&text)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let cells = (0..table.columns().len()).map(|place| bytes(row, place));
            stamp.add(cells.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        Ok(stamp.finish())
    };
    read().map_err(|error| file.sqlite(error))
}

/// Trouble while rows are read. Who reads needs room only for sorting, which is not done in the file.
fn reading(file: &File, error: rusqlite::Error) -> LookupError {
    let code = super::error::failure(&error).map(|(code, _)| code);
    if code.is_some_and(|code| code.code == ErrorCode::DiskFull || code.extended_code == SQLITE_IOERR_GETTEMPPATH) {
        let what = "no room for the temporary file in which SQLite sorts the rows";
        let help = "set TMPDIR to a directory with room (SQLite looks at SQLITE_TMPDIR before it)";
        return file.error(ErrorKind::Unreachable, what).with_help(help).with_source(error);
    }
    file.sqlite(error)
}

/// The caller's end of a scan.
struct SqliteScan {
    file: Arc<File>,
    asks: Sender<Ask>,
    limit: Arc<Limit>,
    /// Why the rest cannot be had, once it cannot.
    cut: Option<LookupError>,
}

struct Ask {
    max: usize,
    by: Deadline,
    reply: oneshot::Sender<Result<Vec<TableRow>, LookupError>>,
}

#[async_trait]
impl Scan for SqliteScan {
    async fn next(&mut self, max: usize, by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        if let Some(error) = &self.cut {
            return Err(error.clone());
        }
        // A caller that leaves in the middle loses a batch; so the scan counts as cut until the batch has arrived.
        self.cut = Some(self.file.timeout());
        let (reply, answer) = oneshot::channel();
        // An empty batch would mean the end.
        let ask = Ask { max: max.max(1), by, reply };
        let batch = match self.asks.try_send(ask) {
            Err(_) => Err(self.file.ended()),
            Ok(()) => match timeout_at(by.instant().into(), answer).await {
                Ok(Ok(batch)) => batch,
                Ok(Err(_)) => Err(self.file.ended()),
                Err(_) => Err(self.file.timeout()),
            },
        };
        self.cut = batch.as_ref().err().cloned();
        batch
    }
}

impl Drop for SqliteScan {
    fn drop(&mut self) {
        // The thread may be sorting: it stops at its next look at the clock.
        self.limit.set(Deadline::after(Duration::ZERO));
    }
}

/// The thread's end of a scan.
struct Cursor {
    table: Table,
    after: Option<Mark>,
    asked: Receiver<Ask>,
}

type Ready = oneshot::Sender<Result<Arc<Limit>, LookupError>>;

impl Cursor {
    fn run(self, file: &Arc<File>, by: Deadline, ready: Ready) {
        let opened = file.open(Access::Read, by).and_then(|mut session| {
            session.begin(sql::BEGIN)?;
            Ok(session)
        });
        let session = match opened {
            Ok(session) => session,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let mut ready = Some(ready);
        if let Err(error) = self.serve(&session, &mut ready)
            && let Some(ready) = ready
        {
            // The caller may have left; nobody else waits for this.
            let _ = ready.send(Err(error));
        }
    }

    /// Takes `ready` once there is a cursor; from then on errors go to who asks for rows.
    fn serve(&self, session: &Session, ready: &mut Option<Ready>) -> Result<(), LookupError> {
        let file = session.file();
        let first = self.after.as_ref().and_then(|mark| mark.row.order().into_iter().next().flatten());
        let text = sql::scan(session.shape(self.table)?, first.is_some());
        let text = text.map_err(|column| file.no_column(self.table, column))?;
        let mut statement = session.conn().prepare(&text).map_err(|error| file.sqlite(error))?;
        if let Some(first) = first {
            statement.raw_bind_parameter(1, first).map_err(|error| file.sqlite(error))?;
        }
        let mut rows = statement.raw_query();
        if let Some(ready) = ready.take() {
            let _ = ready.send(Ok(Arc::clone(session.limit())));
        }
        let mut skip = self.after.as_ref().map(Skip::new);
        let mut ended = false;
        while let Ok(ask) = self.asked.recv_blocking() {
            session.limit().set(ask.by);
            let batch = if ended { Ok(Vec::new()) } else { self.batch(&mut rows, &mut skip, ask.max) };
            let batch = batch.map_err(|error| reading(file, error));
            ended = batch.as_ref().is_ok_and(|batch| batch.len() < ask.max);
            let cut = batch.is_err();
            // A scan whose caller left is cut; it will not ask again.
            if ask.reply.send(batch).is_err() || cut {
                break;
            }
        }
        Ok(())
    }

    fn batch(&self, rows: &mut Rows<'_>, skip: &mut Option<Skip>, max: usize) -> rusqlite::Result<Vec<TableRow>> {
        let mut batch = Vec::new();
        while batch.len() < max {
            let Some(row) = rows.next()? else { break };
            let row = self.row(row)?;
            if skip.as_mut().is_some_and(|skip| skip.takes(&row)) {
                continue;
            }
            *skip = None;
            batch.push(row);
        }
        Ok(batch)
    }

    fn row(&self, row: &Row<'_>) -> rusqlite::Result<TableRow> {
        let cells = (0..self.table.columns().len()).map(|place| cell(row, place));
        let cells = cells.collect::<rusqlite::Result<Vec<Cell>>>()?;
        Ok(TableRow::from_cells(self.table, cells))
    }
}

/// The rows that an earlier scan had already.
struct Skip {
    order: Vec<Cell>,
    left: u64,
}

impl Skip {
    fn new(mark: &Mark) -> Self {
        Self { order: mark.row.order(), left: mark.seen }
    }

    /// True if `row` was seen before.
    fn takes(&mut self, row: &TableRow) -> bool {
        match row.order().cmp(&self.order) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal if self.left > 0 => {
                self.left -= 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn a_full_temporary_directory_is_not_blamed_on_the_file() {
        let file = File::new("/srv/mail.db".into(), "sqlite mail.db".to_owned());
        let of = |code| reading(&file, rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [ffi::SQLITE_FULL, SQLITE_IOERR_GETTEMPPATH] {
            assert!(of(code).help().is_some_and(|help| help.contains("TMPDIR")), "{code}");
        }
        assert!(of(ffi::SQLITE_IOERR).help().is_none());
    }
}
