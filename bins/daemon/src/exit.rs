//! What the daemon's exit status means to whoever supervises it.

use std::process::ExitCode;

/// Exit statuses; qmail's own convention for temporary and permanent trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was asked to end, and did.
    Done = 0,
    /// Wrong usage or configuration: starting again does not help.
    Usage = 100,
    /// Something that may pass: starting again may help.
    Temporary = 111,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the daemon does not run.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// One line, complete; never a secret.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into() }
    }

    pub(crate) fn temporary(text: impl Into<String>) -> Self {
        Self { exit: Exit::Temporary, text: text.into() }
    }
}
