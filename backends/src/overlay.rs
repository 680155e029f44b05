//! A store as it will be once changes are made that it does not have yet. Its catalogue lists only the rows around them.

use crate::memory::Memory;
use crate::table_key::TableKey;
use async_trait::async_trait;
use qmail_lookup_core::editing::Ahead;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Backend, Catalog, Change, CredentialRow, Deadline, ErrorKind, Host, HostRow,
    LookupError, MailboxResolver, MailboxRow, StoreFacts, Table, TableRow, Username, VirtualKey, VirtualResolver,
    VirtualRow,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Key columns of a row, in lower case: where it is looked for among the new ones.
type Place = (Table, Vec<u8>, Vec<u8>);

/// See the module.
pub struct Overlay {
    store: Arc<dyn Backend>,
    ahead: Arc<Ahead>,
    /// Where the rows that will be there are among those of `ahead`.
    new: HashMap<Place, Vec<usize>>,
    /// Of the hosts of new virtual rows: one row, and those that are catch-alls or patterns.
    hosts: HashMap<Vec<u8>, (usize, Vec<usize>)>,
    /// Virtual hosts that lose a row.
    losing: BTreeSet<Vec<u8>>,
    /// What is listed.
    listed: Memory,
}

fn place(row: &TableRow) -> Place {
    let cell = |at: usize| fold(row.cells().get(at).copied().flatten().unwrap_or_default());
    let second = if row.table().key_columns() > 1 { cell(1) } else { Vec::new() };
    (row.table(), cell(0), second)
}

impl Overlay {
    /// `store` after `ahead`; `around` are the rows around the changes, as they will be. The store need not prove itself
    /// (rule K4) before its "none" is taken for one: what it holds now is what the changes are made to, if it is nothing
    /// yet.
    #[must_use]
    pub fn new(store: &Arc<dyn Backend>, ahead: &Arc<Ahead>, around: &[TableRow], rules: &Arc<RuleSettings>) -> Self {
        let listed = Memory::new(around.to_vec(), Arc::clone(rules));
        let mut new: HashMap<Place, Vec<usize>> = HashMap::new();
        let mut hosts: HashMap<Vec<u8>, (usize, Vec<usize>)> = HashMap::new();
        for (at, row) in ahead.new_rows().iter().enumerate() {
            let place = place(row);
            if place.0 == Table::Virtual {
                let (_, patterns) = hosts.entry(place.1.clone()).or_insert_with(|| (at, Vec::new()));
                if place.2.is_empty() || place.2.iter().any(|byte| b"%_".contains(byte)) {
                    patterns.push(at);
                }
            }
            new.entry(place).or_default().push(at);
        }
        let gone = ahead.gone().iter().filter(|row| row.table() == Table::Virtual);
        let losing = gone.map(|row| place(row).1).collect();
        Self { store: Arc::clone(store), ahead: Arc::clone(ahead), new, hosts, losing, listed }
    }

    /// The rows of `keys`: those of the store without what will be gone, and the new ones.
    async fn ask<K: TableKey>(&self, keys: &[K], sides: &Sides<K>, by: Deadline) -> Result<Vec<K::Row>, LookupError> {
        let rows = match K::ask(&*self.store, keys, by).await {
            Err(error) if error.kind() == ErrorKind::Misconfigured => self.unproved(keys, sides, error, by).await?,
            rows => rows?,
        };
        let rows = self.ahead.without_gone(rows.into_iter().map(sides.wrap).collect());
        // Each once, also if several keys ask for it.
        let new: BTreeSet<usize> = keys.iter().flat_map(|key| (sides.new)(self, key)).copied().collect();
        let new = new.into_iter().filter_map(|at| self.ahead.new_rows().get(at)).cloned();
        Ok(rows.into_iter().chain(new).filter_map(sides.unwrap).collect())
    }

    /// The rows of a store that does not prove itself, as an edit sees them: nobody asks for a proof there. What else is
    /// wrong with the store is wrong here, too.
    async fn unproved<K: TableKey>(
        &self,
        keys: &[K],
        sides: &Sides<K>,
        error: LookupError,
        by: Deadline,
    ) -> Result<Vec<K::Row>, LookupError> {
        let Some(editor) = self.store.editor() else { return Err(error) };
        let firsts: BTreeSet<&[u8]> = keys.iter().map(sides.first).collect();
        let mut sorted = keys.to_vec();
        sorted.sort();
        sorted.dedup();
        let mut found = Vec::new();
        for first in firsts {
            let rows = editor.rows(sides.table, first, by).await?.into_iter().filter_map(sides.unwrap);
            found.extend(rows.filter(|row| K::places(&sorted, row).next().is_some()));
        }
        Ok(found)
    }

    fn at(&self, table: Table, first: &[u8], second: &[u8]) -> &[usize] {
        self.new.get(&(table, fold(first), fold(second))).map(Vec::as_slice).unwrap_or_default()
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
            if !self.losing.contains(host.as_bytes()) || found.iter().any(is_here) {
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

/// What has to be known of a table whose rows are asked for by `K`.
struct Sides<K: TableKey> {
    table: Table,
    /// The first key column.
    first: fn(&K) -> &[u8],
    wrap: fn(K::Row) -> TableRow,
    unwrap: fn(TableRow) -> Option<K::Row>,
    new: for<'a> fn(&'a Overlay, &K) -> &'a [usize],
}

fn virtual_row(row: TableRow) -> Option<VirtualRow> {
    if let TableRow::Virtual(row) = row { Some(row) } else { None }
}

#[async_trait]
impl MailboxResolver for Overlay {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        let sides = Sides::<Username> {
            table: Table::Mailbox,
            first: |name| name.as_bytes(),
            wrap: |mailbox| TableRow::Mailbox(CredentialRow { mailbox, ..CredentialRow::default() }),
            unwrap: |row| if let TableRow::Mailbox(row) = row { Some(row.mailbox) } else { None },
            new: |overlay, name| overlay.at(Table::Mailbox, name.as_bytes(), b""),
        };
        self.ask(names, &sides, by).await
    }
}

#[async_trait]
impl AliasResolver for Overlay {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        let sides = Sides::<AliasKey> {
            table: Table::Alias,
            first: |key| key.username.as_bytes(),
            wrap: TableRow::Alias,
            unwrap: |row| if let TableRow::Alias(row) = row { Some(row) } else { None },
            new: |overlay, key| overlay.at(Table::Alias, key.username.as_bytes(), key.alias.as_bytes()),
        };
        self.ask(keys, &sides, by).await
    }
}

#[async_trait]
impl VirtualResolver for Overlay {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        let sides = Sides::<VirtualKey> {
            table: Table::Virtual,
            first: |key| key.host().as_bytes(),
            wrap: TableRow::Virtual,
            unwrap: virtual_row,
            new: |overlay, key| match (key, overlay.hosts.get(key.host().as_bytes())) {
                (VirtualKey::Exact { host, user }, _) => overlay.at(Table::Virtual, host.as_bytes(), user.as_bytes()),
                (VirtualKey::Patterns { .. }, Some((_, patterns))) => patterns,
                (VirtualKey::Any { .. }, Some((one, _))) => std::slice::from_ref(one),
                (_, None) => &[],
            },
        };
        let mut rows = self.ask(keys, &sides, by).await?;
        rows.extend(self.others(keys, &rows, by).await?);
        Ok(rows)
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        let sides = Sides::<Host> {
            table: Table::Rcpthosts,
            first: |host| host.as_bytes(),
            wrap: TableRow::Rcpthosts,
            unwrap: |row| if let TableRow::Rcpthosts(row) = row { Some(row) } else { None },
            new: |overlay, host| overlay.at(Table::Rcpthosts, host.as_bytes(), b""),
        };
        self.ask(hosts, &sides, by).await
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
