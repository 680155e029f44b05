//! Rows and changes as they are printed: never a password.

use super::rows::store;
use crate::output::{Failure, Output, clean, text};
use crate::session::Session;
use comfy_table::{ContentArrangement, Table as Grid, presets};
use qmail_lookup_core::lint::key_of;
use qmail_lookup_core::{Change, TableRow};
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, stdout};

/// What stands in the place of a password.
const HIDDEN: &str = "(hidden)";

/// The columns of a row that hold something, and what.
fn columns(row: &TableRow) -> Vec<(&'static str, String)> {
    let cells = row.table().columns().iter().copied().zip(row.cells());
    let shown = |(name, cell): (&'static str, Option<&[u8]>)| match (name, cell?) {
        ("password", password) if !password.is_empty() => Some((name, HIDDEN.to_owned())),
        (_, cell) => Some((name, text(cell))),
    };
    cells.filter_map(shown).collect()
}

fn verb(change: &Change) -> (&'static str, &TableRow) {
    match change {
        Change::Insert(row) => ("add", row),
        Change::Replace { new, .. } => ("replace", new),
        Change::Delete(row) => ("delete", row),
    }
}

/// A change in few words.
pub(super) fn in_words(change: &Change) -> String {
    let what = match change {
        Change::Insert(_) => "added",
        Change::Replace { .. } => "changed",
        Change::Delete(_) => "deleted",
    };
    let (_, row) = verb(change);
    format!("{} of table {} {what}", key_of(row), row.table())
}

/// A change as the store would be told it, and what of it is in its row.
pub(super) fn change(session: &Session, change: &Change, out: &mut Output) {
    let (verb, row) = verb(change);
    let cells: Vec<String> = columns(row).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    out.say(&format!("{verb} {}: {}", row.table(), cells.join(" ")));
    if let Some(statement) = store(session, row.table()).change_text(change) {
        statement.lines().for_each(|line| out.say(&format!("  {line}")));
    }
}

/// A change for scripts.
pub(super) fn change_json(change: &Change) -> Value {
    let (verb, row) = verb(change);
    let cells: Map<String, Value> =
        columns(row).into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    json!({ "change": verb, "table": row.table().name(), "row": cells })
}

/// Lines of a list as they come: a table on a terminal, one line each with tabs in a pipe, one array for JSON.
pub(crate) struct List {
    heads: &'static [&'static str],
    is_terminal: bool,
    grid: Vec<Vec<String>>,
    count: u64,
}

/// Lines of one table on a terminal; the next ones get a table of their own, whose columns may be wider.
const LINES: usize = 1000;

/// Narrowest terminal whose width is respected.
const WIDTH_MIN: u16 = 40;

impl List {
    /// An empty one. `heads` name the columns.
    pub(crate) fn new(heads: &'static [&'static str], output: &mut Output) -> Self {
        if output.is_json() {
            output.raw(b"{\"rows\":[");
        }
        Self { heads, is_terminal: stdout().is_terminal(), grid: Vec::new(), count: 0 }
    }

    /// The next line.
    pub(crate) fn push(&mut self, cells: Vec<String>, output: &mut Output) {
        if output.is_json() {
            let named = self.heads.iter().zip(cells).map(|(head, cell)| ((*head).to_owned(), Value::from(cell)));
            let comma = if self.count > 0 { ",\n" } else { "\n" };
            output.raw(format!("{comma}{}", Value::Object(named.collect())).as_bytes());
        } else if self.is_terminal {
            self.grid.push(cells.iter().map(|cell| clean(cell)).collect());
            if self.grid.len() >= LINES {
                self.draw(output);
            }
        } else {
            let cells: Vec<String> = cells.iter().map(|cell| clean(cell)).collect();
            output.line(cells.join("\t"));
        }
        self.count += 1;
    }

    fn draw(&mut self, output: &mut Output) {
        if self.grid.is_empty() {
            return;
        }
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING);
        // A terminal may not know how wide it is.
        if grid.width().is_some_and(|width| width >= WIDTH_MIN) {
            grid.set_content_arrangement(ContentArrangement::Dynamic);
        }
        grid.set_header(self.heads.iter().copied());
        self.grid.drain(..).for_each(|line| _ = grid.add_row(line));
        output.line(grid.trim_fmt());
    }

    /// The end of the list: of the whole, or of what could be read.
    ///
    /// # Errors
    /// If it was cut off. In JSON the one value says so itself.
    pub(crate) fn end(mut self, read: Result<(), Failure>, output: &mut Output) -> Result<crate::exit::Exit, Failure> {
        self.draw(output);
        if !output.is_json() {
            return read.map(|()| crate::exit::Exit::Yes);
        }
        match read {
            Ok(()) => {
                output.line("\n],\"result\":\"list\"}");
                Ok(crate::exit::Exit::Yes)
            }
            Err(failure) => {
                output.line(format!("\n],\"result\":\"error\",\"error\":{}}}", failure.to_json()));
                output.complain(&failure.line());
                Ok(failure.exit())
            }
        }
    }
}
