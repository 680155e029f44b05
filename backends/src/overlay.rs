//! A store as it will be once changes are made that it does not have yet. Its catalogue lists only the rows around them.

use crate::memory::Memory;
use async_trait::async_trait;
use qmail_lookup_core::editing::Ahead;
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Backend, Catalog, Change, CredentialRow, Deadline, ErrorKind, Host, HostRow,
    LookupError, MailboxResolver, MailboxRow, StoreFacts, Table, TableRow, Username, VirtualKey, VirtualResolver,
    VirtualRow,
};
use std::sync::Arc;

/// See the module.
pub struct Overlay {
    store: Arc<dyn Backend>,
    ahead: Arc<Ahead>,
    /// The rows that will be there.
    new: Memory,
    /// What is listed.
    listed: Memory,
}

impl Overlay {
    /// `store` after `ahead`; `around` are the rows around the changes, as they will be.
    #[must_use]
    pub fn new(store: &Arc<dyn Backend>, ahead: &Arc<Ahead>, around: &[TableRow], rules: &Arc<RuleSettings>) -> Self {
        let memory = |rows: &[TableRow]| Memory::new(rows.to_vec(), Arc::clone(rules));
        Self { store: Arc::clone(store), ahead: Arc::clone(ahead), new: memory(&ahead.new), listed: memory(around) }
    }

    /// `rows` of the store without those that will be gone, and `more`.
    fn with<R>(
        &self,
        rows: Vec<R>,
        more: Vec<R>,
        wrap: impl Fn(R) -> TableRow,
        unwrap: impl Fn(TableRow) -> Option<R>,
    ) -> Vec<R> {
        let rows = self.ahead.without_gone(rows.into_iter().map(wrap).collect());
        rows.into_iter().filter_map(unwrap).chain(more).collect()
    }

    /// One row of each host that is left where the store has shown one that will be gone.
    async fn others(
        &self,
        keys: &[VirtualKey],
        found: &[VirtualRow],
        by: Deadline,
    ) -> Result<Vec<VirtualRow>, LookupError> {
        let mut others = Vec::new();
        for key in keys.iter().filter(|key| matches!(key, VirtualKey::Any { .. })) {
            let host = key.host();
            let is_here = |row: &VirtualRow| host.matches(row.virtual_host.as_deref());
            let loses = self.ahead.gone.iter().any(|row| matches!(row, TableRow::Virtual(row) if is_here(row)));
            if !loses || found.iter().any(is_here) {
                continue;
            }
            let none = || LookupError::new(ErrorKind::Refused, self.store.place(), "this store cannot be edited");
            let editor = self.store.editor().ok_or_else(none)?;
            let all = editor.rows(Table::Virtual, host.as_bytes(), by).await?;
            others.extend(self.ahead.without_gone(all).into_iter().filter_map(virtual_row).next());
        }
        Ok(others)
    }
}

fn virtual_row(row: TableRow) -> Option<VirtualRow> {
    if let TableRow::Virtual(row) = row { Some(row) } else { None }
}

#[async_trait]
impl MailboxResolver for Overlay {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        let rows = self.store.mailboxes(names, by).await?;
        let more = self.new.mailboxes(names, by).await?;
        let wrap = |mailbox| TableRow::Mailbox(CredentialRow { mailbox, ..CredentialRow::default() });
        Ok(self.with(rows, more, wrap, |row| if let TableRow::Mailbox(row) = row { Some(row.mailbox) } else { None }))
    }
}

#[async_trait]
impl AliasResolver for Overlay {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        let rows = self.store.aliases(keys, by).await?;
        let more = self.new.aliases(keys, by).await?;
        Ok(self.with(rows, more, TableRow::Alias, |row| if let TableRow::Alias(row) = row { Some(row) } else { None }))
    }
}

#[async_trait]
impl VirtualResolver for Overlay {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        let rows = self.store.virtuals(keys, by).await?;
        let more = self.new.virtuals(keys, by).await?;
        let mut rows = self.with(rows, more, TableRow::Virtual, virtual_row);
        rows.extend(self.others(keys, &rows, by).await?);
        Ok(rows)
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        let rows = self.store.rcpthosts(hosts, by).await?;
        let more = self.new.rcpthosts(hosts, by).await?;
        let unwrap = |row| if let TableRow::Rcpthosts(row) = row { Some(row) } else { None };
        Ok(self.with(rows, more, TableRow::Rcpthosts, unwrap))
    }
}

#[async_trait]
impl Backend for Overlay {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    fn place(&self) -> String {
        self.store.place()
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.store.ping(by).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.store.any_mailbox(by).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.store.facts(by).await
    }

    fn query_text(&self, ask: &Ask) -> String {
        self.store.query_text(ask)
    }

    fn change_text(&self, change: &Change) -> Option<String> {
        self.store.change_text(change)
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(&self.listed)
    }
}
