//! The outermost layer: whatever a store does, its caller gets an answer or an error by the deadline.

use crate::layer::logins;
use async_trait::async_trait;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, AuthAnswer, Authenticator, Backend, Deadline, ErrorKind, Host, HostRow,
    LookupError, MailboxResolver, MailboxRow, Secret, StoreFacts, Username, VirtualKey, VirtualResolver, VirtualRow,
};
use std::sync::Arc;
use std::time::Duration;

/// How much later than the deadline this layer cuts in: a store that keeps the deadline itself names the better reason.
pub(crate) const GRACE: Duration = Duration::from_millis(50);

/// Ends every question at its deadline.
pub struct DeadlineLayer {
    inner: Arc<dyn Backend>,
}

impl DeadlineLayer {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner }
    }

    async fn within<T: Send>(
        &self,
        by: Deadline,
        answer: impl Future<Output = Result<T, LookupError>> + Send,
    ) -> Result<T, LookupError> {
        let late = || LookupError::new(ErrorKind::Timeout, self.inner.place(), "no answer before the deadline");
        if by.passed() {
            return Err(late());
        }
        tokio::time::timeout_at((by.instant() + GRACE).into(), answer).await.unwrap_or_else(|_| Err(late()))
    }
}

#[async_trait]
impl MailboxResolver for DeadlineLayer {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.within(by, self.inner.mailboxes(names, by)).await
    }
}

#[async_trait]
impl AliasResolver for DeadlineLayer {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.within(by, self.inner.aliases(keys, by)).await
    }
}

#[async_trait]
impl VirtualResolver for DeadlineLayer {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.within(by, self.inner.virtuals(keys, by)).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.within(by, self.inner.rcpthosts(hosts, by)).await
    }
}

#[async_trait]
impl Authenticator for DeadlineLayer {
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError> {
        let inner = logins(&*self.inner)?;
        self.within(by, inner.authenticate(who, offered, by)).await
    }
}

crate::layer::layer! { DeadlineLayer {
    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.within(by, self.inner.ping(by)).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.within(by, self.inner.any_mailbox(by)).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.within(by, self.inner.facts(by)).await
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        self.inner.authenticator().map(|_| self as &dyn Authenticator)
    }
} }
