//! Rows added many at a time. One search looks for the keys of many rows, and their entries are sent side by side; what
//! is told of them in the end is as if they had been added one after the other.

use super::editing::{Editing, Failure, THERE, is_unnumbered, number_after, own_classes, refused, set_key, with_name};
use super::entry::{self, Stored};
use super::finding::{is_unique, key};
use super::pages::Trouble;
use super::writing::Done;
use futures_util::future::join_all;
use qmail_lookup_core::{Change, EditCause, Table, TableRow};
use std::collections::{HashMap, HashSet};

/// Adds that are under way at the same time.
const WIDE: usize = 32;

/// Shorter runs are made one after the other: what somebody changes by hand appears in the order in which it is written.
const FEW: usize = 8;

/// The rows that the first of `changes` add, all of one table; none if they are too few to be added side by side.
pub(super) fn run(changes: &[Change]) -> Vec<&TableRow> {
    let rows = changes.iter().map_while(|change| match change {
        Change::Insert(row) => Some(row),
        Change::Replace { .. } | Change::Delete(_) => None,
    });
    let mut table = None;
    let rows: Vec<_> = rows.take_while(|row| *table.get_or_insert(row.table()) == row.table()).take(WIDE).collect();
    if rows.len() < FEW { Vec::new() } else { rows }
}

/// Which names were given by this list already, so that they are not tried again.
#[derive(Default)]
pub(super) struct Names {
    /// First names.
    first: HashSet<String>,
    /// The next to try, of those that differ only by their count.
    next: HashMap<String, u32>,
}

impl Names {
    /// Which of its names the entry of a row shall get.
    fn choose(&mut self, table: Table, values: &[Stored]) -> u32 {
        let of = |n| entry::name(table, values, n).map(|name| name.rdn().to_ascii_lowercase());
        let (Some(first), Some(second)) = (of(0), of(1)) else { return 0 };
        if self.first.insert(first) {
            return 0;
        }
        let next = self.next.entry(second).or_insert(1);
        *next += 1;
        *next - 1
    }
}

/// An entry that is about to be added.
struct New<'r> {
    row: &'r TableRow,
    values: Vec<Stored>,
    /// Which of its names it gets.
    n: u32,
    dn: String,
}

impl Editing<'_> {
    /// Adds `rows`, at most [`WIDE`] of one table; `names` is the same for all calls of a list. On failure the rows
    /// before the one that failed, whose place is given, are there, and it and those after it are not, if it is clean.
    pub(super) async fn insert_all(&mut self, rows: &[&TableRow], names: &mut Names) -> Result<(), (usize, Failure)> {
        let (new, stop) = self.prepare(rows, names).await.map_err(|cause| (0, cause.into()))?;
        let Some(first) = new.first() else { return stop };
        let classes = own_classes(first.row.table());
        // If this is given up in the middle nobody knows what is there.
        self.writer.begin();
        let sent = new.iter().map(|new| self.writer.add(&new.dn, &classes, &new.values));
        let answers = join_all(sent).await;
        let read = self.read_back(&new, &answers).await;
        let mut again = HashSet::new();
        let mut failed = None;
        for (place, ((new, answer), read)) in new.iter().zip(answers).zip(read).enumerate() {
            let made = matches!(answer, Ok(Done::Made));
            if let Some((_, Failure { clean, .. })) = &mut failed {
                *clean &= !made || self.undo(&new.dn).await;
                continue;
            }
            // The rows of a set get their numbers in order.
            let overtakes = made && is_unnumbered(new.row) && again.contains(&set_key(new.row));
            let done = match (answer, read) {
                _ if overtakes => self.once_more(new).await,
                (Err(trouble), _) => Err(self.store(trouble, &new.dn).into()),
                (Ok(Done::Made), Ok(())) => Ok(()),
                (Ok(Done::Made), Err(cause)) => Err(Failure { cause, clean: self.undo(&new.dn).await }),
                (Ok(Done::Exists), _) if is_unnumbered(new.row) => {
                    again.insert(set_key(new.row));
                    self.insert(new.row).await
                }
                (Ok(Done::Exists), _) => self.under_another_name(new, &classes).await,
                (Ok(done), _) => {
                    self.base(new.row.table()).and_then(|base| self.done(done, base)).map_err(Failure::from)
                }
            };
            failed = done.err().map(|failure| (place, failure));
        }
        self.writer.end();
        failed.map_or(stop, Err)
    }

    /// The entries of the rows, up to the first that cannot be had, and why it cannot.
    async fn prepare<'r>(
        &mut self,
        rows: &[&'r TableRow],
        names: &mut Names,
    ) -> Result<(Vec<New<'r>>, Result<(), (usize, Failure)>), EditCause> {
        let unknown = |row: &TableRow| is_unnumbered(row) && !self.sets.contains_key(&set_key(row));
        let asked: Vec<_> = rows.iter().copied().filter(|row| is_unique(row) || unknown(row)).collect();
        let mut there = self.of_keys(&asked).await?;
        let mut all = Vec::new();
        for (place, &row) in rows.iter().enumerate() {
            let prepared = entry::judged(row).map_err(EditCause::RowRefused).and_then(|mut values| {
                let found = there.entry(key(row)).or_default();
                if is_unique(row) && !found.is_empty() {
                    return Err(refused(THERE));
                }
                let table = row.table();
                let mut n = 0;
                if is_unnumbered(row) {
                    let set = self.sets.entry(set_key(row)).or_insert_with(|| number_after(found));
                    let number = self.next.max(*set);
                    values.push((entry::SEQ, number.to_string().into_bytes()));
                    (*set, self.next) = (number.saturating_add(1), number.saturating_add(1));
                } else {
                    n = names.choose(table, &values);
                }
                let name = entry::name(table, &values, n).ok_or_else(|| refused(THERE))?;
                Ok(New { row, values: with_name(&values, &name), n, dn: name.dn(self.base(table)?) })
            });
            match prepared {
                Ok(new) => all.push(new),
                Err(cause) => return Ok((all, Err((place, cause.into())))),
            }
        }
        Ok((all, Ok(())))
    }

    /// Whether each entry that was made holds its row, if that is to be known.
    async fn read_back(&self, new: &[New<'_>], answers: &[Result<Done, Trouble>]) -> Vec<Result<(), EditCause>> {
        let read = new.iter().zip(answers).map(|(new, answer)| async move {
            match answer {
                Ok(Done::Made) => self.is_as_written(&new.dn, new.row).await,
                _ => Ok(()),
            }
        });
        join_all(read).await
    }

    /// Adds a row whose entry came before one of the same set that had to take another number.
    async fn once_more(&mut self, new: &New<'_>) -> Result<(), Failure> {
        if !self.undo(&new.dn).await {
            let cause = refused("the entry that was just added cannot be removed again");
            return Err(Failure { cause, clean: false });
        }
        self.insert(new.row).await
    }

    async fn under_another_name(&self, new: &New<'_>, classes: &[Vec<u8>]) -> Result<(), Failure> {
        let values = entry::judged(new.row).map_err(EditCause::RowRefused)?;
        let dn = self.add(new.row.table(), classes, &values, new.n.saturating_add(1)).await?;
        self.keep(&dn, new.row).await
    }
}
