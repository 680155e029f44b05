//! Rule K4: a store that answers but is wrong (empty after a restore, another schema, an ACL) must not bounce
//! everybody. No "none" leaves this layer before the store has proved itself.

use crate::layer::logins;
use crate::table_key::TableKey;
use async_trait::async_trait;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, AuthAnswer, Authenticator, Backend, Deadline, ErrorKind, Host, HostRow,
    LookupError, MailboxResolver, MailboxRow, Refusal, Secret, StoreFacts, Username, VirtualKey, VirtualResolver,
    VirtualRow,
};
use std::sync::Arc;

/// What a store must show before its "none" is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// This mailbox exists.
    Canary(Username),
    /// Its mailbox table is not empty.
    NotEmpty,
    /// Nothing: for a store that serves no mailboxes and has no canary of its own.
    None,
}

/// Asks for [`Proof`] whenever a "none" would be used.
pub struct Trust {
    inner: Arc<dyn Backend>,
    proof: Proof,
}

impl Trust {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>, proof: Proof) -> Self {
        Self { inner, proof }
    }

    async fn prove(&self, by: Deadline) -> Result<(), LookupError> {
        match &self.proof {
            Proof::None => Ok(()),
            Proof::Canary(name) => {
                let rows = self.inner.mailboxes(std::slice::from_ref(name), by).await?;
                self.canary_among(&rows, name)
            }
            Proof::NotEmpty => {
                if self.inner.any_mailbox(by).await? {
                    return Ok(());
                }
                let what = "table mailbox is empty; a store without a single mailbox is not believed";
                Err(LookupError::new(ErrorKind::Misconfigured, self.inner.place(), what)
                    .with_help("restore the table, or add the first mailbox"))
            }
        }
    }

    fn canary_among(&self, rows: &[MailboxRow], name: &Username) -> Result<(), LookupError> {
        if rows.iter().any(|row| name.matches(row.username.as_deref())) {
            return Ok(());
        }
        let what = format!("the canary mailbox {name} is missing; the store is not believed");
        Err(LookupError::new(ErrorKind::Misconfigured, self.inner.place(), what)
            .with_help(format!("restore the table, or add the mailbox {name}, or name another one as store.canary")))
    }

    /// Passes the rows of `keys` on if each key has one by `has`, else only with the proof. Both are asked for at the same
    /// time, so that the proof costs a statement and no waiting.
    async fn believed<K: TableKey>(
        &self,
        keys: &[K],
        has: impl Fn(&K, &K::Row) -> bool + Sync + Send,
        by: Deadline,
    ) -> Result<Vec<K::Row>, LookupError> {
        let (rows, proof) = tokio::join!(K::ask(&*self.inner, keys, by), self.prove(by));
        let rows = rows?;
        if !keys.iter().all(|key| rows.iter().any(|row| has(key, row))) {
            proof?;
        }
        Ok(rows)
    }
}

#[async_trait]
impl MailboxResolver for Trust {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        let Proof::Canary(canary) = &self.proof else {
            return self.believed(names, TableKey::is_of, by).await;
        };
        // The canary rides along, so proof and answer come from one statement.
        let mut keys = names.to_vec();
        if !keys.contains(canary) {
            keys.push(canary.clone());
        }
        let rows = self.inner.mailboxes(&keys, by).await?;
        self.canary_among(&rows, canary)?;
        Ok(rows)
    }
}

#[async_trait]
impl AliasResolver for Trust {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.believed(keys, TableKey::is_of, by).await
    }
}

#[async_trait]
impl VirtualResolver for Trust {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        // No pattern that fits may come back although the host has others: what is missing cannot be seen here.
        let has = |key: &VirtualKey, row: &_| !matches!(key, VirtualKey::Patterns { .. }) && key.is_of(row);
        self.believed(keys, has, by).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.believed(hosts, TableKey::is_of, by).await
    }
}

#[async_trait]
impl Authenticator for Trust {
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError> {
        let inner = logins(&*self.inner)?;
        let answer = inner.authenticate(who, offered, by).await?;
        if answer == AuthAnswer::Refused(Refusal::Unknown) {
            self.prove(by).await?;
        }
        Ok(answer)
    }
}

crate::layer::layer! { Trust {
    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.inner.ping(by).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        if self.proof == Proof::None {
            return self.inner.any_mailbox(by).await;
        }
        // Either proof has seen one.
        self.prove(by).await.map(|()| true)
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.inner.facts(by).await
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        self.inner.authenticator().map(|_| self as &dyn Authenticator)
    }
} }
