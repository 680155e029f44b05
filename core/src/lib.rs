//! Types, resolver traits and rules of qmail-lookup.
//!
//! | the FAQ's word | room |
//! |---|---|
//! | mailbox table, uid, gid, home, suspended | [`mailbox`] |
//! | alias table, delivery instructions | [`alias`] |
//! | virtual table, catch-alls, FUNKY QUERIES | [`virtuals`] |
//! | rcpthosts table | [`rcpthosts`] |
//! | qmail-getpw's answer | [`getpw`] |
//! | password, password_type | `password` |
//! | who gets the mail, and how: every decision | [`rules`] |
//! | the daemon's sockets | [`wire`] |
//! | the programs in the place of qmail's | [`dropin`] |
//! | qmail's control files | [`control`] |
//! | names of dot-qmail files | [`dotqmail`] |
//! | which lines sync writes into them | `sync` |
//! | what is wrong with rows | `lint` |
//! | what an edit means as changes of rows | `editing` |
//! | are two answers the same | `compare` |
//! | rows on their way into another store | `moving` |
//! | rows of other systems | `import` |
//!
//! Rows hold raw cells; [`key`] makes the questions, [`rules`] judges the answers, and neither does any I/O.
//! Features: `resolver` (the async traits, `Lookup`), `password`, `serde`. Without them: no async, no hash crates.

pub mod alias;
pub mod control;
pub mod deadline;
pub mod directories;
pub mod dotqmail;
pub mod dropin;
pub mod error;
pub mod getpw;
pub mod key;
pub mod limits;
pub mod mailbox;
pub mod rcpthosts;
pub mod rules;
pub mod settings;
pub mod virtuals;
pub mod wire;

#[cfg(feature = "resolver")]
pub mod backend;
#[cfg(feature = "resolver")]
pub mod catalog;
#[cfg(feature = "resolver")]
pub mod compare;
#[cfg(feature = "resolver")]
pub mod credential;
#[cfg(feature = "resolver")]
pub mod editing;
#[cfg(feature = "resolver")]
pub mod editor;
#[cfg(feature = "resolver")]
pub mod import;
#[cfg(feature = "resolver")]
pub mod lint;
#[cfg(feature = "resolver")]
pub mod lookup;
#[cfg(feature = "resolver")]
pub mod moving;
#[cfg(feature = "password")]
pub mod password;
#[cfg(feature = "resolver")]
pub mod sync;

pub use alias::{AliasRow, Instruction};
pub use deadline::Deadline;
pub use error::{ErrorKind, LookupError, Misconfiguration};
pub use key::{AliasKey, Ext, Host, Username, VirtualKey, VirtualUser};
pub use mailbox::{Cell, Mailbox, MailboxRow, Standing};
pub use rcpthosts::HostRow;
pub use virtuals::VirtualRow;

#[cfg(feature = "password")]
pub use password::Secret;
#[cfg(feature = "resolver")]
pub use {
    alias::AliasResolver,
    backend::{Backend, MissingTable, StoreFacts, TableFacts},
    catalog::{Catalog, Mark, Scan, Table, TableRow},
    credential::{AuthAnswer, Authenticator, CredentialResolver, CredentialRow, Refusal},
    editor::{Applied, Change, EditCause, EditError, Editor, Numbering, Rehearsal, TableOptions},
    lookup::Lookup,
    mailbox::MailboxResolver,
    virtuals::VirtualResolver,
};
