//! The reference implementation of the contract: rows in memory. Behind tests, `explain` drills and benchmarks.

mod edit;
mod scan;

use crate::authenticate::CompareAuthenticator;
use crate::registry::{Entry, OpenContext, Settings, SettingsError, read};
use async_trait::async_trait;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Authenticator, Backend, Catalog, CredentialResolver, CredentialRow, Deadline,
    Editor, Host, HostRow, LookupError, MailboxResolver, MailboxRow, StoreFacts, Table, TableFacts, TableRow, Username,
    VirtualKey, VirtualResolver, VirtualRow,
};
use std::sync::{Arc, RwLock};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    kind: "memory",
    open: |settings, context| open(settings, context),
    from_url: |_| Ok(Settings::new()),
    schema: |_| "-- the memory store keeps rows as they are and needs no tables\n".to_owned(),
};

fn open(settings: Settings, context: &OpenContext) -> Result<Arc<dyn Backend>, SettingsError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct None {}
    let None {} = read(settings, &[])?;
    Ok(Arc::new(Memory::new(Vec::new(), Arc::clone(&context.rules))))
}

type Rows = Arc<RwLock<Vec<TableRow>>>;

/// A store whose tables are one list of rows, in the order in which they were inserted.
pub struct Memory {
    rows: Rows,
    credentials: Credentials,
    authenticator: CompareAuthenticator,
}

impl Memory {
    /// A store that holds `rows`.
    #[must_use]
    pub fn new(rows: Vec<TableRow>, rules: Arc<RuleSettings>) -> Self {
        let rows: Rows = Arc::new(RwLock::new(rows));
        let credentials = Credentials(Arc::clone(&rows));
        let authenticator = CompareAuthenticator::new(Arc::new(Credentials(Arc::clone(&rows))), rules);
        Self { rows, credentials, authenticator }
    }

    fn pick<R>(&self, wanted: impl Fn(&TableRow) -> Option<R>) -> Vec<R> {
        pick(&self.rows, wanted)
    }
}

fn pick<R>(rows: &Rows, wanted: impl Fn(&TableRow) -> Option<R>) -> Vec<R> {
    let rows = rows.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.iter().filter_map(wanted).collect()
}

struct Credentials(Rows);

#[async_trait]
impl CredentialResolver for Credentials {
    async fn credentials(&self, names: &[Username], _by: Deadline) -> Result<Vec<CredentialRow>, LookupError> {
        Ok(pick(&self.0, |row| match row {
            TableRow::Mailbox(row) if names.iter().any(|n| n.matches(row.mailbox.username.as_deref())) => {
                Some(row.clone())
            }
            _ => None,
        }))
    }
}

#[async_trait]
impl MailboxResolver for Memory {
    async fn mailboxes(&self, names: &[Username], _by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        Ok(self.pick(|row| match row {
            TableRow::Mailbox(row) if names.iter().any(|n| n.matches(row.mailbox.username.as_deref())) => {
                Some(row.mailbox.clone())
            }
            _ => None,
        }))
    }
}

#[async_trait]
impl AliasResolver for Memory {
    async fn aliases(&self, keys: &[AliasKey], _by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        let wanted = |row: &AliasRow| {
            keys.iter().any(|k| k.username.matches(row.username.as_deref()) && k.alias.matches(row.alias.as_deref()))
        };
        Ok(self.pick(|row| match row {
            TableRow::Alias(row) if wanted(row) => Some(row.clone()),
            _ => None,
        }))
    }
}

#[async_trait]
impl VirtualResolver for Memory {
    async fn virtuals(&self, keys: &[VirtualKey], _by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        let wanted = |row: &VirtualRow| {
            let stored = row.virtual_username.as_deref();
            keys.iter().filter(|key| key.host().matches(row.virtual_host.as_deref())).any(|key| match key {
                VirtualKey::Exact { user, .. } => user.matches(stored),
                VirtualKey::Patterns { .. } => {
                    let pattern = stored.unwrap_or_default();
                    pattern.is_empty() || pattern.iter().any(|b| matches!(b, b'%' | b'_'))
                }
                VirtualKey::Any { .. } => true,
            })
        };
        Ok(self.pick(|row| match row {
            TableRow::Virtual(row) if wanted(row) => Some(row.clone()),
            _ => None,
        }))
    }

    async fn rcpthosts(&self, hosts: &[Host], _by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        Ok(self.pick(|row| match row {
            TableRow::Rcpthosts(row) if hosts.iter().any(|h| h.matches(row.host.as_deref())) => Some(row.clone()),
            _ => None,
        }))
    }
}

#[async_trait]
impl Backend for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }

    async fn ping(&self, _by: Deadline) -> Result<(), LookupError> {
        Ok(())
    }

    async fn any_mailbox(&self, _by: Deadline) -> Result<bool, LookupError> {
        Ok(!self.pick(|row| (row.table() == Table::Mailbox).then_some(())).is_empty())
    }

    async fn facts(&self, _by: Deadline) -> Result<StoreFacts, LookupError> {
        let columns = |table: Table| table.columns().iter().map(|c| ((*c).to_owned(), "bytes".to_owned())).collect();
        let tables =
            Table::ALL.map(|table| TableFacts { table, columns: columns(table), engine: None, indexed: Some(false) });
        Ok(StoreFacts { server: self.place(), local: true, tables: tables.into(), ..StoreFacts::default() })
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(self)
    }

    fn editor(&self) -> Option<&dyn Editor> {
        Some(self)
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        Some(&self.authenticator)
    }

    fn credentials(&self) -> Option<&dyn CredentialResolver> {
        Some(&self.credentials)
    }
}
