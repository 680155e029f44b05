//! Cells in the order of `Table::columns` as the rows that the resolvers return.

use qmail_lookup_core::{AliasRow, Cell, CredentialRow, HostRow, MailboxRow, Table, TableRow, VirtualRow};

pub(crate) fn mailbox(cells: Vec<Cell>) -> MailboxRow {
    credential(cells).mailbox
}

pub(crate) fn credential(cells: Vec<Cell>) -> CredentialRow {
    match TableRow::from_cells(Table::Mailbox, cells) {
        TableRow::Mailbox(row) => row,
        _ => CredentialRow::default(),
    }
}

pub(crate) fn alias(cells: Vec<Cell>) -> AliasRow {
    match TableRow::from_cells(Table::Alias, cells) {
        TableRow::Alias(row) => row,
        _ => AliasRow::default(),
    }
}

pub(crate) fn virtual_row(cells: Vec<Cell>) -> VirtualRow {
    match TableRow::from_cells(Table::Virtual, cells) {
        TableRow::Virtual(row) => row,
        _ => VirtualRow::default(),
    }
}

pub(crate) fn host(cells: Vec<Cell>) -> HostRow {
    match TableRow::from_cells(Table::Rcpthosts, cells) {
        TableRow::Rcpthosts(row) => row,
        _ => HostRow::default(),
    }
}
