//! What `export` wrote.

use super::losses::Losses;
use super::{passwords, source};
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::wire::export::{LINE_MAX, Reader};
use qmail_lookup_core::{Secret, TableRow};
use std::io::{BufRead, BufReader, Read};

/// Adds the rows of `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else; without passwords also if the store cannot be read.
pub(super) async fn read(
    session: &Session,
    options: &cli::Import,
    rows: &mut Rows,
    losses: &mut Losses,
) -> Result<(), Failure> {
    let (name, input) = source::open(&options.source)?;
    let wrong = |what: &dyn std::fmt::Display| Failure::usage(format!("{name}: {what}"));
    let mut input = BufReader::new(input);
    let (mut reader, mut line, mut bare) = (Reader::new(), Vec::new(), Rows::new()?);
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
                // An empty value lets nobody in (rule P2), and no table refuses it. Of another type it would be a value in
                // a directory, and not the lack of one.
                row.password = Some(Secret::new(Vec::new()));
                row.password_type = Some(b"Password".to_vec());
                bare.add(&TableRow::Mailbox(row))?;
            }
            Some(row) => rows.add(&row)?,
            None => {}
        }
    }
    reader.end().map_err(|error| wrong(&error))?;
    bare.finish()?;
    passwords::add(session, options, &bare, rows, losses).await
}
