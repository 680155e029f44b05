//! Passwords, by the cells of the rows: which of them differ is said, never what they are.

use super::report::Report;
use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::compare::{Key, Verdict};
use qmail_lookup_core::moving::Fit;
use qmail_lookup_core::{CredentialRow, Table, TableRow, Username};

/// Compares the password cells of each mailbox that a question can name.
///
/// # Errors
/// If a temporary file cannot be read or written.
pub(super) fn run(left: &Rows, right: &Rows, report: &mut Report) -> Result<(), Failure> {
    report.passwords = true;
    let (mut lefts, mut rights) = (left.sets(Table::Mailbox), right.sets(Table::Mailbox));
    loop {
        // Sets come in the order of their keys; a side that is at its end comes last.
        let (takes_left, takes_right) = match (lefts.peek_key()?, rights.peek_key()?) {
            (None, None) => return Ok(()),
            (Some(one), Some(two)) => (one <= two, two <= one),
            (one, two) => (one.is_some(), two.is_some()),
        };
        let left = if takes_left { lefts.next_set()? } else { Vec::new() };
        let right = if takes_right { rights.next_set()? } else { Vec::new() };
        let name = left.iter().chain(&right).find_map(|row| match row {
            TableRow::Mailbox(row) => Username::new(row.mailbox.username.as_deref()?),
            TableRow::Alias(_) | TableRow::Virtual(_) | TableRow::Rcpthosts(_) => None,
        });
        if let Some(name) = name {
            report.differs(&Key::Password(name.as_bytes().to_vec()), verdict(&left, &right), None)?;
        }
    }
}

fn verdict(left: &[TableRow], right: &[TableRow]) -> Verdict {
    if left.is_empty() || right.is_empty() {
        return if right.is_empty() { Verdict::OnlyLeft } else { Verdict::OnlyRight };
    }
    // NULL in password_type is the type that the stored value names itself.
    let worded = |rows: &[TableRow]| rows.iter().map(|row| Fit::WORDS.of(row.clone())).collect::<Vec<_>>();
    let (left, right) = (worded(left), worded(right));
    let differ = |cell: fn(&CredentialRow) -> Option<&[u8]>| {
        let cells = |rows: &'_ [TableRow]| {
            let of = |row: &TableRow| match row {
                TableRow::Mailbox(row) => cell(row).map(<[u8]>::to_vec),
                TableRow::Alias(_) | TableRow::Virtual(_) | TableRow::Rcpthosts(_) => None,
            };
            let mut cells: Vec<_> = rows.iter().map(of).collect();
            cells.sort();
            cells
        };
        cells(&left) != cells(&right)
    };
    let mut names = Vec::new();
    names.extend(differ(|row| row.password.as_ref().map(qmail_lookup_core::Secret::expose)).then_some("password"));
    names.extend(differ(|row| row.password_type.as_deref()).then_some("password_type"));
    if names.is_empty() { Verdict::Same } else { Verdict::Differs(names) }
}
