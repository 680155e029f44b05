//! Reading whole tables: one statement over one connection, streamed by a task of its own.

use super::Store;
use super::connection::Connection;
use super::error::{Context, lookup_error};
use super::rows;
use super::sql::{self, Session};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use qmail_lookup_core::{Catalog, Deadline, ErrorKind, LookupError, Mark, Scan, Table, TableRow};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

/// Rows that are read ahead of the caller.
const AHEAD: usize = 1024;

/// What the reading task says. If it goes without `End` the scan was cut.
enum Item {
    Row(TableRow),
    Failed(LookupError),
    End,
}

struct TableScan {
    items: mpsc::Receiver<Item>,
    reader: AbortHandle,
    context: Context,
    state: State,
    after: Option<Mark>,
    last: Option<Vec<qmail_lookup_core::Cell>>,
}

enum State {
    Reading,
    Done,
    Failed(LookupError),
}

#[async_trait]
impl Catalog for Store {
    async fn scan(&self, table: Table, after: Option<&Mark>, by: Deadline) -> Result<Box<dyn Scan>, LookupError> {
        let (server, mut conn) = self.reach(Session::Scan, by).await?;
        let order = after.map(|mark| mark.row.order());
        let from = order.as_deref().and_then(|order| order.get(..table.key_columns()));
        // Preparing finds out what the table lacks, before the caller counts on the scan.
        let (text, binds) = loop {
            let (text, binds) = sql::scan(table, &conn.missing, from);
            let prepared = conn.sql.prepare(AssertSqlSafe(text.clone()).into_sql_str());
            let result = timeout_at(by.instant().into(), prepared).await.map_err(|_| server.too_late())?.map(drop);
            match result {
                Ok(()) => break (text, binds),
                Err(error) if conn.learns(table, &error) => {}
                Err(error) => return Err(lookup_error(error, server.context())),
            }
        };
        let (sender, items) = mpsc::channel(AHEAD);
        let context = server.context().clone();
        let reader = tokio::spawn(read(conn, text, binds, table, sender, context.clone())).abort_handle();
        let state = State::Reading;
        Ok(Box::new(TableScan { items, reader, context, state, after: after.cloned(), last: None }))
    }

    /// The server reads the tables and sends a few numbers.
    async fn stamp(&self, tables: &[Table], by: Deadline) -> Result<Option<Vec<u8>>, LookupError> {
        if tables.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (server, mut conn) = self.reach(Session::Lookup(by.left()), by).await?;
        loop {
            let text = AssertSqlSafe(sql::stamp(tables, &conn.missing));
            let stamp = timeout_at(by.instant().into(), sqlx::query(text).fetch_one(&mut conn.sql)).await;
            let stamp = stamp.map_err(|_| server.too_late())?;
            let cells = stamp.and_then(|row| rows::cells(&row, tables.len()));
            match cells {
                Ok(cells) => {
                    return Ok(Some(cells.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(&b'\n')));
                }
                Err(error) if tables.iter().any(|&table| conn.learns(table, &error)) => {}
                Err(error) => return Err(lookup_error(error, server.context())),
            }
        }
    }
}

/// Reads all rows and hands them on. It ends when nobody takes them any more.
async fn read(
    mut conn: Connection,
    text: String,
    binds: Vec<Vec<u8>>,
    table: Table,
    to: mpsc::Sender<Item>,
    context: Context,
) {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for bind in binds {
        query = query.bind(bind);
    }
    let mut stream = query.fetch(&mut conn.sql);
    let width = table.columns().len();
    loop {
        let next = stream.try_next().await.and_then(|row| row.map(|row| rows::cells(&row, width)).transpose());
        let item = match next {
            Ok(Some(cells)) => Item::Row(TableRow::from_cells(table, cells)),
            Ok(None) => Item::End,
            Err(error) => Item::Failed(lookup_error(error, &context)),
        };
        let last = !matches!(item, Item::Row(_));
        if to.send(item).await.is_err() || last {
            return;
        }
    }
}

impl TableScan {
    /// True if the row comes after the mark. Those that equal it are counted off.
    fn is_new(&mut self, row: &TableRow, order: &[qmail_lookup_core::Cell]) -> bool {
        let Some(mark) = &mut self.after else { return true };
        if *row == mark.row && mark.seen > 0 {
            mark.seen -= 1;
            return false;
        }
        let new = order >= mark.row.order().as_slice();
        if new {
            self.after = None;
        }
        new
    }

    fn take(&mut self, row: TableRow, batch: &mut Vec<TableRow>) -> Result<(), LookupError> {
        let order = row.order();
        if self.last.as_ref().is_some_and(|last| *last > order) {
            let what = "rows that differ only far behind did not come in order; a scan of them cannot be trusted";
            return Err(self.context.error(ErrorKind::Schema, what));
        }
        if self.is_new(&row, &order) {
            batch.push(row);
        }
        self.last = Some(order);
        Ok(())
    }
}

#[async_trait]
impl Scan for TableScan {
    async fn next(&mut self, max: usize, by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        let mut batch = Vec::new();
        loop {
            match &self.state {
                State::Reading if batch.len() >= max.max(1) => return Ok(batch),
                State::Reading => {}
                State::Failed(error) if batch.is_empty() => return Err(error.clone()),
                State::Done | State::Failed(_) => return Ok(batch),
            }
            let item = match timeout_at(by.instant().into(), self.items.recv()).await {
                Ok(Some(item)) => item,
                Ok(None) => Item::Failed(self.context.error(ErrorKind::Unreachable, "the scan was cut")),
                // Nothing is lost: the next call goes on where this one waited.
                Err(_) if batch.is_empty() => {
                    return Err(self.context.error(ErrorKind::Timeout, "no row before the deadline"));
                }
                Err(_) => return Ok(batch),
            };
            let failed = match item {
                Item::Row(row) => self.take(row, &mut batch).err(),
                Item::End => {
                    self.state = State::Done;
                    None
                }
                Item::Failed(error) => Some(error),
            };
            if let Some(error) = failed {
                self.reader.abort();
                self.state = State::Failed(error);
            }
        }
    }
}

impl Drop for TableScan {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
