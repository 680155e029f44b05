//! Changes on their way into the target: in batches that end between two sets, each a transaction where the store has
//! transactions.

use super::stop::Stop;
use super::target::{PATIENCE, Target};
use super::told::key;
use crate::output::Failure;
use qmail_lookup_core::{Applied, Change, Deadline, EditCause, EditError, Table, TableRow};

/// Most rows of a batch, unless one set has more.
const ROWS: usize = 1000;

/// Most bytes of its cells, likewise.
const BYTES: usize = 1 << 20;

/// See the module. Without a target nothing is written.
pub(super) struct Writer<'t> {
    target: Option<&'t Target<'t>>,
    stop: &'t Stop,
    table: Table,
    changes: Vec<Change>,
    bytes: usize,
    /// Key of the last row that is surely there.
    done: Option<String>,
}

impl<'t> Writer<'t> {
    /// For the rows of one table.
    pub(super) fn new(target: Option<&'t Target<'t>>, stop: &'t Stop, table: Table) -> Self {
        Self { target, stop, table, changes: Vec::new(), bytes: 0, done: None }
    }

    /// Makes the changes of a set, now or later.
    ///
    /// # Errors
    /// If an earlier batch was not written.
    pub(super) async fn add(&mut self, changes: Vec<Change>) -> Result<(), Failure> {
        if self.target.is_none() {
            return Ok(());
        }
        let bytes: usize = changes.iter().map(size).sum();
        if self.changes.len() + changes.len() > ROWS || self.bytes + bytes > BYTES {
            self.flush().await?;
        }
        self.changes.extend(changes);
        self.bytes += bytes;
        Ok(())
    }

    /// Makes those that are left.
    ///
    /// # Errors
    /// If they were not made; says what is there.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let Some(target) = self.target else { return Ok(()) };
        let changes = std::mem::take(&mut self.changes);
        self.bytes = 0;
        if !changes.is_empty() {
            let (editor, place) = target.editor(self.table)?;
            let made = editor.apply(&changes, Deadline::after(PATIENCE)).await;
            made.map_err(|error| self.failure(&place, &changes, &error))?;
            self.done = changes.last().map(|change| key(row_of(change)));
        }
        if self.stop.was_asked() {
            let up_to = self.up_to();
            return Err(Failure::temporary(format!(
                "stopped by a signal: {up_to}; nothing half-written is left; run it again, and it goes on"
            )));
        }
        Ok(())
    }

    fn up_to(&self) -> String {
        let table = self.table;
        match &self.done {
            Some(key) => format!("table {table} is written up to {key}"),
            None => format!("table {table} was not begun"),
        }
    }

    fn failure(&self, place: &str, changes: &[Change], error: &EditError) -> Failure {
        let shown = |change: Option<&Change>| change.map_or_else(String::new, |change| key(row_of(change)));
        let at = error.change.and_then(|at| changes.get(at));
        let what = match &error.cause {
            EditCause::RowRefused(why) => format!("the row {} was refused: {why}", shown(at)),
            EditCause::RowIsGone => format!("the row {} was changed by somebody else", shown(at)),
            EditCause::Store(cause) => cause.what().to_owned(),
            _ => error.to_string(),
        };
        let left = match error.applied {
            Applied::Nothing => "nothing half-written is left".to_owned(),
            Applied::Partial { applied } => {
                let last = applied.checked_sub(1).and_then(|last| changes.get(last));
                format!("of the batch after it the first {applied} changes were made, up to {}", shown(last))
            }
            Applied::Unknown => format!(
                "it is not known whether the {} changes from {} to {} were made: the next run finds out",
                changes.len(),
                shown(changes.first()),
                shown(changes.last())
            ),
        };
        let what = format!("{place}: {what}; {}; {left}", self.up_to());
        match error.cause {
            EditCause::RowRefused(_) => Failure::refused(what),
            _ => Failure::temporary(format!("{what}; run it again, and it goes on")),
        }
    }
}

fn row_of(change: &Change) -> &TableRow {
    match change {
        Change::Insert(row) | Change::Delete(row) | Change::Replace { new: row, .. } => row,
    }
}

fn size(change: &Change) -> usize {
    let of = |row: &TableRow| row.cells().into_iter().flatten().map(<[u8]>::len).sum::<usize>();
    match change {
        Change::Insert(row) | Change::Delete(row) => of(row),
        Change::Replace { old, new } => of(old) + of(new),
    }
}
