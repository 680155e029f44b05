//! What `export` wrote.

use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::wire::export::{LINE_MAX, Reader};
use qmail_lookup_core::{Secret, TableRow};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Adds the rows of `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(options: &cli::Import, rows: &mut Rows, losses: &mut Losses) -> Result<(), Failure> {
    let name = if is_stdin(&options.source) { "standard input".into() } else { options.source.display().to_string() };
    let wrong = |what: &dyn std::fmt::Display| Failure::usage(format!("{name}: {what}"));
    let mut input = open(&options.source)?;
    let (mut reader, mut line, mut mailboxes) = (Reader::new(), Vec::new(), 0_u64);
    loop {
        line.clear();
        let read = (&mut input).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Failure::temporary(format!("cannot read {name}: {error}")))?;
        if read == 0 {
            break;
        }
        if read > LINE_MAX {
            return Err(wrong(&"a line is longer than 64 MiB: `qmail-lookup export` has not written it"));
        }
        let row = reader.line(&line).map_err(|error| wrong(&error))?;
        if reader.without_passwords() && !options.no_passwords {
            return Err(wrong(
                &"it was written without passwords: with --no-passwords its mailboxes are imported all the same, and \
                  nobody can log in to them",
            ));
        }
        match row {
            Some(TableRow::Mailbox(mut row)) if options.no_passwords => {
                // An empty value lets nobody in (rule P2), and no table refuses it.
                row.password = Some(Secret::new(Vec::new()));
                rows.add(&TableRow::Mailbox(row))?;
                mailboxes += 1;
            }
            Some(row) => rows.add(&row)?,
            None => {}
        }
    }
    reader.end().map_err(|error| wrong(&error))?;
    if mailboxes > 0 {
        losses.note("passwords", format!("{mailboxes} mailboxes have none: nobody can log in to them"));
    }
    Ok(())
}

fn is_stdin(source: &Path) -> bool {
    source.as_os_str() == "-"
}

fn open(source: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if is_stdin(source) {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let failed = |error| Failure::usage(format!("cannot read {}: {error}", source.display()));
    Ok(Box::new(BufReader::new(File::open(source).map_err(failed)?)))
}
