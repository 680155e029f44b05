//! The one data set that every store holds: the FAQ's rows, every awkward value that is known to be read differently
//! by some server, and rows that are bad. Text is UTF-8; what a table refuses is left out by its [`crate::Shape`].

mod alias;
mod mailbox;
pub mod traps;
mod virtuals;

use qmail_lookup_core::{Cell, Table, TableRow};

/// Keys that begin so belong to the editor's cases, which add and remove them while others read.
pub const EDITED: &[u8] = b"edit.";

/// Names `crowd000` and so on; the alias set of (`crowd`, `big`) and the host `crowd.com` have as many rows as
/// [`CROWD_SET`].
pub const CROWD: usize = 200;

/// Rows of the largest sets.
pub const CROWD_SET: usize = 1100;

/// All rows, in the order in which they are stored. Alias rows are numbered from 1 in column seq.
#[must_use]
pub fn rows() -> Vec<TableRow> {
    let mut rows = mailbox::rows();
    rows.extend(alias::rows());
    rows.extend(virtuals::rows());
    rows.extend(virtuals::rcpthosts());
    let mut seq = 0_u32;
    for row in &mut rows {
        if let TableRow::Alias(alias) = row {
            seq += 1;
            alias.seq = Some(seq.to_string().into_bytes());
        }
    }
    rows
}

/// A row of `table` from cells in the documented order.
fn row<const N: usize>(table: Table, cells: [Cell; N]) -> TableRow {
    TableRow::from_cells(table, cells)
}

/// A cell that holds this.
fn cell(bytes: impl AsRef<[u8]>) -> Cell {
    Some(bytes.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use crate::shape::{Need, Shape};

    #[test]
    fn the_strictest_tables_hold_most_of_it() {
        let all = super::rows();
        let strict = Shape::documented().rows(&all);
        assert!(strict.len() * 10 > all.len() * 9, "{} of {}", strict.len(), all.len());
        assert_eq!(Shape::anything().rows(&all), all);
        assert!(!Shape::documented().allows(Need::Nulls));
    }
}
