//! `user rename`.

use crate::cli;
use crate::editing::rows::{Others, by, editor, is_no_canary, mailbox, others, the_mailbox};
use crate::editing::{Plan, make};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use qmail_lookup_core::editing::{of_owner, renamed};
use qmail_lookup_core::{Change, Numbering, Table, TableRow, Username};
use std::sync::Arc;

pub(super) async fn run(
    session: &Session,
    name: &Username,
    new: &Username,
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if name == new {
        return Err(Failure::usage(format!("{name} is its name already")));
    }
    let row = TableRow::Mailbox(the_mailbox(session, name).await?);
    if mailbox(session, new).await?.is_some() {
        return Err(Failure::refused(format!("there is a mailbox {new} already; nothing was changed")));
    }
    if !edit.force {
        is_no_canary(session, name)?;
    }
    let others = others(session, name).await?;
    let forwards = others.forwards.iter().filter(|row| !name.matches(of_owner(row))).count();
    let mut remarks = Vec::new();
    if forwards > 0 {
        remarks.push(format!("{forwards} row(s) of table alias forward to {name} or its extensions still"));
    }
    let (aliases, virtuals) = (others.aliases.len(), others.virtuals.len());
    let beside = [others.forwards.clone(), others.virtuals.clone()].concat();
    let changes = match is_one_transaction(session) {
        true => in_one(&row, others, new),
        false => in_steps(session, &row, others, new).await?,
    };
    let plan = Plan {
        changes,
        beside,
        renamed: Some((name.to_string(), new.to_string())),
        done: format!(
            "mailbox {name} is {new} now, with {aliases} row(s) of table alias and {virtuals} of table virtual"
        ),
        remarks,
        ..Plan::default()
    };
    make(session, &plan, edit, output).await
}

/// True if all or nothing will be changed. A directory makes one change after the other.
fn is_one_transaction(session: &Session) -> bool {
    let stores = &session.stores;
    let is_same = |other| Arc::ptr_eq(&stores.mailbox, other);
    is_same(&stores.alias) && is_same(&stores.virtuals) && stores.mailbox.kind() != "ldap"
}

fn in_one(row: &TableRow, others: Others, new: &Username) -> Vec<Change> {
    let rows = others.aliases.into_iter().chain(others.virtuals).chain([row.clone()]);
    rows.map(|old| Change::Replace { new: renamed(&old, new), old }).collect()
}

/// At each step both names, or the one that is asked for, get their mail as before.
async fn in_steps(session: &Session, row: &TableRow, others: Others, new: &Username) -> Result<Vec<Change>, Failure> {
    let numbering = editor(session, Table::Alias)?.numbering(by(session)).await?;
    let copy = |row: &TableRow| match renamed(row, new) {
        // Its number is taken as long as the old row is there.
        TableRow::Alias(mut row) if numbering == Numbering::Unique => {
            row.seq = None;
            TableRow::Alias(row)
        }
        row => row,
    };
    let mut changes: Vec<Change> = others.aliases.iter().map(copy).map(Change::Insert).collect();
    changes.push(Change::Insert(renamed(row, new)));
    changes.extend(others.virtuals.into_iter().map(|old| Change::Replace { new: renamed(&old, new), old }));
    changes.push(Change::Delete(row.clone()));
    changes.extend(others.aliases.into_iter().map(Change::Delete));
    Ok(changes)
}
