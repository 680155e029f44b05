//! Rows that somebody has to be told of: table, key and why, never a value.

use crate::output::{Output, clean, text};
use qmail_lookup_core::TableRow;
use serde_json::{Value, json};

/// Most that are shown in text; the rest is counted.
const SHOWN: usize = 20;

/// Most that are kept for JSON; the rest is counted.
const KEPT: usize = 100_000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    list: Vec<(&'static str, String, String)>,
    count: u64,
}

/// The key of a row, for people.
pub(super) fn key(row: &TableRow) -> String {
    let cells = row.cells();
    let mut keys = cells.iter().take(row.table().key_columns()).map(|cell| cell.map_or("NULL".to_owned(), text));
    let (first, second) = (keys.next().unwrap_or_default(), keys.next());
    clean(&match second {
        Some(second) => format!("({first}, {second})"),
        None => first,
    })
}

impl Told {
    /// `row`, and why.
    pub(super) fn add(&mut self, row: &TableRow, why: &str) {
        self.count += 1;
        if self.list.len() < KEPT {
            self.list.push((row.table().name(), key(row), clean(why)));
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// All that were kept.
    pub(super) fn json(&self) -> Value {
        let one = |(table, key, why): &(&str, String, String)| json!({ "table": table, "key": key, "why": why });
        self.list.iter().map(one).collect()
    }

    /// The first ones under a heading, and how many more there are.
    pub(super) fn show(&self, heading: &str, output: &mut Output) {
        if self.count == 0 || output.is_json() {
            return;
        }
        output.line(heading);
        for (table, key, why) in self.list.iter().take(SHOWN) {
            output.line(format!("  {table:9}  {key}: {why}"));
        }
        let shown = self.list.len().min(SHOWN) as u64;
        if self.count > shown {
            output.line(format!("  and {} more", self.count - shown));
        }
    }
}
