//! Passwords, by the cells of the rows: which of them differ is said, never what they are.

use super::pairs::{in_pairs, verdict};
use super::report::Report;
use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::Table;
use qmail_lookup_core::compare::{Key, differing_passwords};

/// Compares the password cells of each mailbox that a question can name.
///
/// # Errors
/// If a temporary file cannot be read or written.
pub(super) fn run(left: &Rows, right: &Rows, report: &mut Report) -> Result<(), Failure> {
    report.passwords = true;
    in_pairs(left, right, Table::Mailbox, |key, left, right| match key {
        Key::Mailbox(name) => {
            let verdict = verdict(left, right, differing_passwords);
            report.differs(&Key::Password(name.clone()), verdict, None)
        }
        _ => Ok(()),
    })
}
