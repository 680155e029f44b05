//! What could not be carried over.

use crate::output::Output;
use serde_json::{Value, json};

/// Each is told; none stops the import by itself.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// What it is about (a mailbox, an address, a file with its line, or a whole feature), and what is lost.
    list: Vec<(String, String)>,
    notes: Vec<(String, String)>,
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
