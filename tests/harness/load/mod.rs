//! Fills stores with rows, not by way of the stores themselves. One file for each kind of the registry.

pub mod ldap;
pub mod memory;
pub mod mysql;
pub mod sqlite;

use libtest_mimic::Failed;
use qmail_lookup_backends::registry::{OpenContext, Registry, Settings};
use qmail_lookup_core::{Backend, Table, TableOptions};
use serde_json::Value;
use std::sync::Arc;

use crate::check::{block_on, enter};
use crate::model::soon;
use crate::shape::Shape;

/// Opens a store as the programs do: by the name of its kind and its settings.
///
/// # Errors
/// If there is no such kind, or the settings are not usable.
pub fn open(kind: &str, settings: &[(&str, Value)]) -> Result<Arc<dyn Backend>, Failed> {
    let _runtime = enter();
    let registry = Registry::builtin();
    let entry = registry.find(kind).ok_or_else(|| format!("no kind {kind} in the registry"))?;
    let settings: Settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    (entry.open)(settings, &OpenContext::default()).map_err(|error| format!("{}: {}", error.key, error.problem).into())
}

/// Has the store's own editor make its tables, as `init` does.
///
/// # Errors
/// The editor's, or if the store has none.
pub fn create_tables(store: &dyn Backend, shape: &Shape) -> Result<(), Failed> {
    let username_width = u16::try_from(shape.width).unwrap_or(TableOptions::WIDTH_MAX);
    let options = TableOptions { username_width, with_seq: shape.seq };
    let editor = store.editor().ok_or("the store has no editor")?;
    let made = block_on(editor.create_tables(&Table::ALL, options, soon()))?;
    match made.iter().all(|(_, made)| *made) && made.len() == Table::ALL.len() {
        true => Ok(()),
        false => Err(format!("tables made: {made:?}").into()),
    }
}

/// Columns of `table` that a store of this shape has.
#[must_use]
pub fn columns(table: Table, shape: &Shape) -> Vec<&'static str> {
    let there = |column: &&str| match *column {
        "seq" => shape.seq,
        "suspended" | "password_type" => shape.login_columns,
        _ => true,
    };
    table.columns().iter().copied().filter(there).collect()
}

/// The cells of `row` for [`columns`].
pub(crate) fn cells<'a>(row: &'a qmail_lookup_core::TableRow, shape: &Shape) -> Vec<Option<&'a [u8]>> {
    let there = columns(row.table(), shape);
    let all = row.table().columns().iter().zip(row.cells());
    all.filter(|(column, _)| there.contains(column)).map(|(_, cell)| cell).collect()
}
