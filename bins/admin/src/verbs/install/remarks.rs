//! What speaks against an installation, and what has to be known about it.

use crate::exit::Exit;
use crate::output::{Failure, Output};
use serde_json::{Value, json};

/// One thing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verbs) struct Remark {
    pub(in crate::verbs) what: String,
    pub(in crate::verbs) help: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::verbs) struct Remarks {
    /// Each is a reason to change nothing.
    pub(in crate::verbs) refusals: Vec<Remark>,
    pub(in crate::verbs) warnings: Vec<Remark>,
    /// What could not be found out: a reason to change nothing, too.
    pub(in crate::verbs) unknown: Vec<Failure>,
}

impl Remarks {
    pub(in crate::verbs) fn refuse(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.refusals.push(Remark { what: what.into(), help: help.into() });
    }

    pub(in crate::verbs) fn warn(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Remark { what: what.into(), help: help.into() });
    }

    /// What a look gave, if it could be had.
    pub(in crate::verbs) fn known<T, E: Into<Failure>>(&mut self, looked: Result<T, E>) -> Option<T> {
        looked.map_err(|error| self.unknown.push(error.into())).ok()
    }

    /// The exit status, if nothing may be changed.
    pub(in crate::verbs) fn verdict(&self) -> Option<Exit> {
        if !self.unknown.is_empty() {
            return Some(Exit::Temporary);
        }
        (!self.refusals.is_empty()).then_some(Exit::No)
    }

    pub(in crate::verbs) fn print(&self, out: &mut Output) {
        for (kind, remarks) in [("warning", &self.warnings), ("refused", &self.refusals)] {
            for Remark { what, help } in remarks {
                out.say(&format!("{kind}: {what}: {help}"));
            }
        }
        for failure in &self.unknown {
            out.say(&format!("not known: {}", failure.line()));
        }
    }

    pub(in crate::verbs) fn to_json(&self) -> Value {
        let list = |remarks: &[Remark]| -> Vec<Value> {
            remarks.iter().map(|Remark { what, help }| json!({ "what": what, "help": help })).collect()
        };
        let unknown: Vec<_> = self.unknown.iter().map(Failure::to_json).collect();
        json!({ "refused": list(&self.refusals), "warnings": list(&self.warnings), "unknown": unknown })
    }
}
