//! Mailboxes without passwords, on their way into a store that may have them with passwords.

use super::losses::Losses;
use crate::cli;
use crate::moving::{Rows, file_of};
use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::moving::{fit::meaning, set_key};
use qmail_lookup_core::{Cell, Deadline, Table, TableRow};

/// Adds the mailboxes of `bare` to `rows`; one that the store has already, with a password or without, as it is there.
///
/// # Errors
/// If the store or the temporary files cannot be read.
pub(super) async fn add(
    session: &Session,
    options: &cli::Import,
    bare: &Rows,
    rows: &mut Rows,
    losses: &mut Losses,
) -> Result<(), Failure> {
    let there = if options.into.merge { held(session).await? } else { none()? };
    let (mut ours, mut theirs, mut new) = (bare.sets(Table::Mailbox), there.sets(Table::Mailbox), 0);
    loop {
        let set = ours.next_set()?;
        let Some(key) = set.first().map(set_key) else { break };
        while theirs.peek_key()?.is_some_and(|other| other < key) {
            theirs.next_set()?;
        }
        let mut found = if theirs.peek_key()? == Some(key) { theirs.next_set()? } else { Vec::new() };
        if found.is_empty() {
            new += set.len();
        }
        for row in set {
            let alike = found.iter().position(|other| but_for_password(other) == but_for_password(&row));
            rows.add(&alike.map_or(row, |at| found.swap_remove(at)))?;
        }
    }
    if new > 0 {
        losses.note("passwords", format!("{new} new mailboxes have none: nobody can log in to them"));
    }
    Ok(())
}

/// What a row means, its password and the type of that left out.
fn but_for_password(row: &TableRow) -> Vec<Cell> {
    let mut row = row.clone();
    if let TableRow::Mailbox(row) = &mut row {
        (row.password, row.password_type) = (None, None);
    }
    meaning(&row)
}

/// The mailboxes that the store has.
async fn held(session: &Session) -> Result<Rows, Failure> {
    let store = &*session.stores.mailbox;
    let is_there = file_of(store).is_none_or(|file| file.symlink_metadata().is_ok());
    let is_there = is_there && {
        let facts = store.facts(Deadline::after(session.config.deadline)).await?;
        facts.tables.iter().any(|found| found.table == Table::Mailbox)
    };
    if is_there { Rows::of_tables(session, &[Table::Mailbox], |_, _| {}).await } else { none() }
}

fn none() -> Result<Rows, Failure> {
    let mut rows = Rows::new()?;
    rows.finish()?;
    Ok(rows)
}
