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
        self.apply(changes, by).await
    }

    async fn rows(&self, _table: Table, _key: &[u8], _by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        Ok(Vec::new())
    }

    async fn numbering(&self, _by: Deadline) -> Result<Numbering, LookupError> {
        Ok(Numbering::Free)
    }

    async fn rehearse(&self, _: TableOptions, _: Deadline) -> Result<Option<Box<dyn Rehearsal>>, LookupError> {
        Ok(None)
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

fn one(rows: &mut Vec<TableRow>, change: &Change) -> Result<(), EditCause> {
    let place = |row: &TableRow, rows: &[TableRow]| rows.iter().position(|r| r == row).ok_or(EditCause::RowIsGone);
    match change {
        Change::Insert(row) => {
            refuse_twin(row, rows)?;
            rows.push(row.clone());
        }
        Change::Replace { old, new } => {
            let at = place(old, rows)?;
            rows.remove(at);
            refuse_twin(new, rows)?;
            rows.insert(at, new.clone());
        }
        Change::Delete(row) => {
            rows.remove(place(row, rows)?);
        }
    }
    Ok(())
}

/// The documented tables have a primary key on mailbox.username and rcpthosts.host.
fn refuse_twin(row: &TableRow, rows: &[TableRow]) -> Result<(), EditCause> {
    let unique = matches!(row.table(), Table::Mailbox | Table::Rcpthosts);
    let key = |row: &TableRow| row.order().into_iter().take(row.table().key_columns()).collect::<Vec<_>>();
    let twin = |other: &TableRow| other.table() == row.table() && key(other) == key(row);
    if unique && rows.iter().any(twin) {
        return Err(EditCause::RowRefused("a row with this key is there already".to_owned()));
    }
    Ok(())
}
