//! What rows will be once changes are made that the store does not have yet.

use crate::catalog::{Table, TableRow};
use crate::editor::Change;
use crate::mailbox::Cell;
use std::collections::{BTreeMap, HashMap};

/// The outcome of a list of changes: rows that will be gone, and rows that will be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    gone: Vec<TableRow>,
    new: Vec<TableRow>,
    /// How often each of `gone` is.
    counts: HashMap<Kind, usize>,
}

/// What a row is known by: its cells. Mailboxes are compared without their passwords, which routing does not fetch.
type Kind = (Table, Vec<Cell>);

fn kind(row: &TableRow) -> Kind {
    let known = if row.table() == Table::Mailbox { &["password", "password_type"][..] } else { &[] };
    let cells = row.table().columns().iter().zip(row.cells()).filter(|(name, _)| !known.contains(name));
    (row.table(), cells.map(|(_, cell)| cell.map(<[u8]>::to_vec)).collect())
}

impl Ahead {
    /// What is left of `changes` when they are made in their order.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut gone: Vec<TableRow> = Vec::new();
        let mut new: Vec<Option<&TableRow>> = Vec::new();
        // Where each of `new` is.
        let mut places: BTreeMap<&TableRow, Vec<usize>> = BTreeMap::new();
        for change in changes {
            let (old, next) = match change {
                Change::Insert(next) => (None, Some(next)),
                Change::Delete(old) => (Some(old), None),
                Change::Replace { old, new } => (Some(old), Some(new)),
            };
            if let Some(old) = old {
                match places.get_mut(old).and_then(Vec::pop) {
                    Some(at) => new.get_mut(at).into_iter().for_each(|row| *row = None),
                    None => gone.push(old.clone()),
                }
            }
            if let Some(next) = next {
                places.entry(next).or_default().push(new.len());
                new.push(Some(next));
            }
        }
        let mut counts = HashMap::new();
        gone.iter().for_each(|row| *counts.entry(kind(row)).or_default() += 1);
        Self { gone, new: new.into_iter().flatten().cloned().collect(), counts }
    }

    /// Rows that are there now, and will not be.
    #[must_use]
    pub fn gone(&self) -> &[TableRow] {
        &self.gone
    }

    /// Rows that will be there, and are not.
    #[must_use]
    pub fn new_rows(&self) -> &[TableRow] {
        &self.new
    }

    /// Takes those of `rows` away that will be gone, each once. Mailboxes are compared without their passwords, which
    /// routing does not fetch.
    #[must_use]
    pub fn without_gone(&self, rows: Vec<TableRow>) -> Vec<TableRow> {
        if self.counts.is_empty() {
            return rows;
        }
        let mut taken: HashMap<Kind, usize> = HashMap::new();
        let stays = |row: &TableRow| {
            let kind = kind(row);
            let Some(gone) = self.counts.get(&kind) else { return true };
            let taken = taken.entry(kind).or_default();
            *taken += 1;
            *taken > *gone
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((ahead.gone(), ahead.new_rows()), (&[b.clone(), b.clone()][..], &[c.clone()][..]));
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

    #[test]
    fn many_changes_take_no_longer_each() {
        let rows: Vec<TableRow> = (0..40_000).map(|n| host(&format!("h{n:05}"))).collect();
        let new = |row: &TableRow| host(&format!("{}.new", String::from_utf8_lossy(row.cells()[0].unwrap())));
        let replace = |row: &TableRow| Change::Replace { old: row.clone(), new: new(row) };
        let begun = std::time::Instant::now();
        let ahead = Ahead::of(&rows.iter().map(replace).collect::<Vec<_>>());
        assert_eq!(ahead.applied(rows.clone()), rows.iter().map(new).collect::<Vec<_>>());
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
