//! The numbers of alias rows (column seq), which say in which order the rows of one set are carried out (rule A3).

use crate::alias::AliasRow;
use crate::catalog::TableRow;
use crate::mailbox::Cell;
use crate::settings::RuleSettings;

/// What a row without a number gets where it must have one: it comes last, and rows that have it are in the order that
/// they have without numbers. Read, it is no number.
pub const UNNUMBERED: &[u8] = b"4294967295";

/// What becomes of the numbers in the table that the rows go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// It has no such column.
    Left,
    /// It numbers the rows as they come.
    Assigned,
    /// They are kept; a row may be without.
    Kept,
    /// They are kept, and a row without gets [`UNNUMBERED`].
    Required,
}

/// The row without the number that means none.
#[must_use]
pub fn meant(mut row: TableRow) -> TableRow {
    if let TableRow::Alias(alias) = &mut row
        && alias.seq.as_deref() == Some(UNNUMBERED)
    {
        alias.seq = None;
    }
    row
}

/// True if the row has a number.
#[must_use]
pub fn is_numbered(row: &TableRow) -> bool {
    matches!(row, TableRow::Alias(alias) if alias.seq.as_deref().is_some_and(|seq| seq != UNNUMBERED))
}

/// The rows of one set of table alias in the order in which they are carried out; other rows as they are.
#[must_use]
pub fn in_order(set: &[TableRow]) -> Vec<TableRow> {
    let mut rows = set.to_vec();
    rows.sort_by_cached_key(|row| match row {
        TableRow::Alias(alias) => Some(place(alias)),
        _ => None,
    });
    rows
}

/// As rule A3 sorts. A row that is no instruction defers its whole set: its place is of no account.
fn place(row: &AliasRow) -> (bool, Option<i128>, u8, Vec<Cell>) {
    let number = row.seq_number().unwrap_or_default();
    let (class, line) = match row.instruction(b"/", &RuleSettings::default()) {
        Ok(instruction) => (instruction.class(), vec![Some(instruction.to_line())]),
        Err(_) => (u8::MAX, vec![row.alias_username.clone(), row.alias_host.clone()]),
    };
    (number.is_none(), number, class, line)
}

/// The row without its number.
pub(super) fn bare(row: &TableRow) -> TableRow {
    match row {
        TableRow::Alias(alias) => TableRow::Alias(AliasRow { seq: None, ..alias.clone() }),
        other => other.clone(),
    }
}

/// The rows of `set`, each with the row that is to be written for it, in the order in which they are to be written.
///
/// # Errors
/// Why the set cannot be carried over in its order.
pub fn planned(set: &[TableRow], numbers: Numbers) -> Result<Vec<(TableRow, TableRow)>, &'static str> {
    let write = |row: &TableRow| match (meant(row.clone()), numbers) {
        (TableRow::Alias(alias), Numbers::Required) => {
            let seq = alias.seq.or_else(|| Some(UNNUMBERED.to_vec()));
            TableRow::Alias(AliasRow { seq, ..alias })
        }
        (row, Numbers::Left | Numbers::Assigned) => bare(&row),
        (row, _) => row,
    };
    let pairs: Vec<_> = in_order(set).into_iter().map(|row| (row.clone(), write(&row))).collect();
    if numbers != Numbers::Assigned {
        let there: Vec<_> = pairs.iter().map(|(_, to)| to.clone()).collect();
        let kept = in_order(&there).iter().map(lines).eq(there.iter().map(lines));
        if !kept {
            return Err(match numbers {
                Numbers::Left => {
                    "column seq: the table has none, and without numbers the instructions would be in another order"
                }
                _ => "column seq: rows without a number beside rows with one above 4294967294",
            });
        }
    }
    Ok(pairs)
}

fn lines(row: &TableRow) -> Vec<Cell> {
    row.cells().into_iter().skip(2).take(2).map(|cell| cell.map(<[u8]>::to_vec)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alias::instructions;
    use crate::catalog::Table;
    use proptest::prelude::*;

    fn row(user: &str, host: &str, seq: Option<&str>) -> TableRow {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        TableRow::from_cells(
            Table::Alias,
            [cell("iain"), cell("list"), cell(user), cell(host), seq.map(|seq| seq.as_bytes().to_vec())],
        )
    }

    fn written(set: &[TableRow], numbers: Numbers) -> Result<Vec<TableRow>, &'static str> {
        planned(set, numbers).map(|pairs| pairs.into_iter().map(|(_, to)| to).collect())
    }

    /// What the rules make of the rows.
    fn answer(set: &[TableRow]) -> Vec<Vec<u8>> {
        let rows: Vec<AliasRow> = set
            .iter()
            .filter_map(|row| match row {
                TableRow::Alias(row) => Some(row.clone()),
                _ => None,
            })
            .collect();
        let read = instructions(&rows, b"/", &RuleSettings::default()).unwrap();
        read.iter().map(crate::alias::Instruction::to_line).collect()
    }

    #[test]
    fn numbers_are_dropped_only_where_they_say_nothing() {
        let natural = [row("|", "a", Some("1")), row(".", "/m/", Some("2")), row("a", "x", Some("3"))];
        assert_eq!(
            written(&natural, Numbers::Left),
            Ok(vec![row("|", "a", None), row(".", "/m/", None), row("a", "x", None)])
        );
        let other = [row("b", "x", Some("1")), row("a", "x", Some("2"))];
        assert!(written(&other, Numbers::Left).unwrap_err().starts_with("column seq"));
        assert_eq!(written(&other, Numbers::Assigned), Ok(vec![row("b", "x", None), row("a", "x", None)]));
        assert_eq!(written(&other, Numbers::Kept), Ok(other.to_vec()));
    }

    #[test]
    fn a_row_without_a_number_gets_one_that_means_none() {
        let rows = [row("a", "x", None), row("b", "x", Some("7"))];
        let there = written(&rows, Numbers::Required).unwrap();
        assert_eq!(there, [row("b", "x", Some("7")), row("a", "x", Some("4294967295"))]);
        assert_eq!(written(&there, Numbers::Kept), Ok(vec![row("b", "x", Some("7")), row("a", "x", None)]));
        assert!(is_numbered(&rows[1]) && !is_numbered(&there[1]) && !is_numbered(&rows[0]));
        let beyond = [row("a", "x", None), row("b", "x", Some("4294967296"))];
        assert!(written(&beyond, Numbers::Required).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_means_the_same(
            set in prop::collection::vec((0_u8..4, 0_u8..3, prop::option::of(0_u32..4)), 1..6),
            numbers in prop::sample::select(vec![Numbers::Left, Numbers::Assigned, Numbers::Kept, Numbers::Required]),
        ) {
            let marks = ["|", ".", "a", "b"];
            let set: Vec<_> = set
                .into_iter()
                .map(|(mark, host, seq)| {
                    let seq = seq.map(|seq| if seq == 3 { "4294967295".to_owned() } else { seq.to_string() });
                    row(marks[usize::from(mark)], &format!("/{host}"), seq.as_deref())
                })
                .collect();
            if let Ok(mut there) = written(&set, numbers) {
                if numbers == Numbers::Assigned {
                    for (n, row) in there.iter_mut().enumerate() {
                        if let TableRow::Alias(alias) = row {
                            alias.seq = Some((n + 1).to_string().into_bytes());
                        }
                    }
                }
                prop_assert_eq!(answer(&set), answer(&there));
            }
        }
    }
}
