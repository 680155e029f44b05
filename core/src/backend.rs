//! A store as the registry makes it, and what it can tell about itself.

use crate::alias::AliasResolver;
use crate::catalog::{Catalog, Table};
use crate::credential::{Authenticator, CredentialResolver};
use crate::editor::{Change, Editor};
use crate::mailbox::MailboxResolver;
use crate::rules::Ask;
use crate::virtuals::VirtualResolver;
use crate::{Deadline, LookupError};

/// A store that answers all routing questions, and more if it can. There are no capability flags: what it cannot do
/// it does not return.
///
/// # Contract
/// - Opening connects to nothing; a store that is down is found out by the first question.
/// - `ping` succeeds only if the store was reached over the connection that questions use.
/// - `any_mailbox` tells an empty mailbox table from one that merely lacks the asked name.
#[async_trait::async_trait]
pub trait Backend: MailboxResolver + AliasResolver + VirtualResolver {
    /// Registry name: `mysql`, `sqlite`, `ldap`, `memory`.
    fn kind(&self) -> &'static str;

    /// The store as the administrator knows it: kind, and path or servers. Holds no secret.
    fn place(&self) -> String;

    /// Reaches the store and does nothing there.
    ///
    /// # Errors
    /// If it could not be reached before `by`.
    async fn ping(&self, by: Deadline) -> Result<(), LookupError>;

    /// True if table mailbox holds at least one row (rule K4).
    ///
    /// # Errors
    /// Whenever that is not known.
    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError>;

    /// Facts for `check`: what was reached and what it holds.
    ///
    /// # Errors
    /// If the store could not be asked.
    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError>;

    /// How this store would be asked, for people to read: the statement or filter, with the keys.
    fn query_text(&self, ask: &Ask) -> String {
        format!("{ask:?}")
    }

    /// The statement that makes `change`, for people to run: SQL, or LDIF. Without a password. `None` if the store has no
    /// such words.
    fn change_text(&self, _change: &Change) -> Option<String> {
        None
    }

    /// Reads whole tables, if the store can.
    fn catalog(&self) -> Option<&dyn Catalog> {
        None
    }

    /// Changes rows, if the store can.
    fn editor(&self) -> Option<&dyn Editor> {
        None
    }

    /// Decides logins, if the store can.
    fn authenticator(&self) -> Option<&dyn Authenticator> {
        None
    }

    /// Fetches single rows with their passwords, if a row that is fetched so can be replaced by the editor. For
    /// changing a password; a login is the [authenticator](Self::authenticator)'s.
    fn credentials(&self) -> Option<&dyn CredentialResolver> {
        None
    }
}

/// What a store said about itself. Facts only; what is unwise is judged elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// The server or file that answered.
    pub server: String,
    /// Product and version.
    pub version: String,
    /// Protocol of the encrypted connection; `None` if it is not encrypted.
    pub tls: Option<String>,
    /// True if the connection cannot leave this machine (a UNIX socket, a file, loopback).
    pub local: bool,
    /// Privileges as the store words them; empty if it has none.
    pub grants: Vec<String>,
    /// The documented tables that are there, with their columns.
    pub tables: Vec<TableFacts>,
    /// Those that are not, as far as the store knows why.
    pub missing: Vec<MissingTable>,
}

/// A table that is not there, or that may not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingTable {
    /// Which one.
    pub table: Table,
    /// Why.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// One table as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    /// Which one.
    pub table: Table,
    /// Column names and types as the store words them, in order.
    pub columns: Vec<(String, String)>,
    /// Storage engine, where there are several.
    pub engine: Option<String>,
    /// True if looking a key up uses an index; `None` if that could not be found out.
    pub indexed: Option<bool>,
}
