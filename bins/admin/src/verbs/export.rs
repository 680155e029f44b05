//! `export`: the four tables as text.

use crate::cli;
use crate::exit::Exit;
use crate::moving::{PrivateFile, Rows};
use crate::output::{Failure, Output};
use crate::progress::Progress;
use crate::session::Session;
use qmail_lookup_core::Table;
use qmail_lookup_core::moving::numbers::meant;
use qmail_lookup_core::wire::export::Writer;
use serde_json::{Map, json};

pub(crate) async fn run(session: &Session, options: &cli::Export, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() && options.output.is_none() {
        return Err(Failure::usage("rows are written as text: with --json, name a file for them (--output FILE)"));
    }
    // Before the tables are read, so that a wrong name is found out at once.
    let mut file = options.output.as_deref().map(PrivateFile::begin).transpose()?;
    let mut progress = Progress::new(options.quiet);
    let mut reading = None;
    // A number that means none stands elsewhere than no number.
    let rows = Rows::of_changed(session, &Table::ALL, meant, |table, count| {
        if reading.replace(table) != Some(table) {
            progress.begin(&format!("reading {table}"), None);
        }
        progress.advance(count);
    })
    .await;
    progress.end();
    let rows = rows?;
    if !options.no_passwords {
        rows.show_passwords(session).await?;
    }
    write(&rows, !options.no_passwords, |bytes| match &mut file {
        Some(file) => file.write(bytes),
        None => {
            output.raw(bytes);
            Ok(())
        }
    })?;
    let (Some(file), Some(place)) = (file, &options.output) else { return Ok(Exit::Yes) };
    file.keep()?;
    let mut counts = Map::new();
    for table in Table::ALL {
        counts.insert(table.name().to_owned(), json!(rows.count(table)?));
    }
    let place = place.display().to_string();
    let value = json!({ "result": "exported", "file": place, "passwords": !options.no_passwords, "rows": counts });
    output.result(&value, |out| {
        let counts: Vec<_> = counts.iter().map(|(table, count)| format!("{table} {count}")).collect();
        out.say(&format!("{place}: rows of {}", counts.join(", ")));
    });
    Ok(Exit::Yes)
}

/// Gives the text of all rows to `write`, piece by piece.
fn write(rows: &Rows, passwords: bool, mut write: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut writer = Writer::new(passwords, &mut text);
    for table in Table::ALL {
        let mut pages = rows.pages(table);
        loop {
            let page = pages.next_page()?;
            if page.is_empty() {
                break;
            }
            for row in &page {
                writer.row(row, &mut text).map_err(|error| Failure::refused(error.to_string()))?;
            }
            write(&text)?;
            text.clear();
        }
    }
    writer.end(&mut text);
    write(&text)
}
