//! Does a store hold the rows that were put into it?

use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::moving::{fit, set_key};
use qmail_lookup_core::{Table, TableRow};
use std::collections::HashMap;

/// How many of `rows` are not `there`. Numbers are of no account: a table gives its own.
///
/// # Errors
/// If the temporary files cannot be read.
pub(super) fn missing(rows: &Rows, there: &Rows) -> Result<u64, Failure> {
    let mut missing = 0;
    for table in Table::ALL {
        let (mut ours, mut theirs) = (rows.sets(table), there.sets(table));
        let mut found = theirs.next_set()?;
        loop {
            let wanted = ours.next_set()?;
            let Some(key) = wanted.first().map(set_key) else { break };
            while found.first().is_some_and(|row| set_key(row) < key) {
                found = theirs.next_set()?;
            }
            let same_set = found.first().is_some_and(|row| set_key(row) == key);
            missing += lacking(&wanted, if same_set { &found } else { &[] });
        }
    }
    Ok(missing)
}

/// How many of `wanted` are not in `found`, each row of it counted once.
fn lacking(wanted: &[TableRow], found: &[TableRow]) -> u64 {
    let meaning = |row: &TableRow| {
        let mut row = row.clone();
        if let TableRow::Alias(alias) = &mut row {
            alias.seq = None;
        }
        fit::meaning(&row)
    };
    let mut have: HashMap<_, u64> = HashMap::new();
    for row in found {
        *have.entry(meaning(row)).or_default() += 1;
    }
    let mut lacking = 0;
    for row in wanted {
        match have.get_mut(&meaning(row)).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => lacking += 1,
        }
    }
    lacking
}
