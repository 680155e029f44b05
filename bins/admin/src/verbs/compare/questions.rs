//! The questions, each once: they may be more than memory holds.

use super::report::Report;
use crate::moving::Rows;
use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::compare::{Key, always, has_usable_key, of_log_line, of_row};
use qmail_lookup_core::{HostRow, Table, TableRow};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest line that is read in one piece. Unit: bytes.
const LINE_MAX: u64 = 65_536;

/// Questions that are remembered, so that those that many rows lead to are not written down each time.
const RECENT_MAX: usize = 10_000;

/// See the module.
pub(super) struct Questions {
    /// Each question as the one cell of a row.
    spool: Rows,
    recent: HashSet<Vec<u8>>,
}

impl Questions {
    /// # Errors
    /// As [`Rows::new`].
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self { spool: Rows::new()?, recent: HashSet::new() })
    }

    fn add(&mut self, key: &Key) -> Result<(), Failure> {
        let text = key.write();
        if self.recent.contains(&text) {
            return Ok(());
        }
        self.spool.add(&TableRow::Rcpthosts(HostRow { host: Some(text.clone()) }))?;
        if self.recent.len() >= RECENT_MAX {
            self.recent.clear();
        }
        self.recent.insert(text);
        Ok(())
    }

    /// Those that the rows of both sides lead to, and those that are always asked.
    ///
    /// # Errors
    /// If a temporary file cannot be read or written.
    pub(super) fn of_rows(
        &mut self,
        rows: &[Rows; 2],
        sessions: [&Session; 2],
        report: &mut Report,
    ) -> Result<(), Failure> {
        for key in always() {
            self.add(&key)?;
        }
        for (rows, (session, nameless)) in rows.iter().zip(sessions.into_iter().zip(&mut report.nameless)) {
            for table in Table::ALL {
                let mut sets = rows.sets(table);
                loop {
                    let set = sets.next_set()?;
                    let Some(first) = set.first() else { break };
                    // The rows of one key differ in whom they name.
                    for row in if table == Table::Virtual { &set[..] } else { std::slice::from_ref(first) } {
                        *nameless += u64::from(!has_usable_key(row));
                        of_row(row, &session.config.rules).iter().try_for_each(|key| self.add(key))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Those of a file of keys.
    ///
    /// # Errors
    /// If it cannot be read, or a line is no key.
    pub(super) fn of_file(&mut self, file: &Path) -> Result<(), Failure> {
        let mut number = 0_u64;
        each_line(file, |line| {
            number += 1;
            // A longer line comes in pieces, of which only the last one ends as lines do.
            let is_whole = u64::try_from(line.len()).is_ok_and(|length| length < LINE_MAX);
            let key = if is_whole { Key::read(line) } else { Err("longer than any key") };
            let key = key.map_err(|why| Failure::usage(format!("{}:{number}: {why}", name(file))))?;
            key.iter().try_for_each(|key| self.add(key))
        })
    }

    /// Those of a log of qmail-send.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of_log(&mut self, file: &Path, report: &mut Report) -> Result<(), Failure> {
        let mut passed_over = 0;
        each_line(file, |line| {
            let keys = of_log_line(line);
            passed_over += u64::from(keys.is_empty());
            keys.iter().try_for_each(|key| self.add(key))
        })?;
        report.passed_over = Some(passed_over);
        Ok(())
    }

    /// All were added.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.recent = HashSet::new();
        self.spool.finish()
    }

    /// How many there are; some may be there twice.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub(super) fn count(&self) -> Result<u64, Failure> {
        self.spool.count(Table::Rcpthosts)
    }

    /// Calls `each` with every question once, in order, and with how many steps of [`Questions::count`] it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = Result<(Key, u64), Failure>> {
        let mut sets = self.spool.sets(Table::Rcpthosts);
        // Of one set are those that differ in capitals only.
        let mut set = Vec::new().into_iter().peekable();
        std::iter::from_fn(move || {
            if set.peek().is_none() {
                match sets.next_set() {
                    Ok(next) => set = next.into_iter().peekable(),
                    Err(failure) => return Some(Err(failure)),
                }
            }
            let row: TableRow = set.next()?;
            let mut steps = 1;
            while set.next_if_eq(&row).is_some() {
                steps += 1;
            }
            let cells = row.cells();
            let text = cells.first().copied().flatten().unwrap_or_default();
            Some(
                Key::of_written(text)
                    .map(|key| (key, steps))
                    .ok_or_else(|| Failure::temporary("temporary file: damaged")),
            )
        })
    }
}

/// A file for people.
fn name(file: &Path) -> String {
    if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() }
}

/// Calls `take` with each line; `-` is standard input.
fn each_line(file: &Path, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let trouble = |error: std::io::Error| format!("{}: {error}", name(file));
    let source: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(|error| Failure::usage(trouble(error)))?),
    };
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = source.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::temporary(trouble(error)))? == 0 {
            return Ok(());
        }
        take(&line)?;
    }
}
