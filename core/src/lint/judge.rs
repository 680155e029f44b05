//! What the judgments of single tables have in common.

use super::{Finding, Repair, Severity};
use crate::catalog::{Table, TableRow};
use crate::error::{Misconfiguration, printable};
use crate::key::fold;
use crate::mailbox::Cell;

/// Judges a table while it is read, row after row in the order of [`TableRow::order`]. What it keeps of the rows is
/// bounded, however many there are.
pub trait Judge {
    /// Takes the next row, and adds what it found to `out`. A row of another table is passed over.
    fn row(&mut self, row: &TableRow, out: &mut Vec<Finding>);

    /// The table is at its end: adds what can be said only now.
    fn end(&mut self, out: &mut Vec<Finding>);
}

/// A row's key as people write it: `iain`, `iain-list`, `sales@bar.com`.
#[must_use]
pub fn key_of(row: &TableRow) -> String {
    match row {
        TableRow::Mailbox(row) => text(&row.mailbox.username),
        TableRow::Alias(row) => match text(&row.alias) {
            ext if ext.is_empty() => text(&row.username),
            ext => format!("{}-{ext}", text(&row.username)),
        },
        TableRow::Virtual(row) => format!("{}@{}", text(&row.virtual_username), text(&row.virtual_host)),
        TableRow::Rcpthosts(row) => text(&row.host),
    }
}

/// A cell for people; NULL is empty.
pub(super) fn text(cell: &Cell) -> String {
    printable(bytes(cell))
}

/// A cell's bytes; NULL is empty.
pub(super) fn bytes(cell: &Cell) -> &[u8] {
    cell.as_deref().unwrap_or_default()
}

/// A cell as keys are compared: NULL and empty are one.
pub(super) fn folded(cell: &Cell) -> Vec<u8> {
    fold(bytes(cell))
}

/// Something about a row.
pub(super) fn finding(
    severity: Severity,
    rule: &'static str,
    row: &TableRow,
    why: impl Into<String>,
    repair: Repair,
) -> Finding {
    Finding { severity, rule, table: row.table(), key: key_of(row), why: why.into(), repair }
}

/// Something about a whole table.
pub(super) fn about(
    severity: Severity,
    rule: &'static str,
    table: Table,
    why: impl Into<String>,
    repair: &str,
) -> Finding {
    Finding { severity, rule, table, key: String::new(), why: why.into(), repair: words(repair) }
}

/// What the rules call a misconfiguration, and what comes of it.
pub(super) fn misconfigured(bad: &Misconfiguration, row: &TableRow, comes_of_it: &str, repair: Repair) -> Finding {
    let named = bad.column.is_empty() || bad.problem.starts_with(bad.column);
    let column = if named { String::new() } else { format!("{}: ", bad.column) };
    finding(Severity::Error, bad.rule, row, format!("{column}{}; {comes_of_it}", bad.problem), repair)
}

/// A repair that a person decides on.
pub(super) fn words(text: impl Into<String>) -> Repair {
    Repair::Words(text.into())
}

/// Why `raw` can be no key of at most `max` bytes (rule K1).
pub(super) fn unusable(raw: &[u8], max: usize) -> String {
    let problem = match raw.iter().find(|byte| !(0x21..=0x7E).contains(*byte)) {
        _ if raw.is_empty() => "is blank".to_owned(),
        Some(b' ' | b'\t') => "holds a blank".to_owned(),
        Some(0x80..) => "holds a byte that is not ASCII".to_owned(),
        Some(_) => "holds a control character".to_owned(),
        None => format!("is longer than {max} bytes"),
    };
    format!("{problem}, so that no question ever matches it")
}

/// How many there are, and the first of them: for what is told once about all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    pub(super) rows: u64,
    first: String,
}

impl Count {
    pub(super) fn add(&mut self, row: &TableRow) {
        if self.rows == 0 {
            self.first = key_of(row);
        }
        self.rows = self.rows.saturating_add(1);
    }

    /// `3 mailboxes (iain for instance)`; `None` if there are none. `one` and `many` are the noun.
    pub(super) fn words(&self, one: &str, many: &str) -> Option<String> {
        match self.rows {
            0 => None,
            1 => Some(format!("1 {one} ({})", self.first)),
            rows => Some(format!("{rows} {many} ({} for instance)", self.first)),
        }
    }
}
