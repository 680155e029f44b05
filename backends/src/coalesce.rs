//! Concurrent questions of one table become one statement.
//!
//! - A question goes out at once while fewer than the allowed number of statements are under way. What comes while they
//!   are gathers, and goes out with the next one: first come, first served.
//! - A statement belongs to nobody who asked. It runs as a task of its own until the latest deadline among its callers;
//!   each of them leaves at its own, and one that leaves stops nothing.
//! - Each caller gets the rows of its own keys (rule K2), or the error that the statement ended with.
//!
//! Logins are never joined.

mod batch;
mod lane;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use lane::Lane;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Backend, Deadline, Host, HostRow, LookupError, MailboxResolver, MailboxRow,
    Username, VirtualKey, VirtualResolver, VirtualRow,
};
use std::sync::Arc;

/// Joins questions; see the module.
pub struct Coalesce {
    inner: Arc<dyn Backend>,
    mailboxes: Arc<Lane<Username>>,
    aliases: Arc<Lane<AliasKey>>,
    virtuals: Arc<Lane<VirtualKey>>,
    rcpthosts: Arc<Lane<Host>>,
}

/// What was asked of a [`Coalesce`] since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Statements that were sent.
    pub statements: u64,
    /// Questions that they were for.
    pub questions: u64,
}

impl Coalesce {
    /// Wraps `inner`. Of each table, at most `statements` (at least one) are under way at once.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>, statements: usize) -> Self {
        Self {
            mailboxes: Lane::new(&inner, statements),
            aliases: Lane::new(&inner, statements),
            virtuals: Lane::new(&inner, statements),
            rcpthosts: Lane::new(&inner, statements),
            inner,
        }
    }

    /// For metrics.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let lanes = [self.mailboxes.counts(), self.aliases.counts(), self.virtuals.counts(), self.rcpthosts.counts()];
        lanes.into_iter().fold(Counts::default(), |sum, lane| Counts {
            statements: sum.statements + lane.statements,
            questions: sum.questions + lane.questions,
        })
    }
}

#[async_trait]
impl MailboxResolver for Coalesce {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.mailboxes.ask(names, by).await
    }
}

#[async_trait]
impl AliasResolver for Coalesce {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.aliases.ask(keys, by).await
    }
}

#[async_trait]
impl VirtualResolver for Coalesce {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.virtuals.ask(keys, by).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.rcpthosts.ask(hosts, by).await
    }
}

crate::layer::layer! { Coalesce }
