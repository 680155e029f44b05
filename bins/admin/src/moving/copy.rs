//! Rows into a store that may hold some already: set by set, so that it makes no difference how often it is done.

use super::judge::{Judged, judge};
use super::stop::Stop;
use super::target::Target;
use super::told::Told;
use super::write::Writer;
use super::{PrivateFile, Rows};
use crate::cli;
use crate::output::{Failure, Output};
use crate::progress::Progress;
use crate::session::Session;
use qmail_lookup_core::moving::{Difference, Fit, Numbers, difference, meant, planned};
use qmail_lookup_core::wire::export;
use qmail_lookup_core::{Change, Table, TableOptions, TableRow};
use serde_json::{Map, Value, json};
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
}

/// How rows are written into this target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) numbers: Numbers,
    pub(super) fit: Fit,
}

/// What [`copy_with`] is told by who calls it, and tells him.
pub(crate) struct Hooks<'h> {
    /// The rows that the target holds are from an earlier run of this.
    pub(crate) begun_before: bool,
    /// Called before anything is written into a target that held no row.
    pub(crate) begins: &'h mut dyn FnMut() -> Result<(), Failure>,
    pub(crate) stop: &'h Stop,
}

/// Writes `rows`, which came from `from`, into the target. `begun_before`: rows that the target holds are from an
/// earlier run of this.
///
/// # Errors
/// If the target holds rows and may not, cannot express some, or could not be read or written to the end.
pub(crate) async fn copy(
    rows: &Rows,
    from: &str,
    target: &Session,
    options: &cli::Into,
    begun_before: bool,
    output: &mut Output,
) -> Result<Copied, Failure> {
    let stop = Stop::default();
    let hooks = Hooks { begun_before, begins: &mut || Ok(()), stop: &stop };
    stop.guard(copy_with(rows, from, target, options, hooks, output)).await
}

/// As [`copy`], for who has to know when writing begins, and is guarded already.
///
/// # Errors
/// As [`copy`].
pub(crate) async fn copy_with(
    rows: &Rows,
    from: &str,
    session: &Session,
    options: &cli::Into,
    hooks: Hooks<'_>,
    output: &mut Output,
) -> Result<Copied, Failure> {
    let mut progress = Progress::with_lines(options.quiet);
    let done = run(rows, from, session, options, hooks, &mut progress, output).await;
    progress.end();
    done
}

async fn run(
    rows: &Rows,
    from: &str,
    session: &Session,
    options: &cli::Into,
    hooks: Hooks<'_>,
    progress: &mut Progress,
    output: &mut Output,
) -> Result<Copied, Failure> {
    let target = Target::look(session).await?;
    progress.begin("reading the target", None);
    let now = Rows::of_tables(session, &target.tables(), |_, n| progress.advance(n)).await?;
    if target.tables().contains(&Table::Mailbox) {
        now.show_passwords(session).await?;
    }
    let was_empty = counts(&now)?.iter().all(|(_, n)| *n == 0);
    if !was_empty && !options.merge && !options.replace && !hooks.begun_before {
        return Err(Failure::refused(format!(
            "the target holds rows ({}); --merge adds to them, --replace makes it like {from}",
            words(&counts(&now)?)
        )));
    }
    let total: u64 = counts(rows)?.iter().map(|(_, n)| n).sum();
    let (numbers, with_seq) = target.numbers(rows, &now).await?;
    let mut way = Way { numbers, fit: target.fit() };
    let tables = TableOptions { username_width: width(rows, &target, options, output)?, with_seq };
    progress.begin("judging", Some(total));
    let judged = judge(rows, &target, tables, &mut way, progress).await?;
    progress.end();
    judged.told.show("The target cannot express:", output);
    if judged.told.count() > 0 {
        output.add("not_expressible", judged.told.json());
    }
    if judged.told.count() > 0 && options.skip.is_none() && !options.dry_run {
        return Err(Failure::refused(format!(
            "the target cannot express {} rows, so nothing was written; change them, or leave them out with --skip FILE",
            judged.told.count()
        )));
    }
    if let Some(place) = options.skip.as_ref().filter(|_| judged.told.count() > 0 && !options.dry_run) {
        let mut file = PrivateFile::begin(place)?;
        write_rows(&judged.refused, &mut file)?;
        file.keep()?;
    }
    if !options.dry_run {
        if was_empty {
            (hooks.begins)()?;
        }
        target.make_tables(tables).await?;
    }
    progress.begin(if options.dry_run { "comparing rows" } else { "writing" }, Some(total));
    let policy = if options.replace {
        Policy::Replace
    } else if hooks.begun_before || was_empty {
        Policy::Complete
    } else {
        Policy::Leave
    };
    let merge = Merge { rows, now: &now, judged: &judged, way, policy, stop: hooks.stop };
    hooks.stop.writes(!options.dry_run);
    let merged = merge.run((!options.dry_run).then_some(&target), progress).await;
    hooks.stop.writes(false);
    progress.end();
    let (copied, tables, told) = merged?;
    told.show("Other rows of the same key are in the target, and left as they are:", output);
    if told.count() > 0 {
        output.add("differing", told.json());
    }
    output.add("tables", Value::Object(tables));
    Ok(copied)
}

/// Writes rows as `export` does.
fn write_rows(rows: &Rows, file: &mut PrivateFile) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut writer = export::Writer::new(true, &mut text);
    for table in Table::ALL {
        let mut sets = rows.sets(table);
        loop {
            let set = sets.next_set()?;
            if set.is_empty() {
                break;
            }
            set.into_iter().map(meant).for_each(|row| writer.row(&row, &mut text));
            file.write(&std::mem::take(&mut text))?;
        }
    }
    writer.end(&mut text);
    file.write(&text)
}

fn counts(rows: &Rows) -> Result<Vec<(Table, u64)>, Failure> {
    Table::ALL.into_iter().map(|table| Ok((table, rows.count(table)?))).collect()
}

fn words(counts: &[(Table, u64)]) -> String {
    let each = counts.iter().filter(|(_, n)| *n > 0).map(|(table, n)| format!("{table} {n}"));
    each.collect::<Vec<_>>().join(", ")
}

/// The width of column username in tables that have to be made: no name may be cut.
fn width(rows: &Rows, target: &Target<'_>, options: &cli::Into, output: &Output) -> Result<u16, Failure> {
    let there = target.tables();
    let mut widest = 0;
    for (table, place) in [(Table::Mailbox, 0), (Table::Alias, 0), (Table::Virtual, 2)] {
        if there.contains(&table) {
            continue;
        }
        let mut sets = rows.sets(table);
        loop {
            let set = sets.next_set()?;
            if set.is_empty() {
                break;
            }
            let name = |row: &TableRow| {
                row.cells()
                    .get(place)
                    .copied()
                    .flatten()
                    .map_or(0, |name| String::from_utf8_lossy(name).chars().count())
            };
            widest = set.iter().map(name).fold(widest, usize::max);
        }
    }
    let widest = u16::try_from(widest).unwrap_or(u16::MAX).min(TableOptions::WIDTH_MAX);
    if widest > options.username_width {
        output.complain(&format!(
            "column username is made {widest} characters wide: the source has a name as long (--username-width)"
        ));
    }
    Ok(options.username_width.max(widest))
}

/// What is done with a set of which the target holds other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// It is made like the source's, and what the source lacks is deleted.
    Replace,
    /// It is completed if it is part of the source's, else left.
    Complete,
    /// It is left.
    Leave,
}

/// The rows of the source and of the target, set by set.
struct Merge<'m> {
    rows: &'m Rows,
    now: &'m Rows,
    judged: &'m Judged,
    way: Way,
    policy: Policy,
    stop: &'m Stop,
}

impl Merge<'_> {
    /// Writes what is missing, unless there is no target: then it is only counted.
    async fn run(
        &self,
        target: Option<&Target<'_>>,
        progress: &mut Progress,
    ) -> Result<(Copied, Map<String, Value>, Told), Failure> {
        let (mut all, mut each, mut told) = (Copied::default(), Map::new(), Told::default());
        for table in Table::ALL {
            let mut copied = Copied::default();
            let mut writer = Writer::new(target, self.stop, table);
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
                    other.iter().for_each(|row| told.add(row, "the target cannot express the source's rows"));
                    Vec::new()
                } else {
                    self.changes(&set, &other, &mut copied, &mut told)
                };
                writer.add(changes).await?;
            }
            writer.flush().await?;
            each.insert(table.name().to_owned(), copied.json());
            all.add(&copied);
        }
        Ok((all, each, told))
    }

    /// What has to be done with one set.
    fn changes(&self, set: &[TableRow], there: &[TableRow], copied: &mut Copied, told: &mut Told) -> Vec<Change> {
        // A set that has no order in the target was refused before.
        let pairs = planned(set, self.way.numbers).unwrap_or_default();
        let planned: Vec<_> = pairs.into_iter().map(|(_, to)| self.way.fit.of(to)).collect();
        let Difference { delete, insert, same } = difference(&planned, there, self.way.numbers);
        let only_there = planned.is_empty();
        let allowed = there.is_empty()
            || match self.policy {
                Policy::Replace => true,
                Policy::Complete => delete.is_empty(),
                Policy::Leave => delete.is_empty() && insert.is_empty(),
            };
        if !allowed {
            if only_there {
                copied.left_over += there.len() as u64;
            } else {
                copied.differing += there.len() as u64;
                if let Some(row) = there.first() {
                    told.add(row, "differs");
                }
            }
            return Vec::new();
        }
        copied.same += same as u64;
        let replaced = delete.len().min(insert.len());
        copied.replaced += replaced as u64;
        copied.deleted += (delete.len() - replaced) as u64;
        copied.inserted += (insert.len() - replaced) as u64;
        match (&delete[..], &insert[..]) {
            ([old], [new]) => vec![Change::Replace { old: old.clone(), new: new.clone() }],
            _ => delete.into_iter().map(Change::Delete).chain(insert.into_iter().map(Change::Insert)).collect(),
        }
    }
}

impl Copied {
    fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.replaced += other.replaced;
        self.deleted += other.deleted;
        self.same += other.same;
        self.differing += other.differing;
        self.refused += other.refused;
        self.left_over += other.left_over;
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
        format!("{} rows {would}inserted, {} already there{}", self.inserted, self.same, rest.collect::<String>())
    }
}
