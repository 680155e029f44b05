//! What a run leaves behind, and how two of these are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Everything that is recorded of a run, normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Exit code; `None` after a signal.
    pub(super) exit: Option<i64>,
    /// Standard output and standard error.
    pub(super) output: Vec<u8>,
    /// New or changed below the home, by path.
    pub(super) files: BTreeMap<Vec<u8>, Entry>,
    /// Gone from the home.
    pub(super) removed: BTreeSet<Vec<u8>>,
    /// Runs of qmail-queue, in order.
    pub(super) queue: Vec<Queued>,
}

/// A file.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Four octal digits; of a directory or symlink, its kind.
    pub(super) mode: String,
    /// Content.
    pub(super) data: Vec<u8>,
}

/// What qmail-queue was given.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Queued {
    /// Descriptor 0.
    pub(super) message: Vec<u8>,
    /// Descriptor 1.
    pub(super) envelope: Vec<u8>,
}

impl Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} \"{}\"", self.mode, self.data.escape_ascii())
    }
}

impl Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "envelope \"{}\" message \"{}\"", self.envelope.escape_ascii(), self.message.escape_ascii())
    }
}

/// Fails with all that is different.
pub(super) fn compare(got: &Record, want: &Record) -> Result<(), String> {
    // Named one by one, so that a new part of a record cannot be forgotten here.
    let Record { exit, output, files, removed, queue } = want;
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let paths = |all: &BTreeSet<Vec<u8>>| all.iter().map(|path| text(path)).collect::<Vec<_>>();
    let mut found = String::new();
    let mut note = |what: &str, same: bool, got: String, want: String| {
        if !same {
            found.push_str(&format!("\n{what}\n  got:  {got}\n  want: {want}"));
        }
    };
    note("exit", got.exit == *exit, format!("{:?}", got.exit), format!("{exit:?}"));
    note("output", got.output == *output, text(&got.output), text(output));
    let all: BTreeSet<_> = got.files.keys().chain(files.keys()).collect();
    for path in all {
        let (ours, theirs) = (got.files.get(path), files.get(path));
        note(&format!("file {}", text(path)), ours == theirs, format!("{ours:?}"), format!("{theirs:?}"));
    }
    note("removed", got.removed == *removed, paths(&got.removed).join(" "), paths(removed).join(" "));
    note("queue", got.queue == *queue, format!("{:?}", got.queue), format!("{queue:?}"));
    if found.is_empty() { Ok(()) } else { Err(found) }
}
