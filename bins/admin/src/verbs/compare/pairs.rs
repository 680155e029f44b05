//! The rows of both sides, set by set.

use crate::moving::{Rows, Sets};
use crate::output::Failure;
use qmail_lookup_core::compare::{Key, Verdict, of_set};
use qmail_lookup_core::moving::set_key;
use qmail_lookup_core::{Table, TableRow};

/// A key column that is NULL is an empty one.
type Place = Vec<Vec<u8>>;

/// Calls `take` with each question that is about one set, and the rows of that set on both sides; sets that no question
/// can name are passed over.
///
/// # Errors
/// If a temporary file cannot be read; and those of `take`.
pub(super) fn in_pairs(
    left: &Rows,
    right: &Rows,
    table: Table,
    mut take: impl FnMut(&Key, &[TableRow], &[TableRow]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut lefts, mut rights) = (left.sets(table), right.sets(table));
    loop {
        // Sets come in the order of their keys; a side that is at its end comes last.
        let (takes_left, takes_right) = match (peek(&mut lefts)?, peek(&mut rights)?) {
            (None, None) => return Ok(()),
            (Some(one), Some(two)) => (one <= two, two <= one),
            (one, two) => (one.is_some(), two.is_some()),
        };
        let left = if takes_left { next(&mut lefts)? } else { Vec::new() };
        let right = if takes_right { next(&mut rights)? } else { Vec::new() };
        if let Some(key) = left.iter().chain(&right).find_map(of_set) {
            take(&key, &left, &right)?;
        }
    }
}

fn peek(sets: &mut Sets<'_>) -> Result<Option<Place>, Failure> {
    Ok(sets.peek_key()?.map(|key| key.into_iter().map(Option::unwrap_or_default).collect()))
}

fn next(sets: &mut Sets<'_>) -> Result<Vec<TableRow>, Failure> {
    let mut rows = sets.next_set()?;
    let place: Option<Place> =
        rows.first().map(|row| set_key(row).into_iter().map(Option::unwrap_or_default).collect());
    while peek(sets)?.is_some_and(|other| Some(other) == place) {
        rows.extend(sets.next_set()?);
    }
    Ok(rows)
}

/// What comes out for one set by its columns.
pub(super) fn verdict(
    left: &[TableRow],
    right: &[TableRow],
    differing: fn(&[TableRow], &[TableRow]) -> Vec<&'static str>,
) -> Verdict {
    if left.is_empty() || right.is_empty() {
        return if right.is_empty() { Verdict::OnlyLeft } else { Verdict::OnlyRight };
    }
    let names = differing(left, right);
    if names.is_empty() { Verdict::Same } else { Verdict::Differs(names) }
}
