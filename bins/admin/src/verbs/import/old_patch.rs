//! mysqldump of the old patch's tables.

use super::dump::{Dump, Row, Table as Foreign};
use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::moving::Fit;
use qmail_lookup_core::{Cell, Table, TableRow};

/// Adds the rows of `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(options: &cli::Import, rows: &mut Rows, losses: &mut Losses) -> Result<(), Failure> {
    let mut dump = Dump::open(&options.source, |table| table_of(table).map(Table::columns))?;
    let mut there = [false; Table::ALL.len()];
    let mut untyped = 0_u64;
    while let Some(row) = dump.next()? {
        let Some(table) = table_of(&row.table) else { continue };
        check(&dump, table, &row)?;
        for (known, there) in Table::ALL.iter().zip(&mut there) {
            *there |= *known == table;
        }
        let cells = table.columns().iter().map(|column| row.get(column).map(<[u8]>::to_vec));
        let row = without_null(TableRow::from_cells(table, cells));
        untyped += u64::from(is_untyped(&row));
        rows.add(&row)?;
    }
    dump.finish("the tables mailbox, alias, virtual and rcpthosts", losses)?;
    if untyped > 0 {
        let why = "they have no password_type, and the password does not say what it is: nobody can log in, and a table \
                   whose column password_type may not be NULL does not take them. Say what it is before the dump, as \
                   UPDATE mailbox SET password_type = 'Password' WHERE password_type IS NULL";
        losses.add(format!("{untyped} rows of table mailbox"), why);
    }
    for (table, is_there) in Table::ALL.iter().zip(there) {
        if !is_there {
            losses.add(format!("table {table}"), "is not in the dump, or is empty");
        }
    }
    Ok(())
}

/// The row with blank cells in the place of NULL where the rules take them for the same: some tables refuse NULL.
fn without_null(mut row: TableRow) -> TableRow {
    let blank = |cell: &mut Cell| *cell = Some(cell.take().unwrap_or_default());
    match &mut row {
        TableRow::Alias(row) => {
            [&mut row.alias, &mut row.alias_username, &mut row.alias_host].into_iter().for_each(blank);
        }
        TableRow::Virtual(row) => [&mut row.virtual_username, &mut row.ext].into_iter().for_each(blank),
        TableRow::Mailbox(_) | TableRow::Rcpthosts(_) => {}
    }
    row
}

/// True if nothing says how its password is stored.
fn is_untyped(row: &TableRow) -> bool {
    matches!(Fit::WORDS.of(row.clone()), TableRow::Mailbox(row) if row.password_type.is_none())
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
