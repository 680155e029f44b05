//! What the tool's exit status means to scripts.

use std::process::ExitCode;

/// Exit statuses; qmail's own convention for temporary and permanent trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Yes: found, accepted, all right.
    Yes = 0,
    /// No: absent, refused, or something was found wrong.
    No = 1,
    /// Wrong usage or configuration: trying again does not help.
    Usage = 100,
    /// It is not known; trying again may help.
    Temporary = 111,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
