//! Answers that are kept for a while. A foreign edit is seen when the time is over, our own at the next
//! [flush](Cache::flush).
//!
//! - Kept are the rows of each key that was asked, and that there are none only if the store said so. Rows that nobody
//!   asked for, errors, logins and passwords are never kept.
//! - A question is answered from here only if each of its keys is, and only as the table was at one moment: with keys of
//!   several moments, a row that was moved from one key to another might be under neither. Otherwise all of the question
//!   is asked again.

#[cfg(test)]
mod agree;
mod kept;
#[cfg(test)]
mod tests;

use crate::table_key::TableKey;
use async_trait::async_trait;
use kept::{Kept, Moment};
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Backend, Deadline, Host, HostRow, LookupError, MailboxResolver, MailboxRow,
    Username, VirtualKey, VirtualResolver, VirtualRow,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Keeps answers; see the module.
pub struct Cache {
    inner: Arc<dyn Backend>,
    ttl: Duration,
    /// Number of the next question or flush.
    next: AtomicU64,
    /// What was asked under a lower number than this is not served.
    flushed: AtomicU64,
    mailboxes: Kept<Username>,
    aliases: Kept<AliasKey>,
    virtuals: Kept<VirtualKey>,
    rcpthosts: Kept<Host>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How often a [`Cache`] was asked since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions that it answered.
    pub hits: u64,
    /// Questions that it passed on.
    pub misses: u64,
}

impl Cache {
    /// Wraps `inner`. An answer is used for `ttl` from the moment its question was sent. Of each table, at most
    /// `entries` keys are kept; one of several rows counts as that many.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>, ttl: Duration, entries: u64) -> Self {
        Self {
            inner,
            ttl,
            next: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            mailboxes: Kept::new(entries),
            aliases: Kept::new(entries),
            virtuals: Kept::new(entries),
            rcpthosts: Kept::new(entries),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Empties it. No answer to a question that was sent before this call is served after it, not even one that is still
    /// on its way.
    pub fn flush(&self) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        self.flushed.fetch_max(number, Ordering::SeqCst);
        // From here on nothing of it is served; this only gives the memory back.
        self.mailboxes.clear();
        self.aliases.clear();
        self.virtuals.clear();
        self.rcpthosts.clear();
    }

    /// For metrics.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts { hits: read(&self.hits), misses: read(&self.misses) }
    }

    async fn ask<K: TableKey>(&self, kept: &Kept<K>, keys: &[K], by: Deadline) -> Result<Vec<K::Row>, LookupError> {
        let now = Instant::now();
        let fresh = |asked: &Moment| {
            asked.number >= self.flushed.load(Ordering::SeqCst) && now.saturating_duration_since(asked.sent) < self.ttl
        };
        if let Some(rows) = kept.answer(keys, fresh) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(rows);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let asked = Moment { number: self.next.fetch_add(1, Ordering::SeqCst), sent: now };
        let rows = K::ask(&*self.inner, keys, by).await?;
        if asked.number >= self.flushed.load(Ordering::SeqCst) {
            kept.keep(keys, &rows, asked);
        }
        Ok(rows)
    }
}

#[async_trait]
impl MailboxResolver for Cache {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.ask(&self.mailboxes, names, by).await
    }
}

#[async_trait]
impl AliasResolver for Cache {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.ask(&self.aliases, keys, by).await
    }
}

#[async_trait]
impl VirtualResolver for Cache {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.ask(&self.virtuals, keys, by).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.ask(&self.rcpthosts, hosts, by).await
    }
}

crate::layer::layer! { Cache }
