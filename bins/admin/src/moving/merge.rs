//! The rows of the source and of the target, set by set: what is to be done with each.

use super::Rows;
use super::judge::Judged;
use super::stop::Stop;
use super::target::Target;
use super::told::Told;
use super::write::{Anew, Writer};
use crate::output::Failure;
use crate::progress::Progress;
use qmail_lookup_core::moving::{Difference, Fit, Numbers, difference, planned};
use qmail_lookup_core::{Change, Table, TableRow};
use serde_json::{Value, json};
use std::cmp::Ordering;

/// How many rows were, or with --dry-run would be, of which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) inserted: u64,
    pub(crate) replaced: u64,
    pub(crate) deleted: u64,
    /// Were there already.
    pub(crate) same: u64,
    /// Left as they are, because others of their key are there.
    pub(crate) differing: u64,
    /// Not expressible, left out (--skip).
    pub(crate) refused: u64,
    /// Of keys that only the target has, left there.
    pub(crate) left_over: u64,
    /// Mailboxes that nobody can log in to there, though the password was carried over.
    pub(crate) locked_out: u64,
}

/// How rows are written into this target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) numbers: Numbers,
    pub(super) fit: Fit,
}

/// What is done with a set of which the target holds other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// It is made like the source's, and what the source lacks is deleted.
    Replace,
    /// It is completed if it is part of the source's, else left.
    Complete,
    /// It is left.
    Leave,
}

/// What has to be done so that `there` is as `planned`; `None` if it is left as it is.
pub(super) fn decided(planned: &[TableRow], there: &[TableRow], way: Way, policy: Policy) -> Option<Difference> {
    let found = difference(planned, there, way.numbers);
    let allowed = there.is_empty()
        || match policy {
            Policy::Replace => true,
            Policy::Complete => found.delete.is_empty(),
            Policy::Leave => found.delete.is_empty() && found.insert.is_empty(),
        };
    allowed.then_some(found)
}

/// The rows of the source and of the target.
pub(super) struct Merge<'m> {
    pub(super) rows: &'m Rows,
    pub(super) now: &'m Rows,
    pub(super) judged: &'m Judged,
    pub(super) way: Way,
    pub(super) policy: Policy,
    pub(super) stop: &'m Stop,
    /// Rows may be made anew though the table has further columns.
    pub(super) yes: bool,
}

/// What was, or would be, done.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) each: Vec<(Table, Copied)>,
    /// Sets that are there, other than in the source.
    pub(super) differing: Told,
    /// Rows that only the target has.
    pub(super) only_there: Told,
    /// Rows of the target that another one of their key takes the place of.
    pub(super) replaced: Told,
}

impl Merged {
    /// Of all tables.
    pub(super) fn all(&self) -> Copied {
        let mut all = Copied::default();
        self.each.iter().for_each(|(_, copied)| all.add(copied));
        all
    }
}

impl Merge<'_> {
    /// Writes what is missing, unless there is no target: then it is only counted.
    pub(super) async fn run(&self, target: Option<&Target<'_>>, progress: &mut Progress) -> Result<Merged, Failure> {
        let mut merged = Merged::default();
        for table in Table::ALL {
            let mut copied = Copied::default();
            let mut writer = Writer::new(target, self.stop, table, self.anew(target, table));
            if self.judged.unrehearsed.contains(&table) {
                writer.read_back();
            }
            let (mut here, mut there) = (self.rows.sets(table), self.now.sets(table));
            let mut refused = self.judged.refused.sets(table);
            loop {
                let (left, right) = (here.peek_key()?, there.peek_key()?);
                let order = match (&left, &right) {
                    (None, None) => break,
                    (Some(left), Some(right)) => left.cmp(right),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                };
                let mut set = if order.is_le() { here.next_set()? } else { Vec::new() };
                let other = if order.is_ge() { there.next_set()? } else { Vec::new() };
                progress.advance(set.len() as u64);
                let before = set.len();
                if left.is_some() && order.is_le() && refused.peek_key()? == left {
                    for gone in refused.next_set()? {
                        if let Some(at) = set.iter().position(|row| *row == gone) {
                            set.remove(at);
                        }
                    }
                }
                let left_out = before - set.len();
                copied.refused += left_out as u64;
                let changes = if set.is_empty() && left_out > 0 {
                    // The source has something of this key that cannot be said: what is there stays.
                    copied.differing += other.len() as u64;
                    let why = "the target cannot express the source's rows";
                    other.iter().for_each(|row| merged.differing.add(row, why));
                    Vec::new()
                } else {
                    self.changes(&set, &other, &mut copied, &mut merged)
                };
                writer.add(changes).await?;
            }
            writer.finish().await?;
            merged.each.push((table, copied));
        }
        Ok(merged)
    }

    /// What may be done with rows that are refused because of others that are still there.
    fn anew(&self, target: Option<&Target<'_>>, table: Table) -> Anew {
        match target.filter(|_| self.policy == Policy::Replace) {
            None => Anew::Fails,
            Some(target) if !target.has_transactions(table) => Anew::Later,
            Some(target) if !self.yes && !target.further_columns(table).is_empty() => Anew::WouldLose,
            Some(_) => Anew::Made,
        }
    }

    /// What has to be done with one set.
    fn changes(&self, set: &[TableRow], there: &[TableRow], copied: &mut Copied, merged: &mut Merged) -> Vec<Change> {
        // A set that has no order in the target was refused before.
        let pairs = planned(set, self.way.numbers).unwrap_or_default();
        let planned: Vec<_> = pairs.into_iter().map(|(_, to)| self.way.fit.of(to)).collect();
        if planned.is_empty() {
            let fate = if self.policy == Policy::Replace { "is not in the source" } else { "left as it is" };
            there.iter().for_each(|row| merged.only_there.add(row, fate));
        }
        let Some(found) = decided(&planned, there, self.way, self.policy) else {
            if planned.is_empty() {
                copied.left_over += there.len() as u64;
            } else {
                copied.differing += there.len() as u64;
                if let Some(row) = there.first() {
                    merged.differing.add(row, "differs");
                }
            }
            return Vec::new();
        };
        let replaced = found.replaced();
        if !planned.is_empty() {
            // Which of them gives way to which is not known; the first ones do.
            let (changed, gone) = found.delete.split_at_checked(replaced).unwrap_or_default();
            changed.iter().for_each(|row| merged.replaced.add(row, "another row of its key takes its place"));
            gone.iter().for_each(|row| merged.only_there.add(row, "is not in the source"));
        }
        copied.same += found.same as u64;
        copied.replaced += replaced as u64;
        copied.deleted += (found.delete.len() - replaced) as u64;
        copied.inserted += (found.insert.len() - replaced) as u64;
        found.changes()
    }
}

impl Copied {
    /// Nothing is otherwise than in the source.
    pub(crate) fn is_whole(&self) -> bool {
        self.differing + self.refused + self.left_over + self.locked_out == 0
    }

    fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.replaced += other.replaced;
        self.deleted += other.deleted;
        self.same += other.same;
        self.differing += other.differing;
        self.refused += other.refused;
        self.left_over += other.left_over;
        self.locked_out += other.locked_out;
    }

    /// With names, for scripts.
    pub(crate) fn json(&self) -> Value {
        json!({
            "inserted": self.inserted,
            "replaced": self.replaced,
            "deleted": self.deleted,
            "same": self.same,
            "differing": self.differing,
            "not_expressible": self.refused,
            "only_in_target": self.left_over,
            "locked_out": self.locked_out,
        })
    }

    /// With names, for people.
    pub(crate) fn words(&self, dry_run: bool) -> String {
        let would = if dry_run { "would be " } else { "" };
        let named = [
            (self.replaced, "replaced"),
            (self.deleted, "deleted"),
            (self.differing, "left as they are, though they differ"),
            (self.refused, "left out"),
            (self.left_over, "left that only the target has"),
        ];
        let rest = named.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {would}{what}"));
        let rest = rest.chain((self.locked_out > 0).then(|| format!(", {} cannot log in there", self.locked_out)));
        format!("{} rows {would}inserted, {} already there{}", self.inserted, self.same, rest.collect::<String>())
    }
}
