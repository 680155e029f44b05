//! What could not be carried over.

use crate::output::Output;
use qmail_lookup_core::Table;
use serde_json::{Value, json};

/// Each is told; none stops the import by itself.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// What it is about (a mailbox, an address, a file with its line, or a whole feature), and what is lost.
    list: Vec<(String, String)>,
    notes: Vec<(String, String)>,
    /// Tables of the source that it lacks, and ours that have fewer rows for it.
    lacking: Vec<(String, Table)>,
}

impl Losses {
    /// Something about `what` is lost, namely `why`. Never a password.
    pub(super) fn add(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.list.push((what.into(), why.into()));
    }

    /// Nothing of `what` is lost, but it is worth knowing that `why`.
    pub(super) fn note(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.notes.push((what.into(), why.into()));
    }

    /// The source has no rows of a table of its own, `what`, that become rows of `table`. To be told beside this.
    pub(super) fn lacks(&mut self, what: &str, table: Table) {
        self.lacking.push((what.to_owned(), table));
    }

    /// The table that `table` has no rows of, if there is one.
    pub(super) fn lacking(&self, table: Table) -> Option<&str> {
        self.lacking.iter().find(|(_, ours)| *ours == table).map(|(what, _)| what.as_str())
    }

    /// All losses, in the order in which they were found.
    pub(super) fn list(&self) -> &[(String, String)] {
        &self.list
    }

    /// Tells all of them on standard error.
    pub(super) fn tell(&self, output: &Output) {
        for (kind, list) in [("note", &self.notes), ("not carried over", &self.list)] {
            list.iter().for_each(|(what, why)| output.complain(&format!("{kind}: {what}: {why}")));
        }
    }

    /// The losses, and the notes, for scripts.
    pub(super) fn to_json(&self) -> (Value, Value) {
        let array = |list: &[(String, String)]| {
            list.iter().map(|(what, why)| json!({ "what": what, "why": why })).collect::<Value>()
        };
        (array(&self.list), array(&self.notes))
    }
}
