//! What `lint` would say about rows that are not there yet: it is run over the rows around the changes, once as they are
//! and once as they will be.

use super::Plan;
use super::rows::{by, of_key, store};
use crate::cli;
use crate::output::{Failure, Output};
use crate::session::Session;
use crate::verbs::lint;
use qmail_lookup_backends::overlay::Overlay;
use qmail_lookup_config::Stores;
use qmail_lookup_core::editing::Ahead;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::{Finding, Severity, key_of};
use qmail_lookup_core::settings::VirtualPatterns;
use qmail_lookup_core::{Catalog, Change, Table, TableRow};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Mailboxes among which `lint` looks for one that a new catch-all hides, or for one that is left.
const EXAMPLES: usize = 64;

/// Errors and warnings that the plan's changes cause: those of what will be that are none of what is.
///
/// # Errors
/// If a store could not be asked.
pub(super) async fn caused(session: &Session, plan: &Plan, output: &mut Output) -> Result<Vec<Finding>, Failure> {
    let around = around(session, plan).await?;
    let (now, then) = (Ahead::default(), Ahead::of(&plan.changes));
    // Without it the changes cannot be made, and what they would come to is not known.
    if let Some(row) = then.gone.iter().find(|row| !around.contains(row)) {
        let row = format!("{} of table {}", key_of(row), row.table());
        let what = "the row is gone, or was changed by somebody else meanwhile; nothing was changed";
        return Err(Failure::refused(format!("{row}: {what}")));
    }
    let before = found(session, now, around.clone(), plan, output).await?;
    let after = found(session, then, around, plan, output).await?;
    let only_less = plan.changes.iter().all(|change| matches!(change, Change::Delete(_)));
    // With fewer rows a finding that counts them says another number.
    let words = |text: &str| if only_less { text.replace(|c: char| c.is_ascii_digit(), "") } else { text.to_owned() };
    let identity = |finding: &Finding| (finding.rule, finding.table, finding.key.clone(), words(&finding.why));
    let known: HashSet<_> = before.into_iter().map(|finding| identity(&in_new_words(finding, plan))).collect();
    let is_new = |finding: &Finding| finding.severity >= Severity::Warning && !known.contains(&identity(finding));
    Ok(after.into_iter().filter(is_new).collect())
}

/// A finding as it would be worded after a mailbox was renamed.
fn in_new_words(finding: Finding, plan: &Plan) -> Finding {
    let Some((old, new)) = &plan.renamed else { return finding };
    let renamed = |text: &str| text.replace(old.as_str(), new.as_str());
    Finding { key: renamed(&finding.key), why: renamed(&finding.why), ..finding }
}

async fn found(
    session: &Session,
    ahead: Ahead,
    around: Vec<TableRow>,
    plan: &Plan,
    output: &mut Output,
) -> Result<Vec<Finding>, Failure> {
    let rules = Arc::clone(&session.lookup.settings);
    let (around, ahead) = (ahead.applied(around), Arc::new(ahead));
    let over = |table| -> Arc<dyn qmail_lookup_core::Backend> {
        Arc::new(Overlay::new(store(session, table), &ahead, &around, &rules))
    };
    let stores = Stores { mailbox: over(Table::Mailbox), alias: over(Table::Alias), virtuals: over(Table::Virtual) };
    let lookup = stores.lookup(&rules);
    let small = Session { config: session.config.clone(), stores, lookup, by: by(session) };
    let options = cli::Lint { qmail: None, no_homes: !plan.homes, quiet: true, strict: false };
    lint::findings(&small, &options, output).await
}

/// The rows, as they are now, with which those of the changes could come into conflict.
async fn around(session: &Session, plan: &Plan) -> Result<Vec<TableRow>, Failure> {
    let touched: Vec<&TableRow> = plan
        .changes
        .iter()
        .flat_map(|change| match change {
            Change::Insert(row) | Change::Delete(row) => vec![row],
            Change::Replace { old, new } => vec![old, new],
        })
        .collect();
    let keys: BTreeSet<(Table, Vec<u8>)> = touched.iter().flat_map(|row| keys(row)).collect();
    let users: HashSet<Vec<u8>> = touched.iter().filter_map(|row| virtual_user(row)).collect();
    let mut rows = Vec::new();
    for (table, key) in &keys {
        let found = of_key(session, *table, key).await?;
        match table {
            Table::Virtual => rows.extend(of_host(found, &users)),
            _ => rows.extend(found),
        }
    }
    let is_like = session.config.rules.virtual_patterns == VirtualPatterns::Like;
    let catch_all: &[u8] = if is_like { b"%" } else { b"" };
    let is_gone = |change: &Change| matches!(change, Change::Delete(TableRow::Mailbox(_)));
    // A catch-all hides others, and the last mailbox is not to go unnoticed.
    if (users.contains(catch_all) || plan.changes.iter().any(is_gone))
        && let Some(catalog) = session.stores.mailbox.catalog()
    {
        let examples = examples(catalog, session).await?;
        rows.extend(examples.into_iter().filter(|row| !is_of(row, &keys)));
    }
    let beside = plan.beside.iter().filter(|row| !is_of(row, &keys) && !rows.contains(row));
    let beside: Vec<TableRow> = beside.cloned().collect();
    rows.extend(beside);
    Ok(rows)
}

async fn examples(catalog: &dyn Catalog, session: &Session) -> Result<Vec<TableRow>, Failure> {
    let mut scan = catalog.scan(Table::Mailbox, None, by(session)).await?;
    Ok(scan.next(EXAMPLES, by(session)).await?)
}

fn key(row: &TableRow) -> (Table, Vec<u8>) {
    (row.table(), fold(row.cells().first().copied().flatten().unwrap_or_default()))
}

fn is_of(row: &TableRow, keys: &BTreeSet<(Table, Vec<u8>)>) -> bool {
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

/// Of the rows of a virtual host its first one, those of the same user parts, and those that stand for many.
fn of_host(rows: Vec<TableRow>, users: &HashSet<Vec<u8>>) -> Vec<TableRow> {
    let matters = |(at, row): &(usize, TableRow)| {
        let user = virtual_user(row).unwrap_or_default();
        *at == 0 || users.contains(&user) || user.is_empty() || user.iter().any(|b| matches!(b, b'%' | b'_'))
    };
    rows.into_iter().enumerate().filter(matters).map(|(_, row)| row).collect()
}
