//! What is wrong, or unwise, in the rows of the tables: judgments on rows, without any I/O.
//!
//! | what | room |
//! |---|---|
//! | table mailbox; stored passwords | `mailbox`, `passwords` |
//! | table alias | `alias` |
//! | table virtual | `virtuals` |
//! | table rcpthosts, and names of hosts | `hosts` |
//! | users/cdb beside the tables | [`assigned`] |
//! | what these have in common | `judge` |
//! | loops of forwards | [`loops`] |

mod alias;
pub mod assigned;
mod hosts;
mod judge;
pub mod loops;
mod mailbox;
mod passwords;
#[cfg(test)]
mod tests;
mod virtuals;

pub use alias::AliasJudge;
pub use hosts::HostJudge;
pub use judge::{Judge, key_of};
pub use mailbox::{MailboxJudge, deny_unknown};
pub use virtuals::VirtualJudge;

use crate::catalog::Table;
use crate::editor::Change;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; no reason to do anything today.
    Note,
    /// Mail goes another way than its rows seem to say, or somebody can be surprised.
    Warning,
    /// Mail waits or bounces, or a login is refused, because of this row.
    Error,
}

impl Severity {
    /// As reports word it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule of the design that it breaks, `K3` for instance; or a word of its own: `loop`, `dangling`, `swallowed`.
    pub rule: &'static str,
    /// Where the row is.
    pub table: Table,
    /// The row's key as people write it: `iain`, `iain-list`, `sales@bar.com`; bytes that are no text are escaped. Empty
    /// for what is about a whole table.
    pub key: String,
    /// What is wrong, and what comes of it. Never a password, nor a value that only its owner should see.
    pub why: String,
    /// What mends it.
    pub repair: Repair,
}

/// What mends a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "few are alive at a time")]
pub enum Repair {
    /// This change of the store; the store words it as a statement of its own.
    Change(Change),
    /// This command of the shell.
    Command(String),
    /// What only a person can decide, in words.
    Words(String),
}
