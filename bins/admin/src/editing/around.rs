//! The rows with which those of an edit could come into conflict: those of the same keys, and those that lead to them.

use super::Plan;
use super::rows::{self, by, of_key};
use crate::output::{Failure, Output};
use crate::progress::Progress;
use crate::session::Session;
use qmail_lookup_core::editing::{Ahead, Touched};
use qmail_lookup_core::key::fold;
use qmail_lookup_core::settings::VirtualPatterns;
use qmail_lookup_core::{Catalog, Change, Table, TableRow, Username};
use std::collections::{BTreeSet, HashSet};

/// Mailboxes among which `lint` looks for one that a new catch-all hides, or for one that is left.
const EXAMPLES: usize = 64;

/// Keys in lower case.
type Keys = BTreeSet<(Table, Vec<u8>)>;

/// When the rows are looked at.
pub(super) enum When {
    /// The changes are not made yet.
    Before,
    /// They are, and this is what they touched. Rows that only stood in for others before are left out.
    After(Touched),
}

/// The rows, as they are now, and what the changes touch in others.
///
/// # Errors
/// If a store could not be asked.
pub(super) async fn around(
    session: &Session,
    plan: &Plan,
    then: &Ahead,
    when: When,
    output: &Output,
) -> Result<(Vec<TableRow>, Touched), Failure> {
    let changed: Vec<&TableRow> = plan
        .changes
        .iter()
        .flat_map(|change| match change {
            Change::Insert(row) | Change::Delete(row) => vec![row],
            Change::Replace { old, new } => vec![old, new],
        })
        .collect();
    let keys: Keys = changed.iter().flat_map(|row| keys(row)).collect();
    let users: HashSet<Vec<u8>> = changed.iter().filter_map(|row| virtual_user(row)).collect();
    let is_before = matches!(when, When::Before);
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for (table, key) in &keys {
        let found = of_key(session, *table, key).await?;
        match table {
            Table::Virtual => {
                rows.extend(of_host(&found, &users, is_before));
                all.extend(found);
            }
            _ => rows.extend(found),
        }
    }
    let is_like = session.config.rules.virtual_patterns == VirtualPatterns::Like;
    let catch_all: &[u8] = if is_like { b"%" } else { b"" };
    let is_gone = |change: &Change| matches!(change, Change::Delete(TableRow::Mailbox(_)));
    // A catch-all hides others, and the last mailbox is not to go unnoticed.
    if is_before
        && (users.contains(catch_all) || plan.changes.iter().any(is_gone))
        && let Some(catalog) = session.stores.mailbox.catalog()
    {
        let examples = examples(catalog, session).await?;
        rows.extend(examples.into_iter().filter(|row| !is_of(row, &keys)));
    }
    let touched = match when {
        When::Before => {
            all.extend(rows.iter().filter(|row| row.table() != Table::Virtual).cloned());
            touched(plan, then, all)
        }
        When::After(touched) => touched,
    };
    let mut leading = leading(session, touched.clone(), output).await?;
    if is_before {
        let known: BTreeSet<&TableRow> = leading.iter().collect();
        let beside: Vec<TableRow> = plan.beside.iter().filter(|row| !known.contains(row)).cloned().collect();
        leading.extend(beside);
    }
    let known: BTreeSet<&TableRow> = rows.iter().collect();
    leading.retain(|row| !is_of(row, &keys) && !known.contains(row));
    rows.extend(leading);
    Ok((rows, touched))
}

async fn examples(catalog: &dyn Catalog, session: &Session) -> Result<Vec<TableRow>, Failure> {
    let mut scan = catalog.scan(Table::Mailbox, None, by(session)).await?;
    Ok(scan.next(EXAMPLES, by(session)).await?)
}

fn key(row: &TableRow) -> (Table, Vec<u8>) {
    (row.table(), fold(row.cells().first().copied().flatten().unwrap_or_default()))
}

/// True if the row was found by its key. Of a virtual host, not all of them are.
fn is_of(row: &TableRow, keys: &Keys) -> bool {
    row.table() != Table::Virtual && keys.contains(&key(row))
}

/// The keys whose rows a change of `row` can put into another light.
fn keys(row: &TableRow) -> Vec<(Table, Vec<u8>)> {
    let (table, key) = key(row);
    match table {
        Table::Mailbox => vec![(table, key.clone()), (Table::Alias, key)],
        Table::Alias => vec![(table, key)],
        Table::Virtual | Table::Rcpthosts => vec![(Table::Virtual, key.clone()), (Table::Rcpthosts, key)],
    }
}

fn virtual_user(row: &TableRow) -> Option<Vec<u8>> {
    if let TableRow::Virtual(row) = row {
        Some(fold(row.virtual_username.as_deref().unwrap_or_default()))
    } else {
        None
    }
}

/// Of the rows of a virtual host those of the same user parts, and those that stand for many; and `first`, the first one.
fn of_host(rows: &[TableRow], users: &HashSet<Vec<u8>>, first: bool) -> Vec<TableRow> {
    let matters = |(at, row): &(usize, &TableRow)| {
        let user = virtual_user(row).unwrap_or_default();
        (first && *at == 0) || users.contains(&user) || user.is_empty() || user.iter().any(|b| matches!(b, b'%' | b'_'))
    };
    rows.iter().enumerate().filter(matters).map(|(_, row)| row.clone()).collect()
}

/// The list that the extension `owner` is of the owner, or of the senders, of (rule A5).
fn list_of(owner: &[u8]) -> Option<Vec<u8>> {
    let owner = owner.strip_suffix(b"-default").unwrap_or(owner);
    if owner == b"owner" { Some(Vec::new()) } else { owner.strip_suffix(b"-owner").map(<[u8]>::to_vec) }
}

/// What the plan touches: `all` are the rows of its keys, as they are now.
fn touched(plan: &Plan, then: &Ahead, all: Vec<TableRow>) -> Touched {
    let hosts = |rows: &[TableRow]| -> BTreeSet<Vec<u8>> {
        rows.iter().filter(|row| row.table() == Table::Virtual).map(|row| key(row).1).collect()
    };
    let set = |row: &TableRow| match row {
        TableRow::Alias(row) => {
            let name = row.username.as_deref().and_then(Username::new)?;
            Some((name, fold(row.alias.as_deref().unwrap_or_default())))
        }
        _ => None,
    };
    let hosts_now = hosts(&all);
    let sets_now: BTreeSet<_> = all.iter().filter_map(set).collect();
    let later = then.applied(all);
    let hosts_then = hosts(&later);
    let sets_then: BTreeSet<_> = later.iter().filter_map(set).collect();
    let new_sets = then.new_rows().iter().filter_map(set).filter(|set| !sets_now.contains(set));
    let mut sets: BTreeSet<_> = then.gone().iter().filter_map(set).filter(|set| !sets_then.contains(set)).collect();
    sets.extend(new_sets.filter_map(|(user, owner)| Some((user, list_of(&owner)?))));
    let mut touched = Touched {
        // Of a host that becomes virtual, or is so no more, each address goes another way.
        hosts: hosts_now.symmetric_difference(&hosts_then).cloned().collect(),
        sets,
        ..Touched::default()
    };
    for change in &plan.changes {
        match change {
            Change::Delete(TableRow::Mailbox(old)) => {
                touched.names.extend(old.mailbox.username.as_deref().and_then(Username::new));
            }
            Change::Replace { old: TableRow::Mailbox(old), new: TableRow::Mailbox(new) } => {
                let name = old.mailbox.username.as_deref().and_then(Username::new);
                touched.names.extend(name.filter(|name| !name.matches(new.mailbox.username.as_deref())));
            }
            Change::Insert(TableRow::Virtual(row)) | Change::Delete(TableRow::Virtual(row)) => touched.add_address(row),
            Change::Replace { old: TableRow::Virtual(old), new: TableRow::Virtual(new) } => {
                touched.add_address(old);
                touched.add_address(new);
            }
            _ => {}
        }
    }
    touched
}

/// The rows of tables virtual and alias that lead to what is touched; reads them from their first rows to their last.
async fn leading(session: &Session, mut touched: Touched, output: &Output) -> Result<Vec<TableRow>, Failure> {
    let rules = &session.config.rules;
    let mut found = Vec::new();
    if touched.is_empty() {
        return Ok(found);
    }
    let mut progress = Progress::with_lines(output.is_json());
    if touched.has_owners() || rules.magic_forwarding {
        let leads = |row: &TableRow| matches!(row, TableRow::Virtual(row) if touched.is_led_to_by_owner(row, rules));
        found = which(session, Table::Virtual, leads, &mut progress).await?;
    }
    // What is forwarded to these addresses goes on to the same owners.
    for row in &found {
        if let TableRow::Virtual(row) = row {
            touched.add_address(row);
        }
    }
    let leads = |row: &TableRow| matches!(row, TableRow::Alias(row) if touched.is_led_to_by_forward(row, rules));
    found.extend(which(session, Table::Alias, leads, &mut progress).await?);
    progress.end();
    Ok(found)
}

async fn which(
    session: &Session,
    table: Table,
    wanted: impl Fn(&TableRow) -> bool,
    progress: &mut Progress,
) -> Result<Vec<TableRow>, Failure> {
    progress.begin(&format!("reading table {table}"), None);
    rows::which(session, table, wanted, |read| progress.advance(read)).await
}
