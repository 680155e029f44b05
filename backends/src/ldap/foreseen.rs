//! Judging a list of changes before the first of them is made.

use super::editing::{Editing, THERE, refused};
use super::entry;
use super::finding::{Key, is_unique, key};
use super::pages::Found;
use qmail_lookup_core::{Change, EditCause, TableRow};
use std::collections::HashMap;

/// Changes that are judged together, so that memory holds no more entries than theirs.
pub(super) const AT_ONCE: usize = 64;

/// What the directory will hold by the time that a change of a list is made.
#[derive(Default)]
pub(super) struct Foreseen {
    /// How many more there are of a row than now.
    rows: HashMap<Vec<Option<Vec<u8>>>, isize>,
    /// The same by key, for tables whose keys are unique.
    keys: HashMap<Key, isize>,
}

impl Foreseen {
    /// Judges the next changes, at most [`AT_ONCE`]. Fails with the place of the one that cannot be made.
    pub(super) async fn judge_all(&mut self, editing: &Editing<'_>, some: &[Change]) -> Result<(), (usize, EditCause)> {
        let mut rows = Vec::new();
        for change in some {
            let (old, new) = both(change);
            rows.extend(old.into_iter().chain(new.filter(|new| is_unique(new))));
        }
        let there = editing.of_keys(&rows).await.map_err(|cause| (0, cause))?;
        some.iter().enumerate().try_for_each(|(n, change)| self.judge(&there, change).map_err(|cause| (n, cause)))
    }

    fn judge(&mut self, there: &HashMap<Key, Vec<Found>>, change: &Change) -> Result<(), EditCause> {
        let (old, new) = both(change);
        let of_key = |row: &TableRow| there.get(&key(row)).map_or(&[][..], Vec::as_slice);
        if let Some(old) = old {
            let rows = of_key(old).iter().flat_map(|(_, found)| entry::rows(old.table(), found));
            let there = rows.filter(|row| row == old).count();
            let more = self.rows.get(&line(old)).copied().unwrap_or(0);
            if isize::try_from(there).unwrap_or(isize::MAX).saturating_add(more) < 1 {
                return Err(EditCause::RowIsGone);
            }
            self.count(old, -1);
        }
        if let Some(new) = new {
            if is_unique(new) {
                let there = isize::try_from(of_key(new).len()).unwrap_or(isize::MAX);
                let more = self.keys.get(&key(new)).copied().unwrap_or(0);
                if there.saturating_add(more) > 0 {
                    return Err(refused(THERE));
                }
            }
            self.count(new, 1);
        }
        Ok(())
    }

    fn count(&mut self, row: &TableRow, change: isize) {
        *self.rows.entry(line(row)).or_default() += change;
        *self.keys.entry(key(row)).or_default() += change;
    }
}

/// The row as it will read: a suspended that is NULL is stored as `N`.
fn line(row: &TableRow) -> Vec<Option<Vec<u8>>> {
    let mut cells = vec![Some(row.table().name().as_bytes().to_vec())];
    cells.extend(row.cells().into_iter().map(|cell| cell.map(<[u8]>::to_vec)));
    if let (TableRow::Mailbox(_), Some(suspended)) = (row, cells.get_mut(7)) {
        suspended.get_or_insert_with(|| b"N".to_vec());
    }
    cells
}

/// The row that a change takes away, and the one that it brings.
fn both(change: &Change) -> (Option<&TableRow>, Option<&TableRow>) {
    match change {
        Change::Insert(new) => (None, Some(new)),
        Change::Delete(old) => (Some(old), None),
        Change::Replace { old, new } => (Some(old), Some(new)),
    }
}
