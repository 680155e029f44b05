//! What could not be carried over.

/// Each is told; none stops the import by itself.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// What it is about (a mailbox, an address, a file with its line, or a whole feature), and what is lost.
    list: Vec<(String, String)>,
}

impl Losses {
    /// Something about `what` is lost, namely `why`. Never a password.
    pub(super) fn add(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.list.push((what.into(), why.into()));
    }

    /// All of them, in the order in which they were found.
    pub(super) fn list(&self) -> &[(String, String)] {
        &self.list
    }
}
