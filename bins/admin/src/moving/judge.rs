//! What the target cannot express, found out before anything is written.

use super::Rows;
use super::merge::{Policy, Way, decided};
use super::target::Target;
use super::told::Told;
use crate::output::Failure;
use crate::progress::Progress;
use qmail_lookup_core::moving::{Blank, Fit, planned};
use qmail_lookup_core::{Deadline, Rehearsal, Table, TableOptions, TableRow};
use std::time::Duration;

/// Rows that are rehearsed at once, unless one set is larger.
const BATCH: usize = 1000;

/// How long one batch may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The rows that cannot be expressed, as they are in the source.
pub(super) struct Judged {
    pub(super) refused: Rows,
    pub(super) told: Told,
    /// The tables of which nothing could be found out.
    pub(super) unrehearsed: Vec<Table>,
}

/// A row as it is, and as it is to be written.
type Pair = (TableRow, TableRow);

/// Puts all rows that are to be written to the target for trial, beside those of `now` that stay. Where it refuses NULL and
/// takes the word that means the same, `way` is changed to write that word.
///
/// # Errors
/// If the target could not be asked.
pub(super) async fn judge(
    rows: &Rows,
    now: &Rows,
    policy: Policy,
    target: &Target<'_>,
    options: TableOptions,
    way: &mut Way,
    progress: &mut Progress,
) -> Result<Judged, Failure> {
    let mut judged = Judged { refused: Rows::new()?, told: Told::default(), unrehearsed: Vec::new() };
    for table in Table::ALL {
        let (editor, _) = target.editor(table)?;
        let rehearsal = editor.rehearse(options, Deadline::after(PATIENCE)).await?;
        let mut rehearsal = rehearsal.filter(|rehearsal| rehearsal.covers(table));
        match &mut rehearsal {
            Some(rehearsal) if policy != Policy::Replace => stay(now, table, &mut **rehearsal).await?,
            Some(_) => {}
            None => {
                judged.unrehearsed.push(table);
                if table == Table::Mailbox {
                    way.fit = Fit { suspended: word(way.fit.suspended), password_type: word(way.fit.password_type) };
                }
            }
        }
        let (mut sets, mut there) = (rows.sets(table), now.sets(table));
        let mut batch: Vec<Vec<Pair>> = Vec::new();
        loop {
            let key = sets.peek_key()?;
            let set = sets.next_set()?;
            let end = set.is_empty();
            if !end {
                progress.advance(set.len() as u64);
                while there.peek_key()?.is_some_and(|other| key.as_ref().is_some_and(|key| other < *key)) {
                    there.next_set()?;
                }
                let other = if there.peek_key()? == key { there.next_set()? } else { Vec::new() };
                match planned(&set, way.numbers) {
                    Ok(pairs) => batch.push(written(pairs, &other, *way, policy)),
                    Err(why) => set.iter().try_for_each(|row| judged.refuse(row, why))?,
                }
            }
            if end || batch.iter().map(Vec::len).sum::<usize>() >= BATCH {
                let batch = std::mem::take(&mut batch);
                if let Some(rehearsal) = &mut rehearsal {
                    judged.rehearse(batch, &mut **rehearsal, way).await?;
                }
            }
            if end {
                break;
            }
        }
    }
    judged.refused.finish()?;
    Ok(judged)
}

/// The word in the place of NULL, if there may be any.
fn word(blank: Blank) -> Blank {
    if blank == Blank::Kept { Blank::Word } else { blank }
}

/// Puts the rows that are there into the rehearsal: a new one may be refused because of them.
async fn stay(now: &Rows, table: Table, rehearsal: &mut dyn Rehearsal) -> Result<(), Failure> {
    let mut pages = now.pages(table);
    loop {
        let page = pages.next_page()?;
        if page.is_empty() {
            return Ok(());
        }
        // They are not on trial themselves.
        rehearsal.insert(&page, Deadline::after(PATIENCE)).await?;
    }
}

/// Those of a set that are to be written: all of them, if what is there makes room.
fn written(pairs: Vec<Pair>, there: &[TableRow], way: Way, policy: Policy) -> Vec<Pair> {
    if policy == Policy::Replace || there.is_empty() {
        return pairs;
    }
    let all: Vec<_> = pairs.iter().map(|(_, to)| way.fit.of(to.clone())).collect();
    let mut new = decided(&all, there, way, policy).map(|found| found.insert).unwrap_or_default();
    let mut is_new = |row: &TableRow| new.iter().position(|other| other == row).map(|at| new.swap_remove(at)).is_some();
    pairs.into_iter().zip(&all).filter_map(|(pair, to)| is_new(to).then_some(pair)).collect()
}

/// What else may be written in the place of NULL, beginning with the least.
fn further(fit: Fit) -> [Fit; 3] {
    let suspended = Fit { suspended: word(fit.suspended), ..fit };
    let password_type = Fit { password_type: word(fit.password_type), ..fit };
    [suspended, password_type, Fit { password_type: word(fit.password_type), ..suspended }]
}

impl Judged {
    fn refuse(&mut self, row: &TableRow, why: &str) -> Result<(), Failure> {
        self.told.add(row, why);
        self.refused.add(row)
    }

    async fn rehearse(
        &mut self,
        batch: Vec<Vec<Pair>>,
        rehearsal: &mut dyn Rehearsal,
        way: &mut Way,
    ) -> Result<(), Failure> {
        // While the rows of one batch are looked at, `way` may change; these went out as it was.
        let sent = way.fit;
        let rows: Vec<_> = batch.iter().flatten().map(|(_, to)| sent.of(to.clone())).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let mut refused = rehearsal.insert(&rows, Deadline::after(PATIENCE)).await?.into_iter().peekable();
        let mut place = 0;
        for set in batch {
            let mut reasons = Vec::new();
            for (_, to) in &set {
                let mut reason = refused.next_if(|(refused, _)| *refused == place).map(|(_, why)| why);
                place += 1;
                if reason.is_some() && is_taken(to, sent, rehearsal, way).await? {
                    reason = None;
                }
                reasons.push(reason);
            }
            // Which of several rows of one name is the right one cannot be known.
            let all = reasons.len() > 1
                && reasons.iter().any(Option::is_some)
                && set.first().is_some_and(|(row, _)| row.table() == Table::Mailbox);
            for ((row, _), reason) in set.iter().zip(reasons) {
                match reason {
                    Some(why) => self.refuse(row, &why)?,
                    None if all => self.refuse(row, "column username: several rows have this name")?,
                    None => {}
                }
            }
        }
        Ok(())
    }
}

/// True if a row that was refused as it was `sent` is taken with a word in the place of a NULL; `way` then has it.
async fn is_taken(row: &TableRow, sent: Fit, rehearsal: &mut dyn Rehearsal, way: &mut Way) -> Result<bool, Failure> {
    let mut tried = vec![sent.of(row.clone())];
    for fit in further(sent) {
        let other = fit.of(row.clone());
        if tried.contains(&other) {
            continue;
        }
        if rehearsal.insert(std::slice::from_ref(&other), Deadline::after(PATIENCE)).await?.is_empty() {
            // What an earlier row of the batch has switched stays.
            let or = |new: Blank, old: Blank| if new == Blank::Word { new } else { old };
            way.fit = Fit {
                suspended: or(fit.suspended, way.fit.suspended),
                password_type: or(fit.password_type, way.fit.password_type),
            };
            return Ok(true);
        }
        tried.push(other);
    }
    Ok(false)
}
