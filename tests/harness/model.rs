//! What an answer must be, said the short way: which of a list of rows count for a question (rule K2).

use crate::check::block_on;
use qmail_lookup_core::{
    AliasKey, Backend, Deadline, Ext, Host, LookupError, TableRow, Username, VirtualKey, VirtualUser,
};
use std::time::Duration;

/// Time a case gives a store for one question. Far more than it takes, on a machine that does other things as well.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One question, as one call of a resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// To the mailbox resolver.
    Mailboxes(Vec<Username>),
    /// To the alias resolver.
    Aliases(Vec<AliasKey>),
    /// To the virtual resolver.
    Virtuals(Vec<VirtualKey>),
    /// To the virtual resolver, about accepted hosts.
    Rcpthosts(Vec<Host>),
}

impl Question {
    /// Mailboxes of these names; names that can be no key are left out, as the rules do.
    pub fn mailboxes<B: AsRef<[u8]>>(names: impl IntoIterator<Item = B>) -> Self {
        Self::Mailboxes(names.into_iter().filter_map(|name| Username::new(name.as_ref())).collect())
    }

    /// Alias rows of these (owner, extension).
    pub fn aliases<B: AsRef<[u8]>>(keys: impl IntoIterator<Item = (B, B)>) -> Self {
        Self::Aliases(keys.into_iter().filter_map(|(owner, ext)| alias_key(owner.as_ref(), ext.as_ref())).collect())
    }

    /// Virtual rows of exactly these (host, user).
    pub fn exact<B: AsRef<[u8]>>(keys: impl IntoIterator<Item = (B, B)>) -> Self {
        Self::Virtuals(keys.into_iter().filter_map(|(host, user)| exact_key(host.as_ref(), user.as_ref())).collect())
    }

    /// Pattern rows of this host.
    pub fn patterns(host: impl AsRef<[u8]>) -> Self {
        Self::Virtuals(Host::new(host.as_ref()).map(|host| VirtualKey::Patterns { host }).into_iter().collect())
    }

    /// Any row of this host.
    pub fn any(host: impl AsRef<[u8]>) -> Self {
        Self::Virtuals(Host::new(host.as_ref()).map(|host| VirtualKey::Any { host }).into_iter().collect())
    }

    /// Rows of these accepted hosts.
    pub fn rcpthosts<B: AsRef<[u8]>>(hosts: impl IntoIterator<Item = B>) -> Self {
        Self::Rcpthosts(hosts.into_iter().filter_map(|host| Host::new(host.as_ref())).collect())
    }

    /// Puts the question and returns every row that came, whether it counts or not. Passwords are not part of it.
    ///
    /// # Errors
    /// The store's.
    pub fn put(&self, store: &dyn Backend, by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        block_on(self.ask(store, by))
    }

    /// [`Question::put`] for those who wait themselves.
    ///
    /// # Errors
    /// The store's.
    pub async fn ask(&self, store: &dyn Backend, by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        Ok(match self {
            Self::Mailboxes(names) => {
                let rows = store.mailboxes(names, by).await?;
                rows.into_iter().map(|mailbox| TableRow::Mailbox(credential(mailbox))).collect()
            }
            Self::Aliases(keys) => store.aliases(keys, by).await?.into_iter().map(TableRow::Alias).collect(),
            Self::Virtuals(keys) => store.virtuals(keys, by).await?.into_iter().map(TableRow::Virtual).collect(),
            Self::Rcpthosts(hosts) => store.rcpthosts(hosts, by).await?.into_iter().map(TableRow::Rcpthosts).collect(),
        })
    }

    /// The rows of `rows` that count, sorted. This is rule K2, and all that the rules ever see.
    #[must_use]
    pub fn counting(&self, rows: &[TableRow]) -> Vec<TableRow> {
        let mut counting: Vec<_> = rows.iter().filter(|row| self.counts(row)).map(without_password).collect();
        counting.sort();
        counting
    }

    /// True if `row` counts.
    #[must_use]
    pub fn counts(&self, row: &TableRow) -> bool {
        match (self, row) {
            (Self::Mailboxes(names), TableRow::Mailbox(row)) => {
                names.iter().any(|name| folds_to(row.mailbox.username.as_deref(), name.as_bytes()))
            }
            (Self::Aliases(keys), TableRow::Alias(row)) => keys.iter().any(|key| {
                folds_to(row.username.as_deref(), key.username.as_bytes())
                    && folds_to(row.alias.as_deref(), key.alias.as_bytes())
            }),
            (Self::Virtuals(keys), TableRow::Virtual(row)) => keys.iter().any(|key| {
                let stored = row.virtual_username.as_deref();
                folds_to(row.virtual_host.as_deref(), key.host().as_bytes())
                    && match key {
                        VirtualKey::Exact { user, .. } => folds_to(stored, user.as_bytes()),
                        VirtualKey::Patterns { .. } => is_pattern(stored.unwrap_or_default()),
                        VirtualKey::Any { .. } => true,
                    }
            }),
            (Self::Rcpthosts(hosts), TableRow::Rcpthosts(row)) => {
                hosts.iter().any(|host| folds_to(row.host.as_deref(), host.as_bytes()))
            }
            _ => false,
        }
    }

    /// True if the answer need not be whole: of [`VirtualKey::Any`] one row is enough.
    #[must_use]
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Virtuals(keys) if keys.iter().any(|key| matches!(key, VirtualKey::Any { .. })))
    }
}

/// Key of an alias set, if it can be one.
#[must_use]
pub fn alias_key(owner: &[u8], ext: &[u8]) -> Option<AliasKey> {
    Some(AliasKey { username: Username::new(owner)?, alias: Ext::new(ext)? })
}

/// Key of an exact virtual row, if it can be one.
#[must_use]
pub fn exact_key(host: &[u8], user: &[u8]) -> Option<VirtualKey> {
    Some(VirtualKey::Exact { host: Host::new(host)?, user: VirtualUser::new(user)? })
}

/// [`PATIENCE`] from now.
#[must_use]
pub fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// Written out again rather than taken from core: the two must agree.
fn folds_to(stored: Option<&[u8]>, key: &[u8]) -> bool {
    let stored = stored.unwrap_or_default();
    stored.len() == key.len() && stored.iter().zip(key).all(|(s, k)| s.to_ascii_lowercase() == *k)
}

fn is_pattern(stored: &[u8]) -> bool {
    stored.is_empty() || stored.contains(&b'%') || stored.contains(&b'_')
}

fn credential(mailbox: qmail_lookup_core::MailboxRow) -> qmail_lookup_core::CredentialRow {
    qmail_lookup_core::CredentialRow { mailbox, ..Default::default() }
}

fn without_password(row: &TableRow) -> TableRow {
    match row {
        TableRow::Mailbox(row) => TableRow::Mailbox(credential(row.mailbox.clone())),
        other => other.clone(),
    }
}
