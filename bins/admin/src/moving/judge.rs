//! What the target cannot express, found out before anything is written.

use super::target::Target;
use super::told::Told;
use super::{Rows, copy::Way};
use crate::output::Failure;
use crate::progress::Progress;
use qmail_lookup_core::moving::{Fit, planned};
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
}

/// A row as it is, and as it is to be written.
type Pair = (TableRow, TableRow);

/// Puts all rows to the target for trial. Where it refuses NULL and takes the word that means the same, `way` is changed
/// to write that word.
///
/// # Errors
/// If the target could not be asked.
pub(super) async fn judge(
    rows: &Rows,
    target: &Target<'_>,
    options: TableOptions,
    way: &mut Way,
    progress: &mut Progress,
) -> Result<Judged, Failure> {
    let mut judged = Judged { refused: Rows::new()?, told: Told::default() };
    for table in Table::ALL {
        let (editor, _) = target.editor(table)?;
        let mut rehearsal = editor.rehearse(options, Deadline::after(PATIENCE)).await?;
        let mut sets = rows.sets(table);
        let mut batch: Vec<Vec<Pair>> = Vec::new();
        loop {
            let set = sets.next_set()?;
            let end = set.is_empty();
            if !end {
                progress.advance(set.len() as u64);
                match planned(&set, way.numbers) {
                    Ok(pairs) => batch.push(pairs),
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
        let rows: Vec<_> = batch.iter().flatten().map(|(_, to)| way.fit.of(to.clone())).collect();
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
                let worded = Fit::WORDS.of(to.clone());
                if reason.is_some() && worded != way.fit.of(to.clone()) {
                    let again = rehearsal.insert(&[worded], Deadline::after(PATIENCE)).await?;
                    if again.is_empty() {
                        way.fit = Fit::WORDS;
                        reason = None;
                    }
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
