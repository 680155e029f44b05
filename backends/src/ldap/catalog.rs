//! Reading whole tables: a connection of its own for each scan, read page by page into a spool that puts the rows in
//! order. Nothing is handed out before the last page came.

use super::Store;
use super::connection::{Connection, LdapServer};
use super::entry;
use super::error::Context;
use super::pages::{Pages, class_filter};
use crate::spool::{Sorted, Spool};
use async_channel::{Receiver, Sender};
use async_trait::async_trait;
use qmail_lookup_core::{Catalog, Deadline, ErrorKind, LookupError, Mark, Scan, Table, TableRow};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{timeout, timeout_at};

/// Longest wait for one page, whatever the deadlines of those who wait for the rows.
const PAGE_TIME: Duration = Duration::from_secs(60);

/// Pages that are read ahead of the spool.
const AHEAD: usize = 2;

/// What the reading task says. If it goes without `End` the scan was cut.
enum Item {
    Page(Vec<TableRow>),
    Failed(LookupError),
    End,
}

#[async_trait]
impl Catalog for Store {
    async fn scan(&self, table: Table, after: Option<&Mark>, by: Deadline) -> Result<Box<dyn Scan>, LookupError> {
        let (server, conn) = self.reach(by).await?;
        let context = server.context().clone();
        let mapping = &server.settings.mapping;
        if mapping.place(table).is_some() {
            // A search for what the server does not know finds nothing, and says so with success.
            let verified = conn.line.known.verified(&conn, mapping, table, &context);
            let verified = timeout_at(by.instant().into(), verified).await.map_err(|_| server.too_late())?;
            verified.map(drop).map_err(crate::workers::Failure::into_error)?;
        }
        let (to, pages) = async_channel::bounded(AHEAD);
        let (asks, asked) = async_channel::unbounded();
        let sorter = Sorter { table, after: after.cloned(), pages, asked, context: context.clone() };
        let thread = std::thread::Builder::new().name("ldap-scan".to_owned());
        thread.spawn(move || sorter.run()).map_err(|error| {
            context.error(ErrorKind::Overloaded, format!("no thread to read with: {error}")).with_source(error)
        })?;
        let context = server.context().clone();
        let reader = tokio::spawn(read(Arc::clone(server), conn, table, to)).abort_handle();
        Ok(Box::new(LdapScan { asks, reader, context, cut: None }))
    }

    /// To who may not search by the password its absence is undefined; to who may not read it, it is there.
    async fn without_password(&self, by: Deadline) -> Result<Option<u64>, LookupError> {
        let (server, conn) = self.reach(by).await?;
        let context = server.context();
        let Some(place) = server.settings.mapping.place(Table::Mailbox) else { return Ok(None) };
        let filter = class_filter(&place, &format!("(!({}=*))", entry::PASSWORD));
        let mut pages = Pages::new(conn.ldap.clone(), place.base, filter, ["1.1"]);
        let mut count = 0;
        loop {
            let page = timeout_at(by.instant().into(), pages.next()).await.map_err(|_| server.too_late())?;
            let page = page.map_err(|trouble| trouble.into_error("counting passwords", place.base, context))?;
            let Some(page) = page else { return Ok(Some(count)) };
            count += page.len() as u64;
        }
    }

    async fn stamp(&self, tables: &[Table], by: Deadline) -> Result<Option<Vec<u8>>, LookupError> {
        self.stamp_of(tables, by).await
    }
}

/// Reads all pages and hands their rows on. It ends when nobody takes them any more.
async fn read(server: Arc<LdapServer>, conn: Connection, table: Table, to: Sender<Item>) {
    let mapping = &server.settings.mapping;
    let context = server.context();
    if let Some(place) = mapping.place(table) {
        let attributes = mapping.attributes(table);
        let names = attributes.iter().map(|named| named.attribute);
        let mut pages = Pages::new(conn.ldap.clone(), place.base, class_filter(&place, ""), names);
        loop {
            let page = match timeout(PAGE_TIME, pages.next()).await {
                Ok(Ok(Some(page))) => page,
                Ok(Ok(None)) => break,
                Ok(Err(trouble)) => {
                    let error = trouble.into_error("reading a table", place.base, context);
                    return drop(to.send(Item::Failed(error)).await);
                }
                Err(_) => {
                    let error =
                        context.error(ErrorKind::Timeout, "the server stopped answering in the middle of a table");
                    return drop(to.send(Item::Failed(error)).await);
                }
            };
            let found = page.iter().flat_map(|(_, entry)| entry::rows(table, entry)).collect();
            if to.send(Item::Page(found)).await.is_err() {
                return;
            }
        }
    }
    let _ = to.send(Item::End).await;
    // The server need not wait until the rows are taken.
    let _ = timeout(Duration::from_secs(1), conn.ldap.clone().unbind()).await;
}

/// The caller's end of a scan.
struct LdapScan {
    asks: Sender<Ask>,
    reader: AbortHandle,
    context: Context,
    /// Why the rest cannot be had, once it cannot.
    cut: Option<LookupError>,
}

struct Ask {
    max: usize,
    reply: oneshot::Sender<Result<Vec<TableRow>, LookupError>>,
}

impl LdapScan {
    fn ended(&self) -> LookupError {
        self.context.error(ErrorKind::Unreachable, "the scan was cut")
    }
}

#[async_trait]
impl Scan for LdapScan {
    async fn next(&mut self, max: usize, by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        if let Some(error) = &self.cut {
            return Err(error.clone());
        }
        // A caller that leaves in the middle loses a batch; so the scan counts as cut until the batch has arrived.
        self.cut = Some(self.ended());
        let (reply, mut answer) = oneshot::channel();
        // An empty batch would mean the end.
        let ask = Ask { max: max.max(1), reply };
        let sent = self.asks.try_send(ask);
        let batch = match timeout_at(by.instant().into(), &mut answer).await {
            _ if sent.is_err() => Err(self.ended()),
            Ok(Ok(batch)) => batch,
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => {
                // Either it came just now, or it will not be sent any more: nothing is lost, and the next call goes on.
                answer.close();
                let Ok(batch) = answer.try_recv() else {
                    self.cut = None;
                    return Err(self.context.error(ErrorKind::Timeout, "not all rows came before the deadline"));
                };
                batch
            }
        };
        self.cut = batch.as_ref().err().cloned();
        batch
    }
}

impl Drop for LdapScan {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The thread's end of a scan.
struct Sorter {
    table: Table,
    after: Option<Mark>,
    pages: Receiver<Item>,
    asked: Receiver<Ask>,
    context: Context,
}

impl Sorter {
    fn run(&self) {
        let Err(error) = self.serve() else { return };
        while let Ok(ask) = self.asked.recv_blocking() {
            let _ = ask.reply.send(Err(error.clone()));
        }
    }

    /// Takes all rows, then gives them away in order.
    fn serve(&self) -> Result<(), LookupError> {
        let spooling = |error| spooling(&self.context, error);
        let spool = Spool::open().map_err(spooling)?;
        loop {
            match self.pages.recv_blocking() {
                Ok(Item::Page(rows)) => rows.iter().try_for_each(|row| spool.add(row)).map_err(spooling)?,
                Ok(Item::End) => break,
                Ok(Item::Failed(error)) => return Err(error),
                Err(_) => return Err(self.context.error(ErrorKind::Unreachable, "the scan was cut")),
            }
        }
        let mut statement = spool.sorted().map_err(spooling)?;
        let mut rows = Sorted::new(&mut statement, self.table, self.after.as_ref()).map_err(spooling)?;
        // What was taken for a caller that did not wait for it.
        let mut left = Vec::new();
        while let Ok(ask) = self.asked.recv_blocking() {
            if ask.reply.is_closed() {
                continue;
            }
            if left.len() < ask.max {
                match rows.take(ask.max - left.len()).map_err(spooling) {
                    Ok(more) => left.extend(more),
                    Err(error) => {
                        let _ = ask.reply.send(Err(error.clone()));
                        return Err(error);
                    }
                }
            }
            let rest = left.split_off(left.len().min(ask.max));
            left = match ask.reply.send(Ok(std::mem::replace(&mut left, rest))) {
                Ok(()) => left,
                Err(Ok(mut unread)) => {
                    unread.append(&mut left);
                    unread
                }
                Err(Err(_)) => left,
            };
        }
        Ok(())
    }
}

/// The temporary file cannot be used.
pub(super) fn spooling(context: &Context, error: rusqlite::Error) -> LookupError {
    let what = format!("the rows cannot be put in order in a temporary file: {error}");
    let help = "is there room in the directory for temporary files? TMPDIR may name another one";
    context.error(ErrorKind::Unreachable, what).with_help(help).with_source(error)
}
