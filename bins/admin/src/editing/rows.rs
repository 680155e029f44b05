//! Rows as they are now: those of one key, and those of whole tables that concern somebody.

use crate::output::{Failure, text};
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_backends::trust::Proof;
use qmail_lookup_config::Role;
use qmail_lookup_core::editing::{belongs_to, of_owner};
use qmail_lookup_core::{AliasRow, Backend, CredentialRow, Deadline, Editor, Table, TableRow, Username};
use std::sync::Arc;

/// The store of a table.
pub(crate) fn store(session: &Session, table: Table) -> &Arc<dyn Backend> {
    match table {
        Table::Mailbox => &session.stores.mailbox,
        Table::Alias => &session.stores.alias,
        Table::Virtual | Table::Rcpthosts => &session.stores.virtuals,
    }
}

/// The deadline of what begins now: somebody may have thought about a password for long.
pub(crate) fn by(session: &Session) -> Deadline {
    Deadline::after(session.config.deadline)
}

/// What changes the rows of a table.
///
/// # Errors
/// If its store cannot be edited.
pub(crate) fn editor(session: &Session, table: Table) -> Result<&dyn Editor, Failure> {
    let store = store(session, table);
    store
        .editor()
        .ok_or_else(|| Failure::usage(format!("{}: this store cannot change the rows of table {table}", store.place())))
}

/// The whole rows of one key.
///
/// # Errors
/// If the store could not be asked.
pub(crate) async fn of_key(session: &Session, table: Table, key: &[u8]) -> Result<Vec<TableRow>, Failure> {
    Ok(editor(session, table)?.rows(table, key, by(session)).await?)
}

/// The rows of table alias of one user.
///
/// # Errors
/// If the store could not be asked.
pub(crate) async fn aliases(session: &Session, user: &Username) -> Result<Vec<AliasRow>, Failure> {
    let rows = of_key(session, Table::Alias, user.as_bytes()).await?;
    Ok(rows.into_iter().filter_map(|row| if let TableRow::Alias(row) = row { Some(row) } else { None }).collect())
}

/// The one row of a mailbox; `None` if there is none.
///
/// # Errors
/// If the store could not be asked, or has several: which one is meant is not known.
pub(crate) async fn mailbox(session: &Session, name: &Username) -> Result<Option<CredentialRow>, Failure> {
    let mut rows = of_key(session, Table::Mailbox, name.as_bytes()).await?;
    if rows.len() > 1 {
        let what = format!("mailbox {name} has {} rows; delete all but one with the store's own tools", rows.len());
        return Err(Failure::refused(what));
    }
    Ok(rows.pop().and_then(|row| if let TableRow::Mailbox(row) = row { Some(row) } else { None }))
}

/// As [`mailbox`].
///
/// # Errors
/// As [`mailbox`], and if there is no such mailbox.
pub(crate) async fn the_mailbox(session: &Session, name: &Username) -> Result<CredentialRow, Failure> {
    mailbox(session, name).await?.ok_or_else(|| Failure::refused(format!("there is no mailbox {name}")))
}

/// A name as lookups ask for it.
///
/// # Errors
/// If it can be none.
pub(crate) fn username(written: &[u8]) -> Result<Username, Failure> {
    let name = Username::new(written).ok_or_else(|| {
        let what = "is no name: 1 to 128 characters of ASCII, without blanks and control characters";
        Failure::usage(format!("'{}' {what}", text(written)))
    })?;
    Ok(name)
}

/// Fails if `name` is a mailbox by which a store shows that it has not lost its rows: without it all mail would wait.
///
/// # Errors
/// If it is.
pub(crate) fn is_no_canary(session: &Session, name: &Username) -> Result<(), Failure> {
    for role in Role::ALL {
        let store = session.config.store.role(role);
        if matches!(&store.proof, Proof::Canary(canary) if canary == name) {
            let what = format!("mailbox {name} is the canary of {}: without it no mail is delivered", store.table);
            let help = format!("name another one as {}.canary first; --force does it anyway", store.table);
            return Err(Failure::refused(format!("{what}; nothing was changed ({help})")));
        }
    }
    Ok(())
}

/// What the tables say about a mailbox besides its own row.
#[derive(Default)]
pub(crate) struct Others {
    /// Its rows of table alias.
    pub(crate) aliases: Vec<TableRow>,
    /// The rows of table virtual that it owns.
    pub(crate) virtuals: Vec<TableRow>,
    /// Rows of table alias, of whomever, that may forward to it.
    pub(crate) forwards: Vec<TableRow>,
}

/// Finds out what the tables say about `name`; reads tables alias and virtual from their first rows to their last.
///
/// # Errors
/// If a table could not be read to its end.
pub(crate) async fn others(session: &Session, name: &Username) -> Result<Others, Failure> {
    let breaks = session.config.rules.break_chars.as_bytes();
    let forwards = |row: &TableRow| match row {
        TableRow::Alias(row) => belongs_to(row.alias_username.as_deref().unwrap_or_default(), name, breaks),
        _ => false,
    };
    Ok(Others {
        aliases: of_key(session, Table::Alias, name.as_bytes()).await?,
        virtuals: which(session, Table::Virtual, |row| name.matches(of_owner(row))).await?,
        forwards: which(session, Table::Alias, forwards).await?,
    })
}

/// The rows of a whole table that are wanted.
///
/// # Errors
/// If the table could not be read to its end.
pub(crate) async fn which(
    session: &Session,
    table: Table,
    wanted: impl Fn(&TableRow) -> bool,
) -> Result<Vec<TableRow>, Failure> {
    let mut pages = Pages::begin(session, table).await?;
    let mut found = Vec::new();
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page.into_iter().filter(|row| wanted(row)));
    }
}
