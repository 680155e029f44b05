//! Changing rows of the native schema. A directory has no transactions: changes are made one after the other, and
//! everything that can be judged before the first of them is.

use super::Store;
use super::connection::{Connection, LdapServer};
use super::editing::{Editing, Failure};
use super::entry;
use super::pages::{Trouble, missing};
use super::writing::{Done, Writer};
use async_trait::async_trait;
use qmail_lookup_core::{
    Applied, Change, Deadline, EditCause, EditError, Editor, ErrorKind, LookupError, Numbering, Rehearsal, Table,
    TableOptions, TableRow,
};
use std::collections::HashMap;
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

#[async_trait]
impl Editor for Store {
    async fn apply(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
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
        let (server, conn, mut writer) = self.writer(by).await.map_err(nothing)?;
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
        let mut editing = Editing::new(&mut writer, &self.settings.mapping, context);
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

    /// Adds the base entries of the tables. The options are those of tables in a database; a directory needs none.
    async fn create_tables(
        &self,
        tables: &[Table],
        _: TableOptions,
        by: Deadline,
    ) -> Result<Vec<(Table, bool)>, EditError> {
        let (server, conn, mut writer) = self.writer(by).await.map_err(nothing)?;
        let mut made = Vec::new();
        let result = timeout_at(by.instant().into(), self.create(server, &conn, &mut writer, tables, &mut made)).await;
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
        writer: &mut Writer,
        tables: &[Table],
        made: &mut Vec<(Table, bool)>,
    ) -> Result<(), LookupError> {
        let context = server.context();
        let schema = conn.line.known.schema(conn, context).await.map_err(crate::workers::Failure::into_error)?;
        let problem = tables.iter().find_map(|table| schema.problem(&self.settings.mapping, *table));
        if let Some(problem) = problem {
            let help = "load the schema that `qmail-lookup init --print` gives, and try again";
            return Err(context.error(ErrorKind::Schema, problem).with_help(help));
        }
        let store = |trouble: Trouble, base: &str| trouble.into_error("adding the base entries", base, context);
        if writer
            .read(&self.settings.base, &["1.1"])
            .await
            .map_err(|trouble| store(trouble, &self.settings.base))?
            .is_none()
        {
            let what = format!("base {} is missing or hidden", self.settings.base);
            let help = "make this entry first, or correct store.base; only what is below it is made here";
            return Err(context.error(ErrorKind::Schema, what).with_help(help));
        }
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

    /// True if it was not there.
    async fn add_unit(
        &self,
        writer: &mut Writer,
        table: Table,
        base: &str,
        server: &LdapServer,
    ) -> Result<bool, LookupError> {
        let context = server.context();
        let Some(unit) = unit(base) else {
            let what =
                format!("base {base} of table {table} is missing, and is no organizationalUnit that could be made");
            return Err(context
                .error(ErrorKind::Schema, what)
                .with_help("make this entry with the directory's own tools"));
        };
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
        Change::Insert(row) => entry::attributes(row).map(drop),
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
        for (place, change) in changes.iter().enumerate() {
            foreseen.judge(editing, change).await.map_err(|cause| (place, cause.into()))?;
        }
    }
    for (place, change) in changes.iter().enumerate() {
        editing.change(change).await.map_err(|failure| (place, failure))?;
        made.store(place + 1, Ordering::SeqCst);
    }
    Ok(())
}

/// What the directory will hold by the time that a change of a list is made.
#[derive(Default)]
struct Foreseen {
    /// How many more there are of a row than now.
    rows: HashMap<Vec<Option<Vec<u8>>>, isize>,
    /// The same by key, for tables whose keys are unique.
    keys: HashMap<(Table, Vec<u8>), isize>,
}

impl Foreseen {
    async fn judge(&mut self, editing: &Editing<'_>, change: &Change) -> Result<(), EditCause> {
        let (old, new) = match change {
            Change::Insert(new) => (None, Some(new)),
            Change::Delete(old) => (Some(old), None),
            Change::Replace { old, new } => (Some(old), Some(new)),
        };
        if let Some(old) = old {
            let found = editing.of_key(old).await?;
            let rows = found.iter().flat_map(|(_, found)| entry::rows(old.table(), found));
            let there = rows.filter(|row| row == old).count();
            let more = self.rows.get(&line(old)).copied().unwrap_or(0);
            if isize::try_from(there).unwrap_or(isize::MAX).saturating_add(more) < 1 {
                return Err(EditCause::RowIsGone);
            }
            self.count(old, -1);
        }
        if let Some(new) = new {
            if matches!(new.table(), Table::Mailbox | Table::Rcpthosts) {
                let there = isize::try_from(editing.of_key(new).await?.len()).unwrap_or(isize::MAX);
                let more = self.keys.get(&key(new)).copied().unwrap_or(0);
                if there.saturating_add(more) > 0 {
                    return Err(EditCause::RowRefused("a row with this key is there already".to_owned()));
                }
            }
            self.count(new, 1);
        }
        Ok(())
    }

    fn count(&mut self, row: &TableRow, change: isize) {
        *self.rows.entry(line(row)).or_default() += change;
        *self.keys.entry(key(row)).or_default() += change;
    }
}

/// The row as it will read: a suspended that is NULL is stored as `N`.
fn line(row: &TableRow) -> Vec<Option<Vec<u8>>> {
    let mut cells = vec![Some(row.table().name().as_bytes().to_vec())];
    cells.extend(row.cells().into_iter().map(|cell| cell.map(<[u8]>::to_vec)));
    if let (TableRow::Mailbox(_), Some(suspended)) = (row, cells.get_mut(7)) {
        suspended.get_or_insert_with(|| b"N".to_vec());
    }
    cells
}

fn key(row: &TableRow) -> (Table, Vec<u8>) {
    (row.table(), row.cells().first().copied().flatten().unwrap_or_default().to_ascii_lowercase())
}
