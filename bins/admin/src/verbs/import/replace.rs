//! What `--replace` may not do: make a table empty because the file has nothing for it.

use super::losses::Losses;
use crate::moving::{Rows, file_of};
use crate::output::Failure;
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_core::{Deadline, Table};

/// Fails if a table holds rows, and the source has none for it, or lacks a table that such rows are made of: a file that
/// was made without its rows looks the same.
///
/// # Errors
/// That, or if the store cannot be read.
pub(super) async fn refuse_to_empty(session: &Session, rows: &Rows, losses: &Losses) -> Result<(), Failure> {
    for table in Table::ALL {
        let what = match losses.lacking(table) {
            Some(source) => source.to_owned(),
            None if rows.count(table)? == 0 => format!("table {table}"),
            None => continue,
        };
        if holds(session, table).await? {
            return Err(Failure::usage(format!(
                "the source has no rows of {what}, and with --replace rows of the store's table {table} would go; make \
                 the file with all tables and their rows, or use --merge"
            )));
        }
    }
    Ok(())
}

async fn holds(session: &Session, table: Table) -> Result<bool, Failure> {
    for (store, tables) in session.stores() {
        let is_no_file_yet = || file_of(&**store).is_some_and(|path| std::fs::symlink_metadata(path).is_err());
        if !tables.contains(&table) || is_no_file_yet() {
            continue;
        }
        let facts = store.facts(Deadline::after(session.config.deadline)).await?;
        if facts.tables.iter().any(|found| found.table == table) {
            return Ok(!Pages::begin(session, table).await?.next().await?.is_empty());
        }
    }
    Ok(false)
}
