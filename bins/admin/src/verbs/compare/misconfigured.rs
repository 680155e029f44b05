//! Rows that contradict the rules on both sides: the answers are the same, so the rows themselves are compared.

use super::pairs::{in_pairs, verdict};
use super::report::Report;
use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::Table;
use qmail_lookup_core::compare::{Verdict, differing_cells};

/// Takes back what was said of the questions whose rows differ.
///
/// # Errors
/// If a temporary file cannot be read or written.
pub(super) fn run(left: &Rows, right: &Rows, report: &mut Report) -> Result<(), Failure> {
    if !report.has_misconfigured() {
        return Ok(());
    }
    for table in [Table::Mailbox, Table::Alias, Table::Virtual] {
        in_pairs(left, right, table, |key, left, right| match verdict(left, right, differing_cells) {
            Verdict::Same => Ok(()),
            differs => report.is_told_apart(key, differs),
        })?;
    }
    Ok(())
}
