//! Rows as they are now: those of one key, and those of whole tables that concern somebody.

use crate::output::{Failure, text};
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_backends::trust::Proof;
use qmail_lookup_config::Role;
use qmail_lookup_core::editing::{Fresh, belongs_to, comes_from, of_owner};
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::key_of;
use qmail_lookup_core::{AliasRow, Backend, CredentialRow, Deadline, Editor, Numbering, Table, TableRow, Username};
use std::collections::BTreeMap;
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
        virtuals: virtuals_of(session, name).await?,
        forwards: which(session, Table::Alias, forwards, |_| {}).await?,
    })
}

/// How the rows of an alias set that is added to are numbered. A new set of a directory, which has a number for each row,
/// is one without numbers, as it is in a database whose table has none: each store is to give the same answer.
///
/// # Errors
/// If the store could not be asked.
pub(crate) async fn numbering(session: &Session) -> Result<(Numbering, Fresh), Failure> {
    let numbering = editor(session, Table::Alias)?.numbering(by(session)).await?;
    let is_directory = store(session, Table::Alias).kind() == "ldap";
    Ok((numbering, if is_directory { Fresh::Unnumbered } else { Fresh::Numbered }))
}

/// Most rows that are named one by one.
const NAMED: usize = 3;

/// Fails if rows are there already that would be those of a new mailbox `name`, or that it would take the mail from:
/// nobody has said that it is to have them. `old` is the mailbox that gets the name, whose own rows come along. Reads
/// table virtual from its first row to its last.
///
/// # Errors
/// If there are such rows, or a table could not be read.
pub(crate) async fn has_no_rows(session: &Session, name: &Username, old: Option<&Username>) -> Result<(), Failure> {
    let rules = &session.config.rules;
    let breaks = rules.break_chars.as_bytes();
    let is_old = |row: &TableRow| old.is_some_and(|old| old.matches(of_owner(row)));
    let mut found: Vec<TableRow> = of_key(session, Table::Alias, name.as_bytes()).await?;
    // Sets that answer for this name as long as it is no mailbox: the alias user's, and those of a shorter name.
    let mut shorter: Vec<(Username, &[u8])> = Vec::new();
    shorter.extend(Username::new(rules.alias_user.as_bytes()).map(|alias| (alias, name.as_bytes())));
    for (at, _) in name.as_bytes().iter().enumerate().filter(|(_, byte)| breaks.contains(byte)) {
        if let Some((front, [_, rest @ ..])) = name.as_bytes().split_at_checked(at) {
            shorter.extend(Username::new(front).map(|front| (front, rest)));
        }
    }
    for (user, ext) in shorter.into_iter().filter(|(user, _)| user != name) {
        let rows = of_key(session, Table::Alias, user.as_bytes()).await?;
        let is_hidden = |row: &TableRow| match row {
            // A set for whatever has no rows of its own is meant to lose mail to others.
            TableRow::Alias(row) => {
                let set = row.alias.as_deref().unwrap_or_default();
                Username::new(ext).is_some_and(|ext| belongs_to(set, &ext, breaks)) && !comes_from(b"", set)
            }
            _ => false,
        };
        found.extend(rows.into_iter().filter(is_hidden));
    }
    let is_its = |row: &TableRow| of_owner(row).is_some_and(|owner| belongs_to(owner, name, breaks));
    found.extend(which(session, Table::Virtual, is_its, |_| {}).await?);
    found.retain(|row| !is_old(row));
    let mut known = BTreeMap::new();
    let mut left = Vec::new();
    for row in found {
        let local = local_of(&row, rules.alias_user.as_bytes());
        if !is_of_a_longer_name(session, &local, name, &mut known).await? {
            left.push(row);
        }
    }
    let found = left;
    if found.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> =
        found.iter().take(NAMED).map(|row| format!("{} of table {}", key_of(row), row.table())).collect();
    named.extend((found.len() > NAMED).then(|| format!("{} more", found.len() - NAMED)));
    let what = format!("{} row(s) are there already that a mailbox {name} would get, or hide", found.len());
    let help = "delete them if nobody is to have them; --force leaves them";
    Err(Failure::refused(format!("{what}: {}; nothing was changed ({help})", named.join(", "))))
}

/// The local part whose mail a row is about.
fn local_of(row: &TableRow, alias_user: &[u8]) -> Vec<u8> {
    let owner = fold(of_owner(row).unwrap_or_default());
    match row {
        TableRow::Alias(row) => {
            let ext = fold(row.alias.as_deref().unwrap_or_default());
            match (owner.eq_ignore_ascii_case(alias_user), ext.is_empty()) {
                (true, false) => ext,
                (false, false) => [&owner[..], b"-", &ext].concat(),
                (_, true) => owner,
            }
        }
        _ => owner,
    }
}

/// True if a mailbox that is there gets the mail of `local` although `name` fits, too: its name is longer. `known` keeps
/// which mailboxes are there.
///
/// # Errors
/// If the store could not be asked.
pub(crate) async fn is_of_a_longer_name(
    session: &Session,
    local: &[u8],
    name: &Username,
    known: &mut BTreeMap<Vec<u8>, bool>,
) -> Result<bool, Failure> {
    let breaks = session.config.rules.break_chars.as_bytes();
    let ends = (name.as_bytes().len().saturating_add(1)..=local.len())
        .filter(|&end| local.get(end).is_none_or(|byte| breaks.contains(byte)));
    for front in ends.filter_map(|end| local.get(..end)) {
        let is_there = match known.get(front) {
            Some(is_there) => *is_there,
            None => !of_key(session, Table::Mailbox, front).await?.is_empty(),
        };
        known.insert(front.to_vec(), is_there);
        if is_there {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The rows of table virtual that `name` owns; reads the table from its first row to its last.
///
/// # Errors
/// If the table could not be read to its end.
pub(crate) async fn virtuals_of(session: &Session, name: &Username) -> Result<Vec<TableRow>, Failure> {
    which(session, Table::Virtual, |row| name.matches(of_owner(row)), |_| {}).await
}

/// The rows of a whole table that are wanted; `step` is told of each page how many rows it had.
///
/// # Errors
/// If the table could not be read to its end.
pub(crate) async fn which(
    session: &Session,
    table: Table,
    wanted: impl Fn(&TableRow) -> bool,
    mut step: impl FnMut(u64),
) -> Result<Vec<TableRow>, Failure> {
    let mut pages = Pages::begin(session, table).await?;
    let mut found = Vec::new();
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(found);
        }
        step(u64::try_from(page.len()).unwrap_or(u64::MAX));
        found.extend(page.into_iter().filter(|row| wanted(row)));
    }
}
