//! Changing rows of the native schema. A directory has no transactions: changes are made one after the other, and
//! everything that can be judged before the first of them is.

use super::Store;
use super::connection::{Connection, LdapServer};
use super::editing::{Editing, Failure};
use super::error::Context;
use super::foreseen::{AT_ONCE, Foreseen};
use super::inserting::{self, Names};
use super::pages::{Trouble, missing};
use super::rehearsal::Trial;
use super::renaming;
use super::writing::{Done, Writer};
use super::{entry, whole};
use async_trait::async_trait;
use qmail_lookup_core::{
    Applied, Change, Deadline, EditCause, EditError, Editor, ErrorKind, LookupError, Numbering, Rehearsal, Table,
    TableOptions, TableRow,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::timeout_at;

fn nothing(error: LookupError) -> EditError {
    EditError { applied: Applied::Nothing, change: None, cause: EditCause::Store(error) }
}

impl Store {
    async fn writer(&self, by: Deadline) -> Result<(&Arc<LdapServer>, Connection, Writer), LookupError> {
        let (server, conn) = self.reach(by).await?;
        let writer = timeout_at(by.instant().into(), Writer::new(conn.ldap.clone())).await;
        let writer = writer.map_err(|_| server.too_late())?;
        let writer = writer.map_err(|trouble| trouble.into_error("editing", &self.settings.base, server.context()))?;
        Ok((server, conn, writer))
    }
}

impl Store {
    async fn carry(&self, changes: &[Change], reads_back: bool, by: Deadline) -> Result<(), EditError> {
        for (place, change) in changes.iter().enumerate() {
            judge(change).map_err(|text| EditError {
                applied: Applied::Nothing,
                change: Some(place),
                cause: EditCause::RowRefused(text),
            })?;
        }
        if changes.is_empty() {
            return Ok(());
        }
        let (server, conn, writer) = self.writer(by).await.map_err(nothing)?;
        let context = server.context();
        let tables: Vec<_> =
            Table::ALL.into_iter().filter(|table| changes.iter().any(|c| table_of(c) == *table)).collect();
        for table in tables {
            let verified = conn.line.known.verified(&conn, &self.settings.mapping, table, context);
            let verified = timeout_at(by.instant().into(), verified).await.map_err(|_| nothing(server.too_late()))?;
            verified.map(drop).map_err(|failure| nothing(failure.into_error()))?;
        }
        // The first so many were made.
        let made = AtomicUsize::new(0);
        let mut editing = Editing::new(&writer, &self.settings.mapping, context, reads_back);
        let result = timeout_at(by.instant().into(), carry_out(&mut editing, changes, &made)).await;
        let (change, failure) = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err((place, failure))) => (place, failure),
            Err(_) => {
                let place = made.load(Ordering::SeqCst);
                (place, Failure { cause: EditCause::Store(server.too_late()), clean: true })
            }
        };
        let applied = match made.load(Ordering::SeqCst) {
            _ if !failure.clean || editing.is_open() => Applied::Unknown,
            0 => Applied::Nothing,
            applied => Applied::Partial { applied },
        };
        Err(EditError { applied, change: Some(change), cause: failure.cause })
    }
}

#[async_trait]
impl Editor for Store {
    async fn apply(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        self.carry(changes, false, by).await
    }

    async fn apply_and_read_back(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        self.carry(changes, true, by).await
    }

    async fn rows(&self, table: Table, key: &[u8], by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        let (server, conn) = self.reach(by).await?;
        let rows = whole::rows(server, &conn, table, key);
        timeout_at(by.instant().into(), rows).await.unwrap_or_else(|_| Err(server.too_late()))
    }

    async fn numbering(&self, by: Deadline) -> Result<Numbering, LookupError> {
        let (server, conn) = self.reach(by).await?;
        let verified = conn.line.known.verified(&conn, &self.settings.mapping, Table::Alias, server.context());
        let verified = timeout_at(by.instant().into(), verified).await.map_err(|_| server.too_late())?;
        verified.map(|_| Numbering::Free).map_err(crate::workers::Failure::into_error)
    }

    async fn rehearse(&self, _: TableOptions, by: Deadline) -> Result<Option<Box<dyn Rehearsal>>, LookupError> {
        let (server, conn, writer) = self.writer(by).await?;
        let ready = self.is_ready(server, &conn, &writer);
        timeout_at(by.instant().into(), ready).await.unwrap_or_else(|_| Err(server.too_late()))?;
        Ok(Some(Box::new(Trial::new(&self.settings, server.context())?)))
    }

    /// Adds the base entries of the tables. The options are those of tables in a database; a directory needs none.
    async fn create_tables(
        &self,
        tables: &[Table],
        _: TableOptions,
        by: Deadline,
    ) -> Result<Vec<(Table, bool)>, EditError> {
        let (server, conn, writer) = self.writer(by).await.map_err(nothing)?;
        let mut made = Vec::new();
        let result = timeout_at(by.instant().into(), self.create(server, &conn, &writer, tables, &mut made)).await;
        let Err(error) = result.unwrap_or_else(|_| Err(server.too_late())) else { return Ok(made) };
        let applied = if writer.is_open() {
            Applied::Unknown
        } else if made.iter().any(|(_, new)| *new) {
            Applied::Partial { applied: made.len() }
        } else {
            Applied::Nothing
        };
        Err(EditError { applied, change: None, cause: EditCause::Store(error) })
    }
}

impl Store {
    async fn create(
        &self,
        server: &LdapServer,
        conn: &Connection,
        writer: &Writer,
        tables: &[Table],
        made: &mut Vec<(Table, bool)>,
    ) -> Result<(), LookupError> {
        let context = server.context();
        let store = |trouble: Trouble, base: &str| trouble.into_error("adding the base entries", base, context);
        self.has_base(server, conn, writer, tables).await?;
        for &table in tables {
            let Some(place) = self.settings.mapping.place(table) else { continue };
            let new = match writer.read(place.base, &["1.1"]).await.map_err(|trouble| store(trouble, place.base))? {
                Some(_) => false,
                None => self.add_unit(writer, table, place.base, server).await?,
            };
            made.push((table, new));
        }
        Ok(())
    }

    /// Succeeds if all tables are there, or can be made.
    async fn is_ready(&self, server: &LdapServer, conn: &Connection, writer: &Writer) -> Result<(), LookupError> {
        let context = server.context();
        self.has_base(server, conn, writer, &Table::ALL).await?;
        for table in Table::ALL {
            let Some(place) = self.settings.mapping.place(table) else { continue };
            let there = writer.read(place.base, &["1.1"]).await;
            let there = there.map_err(|trouble| trouble.into_error("editing", place.base, context))?.is_some();
            if !there && unit(place.base).is_none() {
                return Err(no_unit(place.base, table, context));
            }
        }
        Ok(())
    }

    /// Succeeds if the server knows the schema and shows the entry that the tables are below.
    async fn has_base(
        &self,
        server: &LdapServer,
        conn: &Connection,
        writer: &Writer,
        tables: &[Table],
    ) -> Result<(), LookupError> {
        let context = server.context();
        let schema = conn.line.known.schema(conn, context).await.map_err(crate::workers::Failure::into_error)?;
        let problem = tables.iter().find_map(|table| schema.problem(&self.settings.mapping, *table));
        if let Some(problem) = problem {
            let help = "load the schema that `qmail-lookup init --print` gives, and try again";
            return Err(context.error(ErrorKind::Schema, problem).with_help(help));
        }
        let base = &self.settings.base;
        let seen = writer.read(base, &["1.1"]).await;
        if seen.map_err(|trouble| trouble.into_error("adding the base entries", base, context))?.is_none() {
            let what = format!("base {} is missing or hidden", self.settings.base);
            let help = "make this entry first, or correct store.base; only what is below it is made here";
            return Err(context.error(ErrorKind::Schema, what).with_help(help));
        }
        Ok(())
    }

    /// True if it was not there.
    async fn add_unit(
        &self,
        writer: &Writer,
        table: Table,
        base: &str,
        server: &LdapServer,
    ) -> Result<bool, LookupError> {
        let context = server.context();
        let Some(unit) = unit(base) else { return Err(no_unit(base, table, context)) };
        let classes = [b"organizationalUnit".to_vec()];
        let done = writer.add(base, &classes, &[("ou", unit.as_bytes().to_vec())]).await;
        match done.map_err(|trouble| trouble.into_error("adding the base entries", base, context))? {
            Done::Made => Ok(true),
            Done::Exists => Ok(false),
            Done::NoParent | Done::Gone => Err(missing(base.split_once(',').map_or("", |(_, parent)| parent), context)),
            Done::Failed(result) => Err(Trouble::Result(result).into_error("adding the base entries", base, context)),
            Done::Named => Err(context.error(ErrorKind::Refused, format!("the server refused the name {base}"))),
            Done::Class(text) | Done::Refused(text) => {
                Err(context.error(ErrorKind::Refused, format!("the server refused the entry {base}: {text}")))
            }
        }
    }
}

fn no_unit(base: &str, table: Table, context: &Context) -> LookupError {
    let what = format!("base {base} of table {table} is missing, and is no organizationalUnit that could be made");
    context.error(ErrorKind::Schema, what).with_help("make this entry with the directory's own tools")
}

/// The name of an organizationalUnit, of a DN that begins with one that needs no escaping.
fn unit(dn: &str) -> Option<&str> {
    let (first, _) = dn.split_once(',')?;
    let (attribute, value) = first.split_once('=')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    let value = value.trim();
    (attribute.trim().eq_ignore_ascii_case("ou") && !value.is_empty() && value.chars().all(plain)).then_some(value)
}

fn table_of(change: &Change) -> Table {
    match change {
        Change::Insert(row) | Change::Delete(row) | Change::Replace { old: row, .. } => row.table(),
    }
}

/// What can be said of a change without asking anybody.
fn judge(change: &Change) -> Result<(), String> {
    match change {
        Change::Insert(row) => entry::judged(row).map(drop),
        Change::Replace { old, new } if old.table() == new.table() => entry::changes(old, new).map(drop),
        Change::Replace { .. } => Err("a row cannot move to another table".to_owned()),
        Change::Delete(_) => Ok(()),
    }
}

/// Makes the changes, and counts them. Fails with the place of the one that could not be made.
async fn carry_out(editing: &mut Editing<'_>, changes: &[Change], made: &AtomicUsize) -> Result<(), (usize, Failure)> {
    // A single one is judged by making it.
    if changes.len() > 1 {
        let mut foreseen = Foreseen::default();
        for (place, some) in changes.chunks(AT_ONCE).enumerate() {
            foreseen.judge_all(editing, some).await.map_err(|(n, cause)| (place * AT_ONCE + n, cause.into()))?;
        }
    }
    let (mut at, mut names) = (0, Names::default());
    while let Some(rest @ [change, ..]) = changes.get(at..) {
        let rows = inserting::run(rest);
        let pair = renaming::supersedes(rest);
        let result = if let Some((old, new)) = pair {
            editing.supersede(old, new).await.map_err(|failure| (0, failure))
        } else if rows.is_empty() {
            editing.change(change).await.map_err(|failure| (0, failure))
        } else {
            editing.insert_all(&rows, &mut names).await
        };
        at += match &result {
            Ok(()) if pair.is_some() => 2,
            Ok(()) => rows.len().max(1),
            Err((place, _)) => *place,
        };
        made.store(at, Ordering::SeqCst);
        result.map_err(|(_, failure)| (at, failure))?;
    }
    Ok(())
}
