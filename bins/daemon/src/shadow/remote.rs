//! The daemon's own stores, asked from another thread: the rows are fetched where their connections are, as for any
//! question; what is made of them is made by whoever asks.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use qmail_lookup_core::alias::{AliasResolver, AliasRow};
use qmail_lookup_core::backend::StoreFacts;
use qmail_lookup_core::mailbox::{MailboxResolver, MailboxRow};
use qmail_lookup_core::rcpthosts::HostRow;
use qmail_lookup_core::virtuals::{VirtualResolver, VirtualRow};
use qmail_lookup_core::{AliasKey, Backend, Deadline, ErrorKind, Host, Lookup, LookupError, Username, VirtualKey};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// The same rules over the same stores, which are asked where `home` is.
pub(super) fn lookup(lookup: &Lookup, home: &Handle) -> Lookup {
    let remote = |inner: &Arc<dyn Backend>| -> Arc<dyn Backend> {
        Arc::new(Remote { inner: Arc::clone(inner), home: home.clone() })
    };
    let mailbox = remote(&lookup.mailbox);
    let alias = if Arc::ptr_eq(&lookup.alias, &lookup.mailbox) { Arc::clone(&mailbox) } else { remote(&lookup.alias) };
    let virtuals = match &lookup.virtuals {
        same if Arc::ptr_eq(same, &lookup.mailbox) => Arc::clone(&mailbox),
        same if Arc::ptr_eq(same, &lookup.alias) => Arc::clone(&alias),
        other => remote(other),
    };
    Lookup { mailbox, alias, virtuals, settings: Arc::clone(&lookup.settings) }
}

struct Remote {
    inner: Arc<dyn Backend>,
    home: Handle,
}

impl Remote {
    /// A panic is an error; nobody waits longer than the deadline, whoever asks sees to that.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Arc<dyn Backend>) -> BoxFuture<'static, Result<T, LookupError>>,
    ) -> Result<T, LookupError> {
        let task = self.home.spawn(question(Arc::clone(&self.inner)));
        let ended = |_| Err(LookupError::new(ErrorKind::Unreachable, self.place(), "the question ended early"));
        AbortOnDropHandle::new(task).await.unwrap_or_else(ended)
    }
}

#[async_trait]
impl MailboxResolver for Remote {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        let names = names.to_vec();
        self.ask(move |store| Box::pin(async move { store.mailboxes(&names, by).await })).await
    }
}

#[async_trait]
impl AliasResolver for Remote {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        let keys = keys.to_vec();
        self.ask(move |store| Box::pin(async move { store.aliases(&keys, by).await })).await
    }
}

#[async_trait]
impl VirtualResolver for Remote {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        let keys = keys.to_vec();
        self.ask(move |store| Box::pin(async move { store.virtuals(&keys, by).await })).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        let hosts = hosts.to_vec();
        self.ask(move |store| Box::pin(async move { store.rcpthosts(&hosts, by).await })).await
    }
}

#[async_trait]
impl Backend for Remote {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn place(&self) -> String {
        self.inner.place()
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.ask(move |store| Box::pin(async move { store.ping(by).await })).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.ask(move |store| Box::pin(async move { store.any_mailbox(by).await })).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.ask(move |store| Box::pin(async move { store.facts(by).await })).await
    }
}
