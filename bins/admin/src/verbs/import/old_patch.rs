//! mysqldump of the old patch's tables.

use super::dump::{Dump, Row, Table as Foreign};
use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::{Table, TableRow};

/// Adds the rows of `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(options: &cli::Import, rows: &mut Rows, losses: &mut Losses) -> Result<(), Failure> {
    let mut dump = Dump::open(&options.source, |table| table_of(table).map(Table::columns))?;
    let mut there = [false; Table::ALL.len()];
    while let Some(row) = dump.next()? {
        let Some(table) = table_of(&row.table) else { continue };
        check(&dump, table, &row)?;
        for (known, there) in Table::ALL.iter().zip(&mut there) {
            *there |= *known == table;
        }
        let cells = table.columns().iter().map(|column| row.get(column).map(<[u8]>::to_vec));
        rows.add(&TableRow::from_cells(table, cells))?;
    }
    dump.finish("the tables mailbox, alias, virtual and rcpthosts", losses)?;
    for (table, is_there) in Table::ALL.iter().zip(there) {
        if !is_there {
            losses.add(format!("table {table}"), "is not in the dump, or is empty");
        }
    }
    Ok(())
}

fn table_of(table: &Foreign) -> Option<Table> {
    Table::ALL.into_iter().find(|known| known.name() == table.name)
}

/// Each row, because each statement may name its own columns.
fn check<R: std::io::BufRead>(dump: &Dump<R>, table: Table, row: &Row) -> Result<(), Failure> {
    let needed = table.columns().iter().filter(|column| !table.optional_columns().contains(column));
    let lacks = |column: &&&str| !row.table.has(&[column]);
    let Some(column) = needed.clone().find(lacks) else { return Ok(()) };
    // The Perl client leaves out columns that have a default.
    let help = "if it is postfixadmin's or vpopmail's: --format postfixadmin, --format vpopmail";
    Err(dump.wrong(table.name(), &format!("no column {column} ({help})")))
}
