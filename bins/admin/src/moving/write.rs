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

/// What becomes of a row that is refused, perhaps because of another that is still to be changed: two that swap a value
/// of which the table has each only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anew {
    /// That ends it.
    Fails,
    /// It is tried again behind all others. Nothing can be taken away for it: without transactions it could be lost.
    Later,
    /// Likewise: the table has columns whose values would be lost.
    WouldLose,
    /// Behind all others; then those that are left are taken away and made anew in one transaction.
    Made,
}

/// See the module. Without a target nothing is written.
pub(super) struct Writer<'t> {
    target: Option<&'t Target<'t>>,
    stop: &'t Stop,
    table: Table,
    anew: Anew,
    reads_back: bool,
    sets: Vec<Vec<Change>>,
    /// Those of batches that were refused, to be made behind all others.
    left: Vec<Vec<Change>>,
    bytes: usize,
    /// Key of the last row that is surely there.
    done: Option<String>,
}

impl<'t> Writer<'t> {
    /// For the rows of one table.
    pub(super) fn new(target: Option<&'t Target<'t>>, stop: &'t Stop, table: Table, anew: Anew) -> Self {
        let (sets, left) = (Vec::new(), Vec::new());
        Self { target, stop, table, anew, reads_back: false, sets, left, bytes: 0, done: None }
    }

    /// Rows are read back, for it is not known how the table stores them.
    pub(super) fn read_back(&mut self) {
        self.reads_back = true;
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
        if self.sets.iter().map(Vec::len).sum::<usize>() + changes.len() > ROWS || self.bytes + bytes > BYTES {
            self.flush().await?;
        }
        if !changes.is_empty() {
            self.sets.push(changes);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Makes those that are left.
    ///
    /// # Errors
    /// If they were not made; says what is there.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        let Some(target) = self.target.filter(|_| !self.left.is_empty()) else { return Ok(()) };
        let (_, place) = target.editor(self.table)?;
        // What is only taken away makes room for the others.
        let only = |set: &Vec<Change>| set.iter().all(|change| matches!(change, Change::Delete(_)));
        let (gone, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.left).into_iter().partition(only);
        let changes = [gone, others].concat().concat();
        let Err(error) = self.apply(target, &changes).await? else { return Ok(()) };
        if !is_refused(&error) || error.applied != Applied::Nothing || self.anew != Anew::Made {
            return Err(self.failure(&place, &changes, &error));
        }
        let changes = made_anew(changes);
        self.apply(target, &changes).await?.map_err(|error| self.failure(&place, &changes, &error))
    }

    async fn apply(&self, target: &Target<'_>, changes: &[Change]) -> Result<Result<(), EditError>, Failure> {
        let (editor, _) = target.editor(self.table)?;
        let by = Deadline::after(PATIENCE);
        Ok(match self.reads_back {
            true => editor.apply_and_read_back(changes, by).await,
            false => editor.apply(changes, by).await,
        })
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let Some(target) = self.target else { return Ok(()) };
        let sets = std::mem::take(&mut self.sets);
        let changes = sets.concat();
        self.bytes = 0;
        if !changes.is_empty() {
            match self.apply(target, &changes).await? {
                Ok(()) => self.done = changes.last().map(|change| key(row_of(change))),
                Err(error) if self.anew != Anew::Fails && is_refused(&error) => match error.applied {
                    Applied::Nothing => self.left.extend(sets),
                    Applied::Partial { applied } => self.left.extend(behind(sets, applied)),
                    Applied::Unknown => return Err(self.failure(&target.editor(self.table)?.1, &changes, &error)),
                },
                Err(error) => return Err(self.failure(&target.editor(self.table)?.1, &changes, &error)),
            }
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
        let up_to = match &self.done {
            Some(key) => format!("table {table} is written up to {key}"),
            None => format!("table {table} was not begun"),
        };
        match self.left.iter().map(Vec::len).sum::<usize>() {
            0 => up_to,
            left => format!("{up_to}, but for {left} changes"),
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
        let what = match self.anew {
            Anew::WouldLose if is_refused(error) => format!(
                "{what}; to take rows away and make them anew would lose the further columns of the table: change this \
                 row first, or give --yes"
            ),
            _ => what,
        };
        match error.cause {
            EditCause::RowRefused(_) => Failure::refused(what),
            _ => Failure::temporary(format!("{what}; run it again, and it goes on")),
        }
    }
}

fn is_refused(error: &EditError) -> bool {
    matches!(error.cause, EditCause::RowRefused(_))
}

/// The changes behind the first `made`.
fn behind(sets: Vec<Vec<Change>>, mut made: usize) -> impl Iterator<Item = Vec<Change>> {
    let rest = sets.into_iter().map(move |mut set| {
        let gone = made.min(set.len());
        made -= gone;
        set.drain(..gone);
        set
    });
    rest.filter(|set| !set.is_empty())
}

/// The same rows in the end: all that go are taken away before any comes.
fn made_anew(changes: Vec<Change>) -> Vec<Change> {
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Replace { old, new } => {
                first.push(Change::Delete(old));
                then.push(Change::Insert(new));
            }
            Change::Delete(_) => first.push(change),
            Change::Insert(_) => then.push(change),
        }
    }
    first.extend(then);
    first
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
