//! Changing rows: on a copy, which takes the place of the old list only if every change went well.

use super::Memory;
use async_trait::async_trait;
use qmail_lookup_core::{
    Applied, Change, Deadline, EditCause, EditError, Editor, LookupError, Numbering, Rehearsal, Table, TableOptions,
    TableRow,
};

#[async_trait]
impl Editor for Memory {
    async fn apply(&self, changes: &[Change], _by: Deadline) -> Result<(), EditError> {
        let mut rows = self.rows.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut copy = rows.clone();
        for (n, change) in changes.iter().enumerate() {
            one(&mut copy, change).map_err(|cause| EditError { applied: Applied::Nothing, change: Some(n), cause })?;
        }
        *rows = copy;
        Ok(())
    }

    async fn apply_and_read_back(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        // A row is kept as it is given.
        self.apply(changes, by).await
    }

    async fn rows(&self, table: Table, key: &[u8], _by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        let of = |row: &TableRow| row.table() == table && row.cells().first().is_some_and(|cell| folds_to(*cell, key));
        let mut rows = self.pick(|row| of(row).then(|| row.clone()));
        rows.sort_by_cached_key(TableRow::order);
        Ok(rows)
    }

    async fn numbering(&self, _by: Deadline) -> Result<Numbering, LookupError> {
        Ok(Numbering::Free)
    }

    async fn rehearse(&self, _: TableOptions, _: Deadline) -> Result<Option<Box<dyn Rehearsal>>, LookupError> {
        Ok(Some(Box::new(Trial(Vec::new()))))
    }

    async fn create_tables(
        &self,
        tables: &[Table],
        _options: TableOptions,
        _by: Deadline,
    ) -> Result<Vec<(Table, bool)>, EditError> {
        Ok(tables.iter().map(|&table| (table, false)).collect())
    }
}

fn folds_to(cell: Option<&[u8]>, key: &[u8]) -> bool {
    cell.is_some_and(|cell| cell.eq_ignore_ascii_case(key))
}

/// A list of its own.
struct Trial(Vec<TableRow>);

#[async_trait]
impl Rehearsal for Trial {
    async fn insert(&mut self, rows: &[TableRow], _by: Deadline) -> Result<Vec<(usize, String)>, LookupError> {
        let refused = rows.iter().enumerate().filter_map(|(place, row)| match refuse_twin(row, &self.0) {
            Err(why) => Some((place, why)),
            Ok(()) => {
                self.0.push(row.clone());
                None
            }
        });
        Ok(refused.collect())
    }
}

fn one(rows: &mut Vec<TableRow>, change: &Change) -> Result<(), EditCause> {
    let place = |row: &TableRow, rows: &[TableRow]| rows.iter().position(|r| r == row).ok_or(EditCause::RowIsGone);
    match change {
        Change::Insert(row) => {
            refuse_twin(row, rows).map_err(EditCause::RowRefused)?;
            rows.push(row.clone());
        }
        Change::Replace { old, new } => {
            let at = place(old, rows)?;
            rows.remove(at);
            refuse_twin(new, rows).map_err(EditCause::RowRefused)?;
            rows.insert(at, new.clone());
        }
        Change::Delete(row) => {
            rows.remove(place(row, rows)?);
        }
    }
    Ok(())
}

/// The documented tables have a primary key on mailbox.username and rcpthosts.host.
fn refuse_twin(row: &TableRow, rows: &[TableRow]) -> Result<(), String> {
    let unique = matches!(row.table(), Table::Mailbox | Table::Rcpthosts);
    if unique && rows.iter().any(|other| other.same_key(row)) {
        return Err("a row with this key is there already".to_owned());
    }
    Ok(())
}
