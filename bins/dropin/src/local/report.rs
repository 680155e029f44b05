//! How a delivery ends, and what qmail-lspawn is told of it: its log for success and deferral, the sender for a bounce.

use crate::exit::LocalExit;
use crate::stdout;

/// An end before all instructions were carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Bounce or deferral.
    pub exit: LocalExit,
    /// One line for the report, without its newline; empty if whoever failed has said it.
    pub text: Vec<u8>,
}

/// What is there if the delivery goes on.
pub type Outcome<T> = Result<T, Ending>;

impl Ending {
    /// A deferral; `parts` together are its text.
    #[must_use]
    pub fn defer(parts: &[&[u8]]) -> Self {
        Self { exit: LocalExit::Defer, text: parts.concat() }
    }

    /// A bounce; `parts` together are its text.
    #[must_use]
    pub fn bounce(parts: &[&[u8]]) -> Self {
        Self { exit: LocalExit::Bounce, text: parts.concat() }
    }
}

/// Writes to the report, which is standard output and standard error in one. What cannot be written is lost: mail that
/// has been delivered must not be delivered again because nobody reads that it was.
pub fn say(text: &[u8]) {
    let _ = try_to_say(text);
}

/// The same, where the report is all that was wanted (`-n`).
///
/// # Errors
/// If it cannot be written.
pub fn try_to_say(text: &[u8]) -> std::io::Result<()> {
    stdout::write(text)
}
