//! What rows will be once changes are made that the store does not have yet.

use crate::catalog::TableRow;
use crate::editor::Change;

/// The outcome of a list of changes: rows that will be gone, and rows that will be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Rows that are there now.
    pub gone: Vec<TableRow>,
    /// Rows that are not.
    pub new: Vec<TableRow>,
}

impl Ahead {
    /// What is left of `changes` when they are made in their order.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut ahead = Self::default();
        for change in changes {
            let (old, new) = match change {
                Change::Insert(new) => (None, Some(new)),
                Change::Delete(old) => (Some(old), None),
                Change::Replace { old, new } => (Some(old), Some(new)),
            };
            if let Some(old) = old {
                match ahead.new.iter().position(|row| row == old) {
                    Some(at) => drop(ahead.new.remove(at)),
                    None => ahead.gone.push(old.clone()),
                }
            }
            ahead.new.extend(new.cloned());
        }
        ahead
    }

    /// Takes those of `rows` away that will be gone, each once. Mailboxes are compared without their passwords, which
    /// routing does not fetch.
    #[must_use]
    pub fn without_gone(&self, rows: Vec<TableRow>) -> Vec<TableRow> {
        let mut gone: Vec<&TableRow> = self.gone.iter().collect();
        let stays = |row: &TableRow| match gone.iter().position(|old| same(old, row)) {
            Some(at) => {
                gone.remove(at);
                false
            }
            None => true,
        };
        rows.into_iter().filter(stays).collect()
    }

    /// `rows` as they will be, in the order of [`TableRow::order`], table after table.
    #[must_use]
    pub fn applied(&self, rows: Vec<TableRow>) -> Vec<TableRow> {
        let mut rows = self.without_gone(rows);
        rows.extend(self.new.iter().cloned());
        rows.sort_by_cached_key(|row| (row.table(), row.order()));
        rows
    }
}

fn same(one: &TableRow, other: &TableRow) -> bool {
    match (one, other) {
        (TableRow::Mailbox(one), TableRow::Mailbox(other)) => one.mailbox == other.mailbox,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Table;

    fn host(name: &str) -> TableRow {
        TableRow::from_cells(Table::Rcpthosts, [Some(name.as_bytes().to_vec())])
    }

    #[test]
    fn a_row_that_comes_and_goes_leaves_nothing() {
        let (a, b, c) = (host("a"), host("b"), host("c"));
        let changes = [
            Change::Insert(a.clone()),
            Change::Replace { old: b.clone(), new: c.clone() },
            Change::Delete(a.clone()),
            Change::Delete(b.clone()),
        ];
        let ahead = Ahead::of(&changes);
        assert_eq!((ahead.gone.as_slice(), ahead.new.as_slice()), (&[b.clone(), b.clone()][..], &[c.clone()][..]));
        assert_eq!(ahead.applied(vec![b.clone(), b.clone(), b.clone(), a.clone()]), [a, b, c]);
    }

    #[test]
    fn a_mailbox_goes_also_if_its_password_was_not_fetched() {
        let row = |password: Option<&str>| {
            let cells = [Some("iain"), Some("800"), Some("800"), Some("/h"), password];
            TableRow::from_cells(Table::Mailbox, cells.map(|cell| cell.map(|text| text.as_bytes().to_vec())))
        };
        let ahead = Ahead::of(&[Change::Delete(row(Some("x")))]);
        assert!(ahead.without_gone(vec![row(None)]).is_empty());
    }
}
