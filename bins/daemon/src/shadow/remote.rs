//! The store's own thread: one that blocks, panics or keeps the processor busy does so where nobody waits for it.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use qmail_lookup_config::Stores;
use qmail_lookup_core::alias::{AliasResolver, AliasRow};
use qmail_lookup_core::backend::StoreFacts;
use qmail_lookup_core::mailbox::{MailboxResolver, MailboxRow};
use qmail_lookup_core::rcpthosts::HostRow;
use qmail_lookup_core::virtuals::{VirtualResolver, VirtualRow};
use qmail_lookup_core::{AliasKey, Backend, Deadline, ErrorKind, Host, LookupError, Username, VirtualKey};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// The store gives up by itself at the deadline; this is for one that does not. Unit: time after the deadline.
const GRACE: Duration = Duration::from_millis(200);

/// The same stores, asked on a thread of their own that ends with the last of them; at most `parallel` at a time.
pub(super) fn stores(stores: &Stores, parallel: usize) -> io::Result<Stores> {
    let thread = Arc::new(Thread::start(parallel)?);
    let remote = |inner: &Arc<dyn Backend>| -> Arc<dyn Backend> {
        Arc::new(Remote { inner: Arc::clone(inner), thread: Arc::clone(&thread) })
    };
    let mailbox = remote(&stores.mailbox);
    let alias = if Arc::ptr_eq(&stores.alias, &stores.mailbox) { Arc::clone(&mailbox) } else { remote(&stores.alias) };
    let virtuals = match &stores.virtuals {
        same if Arc::ptr_eq(same, &stores.mailbox) => Arc::clone(&mailbox),
        same if Arc::ptr_eq(same, &stores.alias) => Arc::clone(&alias),
        other => remote(other),
    };
    Ok(Stores { mailbox, alias, virtuals })
}

struct Thread {
    handle: Handle,
    /// A turn is kept until the store is done, also if nobody waits any more.
    turns: Arc<Semaphore>,
    /// Its end ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Thread {
    fn start(parallel: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("shadow".to_owned()).spawn(move || {
            // Never sent: the other end is dropped.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, turns: Arc::new(Semaphore::new(parallel)), _stop: stop })
    }
}

struct Remote {
    inner: Arc<dyn Backend>,
    thread: Arc<Thread>,
}

impl Remote {
    async fn ask<T: Send + 'static>(
        &self,
        by: Deadline,
        question: impl FnOnce(Arc<dyn Backend>) -> BoxFuture<'static, Result<T, LookupError>> + Send,
    ) -> Result<T, LookupError> {
        let trouble = |kind, what: &str| LookupError::new(kind, self.place(), what);
        let asked = async {
            let turn = Arc::clone(&self.thread.turns).acquire_owned().await;
            let answer = question(Arc::clone(&self.inner));
            let task = self.thread.handle.spawn(async move {
                let _turn = turn;
                answer.await
            });
            AbortOnDropHandle::new(task)
                .await
                .unwrap_or_else(|_| Err(trouble(ErrorKind::Unreachable, "the question ended early")))
        };
        match tokio::time::timeout_at((by.instant() + GRACE).into(), asked).await {
            Ok(answer) => answer,
            Err(_) => Err(trouble(ErrorKind::Timeout, "no answer before the deadline")),
        }
    }
}

#[async_trait]
impl MailboxResolver for Remote {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        let names = names.to_vec();
        self.ask(by, move |store| Box::pin(async move { store.mailboxes(&names, by).await })).await
    }
}

#[async_trait]
impl AliasResolver for Remote {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        let keys = keys.to_vec();
        self.ask(by, move |store| Box::pin(async move { store.aliases(&keys, by).await })).await
    }
}

#[async_trait]
impl VirtualResolver for Remote {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        let keys = keys.to_vec();
        self.ask(by, move |store| Box::pin(async move { store.virtuals(&keys, by).await })).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        let hosts = hosts.to_vec();
        self.ask(by, move |store| Box::pin(async move { store.rcpthosts(&hosts, by).await })).await
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
        self.ask(by, move |store| Box::pin(async move { store.ping(by).await })).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.ask(by, move |store| Box::pin(async move { store.any_mailbox(by).await })).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.ask(by, move |store| Box::pin(async move { store.facts(by).await })).await
    }
}
