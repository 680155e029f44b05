//! The rows of one key here and there. A set is moved as a whole: one row more or less is another answer.

use super::fit::meaning;
use super::numbers::{Numbers, bare, in_order};
use crate::catalog::{Table, TableRow};
use crate::editor::Change;
use crate::mailbox::Cell;
use std::collections::HashMap;

/// What the rows of one set have in common: the key columns folded, and a NULL extension is an empty one (rule A1). In
/// the order of [`TableRow::order`] the rows of a set stand together, and sets come in the order of these.
#[must_use]
pub fn set_key(row: &TableRow) -> Vec<Cell> {
    let table = row.table();
    let cells = row.cells();
    let keys = cells.iter().take(table.key_columns()).map(|cell| cell.map(<[u8]>::to_ascii_lowercase));
    let mut keys: Vec<_> = keys.collect();
    if let (Table::Alias, Some(ext)) = (table, keys.get_mut(1)) {
        ext.get_or_insert_default();
    }
    keys
}

/// What has to be done so that one set is as another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Rows that are there and shall not be.
    pub delete: Vec<TableRow>,
    /// Rows that are not there and shall be, in the order in which they are to be written.
    pub insert: Vec<TableRow>,
    /// How many are there already.
    pub same: usize,
}

impl Difference {
    /// How many rows take the place of another; further columns that a table has are kept in these.
    #[must_use]
    pub fn replaced(&self) -> usize {
        self.delete.len().min(self.insert.len())
    }

    /// What has to be done, row by row, so that never more is missing than one row. A row takes the place of one with its
    /// number if there is one, so that no number is there twice on the way.
    #[must_use]
    pub fn changes(self) -> Vec<Change> {
        let Self { mut delete, insert, .. } = self;
        let mut changes = Vec::new();
        let mut left = Vec::new();
        for new in insert {
            let same = |old: &TableRow| number(old).is_some() && number(old) == number(&new);
            match delete.iter().position(same) {
                Some(at) => changes.push(Change::Replace { old: delete.remove(at), new }),
                None => left.push(new),
            }
        }
        let (mut delete, mut left) = (delete.into_iter(), left.into_iter());
        loop {
            match (delete.next(), left.next()) {
                (None, None) => return changes,
                (Some(old), Some(new)) => changes.push(Change::Replace { old, new }),
                (Some(old), None) => changes.push(Change::Delete(old)),
                (None, Some(new)) => changes.push(Change::Insert(new)),
            }
        }
    }
}

fn number(row: &TableRow) -> Option<&[u8]> {
    match row {
        TableRow::Alias(alias) => alias.seq.as_deref(),
        _ => None,
    }
}

/// What makes `there`, the rows of a set in the target, mean what `planned` means.
#[must_use]
pub fn difference(planned: &[TableRow], there: &[TableRow], numbers: Numbers) -> Difference {
    let is_alias = planned.iter().chain(there).any(|row| row.table() == Table::Alias);
    if is_alias && numbers == Numbers::Assigned {
        return in_sequence(planned, there);
    }
    let mut left: HashMap<Vec<Cell>, usize> = HashMap::new();
    for row in planned {
        *left.entry(meaning(row)).or_default() += 1;
    }
    let mut found = Difference::default();
    let mut have: HashMap<Vec<Cell>, usize> = HashMap::new();
    for row in there {
        let meaning = meaning(row);
        match left.get_mut(&meaning).filter(|left| **left > 0) {
            Some(left) => {
                *left -= 1;
                found.same += 1;
                *have.entry(meaning).or_default() += 1;
            }
            None => found.delete.push(row.clone()),
        }
    }
    for row in planned {
        match have.get_mut(&meaning(row)).filter(|have| **have > 0) {
            Some(have) => *have -= 1,
            None => found.insert.push(row.clone()),
        }
    }
    found
}

/// Where the table numbers the rows as they come, rows can be added behind the last one only; another one takes the
/// number of the row in whose place it comes.
fn in_sequence(planned: &[TableRow], there: &[TableRow]) -> Difference {
    let mut found = Difference::default();
    let mut there = in_order(there).into_iter();
    for row in planned {
        match there.next() {
            Some(now) if bare(&now) == bare(row) => found.same += 1,
            Some(now) => {
                found.insert.push(with_number_of(bare(row), &now));
                found.delete.push(now);
            }
            None => found.insert.push(bare(row)),
        }
    }
    found.delete.extend(there);
    found
}

fn with_number_of(mut row: TableRow, now: &TableRow) -> TableRow {
    if let (TableRow::Alias(row), TableRow::Alias(now)) = (&mut row, now) {
        row.seq.clone_from(&now.seq);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(alias: Option<&str>, to: &str, seq: Option<u32>) -> TableRow {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        TableRow::from_cells(
            Table::Alias,
            [cell("Iain"), alias.and_then(cell), cell(to), cell("x"), seq.map(|seq| seq.to_string().into_bytes())],
        )
    }

    #[test]
    fn a_null_extension_is_of_the_same_set_as_an_empty_one() {
        assert_eq!(set_key(&row(None, "a", None)), set_key(&row(Some(""), "b", None)));
        assert_ne!(set_key(&row(None, "a", None)), set_key(&row(Some("b"), "a", None)));
        assert!(set_key(&row(Some(""), "z", None)) < set_key(&row(Some("A"), "a", None)));
    }

    #[test]
    fn a_table_that_numbers_by_itself_gets_rows_only_at_its_end() {
        let of = |names: &[&str]| names.iter().map(|name| row(Some("l"), name, None)).collect::<Vec<_>>();
        let numbered = |names: &[&str]| {
            let rows = names.iter().zip(5..).map(|(name, seq)| row(Some("l"), name, Some(seq)));
            rows.collect::<Vec<_>>()
        };
        let find = |there: &[&str]| difference(&of(&["b", "a", "c"]), &numbered(there), Numbers::Assigned);
        assert_eq!(find(&["b", "a", "c"]), Difference { same: 3, ..Difference::default() });
        assert_eq!(find(&["b", "a"]), Difference { same: 2, insert: of(&["c"]), ..Difference::default() });
        let other = find(&["a", "b"]);
        let mut wanted = numbered(&["b", "a"]);
        wanted.extend(of(&["c"]));
        assert_eq!(other, Difference { delete: numbered(&["a", "b"]), insert: wanted, same: 0 });
        // What is right is left alone.
        let one = find(&["b", "z", "c"]);
        assert_eq!((one.delete.len(), one.insert.len(), one.same), (1, 1, 2));
        let less = find(&["b", "a", "c", "d"]);
        assert_eq!((less.delete, less.insert, less.same), (numbered(&["b", "a", "c", "d"])[3..].to_vec(), vec![], 3));
    }

    #[test]
    fn a_row_takes_the_place_of_the_one_with_its_number() {
        let of = |to: &str, seq| row(Some("l"), to, Some(seq));
        let found = difference(&[of("b", 1), of("a", 2), of("c", 3)], &[of("a", 1), of("b", 2)], Numbers::Kept);
        assert_eq!(found.replaced(), 2);
        let replace = |old, new| Change::Replace { old, new };
        let wanted = [replace(of("a", 1), of("b", 1)), replace(of("b", 2), of("a", 2)), Change::Insert(of("c", 3))];
        assert_eq!(found.changes(), wanted);
    }

    proptest! {
        #[test]
        fn what_is_done_makes_the_sets_equal(
            planned in prop::collection::vec(0_u32..4, 0..6),
            there in prop::collection::vec(0_u32..4, 0..6),
        ) {
            let of = |numbers: &[u32]| numbers.iter().map(|n| row(Some("l"), "a", Some(*n))).collect::<Vec<_>>();
            let (planned, mut there) = (of(&planned), of(&there));
            let found = difference(&planned, &there, Numbers::Kept);
            prop_assert_eq!(found.same + found.insert.len(), planned.len());
            for gone in &found.delete {
                let at = there.iter().position(|row| row == gone).unwrap();
                there.remove(at);
            }
            there.extend(found.insert);
            there.sort();
            let mut planned = planned;
            planned.sort();
            prop_assert_eq!(there, planned);
        }
    }
}
